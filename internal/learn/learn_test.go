package learn

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/grad"
	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/linalg"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/quant"
)

// sample is a random block with outliers in its inputs, windows, and what the block
// makes of them.
type sample struct {
	c         *checkpoint.Config
	dense     llama.DenseBlock
	rope      *llama.Rope
	x, target [][]float32
}

func (s *sample) Count() int  { return len(s.x) }
func (s *sample) Tokens() int { return len(s.x[0]) / s.c.HiddenSize }
func (s *sample) Window(i int) ([]float32, []float32, error) {
	return s.x[i], s.target[i], nil
}

func newSample(t *testing.T, pool *parallel.Pool, bias bool) *sample {
	t.Helper()
	rng := rand.New(rand.NewPCG(3, 9))
	s := &sample{c: &checkpoint.Config{HiddenSize: 32, IntermediateSize: 60, Heads: 4, KVHeads: 2, HeadDim: 8, VocabSize: 50,
		Layers: 1, NormEps: 1e-5, RopeTheta: 10000, MaxPositions: 64}}
	const windows, tokens = 6, 16
	s.rope = llama.NewRope(s.c, tokens)
	random := func(n int, scale float64) []float32 {
		v := make([]float32, n)
		for i := range v {
			v[i] = float32(rng.NormFloat64() * scale)
		}
		return v
	}
	gain := func() []float32 {
		v := make([]float32, s.c.HiddenSize)
		for i := range v {
			v[i] = 1
			if i%11 == 5 {
				v[i] = 12
			}
		}
		return v
	}
	s.dense.AttnNorm, s.dense.MLPNorm = gain(), gain()
	for w := range llama.NumLinears {
		out, in := w.Shape(s.c)
		s.dense.Linears[w] = llama.Dense{Out: out, In: in, W: random(out*in, 0.6/math.Sqrt(float64(in)))}
		if bias {
			s.dense.Linears[w].Bias = random(out, 0.1)
		}
	}
	runner := llama.NewRunner(s.c, pool, tokens)
	for range windows {
		x := random(tokens*s.c.HiddenSize, 1)
		y := append([]float32(nil), x...)
		runner.Block(s.dense.Block(), y, tokens, llama.Hooks{})
		s.x, s.target = append(s.x, x), append(s.target, y)
	}
	return s
}

// block is the sample's block with grids.
func (s *sample) block(bits int, zero quant.ZeroKind) *Block {
	b := &Block{Config: s.c, Rope: s.rope, AttnNorm: s.dense.AttnNorm, MLPNorm: s.dense.MLPNorm, Activations: bits, KV: bits, Clip: 1}
	for w := range llama.NumLinears {
		d := &s.dense.Linears[w]
		b.Layers[w] = &Layer{Out: d.Out, In: d.In, Bits: bits, Group: 32, Zero: zero, W: d.W, Bias: d.Bias}
	}
	return b
}

func pool(t *testing.T, threads int) *parallel.Pool {
	p := parallel.NewPool(threads)
	t.Cleanup(p.Close)
	return p
}

// TestOmniQuantLearns, on both grids: the error falls well below where smoothing
// by nothing and whole ranges begin, and clips lie within the range.
func TestOmniQuantLearns(t *testing.T) {
	p := pool(t, 2)
	s := newSample(t, p, true)
	for _, zero := range []quant.ZeroKind{quant.ZeroSymmetric, quant.ZeroAsymmetric} {
		e, err := OmniQuant(t.Context(), p, s.block(4, zero), s, Rates{Epochs: 40, Batch: 2, Rate: 0.02, ClipRate: 0.03, Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		if !(e.Last < 0.75*e.First) {
			t.Errorf("grid %s: error %v → %v", zero, e.First, e.Last)
		}
		for w := range llama.NumLinears {
			if (e.Lo[w] != nil) != (zero == quant.ZeroAsymmetric) {
				t.Errorf("grid %s: lower clips of %s: %v", zero, w, e.Lo[w])
			}
			for _, v := range e.Hi[w] {
				if !(v > 0 && v < 1) {
					t.Errorf("%s: clip %v", w, v)
				}
			}
		}
		for in, lambda := range e.Lambda {
			want := llama.Input(in).Width(s.c)
			if llama.Input(in) == llama.OInput {
				want = 16
			}
			if len(lambda) != want {
				t.Errorf("%d scales of the input of %s, want %d", len(lambda), llama.Input(in), want)
			}
		}
	}
}

// TestFlatQuantLearns: the error falls, and the factors' inverse is theirs.
func TestFlatQuantLearns(t *testing.T) {
	p := pool(t, 2)
	s := newSample(t, p, false)
	e, err := FlatQuant(t.Context(), p, s.block(4, quant.ZeroSymmetric), s, Rates{Epochs: 30, Batch: 2, Rate: 0.02, ClipRate: 0.05, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if !(e.Last < 0.85*e.First) {
		t.Errorf("error %v → %v", e.First, e.Last)
	}
	for in, turn := range e.Transform {
		n := llama.Input(in).Width(s.c)
		if turn.A*turn.B != n || turn.A < 4 {
			t.Errorf("factors of %d and %d for %d", turn.A, turn.B, n)
		}
		forward, inverse, err := turn.Transform(p)
		if err != nil {
			t.Fatal(err)
		}
		m := make([]float32, n*n)
		for k := range m {
			m[k] = 0
			if k%(n+1) == 0 {
				m[k] = 1
			}
		}
		forward.Apply(p, m, n) // rows eᵢᵀ·Pᵀ
		var far float64        // from a rotation
		g := make([]float32, n*n)
		float.MatMulNT(p, g, n, m, n, m, n, n, n, n, false)
		for k, v := range g {
			if k%(n+1) == 0 {
				v--
			}
			far = max(far, math.Abs(float64(v)))
		}
		if far < 1e-3 {
			t.Errorf("transform of %d is still a rotation", n)
		}
		inverse.ApplyT(p, m, n) // rows eᵢᵀ·Pᵀ·P⁻ᵀ
		for k, v := range m {
			want := 0.0
			if k%(n+1) == 0 {
				want = 1
			}
			if math.Abs(float64(v)-want) > 1e-5 {
				t.Fatalf("transform of %d: element %d of P·P⁻¹ is %v", n, k, v)
			}
		}
	}
}

// TestSixteenBits: with nothing rounded, what learning lays on the tape is the block
// itself, whatever the scales, transforms and rotations.
func TestSixteenBits(t *testing.T) {
	p := pool(t, 2)
	for _, bias := range []bool{false, true} {
		s := newSample(t, p, bias)
		rng := rand.New(rand.NewPCG(7, 7))
		e := newEquivalent(s.block(quant.FullBits, quant.ZeroSymmetric), s.Tokens(), Rates{Rate: 1})
		for in := range llama.NumInputs {
			var err error
			if e.transforms[in], err = newSVDTurn(p, in.Width(s.c), 5); err != nil {
				t.Fatal(err)
			}
			for _, v := range append(e.transforms[in].params(), e.scale[in]) {
				for i := range v.Data {
					v.Data[i] = float32(0.4 * rng.NormFloat64())
				}
			}
		}
		tape := &grad.Tape{Pool: p}
		e.record(tape)
		if l := blockLoss(tape, e.spec, s.x[0], s.target[0], s.Tokens()); l.Data[0] > 1e-8 {
			t.Errorf("equivalent transforms change the block by %v", l.Data[0])
		}
	}
}

// spinSample is a one-block model whose rotations are to be learned.
func (s *sample) spin(t *testing.T, p *parallel.Pool, bits int) *Spin {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	m := &Spin{Config: s.c, Rope: s.rope, Blocks: []*llama.DenseBlock{&s.dense}, Activations: bits, KV: bits, Clip: 1}
	h, v := s.c.HiddenSize, s.c.VocabSize
	m.Embed, m.Head, m.Norm = make([]float32, v*h), make([]float32, v*h), make([]float32, h)
	for i := range m.Embed {
		m.Embed[i], m.Head[i] = float32(rng.NormFloat64()), float32(rng.NormFloat64()*0.3)
	}
	for i := range m.Norm {
		m.Norm[i] = 1
	}
	rotation := func(n int, seed uint64) []float32 {
		r, err := linalg.NewRotation(n, seed)
		if err != nil {
			t.Fatal(err)
		}
		return linalg.Matrix(p, r)
	}
	m.Residual, m.Heads = rotation(h, 1), [][]float32{rotation(s.c.HeadDim, 2)}
	cache, err := linalg.NewHadamard(s.c.HeadDim)
	if err != nil {
		t.Fatal(err)
	}
	m.QK = llama.Alike(cache)
	if m.Inputs[llama.DownInput], err = linalg.NewHadamard(s.c.IntermediateSize); err != nil {
		t.Fatal(err)
	}
	if m.Inputs[llama.OInput], err = linalg.NewHeads(s.c.Heads, s.c.HeadDim); err != nil {
		t.Fatal(err)
	}
	m.Values, err = linalg.NewSigns(s.c.KVHeads*s.c.HeadDim, 3)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// say continues a token with the most likely ones: text that the model knows.
func (m *Spin) say(p *parallel.Pool, id, tokens int) []int {
	c := m.Config
	h, ids := c.HiddenSize, []int{id}
	for len(ids) < tokens {
		var x []float32
		for _, id := range ids {
			x = append(x, m.Embed[id*h:][:h]...)
		}
		llama.NewRunner(c, p, tokens).Block(m.Blocks[0].Block(), x, len(ids), llama.Hooks{})
		last := x[len(x)-h:]
		float.RMSNormOn(p, last, last, m.Norm, c.NormEps, 1)
		logits := make([]float32, c.VocabSize)
		float.MatMulNT(p, logits, c.VocabSize, last, h, m.Head, h, 1, c.VocabSize, h, false)
		best := 0
		for i, v := range logits {
			if v > logits[best] {
				best = i
			}
		}
		ids = append(ids, best)
	}
	return ids
}

// TestSpinQuantLearns: with nothing rounded the rotations change nothing; with 4
// bits the loss that is left over falls, and they stay orthogonal.
func TestSpinQuantLearns(t *testing.T) {
	p := pool(t, 2)
	s := newSample(t, p, true)
	var windows [][]int
	for i := range 8 {
		windows = append(windows, s.spin(t, p, 16).say(p, 6*i, 16))
	}
	loss := func(m *Spin) float64 {
		tape := &grad.Tape{Pool: p}
		return float64(newSpin(tape, m, 16).loss(tape, windows).Data[0])
	}
	plain := &Spin{Config: s.c, Rope: s.rope, Blocks: []*llama.DenseBlock{&s.dense}, Activations: 16, KV: 16}
	full := s.spin(t, p, 16)
	plain.Embed, plain.Head, plain.Norm = full.Embed, full.Head, full.Norm
	if a, b := loss(plain), loss(full); math.Abs(a-b) > 1e-4 {
		t.Errorf("rotations change the loss from %v to %v", a, b)
	}
	m := s.spin(t, p, 4)
	before := loss(m)
	if _, _, err := SpinQuant(t.Context(), p, m, windows, SpinRates{Steps: 60, Batch: 4, Rate: 1.5, Seed: 1}); err != nil {
		t.Fatal(err)
	}
	if after := loss(m); !(after < before-0.3*(before-loss(full))) {
		t.Errorf("loss %v → %v, of full precision %v", before, after, loss(full))
	}
	for _, r := range [][]float32{m.Residual, m.Heads[0]} {
		n := int(math.Sqrt(float64(len(r))))
		g := make([]float32, n*n)
		float.MatMulNT(p, g, n, r, n, r, n, n, n, n, false)
		for k, v := range g {
			want := 0.0
			if k%(n+1) == 0 {
				want = 1
			}
			if math.Abs(float64(v)-want) > 1e-6 {
				t.Fatalf("R·Rᵀ of order %d: element %d is %v", n, k, v)
			}
		}
	}
}

// TestTuneLearns: levels, scales and norms learn, and the window that is not trained on
// gains too.
func TestTuneLearns(t *testing.T) {
	p := pool(t, 2)
	s := newSample(t, p, false)
	b := s.rounded(t, p)
	last := s.Count() - 1
	loss := func() float64 {
		tape := &grad.Tape{Pool: p}
		k := newParameters(b, s.Tokens(), Options{})
		k.hook(tape)
		return float64(k.loss(tape, s.x[last], s.target[last], s.Tokens()).Data[0])
	}
	before := loss()
	out, err := Tune(t.Context(), p, b, s, Options{Epochs: 30, Batch: 2, Rounding: 0.02, Scales: 0.005, Norms: 0.005})
	if err != nil {
		t.Fatal(err)
	}
	if !(out.Last < 0.7*out.First) || !(out.After < out.Before) || out.Epoch == 0 {
		t.Errorf("%+v", out)
	}
	if math.Abs(before-out.Before) > 1e-5*before {
		t.Errorf("the window that judges begins with %v, not %v", before, out.Before)
	}
	// The levels are encoded once more when they are written, which rounds the scales.
	if after := loss(); math.Abs(after-out.After) > 1e-2*out.After {
		t.Errorf("the block has %v on the window that judges, not %v", after, out.After)
	}
}

// TestTuneJudged: what helps only the windows trained on is not kept. The target of the
// window that judges is the block as it was rounded, which no step can improve.
func TestTuneJudged(t *testing.T) {
	p := pool(t, 1)
	s := newSample(t, p, false)
	b := s.rounded(t, p)
	tape := &grad.Tape{Pool: p}
	k := newParameters(b, s.Tokens(), Options{})
	k.hook(tape)
	last := s.Count() - 1
	s.target[last] = append([]float32(nil), tape.Block(grad.Const(s.Tokens(), s.c.HiddenSize, s.x[last]), k.spec).Data...)
	levels, norm := slices.Clone(b.Layers[llama.Up].Levels), slices.Clone(b.AttnNorm)
	out, err := Tune(t.Context(), p, b, s, Options{Epochs: 10, Batch: 2, Rounding: 0.02, Scales: 0.005, Norms: 0.005})
	if err != nil {
		t.Fatal(err)
	}
	if out.Epoch != 0 || out.After != out.Before || !(out.Last < out.First) {
		t.Errorf("%+v", out)
	}
	if !slices.Equal(levels, b.Layers[llama.Up].Levels) || !slices.Equal(norm, b.AttnNorm) {
		t.Error("the block has changed")
	}
}

// TestJudge: which windows are trained on and which judge.
func TestJudge(t *testing.T) {
	for _, c := range []struct{ count, judging, last int }{{0, 0, -1}, {1, 0, -1}, {2, 1, 1}, {9, 1, 8}, {10, 1, 9}, {19, 1, 9}, {48, 4, 39}} {
		fitted, judging := judge(c.count)
		if len(judging) != c.judging || len(fitted)+len(judging) != c.count || c.judging > 0 && judging[c.judging-1] != c.last {
			t.Errorf("of %d windows %v judge, %v are trained on", c.count, judging, fitted)
		}
	}
}

// model is a model of some blocks like the sample's, rounded to nearest.
func (s *sample) model(t *testing.T, p *parallel.Pool, blocks int) *Model {
	m := &Model{Norm: slices.Repeat([]float32{1}, s.c.HiddenSize), Head: s.spin(t, p, 4).Head}
	for range blocks {
		b := s.rounded(t, p)
		b.AttnNorm, b.MLPNorm = slices.Clone(b.AttnNorm), slices.Clone(b.MLPNorm)
		m.Blocks = append(m.Blocks, b)
	}
	return m
}

// TestChain: the loss of a model and its gradients, computed block by block, are those of
// the whole model on one tape.
func TestChain(t *testing.T) {
	p := pool(t, 2)
	s := newSample(t, p, true)
	o := Options{Batch: 2, Rounding: 0.01, Scales: 0.01, Norms: 0.01}
	x, target := append(slices.Clone(s.x[0]), s.x[1]...), append(slices.Clone(s.target[0]), s.target[1]...)
	rows := 2 * s.Tokens()
	ch := newChain(p, s.model(t, p, 3), s.Tokens(), o)
	got := ch.loss(x, slices.Clone(target), rows, true)
	if again := ch.loss(x, slices.Clone(target), rows, false); again != got {
		t.Errorf("loss %v, without learning %v", got, again)
	}

	whole := newChain(p, s.model(t, p, 3), s.Tokens(), o)
	tape, eps := whole.tape, s.c.NormEps
	float.RMSNormOn(p, target, target, whole.Norm, eps, rows)
	y := grad.Const(rows, s.c.HiddenSize, x)
	for _, k := range whole.params {
		y = tape.Block(y, k.spec)
	}
	want := finish(tape, tape.KL(tape.RMSNorm(y, whole.norm, eps), whole.head, grad.HeadLogits(p, grad.Const(rows, s.c.HiddenSize, target), whole.head)), true)
	if got != want || !(got > 0) {
		t.Errorf("loss %v, want %v", got, want)
	}
	for i, g := range ch.groups {
		for j, v := range g.Params {
			w := whole.groups[i].Params[j]
			if !slices.Equal(v.Grad, w.Grad) {
				t.Fatalf("gradient of %s, group %d, differs", v.Name, i)
			}
		}
	}
}

// rounded is the block rounded to nearest.
func (s *sample) rounded(t *testing.T, p *parallel.Pool) *Block {
	t.Helper()
	b := s.block(4, quant.ZeroSymmetric)
	for _, l := range b.Layers {
		tape := &grad.Tape{Pool: p}
		levels, scale, _, err := tape.EncodeWeights(grad.Const(l.Out, l.In, l.W), grad.WeightQuant{Bits: 4, Group: l.Group})
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range levels {
			l.Levels = append(l.Levels, int8(int(q)-8))
		}
		l.Scale = scale
	}
	return b
}

// TestMemory holds what plans count to what tapes hold: not less, and not many
// times as much.
func TestMemory(t *testing.T) {
	p := pool(t, 1)
	s := newSample(t, p, true)
	c := s.c
	rows := 2 * s.Tokens()
	x, target := append(append([]float32(nil), s.x[0]...), s.x[1]...), append(append([]float32(nil), s.target[0]...), s.target[1]...)
	parameters := func(groups []grad.Group) (n int64) {
		for _, g := range groups {
			for _, v := range g.Params {
				n += 4 * 4 * int64(len(v.Data))
			}
		}
		return n
	}
	check := func(name string, held, planned int64) {
		t.Helper()
		if held > planned || planned > 5*held/2 {
			t.Errorf("%s: holds %d bytes, planned %d", name, held, planned)
		}
	}
	tape := &grad.Tape{Pool: p}
	all := Options{Batch: 2, Rounding: 1, Scales: 1, Norms: 1}
	k := newParameters(s.rounded(t, p), s.Tokens(), all)
	k.hook(tape)
	tape.Backward(k.loss(tape, x, target, rows))
	tape.Reset()
	check("tune", tape.Bytes()+5*parameters(k.groups)/4+blockWeights(c), TuneBytes(c, rows, all))

	for _, o := range []Options{all, {Batch: 2, Scales: 1, Norms: 1}} {
		ch := newChain(p, s.model(t, p, 3), s.Tokens(), o)
		ch.loss(x, append([]float32(nil), target...), rows, true)
		held := ch.tape.Bytes() + 5*parameters(ch.groups)/4 + 3*5*blockWeights(c) + 4*int64(len(ch.Head)+5*len(x))
		if o.Rounding == 0 {
			held += 3 * 4 * blockWeights(c)
		}
		three := *c
		three.Layers = 3
		check("distil", held, ModelBytes(&three, rows, o))
	}

	for _, turned := range []bool{false, true} {
		tape = &grad.Tape{Pool: p}
		e := newEquivalent(s.block(4, quant.ZeroAsymmetric), s.Tokens(), Rates{Rate: 1, ClipRate: 1})
		if turned {
			for in := range llama.NumInputs {
				e.transforms[in], _ = newSVDTurn(p, in.Width(c), 1)
			}
		}
		e.record(tape)
		tape.Backward(blockLoss(tape, e.spec, x, target, rows))
		tape.Reset()
		held := tape.Bytes() + parameters(e.groups)
		if turned {
			check("flatquant", held, FlatQuantBytes(c, rows))
		} else {
			check("omniquant", held, OmniQuantBytes(c, rows))
		}
	}

	tape = &grad.Tape{Pool: p}
	m := s.spin(t, p, 4)
	sp := newSpin(tape, m, s.Tokens())
	ids := make([]int, s.Tokens())
	tape.Backward(sp.loss(tape, [][]int{ids, ids}))
	tape.Reset()
	check("spinquant", tape.Bytes()+8*blockWeights(c)+8*int64(len(m.Embed)), SpinBytes(c, rows))
}
