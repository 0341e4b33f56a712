package grad

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/testdata"
)

func testConfig(hidden, intermediate, heads, kv, dim int) *checkpoint.Config {
	return &checkpoint.Config{HiddenSize: hidden, IntermediateSize: intermediate, Heads: heads, KVHeads: kv, HeadDim: dim,
		NormEps: 1e-5, RopeTheta: 10000, MaxPositions: 512}
}

// randomSpec is a block of parameters, all learned, that keeps the size of
// what goes through it.
func randomSpec(rng *rand.Rand, c *checkpoint.Config, window int) (*BlockSpec, []*Var) {
	s := &BlockSpec{Config: c, Rope: llama.NewRope(c, window), Window: window}
	var all []*Var
	for i := range s.Norms {
		s.Norms[i] = positive(rng, fmt.Sprintf("norm %d", i), 1, c.HiddenSize)
		all = append(all, s.Norms[i])
	}
	for w := range llama.NumLinears {
		out, in := w.Shape(c)
		s.Weights[w] = param(rng, w.String(), out, in, 1/math.Sqrt(float64(in)))
		s.Bias[w] = param(rng, w.String()+" bias", 1, out, 0.2)
		all = append(all, s.Weights[w], s.Bias[w])
	}
	return s, all
}

func TestBlockGradients(t *testing.T) {
	for _, c := range []struct {
		config          *checkpoint.Config
		windows, window int
		sliding         int
	}{
		{testConfig(12, 20, 4, 2, 6), 2, 5, 0},
		{testConfig(9, 11, 3, 1, 4), 3, 7, 4},
	} {
		rng := newRand(40)
		c.config.SlidingWindow = c.sliding
		s, all := randomSpec(rng, c.config, c.window)
		x := param(rng, "x", c.windows*c.window, c.config.HiddenSize, 1)
		all = append(all, x)
		for i, v := range all { // the key's bias is turned by RoPE, and matters; all do
			if v.Name == "" {
				t.Fatal("a parameter without a name:", i)
			}
		}
		compareGradients(t, func(t *Tape) *Var { return t.Block(x, s) }, stepSize, 1e-3, all...)
	}
}

// TestBlockIsRunners holds the forward pass to llama.Runner's on every block of
// a trained model, for two windows in one batch.
func TestBlockIsRunners(t *testing.T) {
	ck, err := checkpoint.Open(testdata.Path(t, "models", "tinystories-656k"))
	if err != nil {
		t.Fatal(err)
	}
	defer ck.Close()
	c := &ck.Config
	pool := parallel.NewPool(2)
	defer pool.Close()
	const window, windows = 100, 2
	rng := newRand(41)
	ids := make([]int, window*windows)
	for i := range ids {
		ids[i] = rng.IntN(c.VocabSize)
	}
	x := make([]float32, len(ids)*c.HiddenSize)
	if err := llama.Embed(ck, x, ids); err != nil {
		t.Fatal(err)
	}
	r := llama.NewRunner(c, pool, window)
	tape := &Tape{Pool: pool}
	var b llama.DenseBlock
	for i := range c.Layers {
		if err := llama.LoadBlock(ck, i, &b); err != nil {
			t.Fatal(err)
		}
		y := tape.Block(Const(len(ids), c.HiddenSize, x), Spec(c, r.Rope, &b, window))
		want := slices.Clone(x)
		for k := range windows {
			r.Block(b.Block(), want[k*window*c.HiddenSize:][:window*c.HiddenSize], window, llama.Hooks{})
		}
		var worst, largest float64
		for j, v := range want {
			worst = max(worst, math.Abs(float64(v-y.Data[j])))
			largest = max(largest, math.Abs(float64(v)))
		}
		t.Logf("block %d: largest difference %.2g of values up to %.3g", i, worst, largest)
		if !(worst <= 1e-5) {
			t.Errorf("block %d: differs from the runner by %g", i, worst)
		}
		copy(x, want)
		tape.Reset()
	}
}

// The same for random blocks: with biases, an odd number of channels, and a
// sliding window.
func TestRandomBlockIsRunners(t *testing.T) {
	for _, sliding := range []int{0, 1, 9} {
		c := testConfig(45, 63, 6, 2, 10)
		c.SlidingWindow = sliding
		rng := newRand(46)
		const window = queryRows + 20
		s, _ := randomSpec(rng, c, window)
		d := llama.DenseBlock{Norms: llama.Norms{AttnNorm: s.Norms[0].Data, MLPNorm: s.Norms[1].Data}}
		for w := range llama.NumLinears {
			out, in := w.Shape(c)
			d.Linears[w] = llama.Dense{Out: out, In: in, W: s.Weights[w].Data, Bias: s.Bias[w].Data}
		}
		x := normals(rng, window*c.HiddenSize, 1)
		y := (&Tape{}).Block(Const(window, c.HiddenSize, x), Spec(c, s.Rope, &d, window))
		llama.NewRunner(c, nil, window).Block(d.Block(), x, window, llama.Hooks{})
		for i, v := range x {
			if e := math.Abs(float64(v - y.Data[i])); !(e <= 1e-5) {
				t.Fatalf("sliding window of %d: element %d is %v, the runner's %v", sliding, i, y.Data[i], v)
			}
		}
	}
}

// everything is a computation with every operation in it, of shapes that are
// split into many jobs, and its parameters.
func everything(rng *rand.Rand) (f func(t *Tape) *Var, params []*Var) {
	c := testConfig(96, 160, 6, 3, 16)
	const window, windows, vocab = 90, 3, 300
	s, params := randomSpec(rng, c, window)
	add := func(v *Var) *Var { params = append(params, v); return v }
	table := add(param(rng, "table", vocab, c.HiddenSize, 1))
	head := add(param(rng, "head", vocab, c.HiddenSize, 0.1))
	clip := add(Filled("clip", 1, 1, 0.9))
	gamma := add(Filled("gamma", c.IntermediateSize, 3, 3))
	beta := add(Filled("beta", c.IntermediateSize, 3, 3))
	offset := add(param(rng, "offset", c.IntermediateSize, c.HiddenSize, 0.1))
	smooth := add(positive(rng, "smooth", 1, c.HiddenSize))
	left, right := add(param(rng, "left", 8, 8, 0.3)), add(param(rng, "right", 12, 12, 0.3))
	turn := add(param(rng, "turn", c.HeadDim, c.HeadDim, 0.2))
	ids, targets := make([]int, windows*window), make([]int, windows*window)
	for i := range ids {
		ids[i], targets[i] = rng.IntN(vocab), rng.IntN(vocab)
	}
	kept := normals(rng, len(ids)*vocab, 1)
	teacher := func(dst []float32, from, to int) { copy(dst, kept[from*vocab:to*vocab]) }
	return func(t *Tape) *Var {
		spec := *s
		q := WeightQuant{Bits: 3, Group: 32, Zero: quant.ZeroAsymmetric, ClipHi: t.Sigmoid(gamma), ClipLo: t.Sigmoid(beta), Offset: offset}
		spec.Weights[llama.Gate] = t.QuantizeWeights(t.Mul(s.Weights[llama.Gate], smooth), q)
		spec.Weights[llama.Up] = t.QuantizeWeights(s.Weights[llama.Up], WeightQuant{Bits: 4, Zero: quant.ZeroCentred})
		spec.Norms[1] = t.Div(s.Norms[1], smooth)
		r := t.Cayley(turn)
		spec.Input = func(in llama.Input, x *Var) *Var {
			if in == llama.MLPInput {
				x = t.Kronecker(x, left, right)
			}
			return t.QuantizeActivations(x, ActQuant{Bits: 4, ClipLo: clip, ClipHi: clip})
		}
		spec.QK = func(q, k *Var) (*Var, *Var) { return t.BlockDiag(q, r, c.Heads), t.BlockDiag(k, r, c.KVHeads) }
		spec.KV = func(k, v *Var) (*Var, *Var) {
			f := quant.KV{Bits: 4, HeadDim: c.HeadDim}
			return t.QuantizeKV(k, f), t.QuantizeKV(v, f)
		}
		y := t.Block(t.Block(t.Embedding(table, ids), &spec), s)
		loss := t.Add(t.KL(y, head, teacher), t.CrossEntropy(y, head, targets))
		return t.Add(loss, t.MSE(y, Const(len(ids), c.HiddenSize, make([]float32, len(y.Data))), nil))
	}, params
}

func TestThreads(t *testing.T) {
	defer func(was int) { headFloats = was }(headFloats)
	headFloats = 64 * 300
	var want [][]float32
	for _, threads := range []int{1, 2, 3} {
		f, params := everything(newRand(42))
		tape := &Tape{Pool: parallel.NewPool(threads)}
		for range 2 { // the second time in used memory
			for _, p := range params {
				p.ZeroGrad()
			}
			tape.Reset()
			loss := f(tape)
			tape.Backward(loss)
			got := [][]float32{slices.Clone(loss.Data)}
			for _, p := range params {
				got = append(got, slices.Clone(p.Grad))
			}
			if want == nil {
				want = got
			}
			for i := range want {
				if !sameBits(want[i], got[i]) {
					t.Errorf("%d threads: %s differs", threads, append([]*Var{{Name: "loss"}}, params...)[i].Name)
				}
			}
		}
		tape.Pool.Close()
	}
	for i, g := range want {
		if slices.Max(g) == 0 && slices.Min(g) == 0 {
			t.Errorf("result %d is zero", i)
		}
	}
}

func sameBits(a, b []float32) bool {
	return slices.EqualFunc(a, b, func(u, v float32) bool { return math.Float32bits(u) == math.Float32bits(v) })
}

// The memory of a step serves the next.
func TestMemory(t *testing.T) {
	f, _ := everything(newRand(43))
	tape := &Tape{}
	var bytes int64
	for i := range 4 {
		tape.Backward(f(tape))
		tape.Reset()
		if i == 1 {
			bytes = tape.Bytes()
		}
	}
	if got := tape.Bytes(); got != bytes || got == 0 {
		t.Errorf("the tape holds %d bytes after four steps, %d after two", got, bytes)
	}
}

// benchSpec is a block of the size of books-5m's.
func benchSpec(rng *rand.Rand) (*BlockSpec, []*Var) {
	return randomSpec(rng, testConfig(256, 704, 8, 4, 32), 256)
}

// BenchmarkBlock is forward and backward of one block on 8 windows of 256
// tokens; BenchmarkBlockProducts its linear layers' products alone.
func BenchmarkBlock(b *testing.B) {
	for _, backward := range []bool{false, true} {
		b.Run(fmt.Sprintf("backward=%v", backward), func(b *testing.B) {
			rng := newRand(44)
			s, _ := benchSpec(rng)
			tape := &Tape{Pool: parallel.NewPool(0)}
			defer tape.Pool.Close()
			x := param(rng, "x", 8*256, 256, 1)
			seed := normals(rng, len(x.Data), 1)
			flops := blockFlops(s, x.Rows)
			if backward {
				flops *= 3
			}
			for b.Loop() {
				y := tape.Block(x, s)
				if backward {
					tape.BackwardFrom(y, seed)
				}
				tape.Reset()
			}
			b.ReportMetric(float64(tape.Bytes())/1e6, "MB")
			b.ReportMetric(flops*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
		})
	}
}

// blockFlops are those of the products of a forward pass: linear layers, and
// half a square of scores and of probabilities times values.
func blockFlops(s *BlockSpec, tokens int) float64 {
	var flops float64
	for _, w := range s.Weights {
		flops += 2 * float64(tokens) * float64(len(w.Data))
	}
	return flops + 2*float64(tokens)*float64(s.Window)*float64(s.Config.Heads*s.Config.HeadDim)
}

func BenchmarkBlockProducts(b *testing.B) {
	rng := newRand(45)
	s, _ := benchSpec(rng)
	pool := parallel.NewPool(0)
	defer pool.Close()
	const tokens = 8 * 256
	x, y := normals(rng, tokens*704, 1), make([]float32, tokens*704)
	var flops float64
	for _, w := range s.Weights {
		flops += 6 * tokens * float64(len(w.Data))
	}
	for b.Loop() {
		for _, w := range s.Weights {
			n, k := w.Rows, w.Cols
			float.MatMulNT(pool, y, n, x, k, w.Data, k, tokens, n, k, false)
			float.MatMulNN(pool, y, k, x, n, w.Data, k, tokens, k, n, false)
			float.MatMulTN(pool, w.Grad, k, x, n, y, k, n, k, tokens, false)
		}
	}
	b.ReportMetric(flops*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
}
