package stage

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/kernel"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
)

// input quantizes the layers that read one input of the loaded block, and puts
// what they have become in their place.
func (st *State) QuantizeInput(ctx context.Context, in llama.Input, out *[llama.NumLinears]*artefact.Linear, reports []artefact.Layer) error {
	n := in.Width(st.Config)
	var h []float64
	if st.Windows > 0 {
		moments := 0.0
		if st.hessian != nil {
			h = st.hessian[:n*n]
			moments = float64(st.Windows*st.Tokens) * float64(n) * float64(n+1)
		}
		st.at(PartMoments, moments)
		if err := st.Gather(ctx, in, h); err != nil {
			return err
		}
		for _, l := range in.Readers() {
			_, reports[l].Peak = artefact.Outliers(st.Stats[in].AbsMax)
		}
	}
	// The branch leaves, the residual stays.
	st.at(PartBasis, 0)
	subspace, coeff, err := st.subspace(ctx, in, h)
	if err != nil {
		return fmt.Errorf("input of %s: %w", in, err)
	}
	st.at(PartBranch, 0)
	var runs []*runLinear
	for _, l := range in.Readers() {
		start := time.Now()
		r, err := st.split(l, in, subspace, coeff[l], &reports[l])
		if err != nil {
			return fmt.Errorf("%s: %w", l, err)
		}
		runs = append(runs, r)
		reports[l].Seconds = time.Since(start).Seconds()
	}
	if subspace != nil && subspace.Remove && h != nil {
		removeSubspace(st.Pool, h, subspace)
	}
	var lack map[llama.Which][]float32
	if st.Recipe.Solve.Correct != "" {
		if lack, err = st.gatherFit(ctx, in, runs, h); err != nil {
			return err
		}
	}
	var factor *Factor
	var diagonal []float64
	if h != nil {
		for i := range n {
			diagonal = append(diagonal, h[i*n+i])
		}
		if st.Recipe.Solve.Method == "gptq" {
			st.at(PartFactor, 2.0/3*float64(n)*float64(n)*float64(n))
			if factor, err = NewFactor(st.Pool, h, n, st.Recipe.Solve); err != nil {
				return fmt.Errorf("input of %s: %w", in, err)
			}
		}
	}
	for i, l := range in.Readers() {
		if err := ctx.Err(); err != nil {
			return err
		}
		start := time.Now()
		if lack != nil && st.grid(l).Bits < quant.Full.Weights { // 16 bits: the layer stays as it is
			reports[l].Uncorrected = !factor.Correct(st.Pool, runs[i].residual.W, lack[l], runs[i].residual.Out)
		}
		if out[l], err = st.layer(l, runs[i], factor, diagonal, &reports[l]); err != nil {
			return fmt.Errorf("%s: %w", l, err)
		}
		reports[l].Seconds += time.Since(start).Seconds()
	}
	return nil
}

// subspace chooses the stored basis of an input, with the second moments h of
// its activations; nil where the recipe or its budget has none. The coefficients
// of its readers are nil where they are those of the readers' own weights.
func (st *State) subspace(ctx context.Context, in llama.Input, h []float64) (s *artefact.Subspace, coeff map[llama.Which][]float32, err error) {
	b, n := st.Recipe.Branch, in.Width(st.Config)
	layers, outputs, k := st.branched(in)
	if k == 0 {
		return nil, nil, nil
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
func (st *State) split(l llama.Which, in llama.Input, subspace *artefact.Subspace, coeff []float32, report *artefact.Layer) (*runLinear, error) {
	d, r := &st.Block.Linears[l], st.Recipe
	stats := st.Stats[in]
	var samples int
	if stats != nil { // what the error is measured against
		samples = stats.SampleTokens()
		st.exact[l] = grow(st.exact[l], samples*d.Out)
		st.Pool.MatMulNT(st.exact[l], d.Out, stats.Sample, d.In, d.W, d.In, samples, d.Out, d.In, false)
	}
	act := r.ActGrid()
	if st.grid(l).Bits == quant.Full.Weights {
		act = kernel.ActGrid{Bits: quant.Full.Activations}
	}
	run := newRunLinear(d, nil, act, &st.run)
	if r.Branch == nil || st.grid(l).Bits == quant.Full.Weights {
		return run, nil
	}
	energy := kernel.SumSquares(d.W)
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
	case r.Branch.Stored(): // the budget leaves none
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

// branchEnergy is ‖W'‖² of the weights that the branch stands for.
func branchEnergy(p *kernel.Pool, b *artefact.Branch, scratch []float32) float64 {
	clear(scratch)
	b.AddTo(p, scratch, 1)
	return kernel.SumSquares(scratch)
}

// layer quantizes the residual of one linear layer.
func (st *State) layer(l llama.Which, run *runLinear, factor *Factor, diagonal []float64, report *artefact.Layer) (*artefact.Linear, error) {
	d, g := run.residual, st.grid(l)
	n := d.Out * d.In
	if g.Bits == quant.Full.Weights {
		if err := checkHalf(d.W, d.In); err != nil {
			return nil, err
		}
		kernel.RoundF16(d.W)
		report.BitsPerWeight = quant.FullBits
		return artefact.NewWhole(d.W, d.Out, d.In, d.Bias), nil
	}
	stats := st.Stats[l.Input()]
	if b := run.branch; b != nil && b.Subspace == nil {
		// The same without the branch, for the report.
		whole := &llama.Dense{Out: d.Out, In: d.In, W: st.weights[:n]}
		copy(whole.W, d.W)
		b.AddTo(st.Pool, whole.W, 1)
		plain, _, err := st.solve(l, g, whole, nil, factor, diagonal)
		if err != nil {
			return nil, err
		}
		plain.Residual(whole.W, st.Pool.Run)
		report.ErrorNoBranch = st.outputError(l, newRunLinear(whole, nil, run.act, run.s), stats)
	}
	st.keepUnrounded(l, d.W)
	quantized, clipped, err := st.solve(l, g, d, run.branch, factor, diagonal)
	if err != nil {
		return nil, err
	}
	report.Clipped, report.BitsPerWeight = clipped, quantized.StoredBits()
	if factor != nil {
		report.Damp, report.DeadChannels = factor.Damp, factor.Dead
	}
	quantized.Residual(d.W, st.Pool.Run)
	if stats != nil {
		report.Error = st.outputError(l, run, stats)
		if run.branch == nil {
			report.ErrorNoBranch = report.Error
		}
	}
	st.install(l, quantized)
	return quantized, nil
}

// solve quantizes the weights of d, which are left alone, and says which share of
// them lies beyond the grid.
func (st *State) solve(l llama.Which, g quant.Grid, d *llama.Dense, branch *artefact.Branch, factor *Factor, diagonal []float64) (*artefact.Linear, float64, error) {
	st.at(PartScales, 0)
	defer st.at(PartError, 0)
	q, weights, clip := st.q[:d.Out*d.In], d.W, st.Recipe.Weights.Clip
	if clip != quant.ClipHessian {
		diagonal = nil
	}
	if clip == recipe.ClipAWQ {
		clip = quant.ClipNone
		if stats := st.Stats[l.Input()]; l != llama.Q && l != llama.K { // as its authors do: the two meet in a product
			weights = slices.Clone(d.W)
			if err := AWQClip(st.Pool, g, weights, d.Out, d.In, stats.Sample, stats.SampleTokens()); err != nil {
				return nil, 0, err
			}
		}
	}
	var steps quant.Steps
	var err error
	if st.Recipe.Solve.DynamicGroups {
		steps, err = factor.GPTQDynamic(st.Pool, g, q, weights, diagonal, clip, d.Out)
	} else {
		steps, err = g.WeightedScales(weights, diagonal, d.Out, d.In, clip, st.Pool.Run)
	}
	if s := st.learnedSteps[l]; s != nil {
		steps = quant.Steps{Scale: slices.Clone(s.Scale), Zero: s.Zero}
	}
	solving := 0.0
	if factor != nil {
		solving = float64(d.Out) * float64(d.In) * float64(d.In) * st.Recipe.Solve.Passes()
	}
	st.at(PartSolve, solving)
	switch {
	case err != nil:
		return nil, 0, err
	case st.Recipe.Solve.DynamicGroups:
	case factor != nil:
		factor.GPTQ(st.Pool, g, q, weights, steps, d.Out)
	default:
		g.RTN(q, weights, steps, d.Out, d.In, st.Pool.Run)
	}
	if st.Recipe.Solve.Refines() {
		factor.Refine(st.Pool, g, q, weights, steps, d.Out, st.Recipe.Solve)
	}
	st.at(PartPack, 0)
	return artefact.NewLinear(g, q, steps, d.Out, d.In, branch, d.Bias), beyond(g, d.W, steps, d.Out, d.In), nil
}

// outputError is ‖y − y'‖/‖y‖ of a quantized layer on the sample, its
// activations quantized as at run time, against its outputs before.
func (st *State) outputError(l llama.Which, run *runLinear, stats *Stats) float64 {
	x, samples := stats.Sample, stats.SampleTokens()
	xq, z := run.input(st.Pool, x, samples)
	y := st.got[:samples*run.residual.Out]
	run.product(st.Pool, y, x, xq, z, samples)
	return Relative(st.exact[l], y)
}

// install puts a quantized layer in the place of the dense one whose memory it
// has, for what calibration sees from here on.
func (st *State) install(l llama.Which, q *artefact.Linear) {
	d, act := &st.Block.Linears[l], st.Recipe.ActGrid()
	if !st.Recipe.Runtime() {
		q.Dense(st.Pool, d.W)
		return
	}
	if q.Whole.Rows > 0 {
		q.Dense(st.Pool, d.W)
		act = kernel.ActGrid{Bits: quant.Full.Activations}
	} else {
		q.Residual(d.W, st.Pool.Run)
	}
	st.runs[l] = newRunLinear(d, q.Branch, act, &st.run)
}
