package main

import (
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
)

// TestBenchFits: what is measured fits the model's context, unless it is said, and
// then it must.
func TestBenchFits(t *testing.T) {
	n := func(v int) *int { return &v }
	for _, c := range []struct {
		cmd             benchCmd
		limit           int
		prefill, decode int
		context         int
		err             string
	}{
		{benchCmd{}, 8192, 512, 64, 512, ""},
		{benchCmd{}, 256, 256, 64, 256, ""},
		{benchCmd{}, 64, 64, 63, 64, ""},
		{benchCmd{}, 2, 2, 1, 2, ""},
		{benchCmd{}, 1, 0, 0, 0, "--ctx"},
		{benchCmd{Ctx: 4000}, 4096, 512, 64, 4065, ""},
		{benchCmd{Ctx: 4090}, 4096, 512, 6, 4096, ""},
		{benchCmd{Ctx: 4096}, 4096, 0, 0, 0, "--ctx: found 4096 tokens, expected fewer than the model's context of 4096"},
		{benchCmd{Prefill: []int{16, 300}}, 256, 0, 0, 0, "--prefill: found 300 tokens, the model's context is 256"},
		{benchCmd{Decode: n(256)}, 256, 0, 0, 0, "--decode: found 256 tokens after 1 token, the model's context is 256"},
		{benchCmd{Decode: n(255)}, 256, 256, 255, 256, ""},
		{benchCmd{Decode: n(0), Prefill: []int{4}}, 256, 4, 0, 4, ""},
	} {
		context, err := c.cmd.fit(c.limit)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%+v in %d: %v, want %s", c.cmd, c.limit, err, c.err)
			}
			continue
		}
		if err != nil || c.cmd.Prefill[0] != c.prefill || c.cmd.decodeTokens != c.decode || context != c.context {
			t.Errorf("%+v in %d: context %d, %v; want %d, %d and %d", c.cmd, c.limit, context, err, c.prefill, c.decode, c.context)
		}
	}
}

// TestMedian: the median of few rounds is none of the extremes, and a share lies
// between nothing and all, whatever the clock says.
func TestMedian(t *testing.T) {
	for _, c := range []struct {
		v    []float64
		want float64
	}{{[]float64{3}, 3}, {[]float64{4, 2}, 3}, {[]float64{9, 1, 2}, 2}, {[]float64{8, 1, 4, 2}, 3}, {[]float64{5, 5, 5, 5, 100}, 5}} {
		if got := medianOf(c.v); got != c.want {
			t.Errorf("%v: %v, want %v", c.v, got, c.want)
		}
	}
	for _, c := range [][3]float64{{1, 0.75, 0.25}, {1, 1, 0}, {1, 5.96, 0}, {1, 0, 1}} {
		if got := shareOf(c[0], c[1]); got != c[2] {
			t.Errorf("%v with, %v without: %v, want %v", c[0], c[1], got, c[2])
		}
	}
}

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
