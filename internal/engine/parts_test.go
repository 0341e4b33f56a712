package engine

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/meter"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/testmodel"
)

// TestParts: a measured pass has the parts that it should have, in their order, and the same
// logits; what they read adds up to all weights; and measuring ends.
func TestParts(t *testing.T) {
	pool := parallel.NewPool(2)
	defer pool.Close()
	quantized, err := NewRandom(small, artefact.Quantization{Bits: quant.Bits{Weights: 4, Activations: 8, KV: 8}, Group: 32, Head: 8}, Random{}, Options{Pool: pool})
	if err != nil {
		t.Fatal(err)
	}
	full, err := NewRandom(small, artefact.Quantization{Bits: quant.Bits{Weights: 4, Activations: 16, KV: 16}, Group: 32, Head: 16}, Random{}, Options{Pool: pool})
	if err != nil {
		t.Fatal(err)
	}
	mixture := filepath.Join(t.TempDir(), "m.gguf")
	f := testmodel.FamilyNamed("mixtral")
	if err := f.WriteGGUF(mixture, "Q8_0"); err != nil {
		t.Fatal(err)
	}
	experts, err := Open(mixture, Options{Pool: pool, Context: 64})
	if err != nil {
		t.Fatal(err)
	}
	defer experts.Close()
	branches, err := NewRandom(small, artefact.Quantization{Bits: quant.Bits{Weights: 4, Activations: 8, KV: 8}, Group: 32, Head: 8,
		Branch: &artefact.BranchFormat{Basis: "svd", Axis: "output", Remove: true}}, Random{Keep: func(llama.Input, int, int) int { return 4 }}, Options{Pool: pool})
	if err != nil {
		t.Fatal(err)
	}
	if branches.Footprint().Parts[PartInputs] == 0 || quantized.Footprint().Parts[PartInputs] != 0 {
		t.Error("a stored basis is read with the inputs, and nothing else")
	}
	few := []string{PartEmbedding, PartInputs, "q,k,v", PartAttention, "o", "gate,up", "down", PartHead, PartLogits}
	many := slices.Insert(slices.Clone(few), 3, PartKeys)
	for name, m := range map[string]*Model{"quantized": quantized, "activations in 16 bits": full, "branches": branches, "experts": experts} {
		read := int64(0)
		for _, bytes := range m.Footprint().Parts {
			read += bytes
		}
		router := int64(0)
		if m == experts {
			router = 4 * int64(m.Config.Layers*m.Config.Experts.Count*m.Config.HiddenSize)
		}
		if all := m.Footprint().Weights; read+router != all || read == 0 {
			t.Errorf("%s: the parts read %d bytes and the routers %d, a pass %d", name, read, router, all)
		}
		for tokens, want := range map[int][]string{1: few, 33: many} {
			logits(t, m, tokens) // whatever is prepared when it is first used
			before := fmt.Sprint(logits(t, m, tokens))
			clock := meter.Clock()
			m.Measure(clock)
			if fmt.Sprint(logits(t, m, tokens)) != before {
				t.Errorf("%s, %d tokens: measuring changes the logits", name, tokens)
			}
			if clock.Now() != "" {
				t.Errorf("%s, %d tokens: after the pass, %q is still being measured", name, tokens, clock.Now())
			}
			m.Measure(nil)
			measured := clock.Parts()
			logits(t, m, tokens)
			if fmt.Sprint(clock.Parts()) != fmt.Sprint(measured) {
				t.Errorf("%s, %d tokens: a pass is measured after the end", name, tokens)
			}
			var got []string
			for _, p := range measured {
				got = append(got, p.Name)
				if p.Seconds <= 0 || p.CPU != 0 {
					t.Errorf("%s, %d tokens: %s took %v s, %v CPU seconds", name, tokens, p.Name, p.Seconds, p.CPU)
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s, %d tokens: parts %q, expected %q", name, tokens, got, want)
			}
		}
	}
}
