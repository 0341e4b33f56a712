package grad

import (
	"math"

	"github.com/specquant/specquant/internal/kernel/float"
)

// spread is how the second operand of an element-wise operation is repeated over the first
// [rows × cols].
type spread int

const (
	whole  spread = iota // [rows × cols]: element by element
	byCol                // [1 × cols]: the same vector for every row
	byRow                // [rows × 1]: one number for each row
	single               // [1 × 1]
)

func spreadOf(op string, a, b *Var) spread {
	switch {
	case b.Rows == a.Rows && b.Cols == a.Cols:
		return whole
	case b.Rows == 1 && b.Cols == a.Cols:
		return byCol
	case b.Rows == a.Rows && b.Cols == 1:
		return byRow
	case b.Rows == 1 && b.Cols == 1:
		return single
	}
	demand(false, "%s of %s and %s", op, a.shape(), b.shape())
	return whole
}

// at is the index in b of the element used for row r and column c of a.
func (s spread) at(r, c, cols int) int {
	switch s {
	case whole:
		return r*cols + c
	case byCol:
		return c
	case byRow:
		return r
	}
	return 0
}

// Add is a + b. b has the shape of a, or is a row [1 × cols] that is added to every row, a
// column [rows × 1], or a number [1 × 1]. This holds for all operations below.
func (t *Tape) Add(a, b *Var) *Var {
	s := spreadOf("sum", a, b)
	y := t.sum(a, b, s)
	t.record(y, func() {
		t.addToSecond(b, y, s)
		t.pass(a, y)
	})
	return y
}

// addToSecond passes the gradient of a sum to its second operand, usually a bias, without a
// function call for each element.
func (t *Tape) addToSecond(b, y *Var, s spread) {
	switch {
	case !b.need:
	case s == whole:
		float.AddToOn(t.Pool, t.gradient(b), y.Grad)
	case s == byCol:
		n := y.Cols
		t.columns(t.gradient(b), y.Rows, func(r, from, to int, sums []float64) {
			for c, v := range y.Grad[r*n+from : r*n+to] {
				sums[c] += float64(v)
			}
		})
	default:
		t.toSecond(b, y, s, func(dy float32, _, _ int) float32 { return dy })
	}
}

// Sub is a − b.
func (t *Tape) Sub(a, b *Var) *Var {
	s := spreadOf("difference", a, b)
	y := t.zip(a, b, s, func(u, v float32) float32 { return u - v })
	t.record(y, func() {
		t.toSecond(b, y, s, func(dy float32, _, _ int) float32 { return -dy })
		t.pass(a, y)
	})
	return y
}

// Mul is a·b element by element; with a row it scales channels.
func (t *Tape) Mul(a, b *Var) *Var {
	s := spreadOf("element-wise product", a, b)
	y := t.zip(a, b, s, func(u, v float32) float32 { return u * v })
	t.record(y, func() {
		t.toSecond(b, y, s, func(dy float32, i, _ int) float32 { return dy * a.Data[i] })
		t.toFirst(a, y, s, func(dy float32, _, j int) float32 { return dy * b.Data[j] })
	})
	return y
}

// Div is a/b element by element; with a row it is smoothing.
func (t *Tape) Div(a, b *Var) *Var {
	s := spreadOf("element-wise quotient", a, b)
	y := t.zip(a, b, s, func(u, v float32) float32 { return u / v })
	t.record(y, func() {
		t.toSecond(b, y, s, func(dy float32, i, j int) float32 { return -dy * y.Data[i] / b.Data[j] })
		t.toFirst(a, y, s, func(dy float32, _, j int) float32 { return dy / b.Data[j] })
	})
	return y
}

// zip returns f(a, b), element by element.
func (t *Tape) zip(a, b *Var, s spread, f func(u, v float32) float32) *Var {
	y := t.value(a.Rows, a.Cols, a, b)
	n := a.Cols
	t.rows(a.Rows, n, func(r int) {
		dst, u := y.row(r), a.row(r)
		switch s {
		case whole, byCol:
			v := b.Data[s.at(r, 0, n):][:n]
			for c := range dst {
				dst[c] = f(u[c], v[c])
			}
		default:
			v := b.Data[s.at(r, 0, n)]
			for c := range dst {
				dst[c] = f(u[c], v)
			}
		}
	})
	return y
}

// toFirst adds f(dy, i, j) to the gradient of a, where i is the element's index
// in a and j that in the other operand.
func (t *Tape) toFirst(a, y *Var, s spread, f func(dy float32, i, j int) float32) {
	if !a.need {
		return
	}
	g, n := t.gradient(a), a.Cols
	t.rows(a.Rows, n, func(r int) {
		for c := range n {
			i := r*n + c
			g[i] += f(y.Grad[i], i, s.at(r, c, n))
		}
	})
}

// toSecond adds f(dy, i, j), summed over the repetitions of b, to the gradient of b.
func (t *Tape) toSecond(b, y *Var, s spread, f func(dy float32, i, j int) float32) {
	if !b.need {
		return
	}
	g, n := t.gradient(b), y.Cols
	rowSum := func(r int) (sum float64) {
		for c := range n {
			i := r*n + c
			sum += float64(f(y.Grad[i], i, s.at(r, c, n)))
		}
		return sum
	}
	switch s {
	case whole:
		t.toFirst(b, y, s, f)
	case byCol:
		t.columns(g, y.Rows, func(r, from, to int, sums []float64) {
			for c := from; c < to; c++ {
				sums[c-from] += float64(f(y.Grad[r*n+c], r*n+c, c))
			}
		})
	case byRow:
		t.rows(y.Rows, n, func(r int) { g[r] += float32(rowSum(r)) })
	case single:
		g[0] += float32(t.sumRows(y.Rows, n, rowSum))
	}
}

// Scale is x·factor with a constant factor.
func (t *Tape) Scale(x *Var, factor float32) *Var {
	return t.each(x, func(v float32) float32 { return v * factor },
		func(_, _ float32) float32 { return factor })
}

// Exp is exp(x) element by element, for positive scales from their logarithms.
func (t *Tape) Exp(x *Var) *Var {
	return t.each(x, func(v float32) float32 { return float32(math.Exp(float64(v))) },
		func(_, y float32) float32 { return y })
}

// Sigmoid is 1/(1 + exp(−x)) element by element, for clip factors from their logits
// (OmniQuant's γ and β).
func (t *Tape) Sigmoid(x *Var) *Var {
	return t.each(x, func(v float32) float32 { return float32(1 / (1 + math.Exp(-float64(v)))) },
		func(_, y float32) float32 { return y * (1 - y) })
}

// each returns f(x), given the derivative as a function of x and f(x).
func (t *Tape) each(x *Var, f func(v float32) float32, derivative func(x, y float32) float32) *Var {
	y := t.value(x.Rows, x.Cols, x)
	t.elements(len(x.Data), func(from, to int) {
		for i := from; i < to; i++ {
			y.Data[i] = f(x.Data[i])
		}
	})
	t.record(y, func() {
		g := t.gradient(x)
		t.elements(len(x.Data), func(from, to int) {
			for i := from; i < to; i++ {
				g[i] += y.Grad[i] * derivative(x.Data[i], y.Data[i])
			}
		})
	})
	return y
}

// RoundF16 rounds each element to 16 bits; its gradient is passed through unchanged.
func (t *Tape) RoundF16(x *Var) *Var {
	y := t.value(x.Rows, x.Cols, x)
	t.elements(len(x.Data), func(from, to int) {
		copy(y.Data[from:to], x.Data[from:to])
		float.RoundF16(y.Data[from:to])
	})
	t.record(y, func() { t.pass(x, y) })
	return y
}

// sum is zip for addition, with vector instructions.
func (t *Tape) sum(a, b *Var, s spread) *Var {
	if s == byRow || s == single {
		return t.zip(a, b, s, func(u, v float32) float32 { return u + v })
	}
	y := t.value(a.Rows, a.Cols, a, b)
	t.rows(a.Rows, a.Cols, func(r int) {
		copy(y.row(r), a.row(r))
		float.AddTo(y.row(r), b.Data[s.at(r, 0, a.Cols):][:a.Cols])
	})
	return y
}
