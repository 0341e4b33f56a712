package stage

import (
	"context"
	"fmt"

	"github.com/specquant/specquant/internal/kernel/shape"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/quant"
)

// searchSharedAWQ is [State.searchAWQ] for the common input of all experts of a block. Each
// expert's gate and up are rounded, and its output, times its routing weight, is compared
// on the sample's tokens that it receives. The errors of a token's experts are treated as
// independent, so that only one expert's rounded weights are in memory at a time.
func (st *State) searchSharedAWQ(ctx context.Context) (string, []float32, error) {
	stats := st.Stats[llama.MLPInput]
	a := awqExperts{st: st}
	a.routing.Route(st.Pool, st.Config, st.Block.Router, stats.Sample, stats.SampleTokens())
	quantized := false
	for _, l := range st.readersOf(llama.MLPInput) {
		quantized = quantized || st.Recipe.LayerBits(st.Prefix+l.String()) < quant.Full.Weights
	}
	if !quantized {
		return "", nil, nil
	}
	mean := stats.Act(nil).MeanAbs
	exact := make([][]float32, st.experts())
	for e := range exact {
		st.Select(e)
		exact[e] = append(exact[e], a.outputs(&st.Block.Linears[llama.Gate], &st.Block.Linears[llama.Up])...)
	}
	var best []float32
	var bestRatio, least float64
	for _, ratio := range AWQRatios() {
		lambda := AWQScale(mean, ratio)
		sum, err := a.loss(ctx, exact, lambda)
		if err != nil {
			return "", nil, err
		}
		if best == nil || sum < least {
			best, bestRatio, least = lambda, ratio, sum
		}
	}
	return fmt.Sprintf("awq %.2f", bestRatio), best, nil
}

// awqExperts computes the outputs of experts on the sample.
type awqExperts struct {
	st      *State
	routing llama.Routing
}

// loss returns the squared error of the experts' outputs when gate and up are rounded with
// λ.
func (a *awqExperts) loss(ctx context.Context, exact [][]float32, lambda []float32) (sum float64, err error) {
	st := a.st
	for e := range exact {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		st.Select(e)
		if len(exact[e]) == 0 {
			continue
		}
		gate, err := a.rounded(llama.Gate, st.weights, lambda)
		if err != nil {
			return 0, st.ofExpert(err)
		}
		up, err := a.rounded(llama.Up, st.weights2, lambda)
		if err != nil {
			return 0, st.ofExpert(err)
		}
		for i, v := range a.outputs(gate, up) {
			d := float64(exact[e][i]) - float64(v)
			sum += d * d
		}
	}
	return sum, nil
}

// outputs returns the selected expert's outputs, times its routing weights, for the
// sample's tokens that it receives, with the given gate and up; valid until the next call.
func (a *awqExperts) outputs(gate, up *llama.Dense) []float32 {
	st, m := a.st, &a.st.mixture
	at, weights := a.routing.Of(m.selected)
	n, hidden, inner := len(at), st.Config.HiddenSize, st.Config.IntermediateSize
	if n == 0 {
		return nil
	}
	m.x, m.gate, m.up = shape.Grow(m.x, n*hidden), shape.Grow(m.gate, n*inner), shape.Grow(m.up, n*inner)
	llama.GatherRows(m.x, st.Stats[llama.MLPInput].Sample, at, hidden)
	gate.Forward(st.Pool, m.gate, m.x, n)
	up.Forward(st.Pool, m.up, m.x, n)
	llama.Gated(st.Pool, st.Config, m.gate, m.up)
	y := st.got[:n*hidden]
	st.Block.Linears[llama.Down].Forward(st.Pool, y, m.gate, n)
	for i, w := range weights {
		for k := range y[i*hidden:][:hidden] {
			y[i*hidden+k] *= w
		}
	}
	return y
}

// rounded returns one of the selected expert's layers rounded with λ, in the given memory;
// the layer itself if it stays in 16 bits.
func (a *awqExperts) rounded(l llama.Which, memory, lambda []float32) (*llama.Dense, error) {
	st := a.st
	d := st.Block.Linears[l]
	if st.grid(l).Bits < quant.Full.Weights {
		w := d.W
		d.W = memory[:len(w)]
		if err := AWQRound(st.Pool, st.grid(l), d.W, st.q[:len(w)], w, lambda, d.Out, d.In); err != nil {
			return nil, fmt.Errorf("%s: %w", l, err)
		}
	}
	return &d, nil
}
