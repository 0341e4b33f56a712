package pipeline

import (
	"context"
	"fmt"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/kernel"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/method"
	"github.com/specquant/specquant/internal/quant"
)

// smooth chooses α for each input of the block and folds 1/λ into what
// precedes it: the norm's weight, the rows of v, the rows of up. The outputs'
// inputs come first, since their λ changes the rows that the inputs' see.
func (w *worker) smooth(ctx context.Context, reports []artefact.Layer) error {
	for _, in := range []llama.Input{llama.DownInput, llama.OInput, llama.MLPInput, llama.AttnInput} {
		if err := w.smoothInput(ctx, in, reports); err != nil {
			return fmt.Errorf("input of %s: %w", in, err)
		}
	}
	return nil
}

// smoothInput does it for one of them.
func (w *worker) smoothInput(ctx context.Context, in llama.Input, reports []artefact.Layer) error {
	chosen, lambda, err := w.lambda(ctx, in)
	if err != nil {
		return err
	}
	for _, l := range in.Readers() {
		reports[l].Alpha = chosen
	}
	if lambda == nil {
		return nil
	}
	for _, l := range in.Readers() {
		method.ScaleColumns(w.block.Linears[l].W, lambda, w.pool.Run)
	}
	w.fold(in, lambda)
	return nil
}

// lambda chooses λ of an input by the recipe's method, and says what it chose; nil
// leaves the input as it is.
func (w *worker) lambda(ctx context.Context, in llama.Input) (chosen string, lambda []float32, err error) {
	s := w.recipe.Smooth
	switch {
	case !s.Has(in):
	case s.Method == method.SmoothAWQ:
		chosen, lambda, err = w.searchAWQ(ctx, in)
	default:
		var alpha method.Alpha
		alpha, lambda, err = w.searchAlpha(ctx, in)
		chosen = alpha.String()
	}
	if lambda == nil {
		chosen = method.Off.String()
	}
	return chosen, lambda, err
}

// fold divides what produces the input by λ.
func (w *worker) fold(in llama.Input, lambda []float32) {
	b := &w.block
	switch in {
	case llama.AttnInput:
		method.DivideTokens(b.AttnNorm, b.AttnNorm, lambda)
	case llama.MLPInput:
		method.DivideTokens(b.MLPNorm, b.MLPNorm, lambda)
	case llama.DownInput:
		up := &b.Linears[llama.Up]
		method.DivideRows(up.W, up.Bias, lambda, w.pool.Run)
	case llama.OInput:
		v := &b.Linears[llama.V]
		rows := make([]float32, v.Out)
		for i, kv := range w.kvChannels() {
			rows[kv] = lambda[i] // equal for all query heads of the kv head
		}
		method.DivideRows(v.W, v.Bias, rows, w.pool.Run)
	}
}

// kvChannels maps each channel of the attention's output to the value channel
// that it is made of.
func (w *worker) kvChannels() []int {
	c := w.config
	tie := make([]int, c.Heads*c.HeadDim)
	for i := range tie {
		tie[i] = i/c.HeadDim/(c.Heads/c.KVHeads)*c.HeadDim + i%c.HeadDim
	}
	return tie
}

// searchAlpha tries the recipe's grid on the sample and returns the α with the
// least output error after truncation and quantization, and its λ. The error
// is the sum of the readers' relative squared errors; the residual is rounded,
// since GPTQ at every α would cost a Hessian each.
func (w *worker) searchAlpha(ctx context.Context, in llama.Input) (method.Alpha, []float32, error) {
	stats := w.stats[in]
	var tie []int
	if in == llama.OInput {
		tie = w.kvChannels()
	}
	var weights [][]float32
	for _, l := range in.Readers() {
		weights = append(weights, w.block.Linears[l].W)
	}
	wMax := method.ColumnMax(stats.Width, weights...)
	grid := w.recipe.Smooth.Alpha
	if len(grid) == 1 {
		return grid[0], method.Lambda(grid[0], stats.AbsMax, wMax, tie), nil
	}
	for _, l := range in.Readers() { // what no α changes
		d, samples := &w.block.Linears[l], stats.SampleTokens()
		w.exact[l] = grow(w.exact[l], samples*d.Out)
		w.pool.MatMulNT(w.exact[l], d.Out, stats.Sample, d.In, d.W, d.In, samples, d.Out, d.In, false)
	}
	var best []float32
	var bestAlpha method.Alpha
	var least float64
	for _, alpha := range grid {
		if err := ctx.Err(); err != nil {
			return 0, nil, err
		}
		lambda := method.Lambda(alpha, stats.AbsMax, wMax, tie)
		loss, err := w.loss(in, lambda)
		if err != nil {
			return 0, nil, err
		}
		if best == nil || loss < least {
			best, bestAlpha, least = lambda, alpha, loss
		}
	}
	return bestAlpha, best, nil
}

// loss is the readers' relative squared output error with the input divided by λ;
// their exact outputs are known by now.
func (w *worker) loss(in llama.Input, lambda []float32) (float64, error) {
	stats := w.stats[in]
	samples := stats.SampleTokens()
	xhat := w.xhat[:samples*stats.Width]
	method.DivideTokens(xhat, stats.Sample, lambda)
	turn := w.rotation.inputs[in]
	if turn != nil {
		turn.Apply(w.pool, xhat, samples)
	}
	low, err := w.smoothedLowRank(in, lambda)
	if err != nil {
		return 0, err
	}
	var sum float64
	part := 0 // of the low-rank branch
	for _, l := range in.Readers() {
		d, g := &w.block.Linears[l], w.grid(l)
		if g.Bits == quant.Full.Weights {
			continue
		}
		n := d.Out * d.In
		residual, q := w.weights[:n], w.q[:n]
		copy(residual, d.W)
		method.ScaleColumns(residual, lambda, w.pool.Run)
		if turn != nil {
			turn.Apply(w.pool, residual, d.Out)
		}
		var kept []float32
		if low != nil {
			kept = w.weights2[:n]
			w.pool.MatMulNN(kept, d.In, low.C[part], low.K, low.V, d.In, d.Out, d.In, low.K, false)
			w.subtract(residual, kept, d.In)
			part++
		} else if b := w.recipe.Branch; b != nil && !b.Stored() {
			branch, err := method.Spectral(b, residual, d.Out, d.In, stats.Act(lambda), w.pool.Run)
			if err != nil {
				return 0, err
			}
			kept = w.weights2[:n]
			clear(kept)
			branch.AddTo(kept, 1, w.pool.Run)
			w.subtract(residual, kept, d.In)
		}
		scales, err := g.Scales(residual, d.Out, d.In, w.recipe.Weights.Clip, w.pool.Run)
		if err != nil {
			return 0, err
		}
		g.RTN(q, residual, scales, d.Out, d.In, w.pool.Run)
		g.Dequantize(residual, q, scales, d.Out, d.In, w.pool.Run)
		w.emulate(residual, kept, xhat, samples, d.Out, d.In)
		e := relative(w.exact[l], w.got[:samples*d.Out])
		sum += e * e
	}
	return sum, nil
}

// subtract takes b from a, both of rows of n.
func (w *worker) subtract(a, b []float32, n int) {
	w.pool.Run(len(a)/n, func(r int) { kernel.Axpy(a[r*n:][:n], -1, b[r*n:][:n]) })
}
