package pipeline

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/kernel"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/method"
	"github.com/specquant/specquant/internal/quant"
)

// input quantizes the layers that read one input of the loaded block, and puts
// what they have become in their place.
func (w *worker) input(ctx context.Context, in llama.Input, out *[llama.NumLinears]*artefact.Linear, reports []artefact.Layer) error {
	n := in.Width(w.config)
	var h []float64
	if w.windows > 0 {
		moments := 0.0
		if w.hessian != nil {
			h = w.hessian[:n*n]
			moments = float64(w.windows*w.tokens) * float64(n) * float64(n+1)
		}
		w.clock.at(stageMoments, moments)
		if err := w.gather(ctx, in, h); err != nil {
			return err
		}
		for _, l := range in.Readers() {
			_, reports[l].Peak = artefact.Outliers(w.stats[in].AbsMax)
		}
	}
	// The branch leaves, the residual stays.
	w.clock.at(stageBasis, 0)
	subspace, coeff, err := w.subspace(ctx, in, h)
	if err != nil {
		return fmt.Errorf("input of %s: %w", in, err)
	}
	w.clock.at(stageBranch, 0)
	var runs []*runLinear
	for _, l := range in.Readers() {
		start := time.Now()
		r, err := w.split(l, in, subspace, coeff[l], &reports[l])
		if err != nil {
			return fmt.Errorf("%s: %w", l, err)
		}
		runs = append(runs, r)
		reports[l].Seconds = time.Since(start).Seconds()
	}
	if subspace != nil && subspace.Remove && h != nil {
		removeSubspace(w.pool, h, subspace)
	}
	var lack map[llama.Which][]float32
	if w.recipe.Solve.Correct != "" {
		if lack, err = w.gatherFit(ctx, in, runs, h); err != nil {
			return err
		}
	}
	var factor *method.Factor
	var diagonal []float64
	if h != nil {
		for i := range n {
			diagonal = append(diagonal, h[i*n+i])
		}
		if w.recipe.Solve.Method == "gptq" {
			w.clock.at(stageFactor, 2.0/3*float64(n)*float64(n)*float64(n))
			if factor, err = method.NewFactor(w.pool, h, n, w.recipe.Solve); err != nil {
				return fmt.Errorf("input of %s: %w", in, err)
			}
		}
	}
	for i, l := range in.Readers() {
		if err := ctx.Err(); err != nil {
			return err
		}
		start := time.Now()
		if lack != nil && w.grid(l).Bits < quant.Full.Weights { // 16 bits: the layer stays as it is
			reports[l].Uncorrected = !factor.Correct(w.pool, runs[i].residual.W, lack[l], runs[i].residual.Out)
		}
		if out[l], err = w.layer(l, runs[i], factor, diagonal, &reports[l]); err != nil {
			return fmt.Errorf("%s: %w", l, err)
		}
		reports[l].Seconds += time.Since(start).Seconds()
	}
	return nil
}

// subspace chooses the stored basis of an input, with the second moments h of
// its activations; nil where the recipe or its budget has none. The coefficients
// of its readers are nil where they are those of the readers' own weights.
func (w *worker) subspace(ctx context.Context, in llama.Input, h []float64) (s *artefact.Subspace, coeff map[llama.Which][]float32, err error) {
	b, n := w.recipe.Branch, in.Width(w.config)
	layers, outputs, k := w.branched(in)
	if k == 0 {
		return nil, nil, nil
	}
	if b.Iterated() {
		if s, coeff, err = w.lowRank(ctx, in, h, layers, k); err != nil {
			return nil, nil, err
		}
	} else {
		var weights [][]float32
		for _, l := range layers {
			weights = append(weights, w.block.Linears[l].W)
		}
		v, err := method.Vectors(w.pool, b, h, weights, n, k)
		if err != nil {
			return nil, nil, err
		}
		s = artefact.NewSubspace(v, k, n, b.Width())
	}
	s.Remove, s.Outputs = b.Remove, outputs
	return s, coeff, nil
}

// removeSubspace turns the second moments h of x into those of x − Vᵀ·V·x.
func removeSubspace(p *kernel.Pool, h []float64, s *artefact.Subspace) {
	n, k := s.Width, s.Count
	v := make([]float64, k*n)
	for i, f := range s.Floats() {
		v[i] = float64(f)
	}
	u := make([]float64, n*k) // H·Vᵀ
	for range 2 {             // H − H·VᵀV, and the same from the left, H being symmetric
		p.MatMulNT64(u, k, h, n, v, n, n, k, n, kernel.Set)
		p.MatMulNN64(h, n, u, k, v, n, n, n, k, kernel.Subtract)
		transposeSquare(p, h, n)
	}
	for i := range n { // a diagonal that rounding has made negative is zero
		h[i*n+i] = max(h[i*n+i], 0)
	}
}

// transposeTile is the edge of the squares that are turned over at a time: two of
// them fit a core's first cache.
const transposeTile = 32

// transposeSquare turns h [n × n] over its diagonal.
func transposeSquare(p *kernel.Pool, h []float64, n int) {
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

// split takes the branch out of a layer's weights, which become the residual. On a
// stored basis coeff are its coefficients, if they are known by now.
func (w *worker) split(l llama.Which, in llama.Input, subspace *artefact.Subspace, coeff []float32, report *artefact.Layer) (*runLinear, error) {
	d, r := &w.block.Linears[l], w.recipe
	stats := w.stats[in]
	var samples int
	if stats != nil { // what the error is measured against
		samples = stats.SampleTokens()
		w.exact[l] = grow(w.exact[l], samples*d.Out)
		w.pool.MatMulNT(w.exact[l], d.Out, stats.Sample, d.In, d.W, d.In, samples, d.Out, d.In, false)
	}
	act := r.ActGrid()
	if w.grid(l).Bits == quant.Full.Weights {
		act = kernel.ActGrid{Bits: quant.Full.Activations}
	}
	run := newRunLinear(d, nil, act, &w.run)
	if r.Branch == nil || w.grid(l).Bits == quant.Full.Weights {
		return run, nil
	}
	energy := kernel.SumSquares(d.W)
	var branch *artefact.Branch
	switch {
	case subspace != nil:
		if coeff == nil {
			var err error
			if coeff, err = w.coefficients(d, subspace); err != nil {
				return nil, err
			}
		}
		branch = artefact.NewSubspaceBranch(subspace, r.Branch.Basis, coeff, d.Out)
	case r.Branch.Stored(): // the budget leaves none
		return run, nil
	default:
		kept, err := method.Spectral(r.Branch, d.W, d.Out, d.In, stats.Act(nil), w.pool.Run)
		if err != nil {
			return nil, err
		}
		branch = artefact.NewBranch(kept, r.Branch.Truncate)
	}
	branch.AddTo(w.pool, d.W, -1)
	if energy > 0 {
		report.EnergyKept = branchEnergy(w.pool, branch, w.weights[:d.Out*d.In]) / energy
	}
	return newRunLinear(d, branch, act, &w.run), nil
}

// branchEnergy is ‖W'‖² of the weights that the branch stands for.
func branchEnergy(p *kernel.Pool, b *artefact.Branch, scratch []float32) float64 {
	clear(scratch)
	b.AddTo(p, scratch, 1)
	return kernel.SumSquares(scratch)
}

// layer quantizes the residual of one linear layer.
func (w *worker) layer(l llama.Which, run *runLinear, factor *method.Factor, diagonal []float64, report *artefact.Layer) (*artefact.Linear, error) {
	d, g := run.residual, w.grid(l)
	n := d.Out * d.In
	if g.Bits == quant.Full.Weights {
		if err := checkHalf(d.W, d.In); err != nil {
			return nil, err
		}
		kernel.RoundF16(d.W)
		report.BitsPerWeight = quant.FullBits
		return artefact.NewWhole(d.W, d.Out, d.In, d.Bias), nil
	}
	stats := w.stats[l.Input()]
	if b := run.branch; b != nil && b.Subspace == nil {
		// The same without the branch, for the report.
		whole := &llama.Dense{Out: d.Out, In: d.In, W: w.weights[:n]}
		copy(whole.W, d.W)
		b.AddTo(w.pool, whole.W, 1)
		plain, _, err := w.solve(l, g, whole, nil, factor, diagonal)
		if err != nil {
			return nil, err
		}
		plain.Residual(whole.W, w.pool.Run)
		report.ErrorNoBranch = w.outputError(l, newRunLinear(whole, nil, run.act, run.s), stats)
	}
	w.keepUnrounded(l, d.W)
	quantized, clipped, err := w.solve(l, g, d, run.branch, factor, diagonal)
	if err != nil {
		return nil, err
	}
	report.Clipped, report.BitsPerWeight = clipped, quantized.StoredBits()
	if factor != nil {
		report.Damp, report.DeadChannels = factor.Damp, factor.Dead
	}
	quantized.Residual(d.W, w.pool.Run)
	if stats != nil {
		report.Error = w.outputError(l, run, stats)
		if run.branch == nil {
			report.ErrorNoBranch = report.Error
		}
	}
	w.install(l, quantized)
	return quantized, nil
}

// solve quantizes the weights of d, which are left alone, and says which share of
// them lies beyond the grid.
func (w *worker) solve(l llama.Which, g quant.Grid, d *llama.Dense, branch *artefact.Branch, factor *method.Factor, diagonal []float64) (*artefact.Linear, float64, error) {
	w.clock.at(stageScales, 0)
	defer w.clock.at(stageError, 0)
	q, weights, clip := w.q[:d.Out*d.In], d.W, w.recipe.Weights.Clip
	if clip != quant.ClipHessian {
		diagonal = nil
	}
	if clip == method.ClipAWQ {
		clip = quant.ClipNone
		if stats := w.stats[l.Input()]; l != llama.Q && l != llama.K { // as its authors do: the two meet in a product
			weights = slices.Clone(d.W)
			if err := method.AWQClip(w.pool, g, weights, d.Out, d.In, stats.Sample, stats.SampleTokens()); err != nil {
				return nil, 0, err
			}
		}
	}
	var steps quant.Steps
	var err error
	if w.recipe.Solve.DynamicGroups {
		steps, err = factor.GPTQDynamic(w.pool, g, q, weights, diagonal, clip, d.Out)
	} else {
		steps, err = g.WeightedScales(weights, diagonal, d.Out, d.In, clip, w.pool.Run)
	}
	if s := w.steps[l]; s != nil {
		steps = quant.Steps{Scale: slices.Clone(s.Scale), Zero: s.Zero}
	}
	solving := 0.0
	if factor != nil {
		solving = float64(d.Out) * float64(d.In) * float64(d.In) * w.recipe.Solve.Passes()
	}
	w.clock.at(stageSolve, solving)
	switch {
	case err != nil:
		return nil, 0, err
	case w.recipe.Solve.DynamicGroups:
	case factor != nil:
		factor.GPTQ(w.pool, g, q, weights, steps, d.Out)
	default:
		g.RTN(q, weights, steps, d.Out, d.In, w.pool.Run)
	}
	if w.recipe.Solve.Refines() {
		factor.Refine(w.pool, g, q, weights, steps, d.Out, w.recipe.Solve)
	}
	w.clock.at(stagePack, 0)
	return artefact.NewLinear(g, q, steps, d.Out, d.In, branch, d.Bias), beyond(g, d.W, steps, d.Out, d.In), nil
}

// outputError is ‖y − y'‖/‖y‖ of a quantized layer on the sample, its
// activations quantized as at run time, against its outputs before.
func (w *worker) outputError(l llama.Which, run *runLinear, stats *method.Stats) float64 {
	x, samples := stats.Sample, stats.SampleTokens()
	xq, z := run.input(w.pool, x, samples)
	y := w.got[:samples*run.residual.Out]
	run.product(w.pool, y, x, xq, z, samples)
	return relative(w.exact[l], y)
}

// install puts a quantized layer in the place of the dense one whose memory it
// has, for what calibration sees from here on.
func (w *worker) install(l llama.Which, q *artefact.Linear) {
	d, act := &w.block.Linears[l], w.recipe.ActGrid()
	if !w.recipe.Runtime() {
		q.Dense(w.pool, d.W)
		return
	}
	if q.Whole.Rows > 0 {
		q.Dense(w.pool, d.W)
		act = kernel.ActGrid{Bits: quant.Full.Activations}
	} else {
		q.Residual(d.W, w.pool.Run)
	}
	w.runs[l] = newRunLinear(d, q.Branch, act, &w.run)
}
