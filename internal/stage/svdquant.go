package stage

import (
	"context"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/shape"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
)

// SVDQuant's branch (Li et al., arXiv 2411.05007): L = SVD_k(W − Q(W − L)), the best rank-k
// approximation of the rounding error, computed jointly for the layers that share an input.
// svdquant_solver.go has the decomposition and the iteration; this file measures the error
// of each round.
//
// Reads the sample and second moments of the input and the weights of its readers. Changes
// nothing: branch.go splits the layers. Holds a few copies of the weights.

// BranchOf lists the layers of a block that share a stored basis for an input, and the
// number of its vectors; empty if the recipe or its budget gives none. prefix is that of
// the block's tensor names.
func BranchOf(c *checkpoint.Config, r *recipe.Recipe, prefix string, in llama.Input, expert int) (layers []llama.Which, k int) {
	b := r.Branch
	if !b.Stored() || !b.Has(in) {
		return nil, 0
	}
	outputs := 0
	for _, l := range in.Readers() {
		if r.LayerBits(prefix+layerOf(c, l, expert).String()) < quant.Full.Weights {
			out, _ := l.Shape(c)
			layers = append(layers, l)
			outputs += out
		}
	}
	if outputs == 0 {
		return nil, 0
	}
	if k = b.Dimensions(in.Width(c), outputs); k == 0 {
		return nil, 0
	}
	return layers, k
}

// round replaces weights [out × in] by their rounded values.
func (st *State) round(g quant.Grid, weights []float32, out, in int) error {
	clip := st.Recipe.Weights.Clip
	if clip == quant.ClipHessian {
		clip = quant.ClipMSE // weights only: this is just a comparison
	}
	steps, err := g.Scales(weights, out, in, clip, st.Pool.Run)
	if err != nil {
		return err
	}
	q := st.q[:out*in]
	g.RTN(q, weights, steps, out, in, st.Pool.Run)
	g.Dequantize(weights, q, steps, out, in, st.Pool.Run)
	return nil
}

// lowRank fits the branch of an input to the rounding errors of the layers that read it
// (SVDQuant). The error of a round is the sum of the layers' relative squared output errors
// on the sample, with activations quantized as at run time and the residual rounded to
// nearest.
func (st *State) lowRank(ctx context.Context, in llama.Input, h []float64, layers []llama.Which, k int) (*artefact.Subspace, map[llama.Which][]float32, error) {
	b, n := st.Recipe.Branch, in.Width(st.Config)
	stats := st.Stats[in]
	x, samples := stats.Sample, stats.SampleTokens()
	xq := x
	if grid := st.Recipe.ActGrid(); grid.Bits < quant.Full.Activations {
		st.acts.Quantize(st.Pool, x, n, samples, n, grid, 0)
		xq = st.xq[:samples*n]
		st.acts.Dequantize(st.Pool, xq, n)
	}
	var weights, exact [][]float32
	for _, l := range layers {
		d := &st.Block.Linears[l]
		st.exact[l] = shape.Grow(st.exact[l], samples*d.Out)
		float.MatMulNT(st.Pool, st.exact[l], d.Out, x, n, d.W, n, samples, d.Out, n, false)
		weights, exact = append(weights, d.W), append(exact, st.exact[l])
	}
	var white *Whitening
	if b.Whiten {
		var err error
		if white, err = NewWhitening(st.Pool, h, n); err != nil {
			return nil, nil, err
		}
	}
	var z []float32
	low, err := Iterate(st.Pool, b, weights, n, k, white, func(low *LowRank, residual [][]float32) (float64, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		z = shape.Grow(z, samples*low.K)
		float.MatMulNT(st.Pool, z, low.K, x, n, low.V, n, samples, low.K, n, false)
		var sum float64
		for i, l := range layers {
			out := st.Block.Linears[l].Out
			if err := st.round(st.grid(l), residual[i], out, n); err != nil {
				return 0, err
			}
			y := st.got[:samples*out]
			float.MatMulNT(st.Pool, y, out, xq, n, residual[i], n, samples, out, n, false)
			float.MatMulNT(st.Pool, y, out, z, low.K, low.C[i], low.K, samples, out, low.K, true)
			e := Relative(exact[i], y)
			sum += e * e
		}
		return sum, nil
	})
	if err != nil {
		return nil, nil, err
	}
	coeff := map[llama.Which][]float32{}
	for i, l := range layers {
		coeff[l] = low.C[i]
	}
	return artefact.NewSubspace(low.V, low.K, n, b.Width()), coeff, nil
}

// smoothedLowRank returns, for the search of λ, the branch that the layers of an input
// would have if λ were folded in: one round, without whitening; nil if there is none.
func (st *State) smoothedLowRank(in llama.Input, lambda []float32) (*LowRank, error) {
	if !st.Recipe.Branch.Iterated() {
		return nil, nil
	}
	layers, k := BranchOf(st.Config, st.Recipe, st.Prefix, in, st.mixture.selected)
	if k == 0 {
		return nil, nil
	}
	spare := spareBuffers{st.weights, st.weights2} // in use by the search only after this
	var weights [][]float32
	for _, l := range layers {
		d := &st.Block.Linears[l]
		s := spare.take(len(d.W))
		copy(s, d.W)
		ScaleColumns(s, lambda, st.Pool.Run)
		if rotation := st.rotation().Inputs[in]; rotation != nil {
			rotation.Apply(st.Pool, s, d.Out)
		}
		weights = append(weights, s)
	}
	return LowRankOf(st.Pool, weights, in.Width(st.Config), k, nil, SearchTolerance)
}

// coefficients returns a layer's coefficients on the basis of its input: W·Vᵀ, or the
// least-squares solution if rounding the basis to 8 bits has made it slightly
// non-orthogonal.
func (st *State) coefficients(d *llama.Dense, s *artefact.Subspace) ([]float32, error) {
	if s.Codes != nil {
		return Coefficients(st.Pool, d.W, s.Floats(), d.Out, d.In, s.Count)
	}
	c := make([]float32, d.Out*s.Count)
	float.MatMulNT(st.Pool, c, s.Count, d.W, d.In, s.Floats(), d.In, d.Out, s.Count, d.In, false)
	float.RoundF16(c)
	return c, nil
}
