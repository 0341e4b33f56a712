package forecast

import (
	"math"
	"testing"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/engine"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
)

// TestFormats: what a recipe costs at run time is what the job would write.
func TestFormats(t *testing.T) {
	const h = artefact.Hadamard
	shape := engine.Shapes["tinyllama-1.1b"]
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
		q, random, err := Formats(&shape, r)
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
	q, random, err := Formats(&shape, r)
	if err != nil || q.ActGroup != 16 || len(q.Layers) != 22 || q.LayerBits("model.layers.3.mlp.down_proj") != 6 || random.Keep(llama.OInput, 2048, 2048) != 0 {
		t.Errorf("%+v, %v", q, err)
	}
}

// TestSpeeds: every setting of every kind of architecture can be measured, and a model of more
// blocks and a larger vocabulary takes longer.
func TestSpeeds(t *testing.T) {
	pool := parallel.NewPool(1)
	defer pool.Close()
	base := checkpoint.Config{HiddenSize: 128, IntermediateSize: 352, Layers: 2, Heads: 4, KVHeads: 2, HeadDim: 32, VocabSize: 3000, MaxPositions: 64, RopeTheta: 10000}
	deep, gemma, mixture := base, base, base
	deep.Layers, deep.VocabSize = 40, 60000
	gemma.PostNorm, gemma.QKNorm, gemma.TieEmbeddings = true, checkpoint.QKHead, true
	mixture.Experts.Count, mixture.Experts.Used = 4, 2
	of := func(c *checkpoint.Config) []Speed {
		t.Helper()
		r, err := recipe.Load("specquant-fast")
		if err != nil {
			t.Fatal(err)
		}
		coarse := *r
		if err := coarse.SetBits(quant.Bits{Weights: 2, Activations: 8, KV: 8}); err != nil {
			t.Fatal(err)
		}
		speeds, err := Speeds(t.Context(), c, []Setting{{nil, 1 << 20}, {r, 400e3}, {&coarse, 300e3}}, 1, 1<<30, true, pool)
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range speeds {
			if !(s.Prefill > 0 && s.Decode > 0 && s.Decode8 > 0) || math.IsInf(s.Prefill+s.Decode+s.Decode8, 0) {
				t.Errorf("setting %d: %+v", i, s)
			}
		}
		return speeds
	}
	of(&gemma)
	of(&mixture)
	if a, b := of(&base)[1], of(&deep)[1]; a.Prefill < 3*b.Prefill || a.Decode < 3*b.Decode || a.Decode8 < 3*b.Decode8 {
		t.Errorf("2 blocks %+v, 40 blocks %+v", a, b)
	}
}

// TestSample: a model is measured whole if it is small; of a large one some blocks and rows of
// the output matrix stand for all, as many as the memory allows.
func TestSample(t *testing.T) {
	c := checkpoint.Config{HiddenSize: 64, IntermediateSize: 64, Layers: 8, Heads: 1, KVHeads: 1, HeadDim: 64, VocabSize: 4 << 20, MaxPositions: 8, RopeTheta: 10000}
	for _, x := range []struct {
		bytes, limit int64
		layers       int
		rows         int
	}{{100, 1000, 8, 1 << 20}, {2000, 1000, 4, 1 << 20}, {2000, 1, 1, 1 << 20}, {2000, 0, 1, 1024}} {
		s, err := newSample(&c, Setting{nil, x.bytes}, x.limit, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.model.Config; got.Layers != x.layers || got.VocabSize != x.rows || s.blocks != 8/float64(x.layers) || s.tables != float64(4<<20)/float64(x.rows) || s.prompt != 8 {
			t.Errorf("%+v: %d blocks, %d rows, %+v", x, got.Layers, got.VocabSize, s)
		}
	}
	for free, want := range map[int64]int64{0: 512 << 20, 100 << 20: 25 << 20, 64 << 30: 512 << 20} {
		if got := sampleSize(free); got != want {
			t.Errorf("%d bytes free: %d, want %d", free, got, want)
		}
	}
}

// TestNarrow: blocks are compared at no more than a few thousand channels, with as many query
// heads for each kv head.
func TestNarrow(t *testing.T) {
	for _, c := range []struct{ in, want [5]int }{ // hidden, intermediate, heads, kv heads, their width
		{[5]int{576, 1536, 9, 3, 64}, [5]int{576, 1536, 9, 3, 64}},
		{[5]int{8192, 28672, 64, 8, 128}, [5]int{2048, 8192, 16, 2, 128}},
		{[5]int{4096, 14336, 32, 1, 128}, [5]int{2048, 8192, 32, 1, 128}},
	} {
		d := narrow(&checkpoint.Config{HiddenSize: c.in[0], IntermediateSize: c.in[1], Heads: c.in[2], KVHeads: c.in[3], HeadDim: c.in[4]})
		if got := [5]int{d.HiddenSize, d.IntermediateSize, d.Heads, d.KVHeads, d.HeadDim}; got != c.want {
			t.Errorf("%v: %v, want %v", c.in, got, c.want)
		}
	}
}

// TestScaled: another setting's prompt takes as much longer as its block; a token of it is bound
// by what more it reads, and never takes less than its block's share or, for eight sequences,
// than one token.
func TestScaled(t *testing.T) {
	of, own := times{prompt: 4, decode: 1, decode8: 2}, times{prompt: 2, decode: 0.5, decode8: 1}
	for _, x := range []struct {
		other   times
		reading float64
		want    times
	}{
		{times{3, 0.5, 1}, 0.5, times{6, 1.5, 2.5}},
		{times{1, 0.25, 0.5}, -0.1, times{2, 0.9, 1.9}},
		{times{1, 0.25, 0.5}, -0.9, times{2, 0.5, 1.1}},
		{times{2, 0.5, 4}, 0, times{4, 1, 8}},
		{times{2, 0.5, 1}, 5, times{4, 6, 7}},
	} {
		got := of.scaled(&own, &x.other, x.reading)
		for _, v := range [][2]float64{{got.prompt, x.want.prompt}, {got.decode, x.want.decode}, {got.decode8, x.want.decode8}} {
			if math.Abs(v[0]-v[1]) > 1e-9 {
				t.Errorf("%+v reading %v: %+v, want %+v", x.other, x.reading, got, x.want)
			}
		}
	}
}
