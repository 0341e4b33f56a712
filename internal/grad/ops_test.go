package grad

import (
	"math"
	"testing"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/llama"
)

// step and tolerance for operations of float32 on numbers of size one: the
// differences have an error of h⁴, and of 1e-7/h from rounding.
const (
	stepSize  = 0.02
	tolerance = 5e-4
)

func TestProducts(t *testing.T) {
	for _, s := range [][3]int{{1, 1, 1}, {3, 5, 7}, {8, 16, 4}, {17, 9, 33}} {
		rng := newRand(1)
		m, n, k := s[0], s[1], s[2]
		a, b, bias := param(rng, "a", m, k, 1), param(rng, "b", n, k, 1), param(rng, "bias", 1, n, 1)
		compareGradients(t, func(t *Tape) *Var { return t.Linear(a, b, bias) }, stepSize, tolerance, a, b, bias)
		b = param(rng, "b", k, n, 1)
		compareGradients(t, func(t *Tape) *Var { return t.MulNN(a, b) }, stepSize, tolerance, a, b)
		a = param(rng, "a", k, m, 1)
		compareGradients(t, func(t *Tape) *Var { return t.MulTN(a, b) }, stepSize, tolerance, a, b)
	}
}

// A value that is used more than once gets the sum of its gradients.
func TestShared(t *testing.T) {
	rng := newRand(2)
	a, b := param(rng, "a", 5, 6, 1), param(rng, "b", 6, 6, 1)
	compareGradients(t, func(t *Tape) *Var {
		c := t.MulNN(a, b)
		d := t.Add(c, c)
		e := t.Mul(t.Reshape(d, 6, 5), t.Reshape(c, 6, 5))
		return t.Add(t.Reshape(e, 5, 6), t.Sub(a, t.MulNT(c, b)))
	}, stepSize, tolerance, a, b)
}

func TestElementwise(t *testing.T) {
	for _, shape := range [][2]int{{1, 1}, {3, 7}, {5, 130}} {
		rng := newRand(3)
		rows, cols := shape[0], shape[1]
		for _, second := range [][2]int{{rows, cols}, {1, cols}, {rows, 1}, {1, 1}} {
			a, b := param(rng, "a", rows, cols, 1), positive(rng, "b", second[0], second[1])
			for name, f := range map[string]func(t *Tape, a, b *Var) *Var{
				"add": (*Tape).Add, "sub": (*Tape).Sub, "mul": (*Tape).Mul, "div": (*Tape).Div,
			} {
				t.Run(name, func(t *testing.T) {
					compareGradients(t, func(t *Tape) *Var { return f(t, a, b) }, stepSize, tolerance, a, b)
				})
			}
		}
		a := param(rng, "a", rows, cols, 1)
		for name, f := range map[string]func(t *Tape) *Var{
			"exp":       func(t *Tape) *Var { return t.Exp(a) },
			"sigmoid":   func(t *Tape) *Var { return t.Sigmoid(a) },
			"scale":     func(t *Tape) *Var { return t.Scale(a, -1.5) },
			"transpose": func(t *Tape) *Var { return t.Transpose(a) },
			"gather":    func(t *Tape) *Var { return t.Gather(a, []int{cols - 1, 0, cols / 2, 0, cols - 1, cols / 2}) },
			"squares":   func(t *Tape) *Var { return t.SumSquares(a, 0.3) },
		} {
			t.Run(name, func(t *testing.T) {
				compareGradients(t, f, stepSize, 2*tolerance, a)
			})
		}
	}
}

func TestEmbedding(t *testing.T) {
	table := param(newRand(4), "table", 6, 67, 1)
	compareGradients(t, func(t *Tape) *Var { return t.Embedding(table, []int{5, 0, 5, 2, 5}) }, stepSize, tolerance, table)
}

func TestKronecker(t *testing.T) {
	for _, s := range [][3]int{{1, 1, 1}, {4, 3, 5}, {7, 8, 4}, {300, 2, 3}} {
		rng := newRand(5)
		tokens, a, b := s[0], s[1], s[2]
		x, l, r := param(rng, "x", tokens, a*b, 1), param(rng, "l", a, a, 1), param(rng, "r", b, b, 1)
		f := func(t *Tape) *Var { return t.Kronecker(x, l, r) }
		compareGradients(t, f, stepSize, tolerance, x, l, r)
		y := f(&Tape{})
		for i := range a {
			for j := range b {
				var want float64
				for p := range a {
					for q := range b {
						want += float64(l.Data[i*a+p]) * float64(r.Data[j*b+q]) * float64(x.Data[p*b+q])
					}
				}
				if d := want - float64(y.Data[i*b+j]); d > 1e-5 || d < -1e-5 {
					t.Fatalf("(l ⊗ r)·x at [%d][%d]: %v, want %v", i, j, y.Data[i*b+j], want)
				}
			}
		}
	}
}

func TestBlockDiag(t *testing.T) {
	for _, n := range []int{1, 2, 6} {
		rng := newRand(6)
		const heads, d = 6, 5
		x, a := param(rng, "x", 4, heads*d, 1), param(rng, "a", n*d, d, 1)
		compareGradients(t, func(t *Tape) *Var { return t.BlockDiag(x, a, heads) }, stepSize, tolerance, x, a)
	}
}

// shifted is the map y_i = x_i + 2·x_{i−1} on pieces of 8.
type shifted struct{}

func (shifted) Width() int { return 8 }
func (shifted) Apply(p *parallel.Pool, x []float32, rows int) {
	for i := len(x) - 1; i >= 0; i-- {
		if i%8 > 0 {
			x[i] += 2 * x[i-1]
		}
	}
}
func (shifted) ApplyT(p *parallel.Pool, x []float32, rows int) {
	for i := range x {
		if i%8 < 7 {
			x[i] += 2 * x[i+1]
		}
	}
}

func TestTransform(t *testing.T) {
	x := param(newRand(7), "x", 3, 24, 1)
	compareGradients(t, func(t *Tape) *Var { return t.Transform(x, shifted{}) }, stepSize, tolerance, x)
}

func TestCayleyAndInverse(t *testing.T) {
	for _, n := range []int{1, 2, 5, 16} {
		rng := newRand(8)
		x := param(rng, "x", n, n, 0.5)
		tape := &Tape{}
		q := tape.Cayley(x)
		p := Const(n, n, q.Data)
		if d := (&CayleySGD{}).drift(p); d > 1e-6 {
			t.Errorf("Cayley of %d: q·qᵀ is %g from I", n, d)
		}
		if n > 1 {
			compareGradients(t, func(t *Tape) *Var { return t.Cayley(x) }, stepSize, tolerance, x)
		}
		for i := range n {
			x.Data[i*n+i] += 4
		}
		compareGradients(t, func(tp *Tape) *Var {
			y, err := tp.Inverse(x)
			if err != nil {
				t.Fatal(err)
			}
			return y
		}, stepSize, tolerance, x)
		y, _ := tape.Inverse(x)
		z := tape.MulNN(x, y)
		for i, v := range z.Data {
			want := float32(0)
			if i%(n+1) == 0 {
				want = 1
			}
			if d := v - want; d > 1e-6 || d < -1e-6 {
				t.Fatalf("x·x⁻¹ of %d: element %d is %v", n, i, v)
			}
		}
	}
	if _, err := (&Tape{}).Inverse(Const(2, 2, []float32{1, 2, 2, 4})); err == nil {
		t.Error("inverse of a singular matrix: no error")
	}
}

func TestRMSNorm(t *testing.T) {
	for _, s := range [][2]int{{1, 1}, {3, 7}, {5, 100}} {
		rng := newRand(9)
		x, gain := param(rng, "x", s[0], s[1], 1), positive(rng, "gain", 1, s[1])
		eps := 1e-5
		if s[1] == 1 {
			eps = 0.5 // or else x does not matter
		}
		compareGradients(t, func(t *Tape) *Var { return t.RMSNorm(x, gain, eps) }, stepSize, 2*tolerance, x, gain)
	}
}

func TestSwiGLU(t *testing.T) {
	rng := newRand(10)
	gate, up := param(rng, "gate", 3, 37, 2), param(rng, "up", 3, 37, 1)
	compareGradients(t, func(t *Tape) *Var { return t.SwiGLU(gate, up) }, stepSize, tolerance, gate, up)
}

func testRope(headDim, positions int) *llama.Rope {
	return llama.NewRope(&checkpoint.Config{HeadDim: headDim, RopeTheta: 100, MaxPositions: positions}, positions)
}

func TestRope(t *testing.T) {
	x := param(newRand(11), "x", 10, 18, 1)
	rope := testRope(6, 9)
	compareGradients(t, func(t *Tape) *Var { return t.Rope(x, rope, 5) }, stepSize, tolerance, x)
}

func TestAttention(t *testing.T) {
	for _, c := range []struct {
		name                     string
		heads, kv, dim           int
		sequences, window, slide int
	}{
		{"one", 1, 1, 2, 1, 1, 0},
		{"grouped", 4, 2, 6, 2, 5, 0},
		{"odd", 3, 3, 5, 3, 7, 0},
		{"sliding", 6, 2, 4, 2, 9, 3},
		{"long", 2, 1, 4, 1, queryRows + 9, 0},
		{"long sliding", 2, 1, 4, 1, 2*queryRows + 3, 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			rng := newRand(12)
			rows := c.sequences * c.window
			q, k, v := param(rng, "q", rows, c.heads*c.dim, 1), param(rng, "k", rows, c.kv*c.dim, 1), param(rng, "v", rows, c.kv*c.dim, 1)
			f := func(t *Tape) *Var {
				return t.Attention(q, k, v, Attend{Heads: c.heads, KVHeads: c.kv, Window: c.window, Sliding: c.slide})
			}
			if rows == 1 { // the only probability is 1
				compareGradients(t, f, stepSize, tolerance, v)
				return
			}
			compareGradients(t, f, stepSize, tolerance, q, k, v)
		})
	}
}

func TestMSE(t *testing.T) {
	rng := newRand(13)
	x, target := param(rng, "x", 5, 9, 1), Const(5, 9, normals(rng, 45, 1))
	weights := make([]float32, 9)
	for i := range weights {
		weights[i] = float32(i) / 4
	}
	compareGradients(t, func(t *Tape) *Var { return t.MSE(x, target, nil) }, stepSize, 4*tolerance, x)
	compareGradients(t, func(t *Tape) *Var { return t.MSE(x, target, weights) }, stepSize, 4*tolerance, x)
	compareGradients(t, func(t *Tape) *Var { return t.MSE(x, Const(5, 9, make([]float32, 45)), nil) }, stepSize, 4*tolerance, x)
}

func TestHeads(t *testing.T) {
	defer func(was int) { headFloats = was }(headFloats)
	headFloats = 100 // more than one block
	rng := newRand(14)
	const tokens, hidden, vocab = 21, 6, 11
	x, head := param(rng, "x", tokens, hidden, 1), param(rng, "head", vocab, hidden, 1)
	tx, th := Const(tokens, hidden, normals(rng, tokens*hidden, 1)), Const(vocab, hidden, normals(rng, vocab*hidden, 1))
	teacher := HeadLogits(nil, tx, th)
	compareGradients(t, func(t *Tape) *Var { return t.KL(x, head, teacher) }, 0.05, 2e-3, x, head)
	targets := make([]int, tokens)
	for i := range targets {
		targets[i] = rng.IntN(vocab+2) - 2
	}
	compareGradients(t, func(t *Tape) *Var { return t.CrossEntropy(x, head, targets) }, 0.05, 2e-3, x, head)

	var kl, ce, counted float64
	for r := range tokens {
		p, q := logProbabilities(tx.row(r), th), logProbabilities(x.row(r), head)
		for i := range p {
			kl += math.Exp(p[i]) * (p[i] - q[i]) / tokens
		}
		if targets[r] >= 0 {
			ce -= q[targets[r]]
			counted++
		}
	}
	for name, c := range map[string][2]float64{
		"KL":            {float64((&Tape{}).KL(x, head, teacher).Data[0]), kl},
		"cross entropy": {float64((&Tape{}).CrossEntropy(x, head, targets).Data[0]), ce / counted},
	} {
		if d := math.Abs(c[0] - c[1]); !(d <= 1e-6*c[1]) {
			t.Errorf("%s: %v, want %v", name, c[0], c[1])
		}
	}
}

// logProbabilities of the logits head·x, in float64.
func logProbabilities(x []float32, head *Var) []float64 {
	l := make([]float64, head.Rows)
	var sum float64
	for i := range l {
		for k, v := range head.row(i) {
			l[i] += float64(v) * float64(x[k])
		}
		sum += math.Exp(l[i])
	}
	for i := range l {
		l[i] -= math.Log(sum)
	}
	return l
}
