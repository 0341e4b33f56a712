package method

import (
	"math"
	"slices"

	"github.com/specquant/specquant/internal/kernel"
	"github.com/specquant/specquant/internal/spectrum"
)

// PerChannel is k̄, the mean number of components a channel keeps in a layer
// [rows × cols]: the recipe's number, lowered to its limit of bits per weight
// but never below one component, unless the recipe asks for less. One component
// is two 16-bit numbers, in the cosine basis one.
func (b *Branch) PerChannel(axis spectrum.Axis, rows, cols int) float64 {
	length := cols
	if axis == spectrum.InputChannel {
		length = rows
	}
	k := b.Components
	bits, most := 32.0, length/2+1
	if b.Basis == "dct" {
		bits, most = 16, length
	}
	if b.Overhead > 0 {
		k = min(k, max(1, math.Floor(b.Overhead*float64(length)/bits)))
	}
	return min(k, float64(most))
}

// Spectral decides which coefficients of w [rows × cols] stay in 16 bits and
// returns them, rounded. act describes the layer's input.
func (b *Branch) Spectral(w []float32, rows, cols int, act spectrum.ActStats, run func(n int, fn func(i int))) (*spectrum.Branch, error) {
	axis, err := spectrum.ParseAxis(b.Axis)
	if err != nil {
		return nil, err
	}
	length, channels := cols, rows
	if axis == spectrum.InputChannel {
		length, channels = rows, cols
	}
	basis, err := spectrum.NewBasis(b.Basis, length)
	if err != nil {
		return nil, err
	}
	mean := b.PerChannel(axis, rows, cols)
	score := make([]float64, channels)
	if b.Temperature > 0 || b.Literal {
		if score, err = spectrum.Score(b.Importance, axis, w, rows, cols, act); err != nil {
			return nil, err
		}
	}
	budget := spectrum.Budget{Mean: mean, Tau: b.Temperature, Literal: b.Literal, Width: cols}
	kept := budget.Allocate(score, basis.Components())
	if axis == spectrum.OutputChannel {
		levelGroups(kept, truncationGroup)
	}
	return spectrum.Truncate(w, rows, cols, axis, b.Basis, kept, kernel.RoundF16, run)
}

// truncationGroup is the number of output channels that share a budget, the
// rows that kernels compute together: what is stored and computed is then what
// was decided, without padding.
const truncationGroup = 16

// levelGroups sorts channels by their budget, cuts them into groups of n and
// gives each channel of a group its mean, carrying fractions on to the next
// group so that the total stays within one group's rounding.
func levelGroups(kept []int, n int) {
	order := make([]int, len(kept))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return kept[b] - kept[a] })
	carry := 0
	for len(order) > 0 {
		group := order[:min(n, len(order))]
		order = order[len(group):]
		sum := carry
		for _, c := range group {
			sum += kept[c]
		}
		// A short last group can be carried more than one each: no channel gets
		// more than the largest of its group was given.
		each := min(sum/len(group), kept[group[0]])
		for _, c := range group {
			kept[c] = each
		}
		carry = sum - each*len(group)
	}
}
