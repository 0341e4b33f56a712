package stage

import (
	"context"
	"fmt"
	"time"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/integer"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/kernel/shape"
	"github.com/specquant/specquant/internal/linalg"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
)

// The branch (SpecQuant, arXiv 2511.11663, section 3.3): a layer's weights are split
// into W = C·V + R. The product C·V, of few components, stays in 16 or 8 bits and
// reads activations that are not rounded; R is quantized.
//
// With a Fourier basis V is known, and each output channel keeps its own components
// (see [Spectral]). A stored basis is made from the model, one for each input, and
// shared by the layers that read it (see [Vectors], and svdquant.go for the one that is
// fitted to the rounding).
//
// Reads the weights and the input's statistics and second moments. Changes the
// weights, which become R, and with branch.remove the second moments, which become
// those of x − Vᵀ·V·x. Holds the basis and the coefficients until the layers are solved.

// Basis chooses the stored basis of an input.
func (st *State) Basis(ctx context.Context, in llama.Input) error {
	st.at(PartBasis, 0)
	var err error
	if st.group.subspace, st.group.coeff, err = st.subspace(ctx, in, st.group.moments); err != nil {
		return fmt.Errorf("input of %s: %w", in, err)
	}
	return nil
}

// Split separates the branch from the layers that read an input, and keeps their exact
// outputs on the sample for later comparison.
func (st *State) Split(in llama.Input) error {
	if st.Windows == 0 { // then this is the input's first step
		st.Tell(quantizing(in))
	}
	st.at(PartBranch, 0)
	for _, l := range in.Readers() {
		start := time.Now()
		r, err := st.splitLayer(l, in, st.group.subspace, st.group.coeff[l], st.report(l))
		if err != nil {
			return fmt.Errorf("%s: %w", l, err)
		}
		st.group.runs[l] = r
		st.report(l).Seconds = time.Since(start).Seconds()
	}
	st.group.coeff = nil // the branches hold the coefficients from here on
	return nil
}

// RemoveBranch subtracts from the second moments of the current input the part that its
// branch carries.
func (st *State) RemoveBranch() {
	removeSubspace(st.Pool, st.group.moments, st.group.subspace)
}

// subspace chooses the stored basis of an input from the second moments h of its
// activations. coeff is nil for layers whose coefficients follow from their own weights.
func (st *State) subspace(ctx context.Context, in llama.Input, h []float64) (s *artefact.Subspace, coeff map[llama.Which][]float32, err error) {
	b, n := st.Recipe.Branch, in.Width(st.Config)
	layers, k := BranchOf(st.Config, st.Recipe, st.Prefix, in, st.mixture.selected)
	outputs := 0
	for _, l := range layers {
		outputs += st.Block.Linears[l].Out
	}
	if b.Iterated() {
		if s, coeff, err = st.lowRank(ctx, in, h, layers, k); err != nil {
			return nil, nil, err
		}
	} else {
		var weights [][]float32
		for _, l := range layers {
			weights = append(weights, st.Block.Linears[l].W)
		}
		v, err := Vectors(st.Pool, b, h, weights, n, k)
		if err != nil {
			return nil, nil, err
		}
		s = artefact.NewSubspace(v, k, n, b.Width())
	}
	s.Remove, s.Outputs = b.Remove, outputs
	return s, coeff, nil
}

// removeSubspace replaces the second moments h of x by those of x − Vᵀ·V·x.
func removeSubspace(p *parallel.Pool, h []float64, s *artefact.Subspace) {
	n, k := s.Width, s.Count
	v := make([]float64, k*n)
	for i, f := range s.Floats() {
		v[i] = float64(f)
	}
	u := make([]float64, n*k) // H·Vᵀ
	for range 2 {             // H − H·VᵀV, then the same from the left, since H is symmetric
		float.MatMulNT64(p, u, k, h, n, v, n, n, k, n, float.Set)
		float.MatMulNN64(p, h, n, u, k, v, n, n, n, k, float.Subtract)
		transposeSquare(p, h, n)
	}
	for i := range n { // rounding errors may have made the diagonal negative
		h[i*n+i] = max(h[i*n+i], 0)
	}
}

// transposeTile is the edge length of the square tiles of a transposition: two of them fit
// into a core's first-level cache.
const transposeTile = 32

// transposeSquare transposes h [n × n] in place.
func transposeSquare(p *parallel.Pool, h []float64, n int) {
	p.Run((n+transposeTile-1)/transposeTile, func(tile int) {
		i0 := tile * transposeTile
		i1 := min(i0+transposeTile, n)
		for j0 := 0; j0 <= i0; j0 += transposeTile {
			for i := i0; i < i1; i++ {
				for j := j0; j < min(j0+transposeTile, i); j++ {
					h[i*n+j], h[j*n+i] = h[j*n+i], h[i*n+j]
				}
			}
		}
	})
}

// splitLayer separates the branch from a layer's weights, which become the residual. coeff
// are its coefficients on a stored basis, or nil to compute them from the layer's weights.
func (st *State) splitLayer(l llama.Which, in llama.Input, subspace *artefact.Subspace, coeff []float32, report *artefact.Layer) (*runLinear, error) {
	d, r := &st.Block.Linears[l], st.Recipe
	stats := st.Stats[in]
	var samples int
	if stats != nil { // the exact output, the reference for errors
		samples = stats.SampleTokens()
		st.exact[l] = shape.Grow(st.exact[l], samples*d.Out)
		float.MatMulNT(st.Pool, st.exact[l], d.Out, stats.Sample, d.In, d.W, d.In, samples, d.Out, d.In, false)
	}
	act := r.ActGrid()
	if st.grid(l).Bits == quant.Full.Weights {
		act = integer.ActGrid{Bits: quant.Full.Activations}
	}
	run := newRunLinear(d, nil, act, &st.run)
	if r.Branch == nil || st.grid(l).Bits == quant.Full.Weights {
		return run, nil
	}
	energy := float.SumSquares(d.W)
	var branch *artefact.Branch
	switch {
	case subspace != nil:
		if coeff == nil {
			var err error
			if coeff, err = st.coefficients(d, subspace); err != nil {
				return nil, err
			}
		}
		branch = artefact.NewSubspaceBranch(subspace, r.Branch.Basis, coeff, d.Out)
	case r.Branch.Stored(): // the budget leaves no components
		return run, nil
	default:
		kept, err := Spectral(r.Branch, d.W, d.Out, d.In, stats.Act(nil), st.Pool.Run)
		if err != nil {
			return nil, err
		}
		branch = artefact.NewBranch(kept, r.Branch.Truncate)
	}
	branch.AddTo(st.Pool, d.W, -1)
	if energy > 0 {
		report.EnergyKept = branchEnergy(st.Pool, branch, st.weights[:d.Out*d.In]) / energy
	}
	return newRunLinear(d, branch, act, &st.run), nil
}

// branchEnergy is ‖W'‖² of the weights W' that the branch represents.
func branchEnergy(p *parallel.Pool, b *artefact.Branch, scratch []float32) float64 {
	clear(scratch)
	b.AddTo(p, scratch, 1)
	return float.SumSquares(scratch)
}

// basisBytes is the memory needed to choose the stored basis of an input.
func basisBytes(s Shape, in llama.Input) int64 {
	c, b := s.Config, s.Recipe.Branch
	n, outputs := in.Width(c), 0
	for _, l := range in.Readers() {
		o, _ := l.Shape(c)
		outputs += o
	}
	k := b.Dimensions(n, outputs)
	if b.Iterated() {
		return LowRankBytes(b, outputs, n, k) + 4*int64(s.samples())*int64(k)
	}
	bytes := linalg.LeadingBytes(n, k) + 4*int64(k)*int64(n)
	if b.Basis == recipe.BasisSVD {
		bytes += 8 * int64(n) * int64(n)
	}
	return bytes
}
