package stage

import (
	"context"
	"errors"
	"fmt"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/quant"
)

// Statistics that calibration gathers on a block's inputs, for the other stages.

// Statistics gathers, in one pass over the calibration windows, what smoothing and the
// report need to know about the block's four inputs, and the moments of queries and keys if
// keys are to be balanced.
func (st *State) Statistics(ctx context.Context) error {
	st.Tell("measuring the activations")
	if Transforms(st.Recipe).Cache == artefact.Balanced {
		st.moments = NewKeyMoments(st.Config.Heads, st.Config.KVHeads, st.Config.HeadDim)
	}
	return st.Gather(ctx, -1, nil)
}

// quantizing names for the user the layers that are being worked on.
func quantizing(in llama.Input) string {
	switch in {
	case llama.AttnInput:
		return "quantizing attention (q, k, v)"
	case llama.OInput:
		return "quantizing attention (output)"
	case llama.MLPInput:
		return "quantizing feed-forward (gate, up)"
	}
	return "quantizing feed-forward (down)"
}

// Moments gathers the statistics of one input again, now that the layers before it are
// quantized, and its second moments Σ x xᵀ if the recipe needs them.
func (st *State) Moments(ctx context.Context, in llama.Input) error {
	st.Tell(quantizing(in))
	st.group = group{}
	n := in.Width(st.Config)
	if st.hessian != nil {
		st.group.moments = st.hessian[:n*n]
	}
	moments := st.group.moments
	if st.Recipe.Solve.Correct != "" && st.Recipe.Branch == nil {
		moments = nil // [State.Fit] sums them up, and nothing needs them before
	}
	if err := st.Gather(ctx, in, moments); err != nil {
		return err
	}
	for _, l := range in.Readers() {
		_, st.report(l).Peak = artefact.Outliers(st.Stats[in].AbsMax)
		if st.ofExperts(in) {
			m := &st.mixture
			st.report(l).Tokens, st.report(l).Borrowed = &m.reached[m.selected], m.borrowed[m.selected]
		}
	}
	return nil
}

// Gather collects the statistics of one input, or of all inputs if only is < 0, and adds
// the second moments to hessian if it is not nil.
func (st *State) Gather(ctx context.Context, only llama.Input, hessian []float64) error {
	if only >= 0 && st.ofExperts(only) {
		return st.gatherExpert(ctx, only, hessian)
	}
	var failed error
	windows := st.Windows
	if only < 0 {
		windows = st.statisticsWindows()
	}
	for i := range llama.NumInputs {
		if only < 0 || i == only {
			st.Stats[i].Reset()
			if st.Recipe.Calibration.Statistics > 0 {
				st.Stats[i].Expect(windows * st.Tokens)
			}
		}
	}
	clear(hessian)
	tap := func(in llama.Input, x []float32, tokens, width int) bool {
		if only >= 0 && in != only {
			return true
		}
		if st.ofExperts(in) {
			return false // see [State.ExpertStatistics]
		}
		st.at(PartStatistics, 0)
		if failed == nil {
			failed = nonFinite(st.Stats[in].Add(st.Pool, x, tokens), "input of "+in.String(), quantizedModel, 0, st.Tokens)
		}
		if hessian != nil && failed == nil {
			st.at(PartMoments, float64(tokens)*float64(width)*float64(width+1))
			st.gram.AddLower(st.Pool, hessian, width, x, width, tokens)
		}
		st.at(PartForward, 0)
		return failed == nil && in != only && (in != llama.DownInput || st.Config.Experts.Count > 0) // nobody asks for the output of down; experts have an input each
	}
	var err error
	if only >= 0 {
		err = st.passTo(ctx, only, tap)
		if hessian != nil {
			float.Mirror(st.Pool, hessian, only.Width(st.Config))
		}
	} else {
		st.at(PartForward, st.forwardWork(llama.AttnInput, llama.DownInput)*float64(windows)/float64(st.Windows))
		err = st.pass(ctx, windows, tap)
	}
	return errors.Join(err, failed)
}

// statisticsWindows is how many windows the statistics of the block before it is quantized
// are taken of.
func (st *State) statisticsWindows() int {
	if n := st.Recipe.Calibration.Statistics; n > 0 && st.Source == nil {
		return min(n, st.Windows)
	}
	return st.Windows
}

// Baseline measures the output error of plain rounding for each layer, for the report.
func (st *State) Baseline() error {
	for l := range llama.NumLinears {
		if st.ofExperts(l.Input()) {
			return nil // see [State.ExpertStatistics]
		}
		if err := st.baseline(l); err != nil {
			return err
		}
	}
	return nil
}

// baseline does it for one layer.
func (st *State) baseline(l llama.Which) error {
	e, err := st.roundingError(l)
	if err != nil {
		return fmt.Errorf("%s: %w", l, err)
	}
	st.report(l).ErrorRTN = e
	st.report(l).Outliers, _ = artefact.Outliers(st.Stats[l.Input()].AbsMax)
	return nil
}

// roundingError is the output error if the layer's current weights are rounded to nearest:
// the reference that the report compares with.
func (st *State) roundingError(l llama.Which) (float64, error) {
	d, stats := &st.Block.Linears[l], st.Stats[l.Input()]
	samples := stats.SampleTokens()
	float.MatMulNT(st.Pool, st.want, d.Out, stats.Sample, d.In, d.W, d.In, samples, d.Out, d.In, false)
	g, n := st.grid(l), d.Out*d.In
	if g.Bits == quant.Full.Weights {
		return 0, nil
	}
	scales, err := g.Scales(d.W, d.Out, d.In, quant.ClipNone, st.Pool.Run)
	if err != nil {
		return 0, err
	}
	g.RTN(st.q[:n], d.W, scales, d.Out, d.In, st.Pool.Run)
	g.Dequantize(st.weights[:n], st.q[:n], scales, d.Out, d.In, st.Pool.Run)
	st.emulate(st.weights[:n], nil, stats.Sample, samples, d.Out, d.In)
	return Relative(st.want[:samples*d.Out], st.got[:samples*d.Out]), nil
}
