package stage

import (
	"fmt"
	"slices"
	"time"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/integer"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
)

// Diagonal keeps the mean squares of an input's channels, which weight the errors in the
// search for clips (weights.clip: hessian).
func (st *State) Diagonal(in llama.Input) {
	st.group.diagonal = importance(st.group.moments, in.Width(st.Config))
}

// Factor inverts and factors the second moments of an input, which are GPTQ's Hessian, once
// for all layers that read the input. The moments are overwritten.
func (st *State) Factor(in llama.Input) error {
	n := in.Width(st.Config)
	st.at(PartFactor, 2.0/3*float64(n)*float64(n)*float64(n))
	var err error
	if st.group.factor, err = NewFactor(st.Pool, st.group.moments, n, st.Recipe.Solve); err != nil {
		return fmt.Errorf("input of %s: %w", in, err)
	}
	st.group.factor.spare = floats(st.hessian)[n*n:] // what is behind the factor
	return nil
}

// Solve quantizes the residual of a layer and replaces the layer's weights by the decoded
// ones. After the last layer that reads the input, everything held for the input is
// released.
func (st *State) Solve(l llama.Which) error {
	g, start := &st.group, time.Now()
	run := g.runs[l]
	if g.fit != nil && st.grid(l).Bits < quant.Full.Weights { // a layer of 16 bits stays as it is
		st.correct(l, run, st.report(l))
	}
	var err error
	if st.Quantized[st.layerAt(l).Index()], err = st.layer(l, run, g.factor, g.diagonal, st.report(l)); err != nil {
		return fmt.Errorf("%s: %w", l, err)
	}
	if l == llama.K {
		st.report(l).BitsPerWeight += st.keyBits()
	}
	st.report(l).Seconds += time.Since(start).Seconds()
	if readers := l.Input().Readers(); l == readers[len(readers)-1] {
		st.group = group{}
	}
	return nil
}

// layer quantizes the residual of one linear layer.
func (st *State) layer(l llama.Which, run *runLinear, factor *Factor, diagonal []float64, report *artefact.Layer) (*artefact.Linear, error) {
	d, g := run.residual, st.grid(l)
	n := d.Out * d.In
	if g.Bits == quant.Full.Weights {
		if err := checkHalf(d.W, d.In); err != nil {
			return nil, err
		}
		float.RoundF16(d.W)
		report.BitsPerWeight = quant.FullBits
		h := make([]uint16, n)
		float.F32ToF16(h, d.W)
		return artefact.NewWhole(h, d.Out, d.In, d.Bias), nil
	}
	stats := st.Stats[l.Input()]
	if b := run.branch; b != nil && b.Subspace == nil {
		// The error without the branch, for the report.
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
	if quantized.Branch != nil && !st.Recipe.Runtime() {
		quantized.Dense(st.Pool, d.W)
	}
	return quantized, st.use(st.layerAt(l), quantized)
}

// solve quantizes the weights of d, which are not changed, and returns the fraction of them
// that the grid clips.
func (st *State) solve(l llama.Which, g quant.Grid, d *llama.Dense, branch *artefact.Branch, factor *Factor, diagonal []float64) (*artefact.Linear, float64, error) {
	st.at(PartScales, 0)
	defer st.at(PartError, 0)
	q, weights, clip := st.q[:d.Out*d.In], d.W, st.Recipe.Weights.Clip
	if clip != quant.ClipHessian {
		diagonal = nil
	}
	if clip == recipe.ClipAWQ {
		clip = quant.ClipNone
		if stats := st.Stats[l.Input()]; l != llama.Q && l != llama.K { // q and k are not clipped, as in the authors' code: their outputs meet in a product
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
	return artefact.NewLinear(g, q, steps, d.Out, d.In, branch, d.Bias, st.Pool.Run), clippedShare(st.Pool, g, d.W, steps, d.Out, d.In), nil
}

// outputError is ‖y − y'‖/‖y‖ of a quantized layer on the sample, where y' is its output
// with activations quantized as at run time and y the exact output.
func (st *State) outputError(l llama.Which, run *runLinear, stats *Stats) float64 {
	x, samples := stats.Sample, stats.SampleTokens()
	xq, z := run.input(st.Pool, x, samples)
	y := st.got[:samples*run.residual.Out]
	run.product(st.Pool, y, x, xq, z, samples)
	return Relative(st.exact[l], y)
}

// install replaces the dense layer by the quantized one, decoded into the same memory, for
// all calibration from here on.
func (st *State) install(l llama.Which, q *artefact.Linear) error {
	return st.installAt(st.layerAt(l), q)
}

func (st *State) installAt(l llama.Layer, q *artefact.Linear) error {
	w := st.Block.Layer(l).W
	if q.Whole.Rows > 0 || !st.Recipe.Runtime() {
		q.Dense(st.Pool, w)
	} else {
		q.Residual(w, st.Pool.Run)
	}
	return st.use(l, q)
}

// use makes calibration run a layer whose decoded weights the block has already.
func (st *State) use(l llama.Layer, q *artefact.Linear) (err error) {
	d, act := st.Block.Layer(l), st.Recipe.ActGrid()
	switch {
	case !st.Recipe.Runtime():
	case q.Whole.Rows > 0:
		*st.runOf(l) = newRunLinear(d, nil, integer.ActGrid{Bits: quant.Full.Activations}, &st.run)
	default:
		*st.runOf(l), err = installed(d, q, act, &st.run)
	}
	return err
}
