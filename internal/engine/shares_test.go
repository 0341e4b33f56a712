package engine

import (
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/tokenizer"
)

// TestShares measures what sizes are filled by (package pipeline): the KL divergence that each layer
// of a real model costs if it alone is quantized, and the share of each kind of layers in their sum.
// SPECQUANT_SHARES names two artefacts of a model and texts, separated by commas: one of many bits,
// the other of few, by a recipe that folds no rotation into weights and does not smooth, so that a
// layer of one can take the place of the same layer of the other. Of each text 512 tokens are read.
// Activations are not quantized, because their rounding errors alone, different in each run, cost as
// much as a layer.
func TestShares(t *testing.T) {
	given := strings.Split(os.Getenv("SPECQUANT_SHARES"), ",")
	if len(given) < 3 {
		t.Skip("SPECQUANT_SHARES is not set: expected FINE,COARSE,TEXT…, two artefacts and texts")
	}
	pool := parallel.NewPool(2)
	var models [2]*Model
	for i := range models {
		m, err := Open(given[i], Options{Pool: pool})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		models[i] = m
	}
	fine, coarse := models[0], models[1]
	r := replacing{Model: fine}
	for _, text := range given[2:] {
		r.read(t, given[0], text)
	}
	r.run(t, 0, func(block int) {
		for _, m := range models {
			l, err := m.layer(block)
			if err != nil {
				t.Fatal(err)
			}
			for _, in := range l.inputs {
				in.(*quantized).act.Bits = 16
			}
		}
		r.before = append(r.before, cloneAll(r.x))
	})
	r.want = r.logits(t)
	var byKind [llama.NumLinears]float64
	var all float64
	for block := range fine.layers {
		own := fine.layers[block]
		for in, old := range own.inputs {
			for k, which := range llama.Input(in).Readers() {
				own.inputs[in] = &replaced{old, coarse.layers[block].inputs[in], k}
				r.x = cloneAll(r.before[block])
				r.run(t, block, func(int) {})
				kl := meanKL(r.want, r.logits(t))
				t.Logf("%s%s: KL %.3g", llama.TensorPrefix(block), which, kl)
				byKind[which] += kl
				all += kl
			}
			own.inputs[in] = old
		}
	}
	for which, kl := range byKind {
		t.Logf("%-16s share %.3f", llama.Which(which), kl/all)
	}
}

// replaced is a projection of which one layer is another model's.
type replaced struct {
	projection
	other projection
	at    int
}

func (p *replaced) forward(s *scratch, ys [][]float32, x []float32, tokens int) {
	s.filled(tokens)
	others := cloneAll(ys)
	p.other.forward(s, others, slices.Clone(x), tokens) // which transforms x in place
	p.projection.forward(s, ys, x, tokens)
	copy(ys[p.at], others[p.at])
}

// replacing is a model that runs from some block on.
type replacing struct {
	*Model
	x      [][]float32   // [texts][tokens × hidden]
	before [][][]float32 // the same before each block
	want   [][]float32   // logits as the model is
}

func (r *replacing) read(t *testing.T, dir, text string) {
	const tokens = 512
	tok, err := tokenizer.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(text)
	if err != nil {
		t.Fatal(err)
	}
	ids, err := tok.EncodeOrdinary(string(data[:min(len(data), 20*tokens)]))
	if err != nil || len(ids) < tokens {
		t.Fatalf("%s: %d tokens, %v; want %d", text, len(ids), err, tokens)
	}
	x := make([]float32, tokens*r.Config.HiddenSize)
	if err := r.Embed(x, ids[:tokens]); err != nil {
		t.Fatal(err)
	}
	r.x = append(r.x, x)
}

// run runs blocks from one on, and calls before in front of each.
func (r *replacing) run(t *testing.T, from int, before func(block int)) {
	for block := from; block < r.Config.Layers; block++ {
		before(block)
		if err := r.RunBlock(t.Context(), block, r.x); err != nil {
			t.Fatal(err)
		}
	}
}

// logits are those of every second token.
func (r *replacing) logits(t *testing.T) (all [][]float32) {
	h, vocab, s := r.Config.HiddenSize, r.Config.VocabSize, &r.s
	head, err := r.output()
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range r.x {
		for at := 1; at < len(x)/h; {
			var rows []int
			for ; at < len(x)/h && len(rows) < logitTokens; at += 2 {
				copy(s.x[len(rows)*h:], x[at*h:][:h])
				rows = append(rows, len(rows))
			}
			r.finalNorm(rows)
			out := make([]float32, len(rows)*vocab)
			head.forward(s, [][]float32{out}, s.norm, len(rows))
			for i := range rows {
				all = append(all, out[i*vocab:][:vocab])
			}
		}
	}
	return all
}

func cloneAll(x [][]float32) (y [][]float32) {
	for _, v := range x {
		y = append(y, slices.Clone(v))
	}
	return y
}

// meanKL is the mean KL divergence from the distributions with logits a to those with logits b.
func meanKL(a, b [][]float32) (mean float64) {
	for i := range a {
		la, lb := logSum(a[i]), logSum(b[i])
		for k, v := range a[i] {
			p := float64(v) - la
			mean += math.Exp(p) * (p - float64(b[i][k]) + lb) / float64(len(a))
		}
	}
	return mean
}

// logSum is the logarithm of the sum of exponentials.
func logSum(x []float32) (sum float64) {
	top := float64(slices.Max(x))
	for _, v := range x {
		sum += math.Exp(float64(v) - top)
	}
	return top + math.Log(sum)
}
