package engine

import (
	"fmt"
	"math"
	"testing"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/quant"
)

// small is a shape of odd widths: 5632 has a Paley factor, as 352 has.
var small = checkpoint.Config{HiddenSize: 128, IntermediateSize: 352, Layers: 2, Heads: 4, KVHeads: 2, HeadDim: 32, VocabSize: 100, MaxPositions: 64, RopeTheta: 10000}

// logits are those of the last of some tokens.
func logits(t *testing.T, m *Model, tokens int) []float32 {
	t.Helper()
	ids := make([]int, tokens)
	for i := range ids {
		ids[i] = i * 7 % m.Config.VocabSize
	}
	var out []float32
	if err := m.Forward(t.Context(), []Step{{Seq: m.NewSequence(), IDs: ids, Want: WantLast}}, func(_, _ int, l []float32) error {
		out = append(out, l...)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestRandomModels: random models of every kind of format run, give finite logits,
// the same on any number of threads, and say what a pass reads.
func TestRandomModels(t *testing.T) {
	const h, o, k = artefact.Hadamard, artefact.Heads, artefact.Kronecker
	weights := int64(2*128*(128+64+64+128) + 2*3*128*352) // of the blocks, and 2 channels' scales of 2 bytes for each
	channels := int64(2 * (128 + 64 + 64 + 128 + 352 + 352 + 128))
	for _, c := range []struct {
		name   string
		q      artefact.Quantization
		keep   int
		temp   float64
		branch int64 // bytes
		bits   int64 // of the weights
	}{
		{"plain", artefact.Quantization{Bits: quant.Bits{Weights: 4, Activations: 8, KV: 8}}, 3, 0, 0, 4},
		{"fourier", artefact.Quantization{Bits: quant.Bits{Weights: 3, Activations: 8, KV: 8}, Branch: &artefact.BranchFormat{Basis: "dft", Axis: "output"}},
			3, 0, channels*5*2 + channels/16*4, 3},
		{"input axis", artefact.Quantization{Bits: quant.Bits{Weights: 4, Activations: 16, KV: 16}, Branch: &artefact.BranchFormat{Basis: "dct", Axis: "input"}}, 3, 0, -1, 4},
		{"sorted rows", artefact.Quantization{Bits: quant.Bits{Weights: 4, Activations: 8, KV: 4}, Branch: &artefact.BranchFormat{Basis: "dft", Axis: "output"}}, 4, 1, -1, 4},
		{"klt removed, all Hadamard", artefact.Quantization{Bits: quant.Bits{Weights: 2, Activations: 8, KV: 8}, Zero: quant.ZeroCentred,
			Transforms: artefact.Transforms{Attn: h, O: h, MLP: h, Down: h, Cache: h}, Branch: &artefact.BranchFormat{Basis: "klt", Axis: "output", Remove: true, Bits: 8}},
			5, 0, channels*5 + 2*5*(3*128+352) + 2*(7+4)*5*4, 2},
		{"klt, activations in groups", artefact.Quantization{Bits: quant.Bits{Weights: 4, Activations: 4, KV: 4}, ActGroup: 16, Zero: quant.ZeroCentred,
			Transforms: artefact.Transforms{O: o, Down: h}, Branch: &artefact.BranchFormat{Basis: "klt", Axis: "output"}}, 9, 0, channels*9*2 + 2*2*9*(3*128+352), 4},
		{"Kronecker, asymmetric", artefact.Quantization{Bits: quant.Bits{Weights: 4, Activations: 4, KV: 4}, Group: 32, Zero: quant.ZeroAsymmetric,
			Transforms: artefact.Transforms{Attn: k, O: k, MLP: k, Down: k}}, 0, 0, 0, 0},
		{"multiples", artefact.Quantization{Bits: quant.Bits{Weights: 5, Activations: 8, KV: 8}, Group: 16, Scales: quant.ScalesMultiples, Transforms: artefact.Transforms{Down: h}}, 0, 0, 0, 0},
		{"multiples everywhere", artefact.Quantization{Version: artefact.Version, Bits: quant.Bits{Weights: 5, Activations: 8, KV: 8}, Group: 16, Scales: quant.ScalesMultiples,
			Head: 6, HeadGroup: 16, HeadScales: quant.ScalesMultiples, Embedding: 3, EmbeddingGroup: 32, EmbeddingScales: quant.ScalesMultiples, Transforms: artefact.Transforms{Head: h}}, 0, 0, 0, 0},
		{"a layer in 16 bits", artefact.Quantization{Bits: quant.Bits{Weights: 4, Activations: 8, KV: 8}, Layers: map[string]int{llama.TensorPrefix(1) + llama.Q.String(): 16},
			Transforms: artefact.Transforms{Attn: h}, Branch: &artefact.BranchFormat{Basis: "svd", Axis: "output", Remove: true}}, 4, 0, -1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.q.Head == 0 {
				c.q.Head = 8
			}
			var first []float32
			for _, threads := range []int{1, 3} {
				pool := parallel.NewPool(threads)
				defer pool.Close()
				m, err := NewRandom(small, c.q, Random{Keep: func(llama.Input, int, int) int { return c.keep }, Temperature: c.temp}, Options{Pool: pool})
				if err != nil {
					t.Fatal(err)
				}
				for _, tokens := range []int{1, 13} {
					out := logits(t, m, tokens)
					first = append(first, out...)
					for i, v := range out {
						if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
							t.Fatalf("%d threads, %d tokens: logit %d is %v", threads, tokens, i, v)
						}
					}
				}
				f := m.Footprint()
				if c.branch >= 0 && f.Branch != c.branch {
					t.Errorf("branch of %d bytes, want %d", f.Branch, c.branch)
				}
				if c.branch < 0 && f.Branch == 0 {
					t.Error("no branch")
				}
				head := int64(112*128 + 112*2) // rows padded to whole tiles
				if want := weights*c.bits/8 + 2*channels + c.branch + head; c.bits > 0 && c.branch >= 0 && f.Weights != want {
					t.Errorf("a pass reads %d bytes, want %d", f.Weights, want)
				}
				if f.Products != weights || f.Head != 100*128 {
					t.Errorf("%d and %d products, want %d and %d", f.Products, f.Head, weights, 100*128)
				}
				if threads == 1 {
					skip(t, m, c.q.Branch != nil, c.q.Transforms != artefact.Transforms{})
				}
			}
			for i, v := range first[:len(first)/2] {
				if other := first[len(first)/2+i]; v != other {
					t.Fatalf("logit %d is %v on one thread and %v on three", i, v, other)
				}
			}
		})
	}
}

// skip holds the switches for measurements to what they say: without a branch,
// or a transform, the logits are others, and only then.
func skip(t *testing.T, m *Model, branch, transforms bool) {
	t.Helper()
	whole := fmt.Sprint(logits(t, m, 5))
	m.SkipBranch(true)
	if got := fmt.Sprint(logits(t, m, 5)); (got != whole) != branch {
		t.Errorf("SkipBranch changes the logits: %v; there is a branch: %v", got != whole, branch)
	}
	m.SkipBranch(false)
	m.SkipTransforms(true)
	if got := fmt.Sprint(logits(t, m, 5)); (got != whole) != transforms || m.Transformed() != transforms {
		t.Errorf("SkipTransforms changes the logits: %v; there are transforms: %v", got != whole, transforms)
	}
	m.SkipTransforms(false)
	if fmt.Sprint(logits(t, m, 5)) != whole {
		t.Error("skipped for ever")
	}
}
