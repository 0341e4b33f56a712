package stage

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/linalg"
	"github.com/specquant/specquant/internal/recipe"
	"github.com/specquant/specquant/internal/spectrum"
)

// Spectral decides which Fourier coefficients of w [rows × cols] stay in 16 bits and
// returns them, rounded to 16 bits. act describes the layer's input.
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
	return spectrum.Truncate(w, rows, cols, axis, b.Basis, kept, float.RoundF16, run)
}

// subspaceTolerance is the relative residual at which the eigenproblem of a basis counts as
// solved: far below the precision of the 16 bits that the basis is stored in.
const subspaceTolerance = 1e-6

// Vectors returns the basis of an input [k × n], with orthonormal rows in descending order
// of importance. h is Σ x̂ x̂ᵀ [n × n]; weights are those of the layers that read the
// input.
func Vectors(p *parallel.Pool, b *recipe.Branch, h []float64, weights [][]float32, n, k int) ([]float32, error) {
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
			float.SyrkTN(p, h, n, w, n, len(w)/n)
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

// truncationGroup is the number of output channels that share a budget. It equals the
// number of rows that kernels compute together, so nothing is stored or computed as
// padding.
const truncationGroup = 16

// levelGroups sorts channels by budget, cuts them into groups of n and gives every channel
// of a group the mean budget of the group, carrying fractions on to the next group so that
// the total changes by the rounding of one group at most.
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
		// The carry may exceed one per channel of a short last group: no channel gets more
		// than the largest budget in its group.
		each := min(sum/len(group), kept[group[0]])
		for _, c := range group {
			kept[c] = each
		}
		carry = sum - each*len(group)
	}
}

// Coefficients returns the least-squares coefficients of w [out × n] on the basis v [k ×
// n], w·Vᵀ·(V·Vᵀ)⁻¹, rounded to 16-bit floats. The inverse corrects for a basis that is no
// longer exactly orthonormal after its own rounding.
func Coefficients(p *parallel.Pool, w, v []float32, out, n, k int) ([]float32, error) {
	wide := make([]float64, len(v))
	for i, x := range v {
		wide[i] = float64(x)
	}
	gram := make([]float64, k*k)
	float.MatMulNT64(p, gram, k, wide, n, wide, n, k, k, n, float.Set)
	if err := linalg.InverseUpper(p, gram, k); err != nil { // (V·Vᵀ)⁻¹ = UᵀU
		return nil, fmt.Errorf("the basis vectors are linearly dependent after rounding: %w", err)
	}
	u := make([]float32, len(gram))
	for i, x := range gram {
		u[i] = float32(x)
	}
	c, step := make([]float32, out*k), make([]float32, out*k)
	float.MatMulNT(p, c, k, w, n, v, n, out, k, n, false)
	float.MatMulNT(p, step, k, c, k, u, k, out, k, k, false)
	float.MatMulNN(p, c, k, step, k, u, k, out, k, k, false)
	float.RoundF16(c)
	return c, nil
}

// Memory that internal/spectrum keeps for each thread: the padded channels that are
// transformed together, and the basis vectors of those that are multiplied instead.
const (
	spectrumChannels = 64
	spectrumPadding  = 8
	spectrumDirect   = 64
)

// channelBytes is the float64 memory in which channels of length n are transformed: for
// each thread a block of channels and its coefficients, and two sets of basis vectors, that
// of this call and that of the previous one.
func channelBytes(threads, n int) int64 {
	block := spectrumChannels*int64(n+spectrumPadding) + spectrumChannels*spectrumDirect
	return 8 * (int64(threads)*block + 2*spectrumDirect*int64(n))
}
