package engine_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/engine"
	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/integer"
	"github.com/specquant/specquant/internal/kernel/kv"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/pipeline"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
	"github.com/specquant/specquant/internal/testmodel"
)

// emulated is a quantized layer computed in float32: residual·Q(x) + kept·x.
type emulated struct {
	residual, kept llama.Dense
	act            integer.ActGrid
	removed        []float32 // V [count × in] of a basis that is taken out of x; nil: none
}

func (l *emulated) Forward(p *parallel.Pool, y, x []float32, tokens int) {
	xq := x
	if l.removed != nil {
		xq = append([]float32(nil), x[:tokens*l.residual.In]...)
		n := l.residual.In
		for t := range tokens {
			for v := 0; v < len(l.removed); v += n {
				var z float64
				for i, b := range l.removed[v:][:n] {
					z += float64(b) * float64(x[t*n+i])
				}
				for i, b := range l.removed[v:][:n] {
					xq[t*n+i] -= float32(z * float64(b))
				}
			}
		}
	}
	if l.act.Bits < 16 {
		var a integer.Activations
		a.Quantize(p, xq, l.residual.In, tokens, l.residual.In, l.act, 0)
		xq = make([]float32, tokens*l.residual.In)
		a.Dequantize(nil, xq, l.residual.In)
	}
	l.residual.Forward(p, y, xq, tokens)
	branch := make([]float32, len(y))
	l.kept.Forward(p, branch, x, tokens)
	for i, v := range branch[:tokens*l.kept.Out] {
		y[i] += v
	}
}

// attendQuantized is attention over a quantized cache. It rounds the queries and the weights of
// values, so finely that it shows in nothing but which side of a boundary a sum lands on where
// activations are rounded later. (internal/kernel holds it to its definition.)
func attendQuantized(c *checkpoint.Config, f quant.KV, attn, q, k, v []float32, tokens, window int) {
	cache := kv.Cache{Bits: f.Bits, Heads: c.KVHeads, HeadDim: c.HeadDim}
	cache.Reserve(tokens, 0, tokens)
	hd, qw, kvw, group := c.HeadDim, c.Heads*c.HeadDim, c.KVHeads*c.HeadDim, c.Heads/c.KVHeads
	kq, vq := make([]byte, f.Bytes()), make([]byte, f.Bytes())
	for h := range c.KVHeads {
		for t := range tokens {
			ks, km := f.Quantize(kq, k[t*kvw+h*hd:][:hd])
			vs, vm := f.Quantize(vq, v[t*kvw+h*hd:][:hd])
			cache.PutPacked(h, t, kq, vq, float.ToF16(ks), float.ToF16(km), float.ToF16(vs), float.ToF16(vm))
		}
		var s kv.Scratch
		o := h * group * hd
		cache.Attend(&s, attn[o:], q[o:], qw, h, group, 0, tokens, window, c.AttentionScale())
	}
}

// emulate computes the logits of an artefact in float32 with the reference
// model: the same integers, another arithmetic.
func emulate(t *testing.T, dir string, ids []int) []float32 {
	t.Helper()
	ck, err := checkpoint.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer ck.Close()
	c := &ck.Config
	q, err := artefact.ParseQuantization(c.Quantization, "config.json")
	if err != nil {
		t.Fatal(err)
	}
	pool := parallel.NewPool(1)
	defer pool.Close()
	r := llama.NewRunner(c, pool, len(ids))
	x := make([]float32, len(ids)*c.HiddenSize)
	if err := llama.Embed(ck, x, ids); err != nil {
		t.Fatal(err)
	}
	cache := quant.KV{Bits: q.Bits.KV, HeadDim: c.HeadDim}
	for i := range c.Layers {
		prefix := llama.TensorPrefix(i)
		var b llama.Block
		var err error
		if b.AttnNorm, err = llama.Vector(ck, prefix+"input_layernorm.weight", c.HiddenSize); err != nil {
			t.Fatal(err)
		}
		if b.MLPNorm, err = llama.Vector(ck, prefix+"post_attention_layernorm.weight", c.HiddenSize); err != nil {
			t.Fatal(err)
		}
		for w, dst := range []*llama.Linear{&b.Q, &b.K, &b.V, &b.O, &b.Gate, &b.Up, &b.Down} {
			out, in := llama.Which(w).Shape(c)
			l, err := artefact.ReadLinear(ck, prefix+llama.Which(w).String(), out, in, q)
			if err != nil {
				t.Fatal(err)
			}
			e := &emulated{act: q.ActGrid()}
			e.residual = llama.Dense{Out: out, In: in, W: make([]float32, out*in), Bias: l.Bias}
			if l.Whole.Rows > 0 {
				l.Dense(pool, e.residual.W)
				e.act.Bits = quant.Full.Activations
			} else {
				l.Residual(e.residual.W, pool.Run)
			}
			e.kept = llama.Dense{Out: out, In: in, W: make([]float32, out*in)}
			if l.Branch != nil {
				l.Branch.AddTo(pool, e.kept.W, 1)
				if s := l.Branch.Subspace; s != nil && s.Remove {
					e.removed = s.Floats()
				}
			}
			*dst = e
		}
		if q.Transforms.Cache == artefact.Balanced {
			stored, err := artefact.ReadQK(ck, prefix, c)
			if err != nil {
				t.Fatal(err)
			}
			if b.QK, err = stored.Transform(c); err != nil {
				t.Fatal(err)
			}
		}
		var h llama.Hooks
		if cache.Bits < 16 {
			h.Attention = func(attn, q, k, v []float32, tokens int) {
				attendQuantized(c, cache, attn, q, k, v, tokens, c.Window(i))
			}
		}
		r.Block(&b, x, len(ids), h)
	}
	logits, err := llama.Head(ck, pool, x, len(ids))
	if err != nil {
		t.Fatal(err)
	}
	return logits
}

// run gives the engine's logits for all ids, fed in pieces.
func run(t *testing.T, m *engine.Model, ids []int, pieces ...int) []float32 {
	t.Helper()
	vocab := m.Config.VocabSize
	out := make([]float32, len(ids)*vocab)
	seq, at := m.NewSequence(), 0
	for i := 0; at < len(ids); i++ {
		n := len(ids) - at
		if len(pieces) > 0 {
			n = min(n, pieces[i%len(pieces)])
		}
		err := m.Forward(context.Background(), []engine.Step{{Seq: seq, IDs: ids[at : at+n], Want: engine.WantAll}}, func(_, k int, logits []float32) error {
			copy(out[(at+k)*vocab:], logits)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		at += n
	}
	return out
}

// quantize makes an artefact of a random model. A group of 16 has multiples as scales.
func quantize(t *testing.T, bits, axis string, group int, truncate string) string {
	t.Helper()
	yaml := "name: t\nbits: " + bits + "\nsmooth: {alpha: 0.5}\nsolve: {method: gptq, damp: 0.01, act-order: true}\ncalibration: {tokens: 64}\n"
	if axis != "" {
		yaml += "branch: {basis: dft, axis: " + axis + ", components: 3, importance: interaction, temperature: 1, truncate: " + truncate + "}\n"
	}
	return quantizeBy(t, yaml, group)
}

// quantizeBy makes an artefact of a random model by the recipe.
func quantizeBy(t *testing.T, yaml string, group int) string {
	t.Helper()
	dir := t.TempDir()
	model, out, calib := filepath.Join(dir, "model"), filepath.Join(dir, "out"), filepath.Join(dir, "calib.txt")
	if err := testmodel.Write(model, testmodel.Options{Hidden: 48, Heads: 6, KVHeads: 2, Intermediate: 70, Bias: true}); err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("Pack my box with five dozen liquor jugs, said the wizard; 9876 of them. ", 12)
	if err := os.WriteFile(calib, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	switch group {
	case 0:
	case 16:
		yaml += "weights: {group: 16, scales: multiples, clip: hessian}\n"
	default:
		yaml += "weights: {group: 32}\n"
	}
	r, err := recipe.Parse([]byte(yaml), "t")
	if err != nil {
		t.Fatal(err)
	}
	pool := parallel.NewPool(2)
	defer pool.Close()
	if _, err := pipeline.Run(t.Context(), pipeline.Options{Dir: model, Out: out, Recipe: r, Calibration: []string{calib}, Pool: pool}); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestEmulation holds the integer runtime to a float32 emulation of the same
// quantization.
func TestEmulation(t *testing.T) {
	ids := []int{257}
	for i := range 60 {
		ids = append(ids, 32+(i*37)%90)
	}
	for _, c := range []struct {
		bits, axis string
		group      int
	}{
		{"4-16-16", "output", 0}, {"4-16-16", "input", 0}, {"4-8-8", "", 0}, {"4-8-16", "output", 32},
		{"4-4-16", "output", 0}, {"4-4-4", "output", 0}, {"4-4-4", "input", 32}, {"8-8-4", "output", 0},
		{"5-16-16", "output", 16}, {"4-16-16", "", 16}, {"7-8-8", "", 16}, {"6-8-16", "input", 16}, {"4-4-4", "output", 16},
	} {
		t.Run(c.bits+" "+c.axis, func(t *testing.T) {
			dir := quantize(t, c.bits, c.axis, c.group, "0")
			want := emulate(t, dir, ids)
			m, err := engine.Open(dir, engine.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			got := run(t, m, ids)
			var off, norm float64
			for i := range want {
				d := float64(got[i] - want[i])
				off += d * d
				norm += float64(want[i]) * float64(want[i])
			}
			// Without grids for activations and cache only the order of sums
			// differs. With them, a sum that lands on the other side of a
			// rounding boundary moves a value by a whole step, 1/15 or 1/255 of a
			// token's range, and the blocks after it carry that on.
			limit := 1e-2
			switch {
			case strings.HasSuffix(c.bits, "-16-16"):
				limit = 1e-5
			case strings.HasPrefix(c.bits, "4-4"):
				limit = 2e-2
			}
			e := math.Sqrt(off / norm)
			t.Logf("relative difference %.2g", e)
			if !(e < limit) {
				t.Errorf("relative difference %.2g, more than %g", e, limit)
			}
		})
	}
}

// TestForwardInvariance: pieces, batches, threads and streaming change nothing.
func TestForwardInvariance(t *testing.T) {
	for _, group := range []int{0, 16} {
		t.Run(fmt.Sprint("group ", group), func(t *testing.T) { forwardInvariance(t, group) })
	}
}

func forwardInvariance(t *testing.T, group int) {
	dir := quantize(t, "4-4-4", "output", group, "0.05")
	ids := []int{257}
	for i := range 62 {
		ids = append(ids, 32+(i*53)%90)
	}
	m, err := engine.Open(dir, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	want := run(t, m, ids)
	equal := func(what string, got, want []float32) {
		t.Helper()
		for i := range want {
			if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
				t.Fatalf("%s: logit %d is %v, want %v", what, i, got[i], want[i])
			}
		}
	}
	equal("one by one", run(t, m, ids, 1), want)
	equal("in pieces", run(t, m, ids, 7, 1, 16), want)
	if k := m.Truncated(); !(k > 0 && k < 1) {
		t.Errorf("run-time truncation kept %v of the coefficients", k)
	}

	pool := parallel.NewPool(3)
	defer pool.Close()
	s, err := engine.Open(dir, engine.Options{Pool: pool, Stream: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	equal("streamed, three threads", run(t, s, ids), want)

	// Two sequences in one batch.
	vocab := m.Config.VocabSize
	other := append([]int{257}, ids[20:40]...)
	alone := run(t, m, other)
	both := [2][]float32{make([]float32, len(want)), make([]float32, len(alone))}
	steps := []engine.Step{{Seq: m.NewSequence(), IDs: ids, Want: engine.WantAll}, {Seq: m.NewSequence(), IDs: other, Want: engine.WantAll}}
	err = m.Forward(t.Context(), steps, func(step, k int, logits []float32) error {
		copy(both[step][k*vocab:], logits)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	equal("batch, first", both[0], want)
	equal("batch, second", both[1], alone)
}

// TestForwardErrors: what can't be done is said, and sequences stay as they were.
func TestForwardErrors(t *testing.T) {
	dir := t.TempDir()
	if err := testmodel.Write(dir, testmodel.Options{}); err != nil {
		t.Fatal(err)
	}
	m, err := engine.Open(dir, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	none := func(int, int, []float32) error { return nil }
	seq := m.NewSequence()
	var tooLong *engine.ContextError
	if err := m.Forward(t.Context(), []engine.Step{{Seq: seq, IDs: make([]int, 65)}}, none); !asContext(err, &tooLong) || tooLong.Context != 64 {
		t.Errorf("too long: %v", err)
	}
	if err := m.Forward(t.Context(), []engine.Step{{Seq: seq, IDs: []int{testmodel.Vocab}}}, none); err == nil {
		t.Error("an id outside the vocabulary is accepted")
	}
	if err := m.Forward(t.Context(), []engine.Step{{Seq: seq, IDs: []int{1}}, {Seq: seq, IDs: []int{2}}}, none); err == nil {
		t.Error("one sequence twice in a batch is accepted")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := m.Forward(ctx, []engine.Step{{Seq: seq, IDs: []int{1, 2}}}, none); err != context.Canceled {
		t.Errorf("cancelled: %v", err)
	}
	if seq.Tokens() != 0 {
		t.Errorf("a failed call has left %d tokens", seq.Tokens())
	}
	if _, err := engine.Open(dir, engine.Options{Context: 100}); err == nil {
		t.Error("a context beyond the model's is accepted")
	}
}

func asContext(err error, target **engine.ContextError) bool {
	e, ok := err.(*engine.ContextError)
	*target = e
	return ok
}
