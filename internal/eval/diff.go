package eval

import (
	"context"
	"fmt"
	"math"

	"github.com/specquant/specquant/internal/engine"
	"github.com/specquant/specquant/internal/plural"
)

// BlockError is how far a model's block is from the reference's.
//
// Relative errors and cosines are means over tokens, so that a few tokens with
// giant activations do not hide the rest; the signal-to-noise ratio sums the
// squares over all tokens.
type BlockError struct {
	Block int `json:"block"`
	// Stream compares the residual stream after the block, each model having
	// run on its own since the embeddings.
	Stream Deviation `json:"stream"`
	// Own compares what the block adds to the stream when both models' blocks
	// are fed the reference's stream: the error that is this block's own.
	Own Deviation `json:"own"`
}

// Deviation is the difference of two sets of vectors.
type Deviation struct {
	Relative float64 `json:"relative_error"` // mean of ‖a−b‖/‖b‖
	Cosine   float64 `json:"cosine"`         // mean of a·b/(‖a‖‖b‖)
	SNR      float64 `json:"snr_db"`         // 10·log10(Σ‖b‖²/Σ‖a−b‖²) in dB; 999 if there is no difference
}

// noNoise represents an infinite ratio, which JSON cannot express.
const noNoise = 999

// deviationSum accumulates a Deviation token by token.
type deviationSum struct {
	relative, cosine, signal, noise float64
	tokens                          int
}

// add adds vector a of the model and b of the reference.
func (d *deviationSum) add(a, b func(i int) float64, n int) {
	var aa, bb, ab, dd float64
	for i := range n {
		x, y := a(i), b(i)
		aa += x * x
		bb += y * y
		ab += x * y
		dd += (x - y) * (x - y)
	}
	d.tokens++
	d.signal += bb
	d.noise += dd
	switch {
	case math.IsNaN(dd) || math.IsInf(dd, 0):
		d.relative = math.NaN() // reported by Diff
	case dd == 0:
		d.cosine++
	case bb > 0:
		d.relative += math.Sqrt(dd / bb)
		if aa > 0 {
			d.cosine += ab / math.Sqrt(aa*bb)
		}
	default:
		d.relative++
	}
}

func (d *deviationSum) result() Deviation {
	n := float64(max(d.tokens, 1))
	r := Deviation{Relative: d.relative / n, Cosine: d.cosine / n, SNR: noNoise}
	if d.noise > 0 {
		r.SNR = min(noNoise, max(-noNoise, 10*math.Log10(d.signal/d.noise)))
	}
	return r
}

// Diff runs two models of the same shape over the same windows, block by block, and
// compares their outputs. (Weights cannot be compared if smoothing has moved factors
// between them.) If the models were opened with engine's Stream, only one block of each is
// in memory. block is called with each result; it may be nil.
func Diff(ctx context.Context, m, ref *engine.Model, windows [][]int, block func(BlockError)) ([]BlockError, error) {
	a, b := m.Config, ref.Config
	if a.HiddenSize != b.HiddenSize || a.Layers != b.Layers || a.VocabSize != b.VocabSize {
		return nil, fmt.Errorf("the models have %d and %s, widths of %d and %d and vocabularies of %d and %d, and can't be compared block by block",
			a.Layers, plural.Of(b.Layers, "block"), a.HiddenSize, b.HiddenSize, a.VocabSize, b.VocabSize)
	}
	h := a.HiddenSize
	embed := func(m *engine.Model) ([][]float32, error) {
		out := make([][]float32, len(windows))
		for i, w := range windows {
			out[i] = make([]float32, len(w)*h)
			if err := m.Embed(out[i], w); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	stream, err := embed(m)
	if err != nil {
		return nil, err
	}
	refStream, err := embed(ref)
	if err != nil {
		return nil, err
	}
	fed, before := clone(refStream), clone(refStream)
	var out []BlockError
	for i := range a.Layers {
		for w := range windows {
			copy(fed[w], refStream[w])
			copy(before[w], refStream[w])
		}
		if err := m.RunBlock(ctx, i, stream, fed); err != nil {
			return nil, err
		}
		if err := ref.RunBlock(ctx, i, refStream); err != nil {
			return nil, err
		}
		var whole, own deviationSum
		for w := range windows {
			for o := 0; o < len(stream[w]); o += h {
				s, r, f, x := stream[w][o:][:h], refStream[w][o:][:h], fed[w][o:][:h], before[w][o:][:h]
				whole.add(func(i int) float64 { return float64(s[i]) }, func(i int) float64 { return float64(r[i]) }, h)
				own.add(func(i int) float64 { return float64(f[i]) - float64(x[i]) }, func(i int) float64 { return float64(r[i]) - float64(x[i]) }, h)
			}
		}
		e := BlockError{Block: i, Stream: whole.result(), Own: own.result()}
		if math.IsNaN(e.Stream.Relative) || math.IsNaN(e.Own.Relative) || math.IsInf(e.Stream.Relative, 0) || math.IsInf(e.Own.Relative, 0) {
			return nil, fmt.Errorf("the output of block %d is not finite: the weights of one of the models are damaged", i)
		}
		out = append(out, e)
		if block != nil {
			block(e)
		}
	}
	return out, nil
}

func clone(x [][]float32) [][]float32 {
	out := make([][]float32, len(x))
	for i := range x {
		out[i] = make([]float32, len(x[i]))
	}
	return out
}
