package stage

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/specquant/specquant/internal/kernel"
	"github.com/specquant/specquant/internal/linalg"
	"github.com/specquant/specquant/internal/recipe"
	"github.com/specquant/specquant/internal/spectrum"
)

// Spectral decides which coefficients of w [rows × cols] stay in 16 bits and
// returns them, rounded. act describes the layer's input.
func Spectral(b *recipe.Branch, w []float32, rows, cols int, act spectrum.ActStats, run func(n int, fn func(i int))) (*spectrum.Branch, error) {
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

// subspaceTolerance is how well a basis has to satisfy its eigenproblem: far
// below what 16 bits keep of it.
const subspaceTolerance = 1e-6

// Vectors returns the basis of an input [k × n], rows orthonormal, the most
// important first. h is Σ x̂ x̂ᵀ [n × n], weights those of the readers.
func Vectors(p *kernel.Pool, b *recipe.Branch, h []float64, weights [][]float32, n, k int) ([]float32, error) {
	v := make([]float32, k*n)
	switch b.Basis {
	case recipe.BasisColumns:
		order := make([]int, n)
		for i := range order {
			order[i] = i
		}
		slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(h[j*n+j], h[i*n+i]) })
		for i, c := range order[:k] {
			v[i*n+c] = 1
		}
		return v, nil
	case recipe.BasisSVD:
		h = make([]float64, n*n)
		for _, w := range weights {
			p.SyrkTN(h, n, w, n, len(w)/n)
		}
	}
	leading, err := linalg.TopEigen(p, h, n, k, subspaceTolerance)
	if err != nil {
		return nil, err
	}
	for i, x := range leading.Vectors {
		v[i] = float32(x)
	}
	return v, nil
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

// Coefficients are those of w [out × n] on the basis v [k × n] with the least
// squares, w·Vᵀ·(V·Vᵀ)⁻¹, as exact 16-bit floats: where rounding has left the basis
// not quite orthonormal, w less C·V is orthogonal to it nevertheless.
func Coefficients(p *kernel.Pool, w, v []float32, out, n, k int) ([]float32, error) {
	wide := make([]float64, len(v))
	for i, x := range v {
		wide[i] = float64(x)
	}
	gram := make([]float64, k*k)
	p.MatMulNT64(gram, k, wide, n, wide, n, k, k, n, kernel.Set)
	if err := linalg.InverseUpper(p, gram, k); err != nil { // (V·Vᵀ)⁻¹ = UᵀU
		return nil, fmt.Errorf("the basis, rounded, is no longer one: %w", err)
	}
	u := make([]float32, len(gram))
	for i, x := range gram {
		u[i] = float32(x)
	}
	c, step := make([]float32, out*k), make([]float32, out*k)
	p.MatMulNT(c, k, w, n, v, n, out, k, n, false)
	p.MatMulNT(step, k, c, k, u, k, out, k, k, false)
	p.MatMulNN(c, k, step, k, u, k, out, k, k, false)
	kernel.RoundF16(c)
	return c, nil
}

// Sizes of what internal/spectrum keeps for each thread: the channels that are
// transformed together, with the padding of each, and the vectors of those that go
// by products.
const (
	spectrumChannels = 64
	spectrumPadding  = 8
	spectrumDirect   = 64
)

// channelBytes is the float64 memory in which channels of n are transformed: a
// block of them and its coefficients for each thread, and the basis vectors, those
// of the call before beside them.
func channelBytes(threads, n int) int64 {
	block := spectrumChannels*int64(n+spectrumPadding) + spectrumChannels*spectrumDirect
	return 8 * (int64(threads)*block + 2*spectrumDirect*int64(n))
}
