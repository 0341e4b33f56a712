package pipeline

import (
	"context"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/kernel"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/method"
	"github.com/specquant/specquant/internal/quant"
)

// branched are the layers that share a stored basis of an input, and how many
// vectors it has; none where the recipe or its budget leaves none.
func (w *worker) branched(in llama.Input) (layers []llama.Which, outputs, k int) {
	b := w.recipe.Branch
	if !b.Stored() || !b.Has(in) {
		return nil, 0, 0
	}
	for _, l := range in.Readers() {
		if w.grid(l).Bits < quant.Full.Weights {
			layers = append(layers, l)
			outputs += w.block.Linears[l].Out
		}
	}
	if outputs == 0 {
		return nil, 0, 0
	}
	if k = b.Dimensions(in.Width(w.config), outputs); k == 0 {
		return nil, 0, 0
	}
	return layers, outputs, k
}

// round replaces weights [out × in] by what they stand for once they are rounded.
func (w *worker) round(g quant.Grid, weights []float32, out, in int) error {
	clip := w.recipe.Weights.Clip
	if clip == quant.ClipHessian {
		clip = quant.ClipMSE // of the weights alone: this is a comparison
	}
	steps, err := g.Scales(weights, out, in, clip, w.pool.Run)
	if err != nil {
		return err
	}
	q := w.q[:out*in]
	g.RTN(q, weights, steps, out, in, w.pool.Run)
	g.Dequantize(weights, q, steps, out, in, w.pool.Run)
	return nil
}

// lowRank fits the branch of an input to what rounding leaves of its readers'
// weights (SVDQuant). The error of a round is the sum of the readers' relative
// squared output errors on the sample, activations as at run time, the residual
// rounded to nearest.
func (w *worker) lowRank(ctx context.Context, in llama.Input, h []float64, layers []llama.Which, k int) (*artefact.Subspace, map[llama.Which][]float32, error) {
	b, n := w.recipe.Branch, in.Width(w.config)
	stats := w.stats[in]
	x, samples := stats.Sample, stats.SampleTokens()
	xq := x
	if grid := w.recipe.ActGrid(); grid.Bits < quant.Full.Activations {
		w.acts.Quantize(w.pool, x, n, samples, n, grid, 0)
		xq = w.xq[:samples*n]
		w.acts.Dequantize(xq, n)
	}
	var weights, exact [][]float32
	for _, l := range layers {
		d := &w.block.Linears[l]
		w.exact[l] = grow(w.exact[l], samples*d.Out)
		w.pool.MatMulNT(w.exact[l], d.Out, x, n, d.W, n, samples, d.Out, n, false)
		weights, exact = append(weights, d.W), append(exact, w.exact[l])
	}
	var white *method.Whitening
	if b.Whiten {
		var err error
		if white, err = method.NewWhitening(w.pool, h, n); err != nil {
			return nil, nil, err
		}
	}
	var z []float32
	low, err := method.Iterate(w.pool, b, weights, n, k, white, func(low *method.LowRank, residual [][]float32) (float64, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		z = grow(z, samples*low.K)
		w.pool.MatMulNT(z, low.K, x, n, low.V, n, samples, low.K, n, false)
		var sum float64
		for i, l := range layers {
			out := w.block.Linears[l].Out
			if err := w.round(w.grid(l), residual[i], out, n); err != nil {
				return 0, err
			}
			y := w.got[:samples*out]
			w.pool.MatMulNT(y, out, xq, n, residual[i], n, samples, out, n, false)
			w.pool.MatMulNT(y, out, z, low.K, low.C[i], low.K, samples, out, low.K, true)
			e := relative(exact[i], y)
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

// smoothedLowRank is the branch that the layers of an input would have if λ were
// folded in, for the search of λ: one round, without whitening; nil if none.
func (w *worker) smoothedLowRank(in llama.Input, lambda []float32) (*method.LowRank, error) {
	if !w.recipe.Branch.Iterated() {
		return nil, nil
	}
	layers, _, k := w.branched(in)
	if k == 0 {
		return nil, nil
	}
	spare := spareRooms{w.weights, w.weights2} // which the search needs only after this
	var weights [][]float32
	for _, l := range layers {
		d := &w.block.Linears[l]
		s := spare.take(len(d.W))
		copy(s, d.W)
		method.ScaleColumns(s, lambda, w.pool.Run)
		if turn := w.rotation.inputs[in]; turn != nil {
			turn.Apply(w.pool, s, d.Out)
		}
		weights = append(weights, s)
	}
	return method.LowRankOf(w.pool, weights, in.Width(w.config), k, nil, method.SearchTolerance)
}

// coefficients are those of a layer on the basis of its input: W·Vᵀ, or the least
// squares where 8 bits have left the basis a little crooked.
func (w *worker) coefficients(d *llama.Dense, s *artefact.Subspace) ([]float32, error) {
	if s.Codes != nil {
		return method.Coefficients(w.pool, d.W, s.Floats(), d.Out, d.In, s.Count)
	}
	c := make([]float32, d.Out*s.Count)
	w.pool.MatMulNT(c, s.Count, d.W, d.In, s.Floats(), d.In, d.Out, s.Count, d.In, false)
	kernel.RoundF16(c)
	return c, nil
}
