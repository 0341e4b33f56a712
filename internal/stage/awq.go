package stage

import (
	"context"
	"fmt"

	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/quant"
)

// AWQ (Lin et al., arXiv 2306.00978): smoothing for quantized weights with activations in
// 16 bits. λ = E|x|^r, where the exponent r is chosen so that the rounded weights change
// the output of their part of the block least; awq_solver.go computes the scales and clips.
//
// Reads the samples of the inputs and, for q, k and v, whole calibration windows. Changes
// the weights and the layers before them, as smooth.go does. Holds, during the search, the
// exact output and rounded copies of the weights (awqBytes).

// AWQTokens is roughly how many tokens, in whole windows, the attention output is compared
// on. Layers that process each token separately are compared on the sample instead.
const AWQTokens = 4096

// searchAWQ tries AWQ's exponents for one input. For each λ it rounds the weights that read
// the input and compares the output of their part of the block with the exact one;
// activations are not rounded, because the method quantizes weights only. It returns a
// description for the report and λ, which is nil if the input is to be left as it is.
//
// As in the authors' code, o is left alone where several query heads share a value head.
func (st *State) searchAWQ(ctx context.Context, in llama.Input) (string, []float32, error) {
	if in == llama.OInput && st.Config.KVHeads != st.Config.Heads {
		return "", nil, nil
	}
	rounded := map[llama.Which]*llama.Dense{}
	spare := spareBuffers{st.weights, st.weights2}
	for _, l := range in.Readers() {
		if d := st.Block.Linears[l]; st.grid(l).Bits < quant.Full.Weights {
			d.W = spare.take(len(d.W))
			rounded[l] = &d
		}
	}
	if len(rounded) == 0 {
		return "", nil, nil
	}
	outputs, size := st.partOutputs(in)
	exact := make([]float32, size)
	err := outputs(nil, func(at int, y []float32) { copy(exact[at:], y) })
	if err != nil {
		return "", nil, err
	}
	mean := st.Stats[in].Act(nil).MeanAbs
	var best []float32
	var bestRatio, least float64
	for _, ratio := range AWQRatios() {
		if err := ctx.Err(); err != nil {
			return "", nil, err
		}
		lambda := AWQScale(mean, ratio)
		for l, d := range rounded {
			if err := AWQRound(st.Pool, st.grid(l), d.W, st.q[:len(d.W)], st.Block.Linears[l].W, lambda, d.Out, d.In); err != nil {
				return "", nil, fmt.Errorf("%s: %w", l, err)
			}
		}
		var e float64
		err := outputs(rounded, func(at int, y []float32) {
			for i, v := range exact[at:][:len(y)] {
				d := float64(v) - float64(y[i])
				e += d * d
			}
		})
		if err != nil {
			return "", nil, err
		}
		if best == nil || e < least {
			best, bestRatio, least = lambda, ratio, e
		}
	}
	return fmt.Sprintf("awq %.2f", bestRatio), best, nil
}

// partOutputs returns a function that computes, on calibration tokens, the output of the
// part of the loaded block that an input feeds, with some of its layers replaced: attention
// and o for q, k and v; the MLP for gate and up; the layer alone for o and down. The output
// has size values and is passed to see piece by piece, in order; a piece is valid until see
// returns.
func (st *State) partOutputs(in llama.Input) (outputs func(replaced map[llama.Which]*llama.Dense, see func(at int, y []float32)) error, size int) {
	layer := func(replaced map[llama.Which]*llama.Dense, l llama.Which) *llama.Dense {
		if d, ok := replaced[l]; ok {
			return d
		}
		return &st.Block.Linears[l]
	}
	x, samples := st.Stats[in].Sample, st.Stats[in].SampleTokens()
	switch in {
	case llama.AttnInput:
		return func(replaced map[llama.Which]*llama.Dense, see func(int, []float32)) error {
			b := st.Block.Block()
			b.Q, b.K, b.V = layer(replaced, llama.Q), layer(replaced, llama.K), layer(replaced, llama.V)
			return st.attentionOutputs(b, see)
		}, AWQWindows(st.Windows, st.Tokens) * st.Tokens * st.Config.HiddenSize
	case llama.MLPInput:
		down := &st.Block.Linears[llama.Down]
		gate, up := st.xhat[:samples*down.In], st.xq[:samples*down.In]
		y := st.got[:samples*down.Out]
		return func(replaced map[llama.Which]*llama.Dense, see func(int, []float32)) error {
			layer(replaced, llama.Gate).Forward(st.Pool, gate, x, samples)
			layer(replaced, llama.Up).Forward(st.Pool, up, x, samples)
			llama.Gated(st.Pool, st.Config, gate, up)
			down.Forward(st.Pool, y, gate, samples)
			see(0, y)
			return nil
		}, len(y)
	}
	l := in.Readers()[0]
	y := st.got[:samples*st.Block.Linears[l].Out]
	return func(replaced map[llama.Which]*llama.Dense, see func(int, []float32)) error {
		layer(replaced, l).Forward(st.Pool, y, x, samples)
		see(0, y)
		return nil
	}, len(y)
}

// AWQWindows is how many calibration windows the attention output is compared on.
func AWQWindows(windows, tokens int) int { return min(windows, max(1, AWQTokens/tokens)) }

// attentionOutputs passes to see, for windows evenly spaced over the calibration set, what
// b's attention adds to the residual stream and the stream before it.
func (st *State) attentionOutputs(b *llama.Block, see func(at int, y []float32)) error {
	n := AWQWindows(st.Windows, st.Tokens)
	at := 0
	for i := range n {
		x, err := st.Inputs.Get(i * st.Windows / n)
		if err != nil {
			return err
		}
		st.Runner.X = append(st.Runner.X[:0], x...)
		st.Runner.Block(b, st.Runner.X, st.Tokens, llama.Hooks{Tap: func(in llama.Input, _ []float32, _, _ int) bool {
			return in != llama.MLPInput // by then the attention has been added
		}})
		see(at, st.Runner.X)
		at += len(st.Runner.X)
	}
	return nil
}

// awqBytes is the memory of the exact output that the trials are compared with, and of the
// rounded weights that do not fit into the scratch memory.
func awqBytes(s Shape) int64 {
	c := s.Config
	layer, out, _ := Largest(c)
	outputs := max(int64(AWQWindows(s.Windows, s.Tokens)*s.Tokens)*int64(c.HiddenSize), int64(s.samples())*int64(out))
	var overflow int64
	for in := range llama.NumInputs {
		free := []int{layer, layer}
		var more int64
	readers:
		for _, l := range in.Readers() {
			o, i := l.Shape(c)
			for k, f := range free {
				if f >= o*i {
					free[k] -= o * i
					continue readers
				}
			}
			more += int64(o) * int64(i)
		}
		overflow = max(overflow, more)
	}
	return 4 * (outputs + overflow)
}
