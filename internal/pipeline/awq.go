package pipeline

import (
	"context"
	"fmt"
	"slices"

	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/method"
	"github.com/specquant/specquant/internal/quant"
)

// awqTokens is about how many tokens of whole windows the attention's output is
// compared on; what works on each token by itself is compared on the sample.
const awqTokens = 4096

// searchAWQ tries AWQ's exponents for an input: its readers' weights are rounded
// with each λ and the output of their part of the block is compared with what it
// was, activations as they are: the method is for weights only. It returns what
// the report says, and λ; nil where there is none to choose.
//
// As the authors do, it leaves o alone where heads share values.
func (w *worker) searchAWQ(ctx context.Context, in llama.Input) (string, []float32, error) {
	if in == llama.OInput && w.config.KVHeads != w.config.Heads {
		return "", nil, nil
	}
	rounded := map[llama.Which]*llama.Dense{}
	for _, l := range in.Readers() {
		if d := w.block.Linears[l]; w.grid(l).Bits < quant.Full.Weights {
			d.W = slices.Clone(d.W)
			rounded[l] = &d
		}
	}
	if len(rounded) == 0 {
		return "", nil, nil
	}
	outputs, err := w.partOutputs(in)
	if err != nil {
		return "", nil, err
	}
	exact, err := outputs(nil)
	if err != nil {
		return "", nil, err
	}
	exact = slices.Clone(exact)
	mean := w.stats[in].Act(nil).MeanAbs
	var best []float32
	var bestRatio, least float64
	for _, ratio := range method.AWQRatios() {
		if err := ctx.Err(); err != nil {
			return "", nil, err
		}
		lambda := method.AWQScale(mean, ratio)
		for l, d := range rounded {
			if err := method.AWQRound(w.pool, w.grid(l), d.W, w.q[:len(d.W)], w.block.Linears[l].W, lambda, d.Out, d.In); err != nil {
				return "", nil, fmt.Errorf("%s: %w", l, err)
			}
		}
		got, err := outputs(rounded)
		if err != nil {
			return "", nil, err
		}
		var e float64
		for i, v := range exact {
			d := float64(v) - float64(got[i])
			e += d * d
		}
		if best == nil || e < least {
			best, bestRatio, least = lambda, ratio, e
		}
	}
	return fmt.Sprintf("awq %.2f", bestRatio), best, nil
}

// partOutputs gives a function that computes the output of the part of the loaded
// block that an input feeds, on calibration tokens, with some of its layers
// replaced: the attention with o for q, k and v; the MLP for gate and up; the
// layer itself for o and down. What it returns is valid until the next call.
func (w *worker) partOutputs(in llama.Input) (func(replaced map[llama.Which]*llama.Dense) ([]float32, error), error) {
	layer := func(replaced map[llama.Which]*llama.Dense, l llama.Which) *llama.Dense {
		if d, ok := replaced[l]; ok {
			return d
		}
		return &w.block.Linears[l]
	}
	x, samples := w.stats[in].Sample, w.stats[in].SampleTokens()
	switch in {
	case llama.AttnInput:
		return func(replaced map[llama.Which]*llama.Dense) ([]float32, error) {
			b := w.block.Block()
			b.Q, b.K, b.V = layer(replaced, llama.Q), layer(replaced, llama.K), layer(replaced, llama.V)
			return w.attentionOutputs(b)
		}, nil
	case llama.MLPInput:
		down := &w.block.Linears[llama.Down]
		gate, up := make([]float32, samples*down.In), make([]float32, samples*down.In)
		y := make([]float32, samples*down.Out)
		return func(replaced map[llama.Which]*llama.Dense) ([]float32, error) {
			layer(replaced, llama.Gate).Forward(w.pool, gate, x, samples)
			layer(replaced, llama.Up).Forward(w.pool, up, x, samples)
			w.pool.SwiGLU(gate, up)
			down.Forward(w.pool, y, gate, samples)
			return y, nil
		}, nil
	}
	l := in.Readers()[0]
	y := make([]float32, samples*w.block.Linears[l].Out)
	return func(replaced map[llama.Which]*llama.Dense) ([]float32, error) {
		layer(replaced, l).Forward(w.pool, y, x, samples)
		return y, nil
	}, nil
}

// attentionOutputs are what b's attention adds to the residual stream, and the
// stream before it, over windows evenly spaced among all.
func (w *worker) attentionOutputs(b *llama.Block) ([]float32, error) {
	n := min(w.windows, max(1, awqTokens/w.tokens))
	var all []float32
	for i := range n {
		x, err := w.x.get(i * w.windows / n)
		if err != nil {
			return nil, err
		}
		w.runner.X = append(w.runner.X[:0], x...)
		w.runner.Block(b, w.runner.X, w.tokens, llama.Hooks{Tap: func(in llama.Input, _ []float32, _, _ int) bool {
			return in != llama.MLPInput // by then the attention has been added
		}})
		all = append(all, w.runner.X...)
	}
	return all, nil
}
