package main

import (
	"testing"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
)

// TestPriced: what a recipe costs at run time is what the job would write.
func TestPriced(t *testing.T) {
	const h = artefact.Hadamard
	for name, want := range map[string]struct {
		q    artefact.Quantization
		temp float64
		keep map[llama.Input][3]int // outputs, width, how many
	}{
		"rtn":    {q: artefact.Quantization{Bits: quant.Bits{Weights: 4, Activations: 4, KV: 4}, Zero: quant.ZeroSymmetric}},
		"quarot": {q: artefact.Quantization{Bits: quant.Bits{Weights: 4, Activations: 4, KV: 4}, Zero: quant.ZeroSymmetric, Transforms: artefact.Transforms{O: artefact.Heads, Down: h, Cache: h}}},
		"flatquant": {q: artefact.Quantization{Bits: quant.Bits{Weights: 4, Activations: 4, KV: 4}, Zero: quant.ZeroSymmetric,
			Transforms: artefact.Transforms{Attn: artefact.Kronecker, O: artefact.Kronecker, MLP: artefact.Kronecker, Down: artefact.Kronecker, Cache: h}}},
		"specquant": {q: artefact.Quantization{Bits: quant.Bits{Weights: 4, Activations: 8, KV: 8}, Zero: quant.ZeroSymmetric, Branch: &artefact.BranchFormat{Basis: "dft", Axis: "output"}},
			temp: 1, keep: map[llama.Input][3]int{llama.AttnInput: {2048, 2048, 16}, llama.DownInput: {2048, 256, 2}}},
		// a narrow input gets fewer vectors: .25 bits a weight, 8·(256+2048)/(256·2048) each
		"specquant-klt": {q: artefact.Quantization{Bits: quant.Bits{Weights: 4, Activations: 8, KV: 8}, Zero: quant.ZeroCentred, Transforms: artefact.Transforms{Attn: h, O: h, MLP: h, Down: h, Cache: artefact.Balanced},
			Branch: &artefact.BranchFormat{Basis: "klt", Axis: "output", Remove: true, Bits: 8}},
			keep: map[llama.Input][3]int{llama.AttnInput: {2560, 2048, 16}, llama.DownInput: {2048, 256, 7}}},
	} {
		r, err := recipe.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		q, random, err := priced(r, "tinyllama-1.1b")
		if err != nil {
			t.Fatal(err)
		}
		b := q.Branch
		q.Branch = nil
		if w := want.q.Branch; (b == nil) != (w == nil) || b != nil && *b != *w {
			t.Errorf("%s: branch %+v, want %+v", name, b, w)
		}
		if q.Bits != want.q.Bits || q.Zero != want.q.Zero || q.Transforms != want.q.Transforms || q.Layers != nil || random.Temperature != want.temp {
			t.Errorf("%s: %+v at temperature %v, want %+v at %v", name, q, random.Temperature, want.q, want.temp)
		}
		for in, k := range want.keep {
			if got := random.Keep(in, k[0], k[1]); got != k[2] {
				t.Errorf("%s: %s keeps %d of %d for %d outputs, want %d", name, in, got, k[1], k[0], k[2])
			}
		}
	}
	r, err := recipe.Load("specquant-klt")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.SetBits(quant.Bits{Weights: 4, Activations: 4, KV: 4}); err != nil {
		t.Fatal(err)
	}
	r.Branch.Inputs = []string{"attn"}
	r.Weights.Layers = []recipe.LayerBits{{Match: "down_proj", Bits: 6}}
	q, random, err := priced(r, "tinyllama-1.1b")
	if err != nil || q.ActGroup != 16 || len(q.Layers) != 22 || q.LayerBits("model.layers.3.mlp.down_proj") != 6 || random.Keep(llama.OInput, 2048, 2048) != 0 {
		t.Errorf("%+v, %v", q, err)
	}
	r.Weights.Average = 3.5
	if _, _, err := priced(r, "tinyllama-1.1b"); err == nil {
		t.Error("a mixture that calibration chooses has a price")
	}
}
