package stage

import (
	"context"

	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/shape"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
)

// The search of smoothing's α, by the output error of the layers that read an input.

// searchAlpha is the grid search of α: it tries the recipe's values on the sample and
// returns the α with the smallest output error after truncation and quantization, and its
// λ. The error is the sum of the relative squared errors of the layers that read the input.
// Residuals are rounded to nearest, since GPTQ would need a new Hessian for every α.
func (st *State) searchAlpha(ctx context.Context, in llama.Input) (recipe.Alpha, []float32, error) {
	stats := st.Stats[in]
	var tie []int
	if in == llama.OInput {
		tie = llama.ValueChannels(st.Config)
	}
	var weights [][]float32
	for _, l := range st.readersOf(in) {
		weights = append(weights, st.Block.Layer(l).W)
	}
	wMax := ColumnMax(stats.Width, weights...)
	grid := st.Recipe.Smooth.Alpha
	if len(grid) == 1 {
		return grid[0], Lambda(grid[0], stats.AbsMax, wMax, tie), nil
	}
	st.exactOutputs(in) // which no α changes
	var best []float32
	var bestAlpha recipe.Alpha
	var least float64
	for _, alpha := range grid {
		if err := ctx.Err(); err != nil {
			return 0, nil, err
		}
		lambda := Lambda(alpha, stats.AbsMax, wMax, tie)
		loss, err := st.loss(in, lambda)
		if err != nil {
			return 0, nil, err
		}
		if best == nil || loss < least {
			best, bestAlpha, least = lambda, alpha, loss
		}
	}
	return bestAlpha, best, nil
}

// loss returns the sum of the relative squared output errors of the layers that read the
// input if it is divided by λ; st.exact has their exact outputs.
func (st *State) loss(in llama.Input, lambda []float32) (float64, error) {
	if in != llama.MLPInput {
		return st.readersLoss(in, lambda)
	}
	var sum float64
	err := st.eachExpert(func() error {
		if st.experts() > 0 {
			st.exactOutputs(in) // of all experts they would take too much memory
		}
		e, err := st.readersLoss(in, lambda)
		sum += e
		return err
	})
	return sum, err
}

// exactOutputs are those of an input's readers on the sample, as they are now, for
// readersLoss.
func (st *State) exactOutputs(in llama.Input) {
	stats := st.Stats[in]
	for _, l := range in.Readers() {
		d, samples := &st.Block.Linears[l], stats.SampleTokens()
		st.exact[l] = shape.Grow(st.exact[l], samples*d.Out)
		float.MatMulNT(st.Pool, st.exact[l], d.Out, stats.Sample, d.In, d.W, d.In, samples, d.Out, d.In, false)
	}
}

// readersLoss is the loss of the readers of an input, or of those of the selected expert;
// st.exact has their outputs.
func (st *State) readersLoss(in llama.Input, lambda []float32) (float64, error) {
	stats := st.Stats[in]
	samples := stats.SampleTokens()
	xhat := st.xhat[:samples*stats.Width]
	DivideTokens(xhat, stats.Sample, lambda)
	rotation := st.rotation().Inputs[in]
	if rotation != nil {
		rotation.Apply(st.Pool, xhat, samples)
	}
	low, err := st.smoothedLowRank(in, lambda)
	if err != nil {
		return 0, err
	}
	var sum float64
	part := 0 // index of the layer's coefficients in the low-rank branch
	for _, l := range in.Readers() {
		d, g := &st.Block.Linears[l], st.grid(l)
		if g.Bits == quant.Full.Weights {
			continue
		}
		n := d.Out * d.In
		residual, q := st.weights[:n], st.q[:n]
		copy(residual, d.W)
		ScaleColumns(residual, lambda, st.Pool.Run)
		if rotation != nil {
			rotation.Apply(st.Pool, residual, d.Out)
		}
		var kept []float32
		if low != nil {
			kept = st.weights2[:n]
			float.MatMulNN(st.Pool, kept, d.In, low.C[part], low.K, low.V, d.In, d.Out, d.In, low.K, false)
			st.subtract(residual, kept, d.In)
			part++
		} else if b := st.Recipe.Branch; b != nil && !b.Stored() {
			branch, err := Spectral(b, residual, d.Out, d.In, stats.Act(lambda), st.Pool.Run)
			if err != nil {
				return 0, err
			}
			kept = st.weights2[:n]
			clear(kept)
			branch.AddTo(kept, 1, st.Pool.Run)
			st.subtract(residual, kept, d.In)
		}
		scales, err := g.Scales(residual, d.Out, d.In, st.Recipe.Weights.Clip, st.Pool.Run)
		if err != nil {
			return 0, err
		}
		g.RTN(q, residual, scales, d.Out, d.In, st.Pool.Run)
		g.Dequantize(residual, q, scales, d.Out, d.In, st.Pool.Run)
		st.emulate(residual, kept, xhat, samples, d.Out, d.In)
		e := Relative(st.exact[l], st.got[:samples*d.Out])
		sum += e * e
	}
	return sum, nil
}

// subtract subtracts b from a, both of rows of n values.
func (st *State) subtract(a, b []float32, n int) {
	st.Pool.Run(len(a)/n, func(r int) { float.Axpy(a[r*n:][:n], -1, b[r*n:][:n]) })
}
