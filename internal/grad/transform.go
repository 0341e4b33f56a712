package grad

import (
	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
)

// inline runs products on the calling thread, for use inside units of work.
var inline *parallel.Pool

// kroneckerTokens is how many tokens share one partial sum of dL. It limits the number of
// partial sums, and depends only on the shape.
const kroneckerTokens = 128

// Kronecker applies l ⊗ r to each row: a row of x [tokens × a·b], as a matrix a×b, becomes
// l·x·rᵀ, for l [a × a] and r [b × b] (FlatQuant, arXiv 2410.09426, equation 4). It takes
// a+b multiplications per element instead of a·b.
func (t *Tape) Kronecker(x, l, r *Var) *Var {
	a, b := l.Rows, r.Rows
	demand(l.Cols == a && r.Cols == b && x.Cols == a*b, "(%s ⊗ %s) on rows of %d", l.shape(), r.shape(), x.Cols)
	z := t.MulNT(t.Reshape(x, x.Rows*a, b), r)
	return t.leftEach(t.Reshape(z, x.Rows, a*b), l)
}

// leftEach multiplies each row of x, seen as a×b, by l [a × a] from the left.
func (t *Tape) leftEach(x, l *Var) *Var {
	a := l.Rows
	b, n := x.Cols/max(a, 1), x.Cols
	y := t.value(x.Rows, n, x, l)
	t.rows(x.Rows, n, func(r int) {
		float.MatMulNN(inline, y.Data[r*n:], b, l.Data, a, x.Data[r*n:], b, a, b, a, false)
	})
	t.record(y, func() {
		if x.need { // lᵀ·dy
			g, fresh := t.target(x)
			t.rows(x.Rows, n, func(r int) {
				float.MatMulTN(inline, g[r*n:], b, l.Data, a, y.Grad[r*n:], b, a, b, a, !fresh)
			})
		}
		if l.need {
			t.leftEachFactor(x, l, y)
		}
	})
	return y
}

// leftEachFactor adds Σ dy·xᵀ over the tokens to the gradient of l.
func (t *Tape) leftEachFactor(x, l, y *Var) {
	a, n := l.Rows, x.Cols
	b := n / max(a, 1)
	parts := (x.Rows + kroneckerTokens - 1) / kroneckerTokens
	sums := t.take(parts * a * a)
	defer t.give(sums)
	t.Pool.Run(parts, func(i int) {
		from := i * kroneckerTokens
		for r := from; r < min(from+kroneckerTokens, x.Rows); r++ {
			float.MatMulNT(inline, sums[i*a*a:], a, y.Grad[r*n:], b, x.Data[r*n:], b, a, a, b, r > from)
		}
	})
	g := t.gradient(l)
	for i := range parts {
		float.AddTo(g, sums[i*a*a:][:a*a])
	}
}

// BlockDiag multiplies each head of a row by a matrix: y_h = x_h·a_h. x is [tokens ×
// heads·d]; a [n·d × d] holds n matrices, where n divides heads: head h uses matrix
// h·n/heads. So all heads may share one matrix, or those of a kv head (as in SpinQuant's R2
// and FlatQuant's P_h).
func (t *Tape) BlockDiag(x, a *Var, heads int) *Var {
	d := a.Cols
	demand(d > 0 && a.Rows > 0 && a.Rows%d == 0 && x.Cols == heads*d && heads%(a.Rows/d) == 0,
		"%s blocks for %d heads in rows of %d", a.shape(), heads, x.Cols)
	share := heads / (a.Rows / d) // heads that share a matrix
	ld := x.Cols
	at := func(h int) int { return h / share * d * d }
	y := t.value(x.Rows, x.Cols, x, a)
	t.Pool.Run(heads, func(h int) {
		float.MatMulNN(inline, y.Data[h*d:], ld, x.Data[h*d:], ld, a.Data[at(h):], d, x.Rows, d, d, false)
	})
	t.record(y, func() {
		if x.need {
			g, fresh := t.target(x)
			t.Pool.Run(heads, func(h int) {
				float.MatMulNT(inline, g[h*d:], ld, y.Grad[h*d:], ld, a.Data[at(h):], d, x.Rows, d, d, !fresh)
			})
		}
		if a.need {
			g := t.gradient(a)
			t.Pool.Run(heads/share, func(i int) {
				for h := i * share; h < (i+1)*share; h++ {
					float.MatMulTN(inline, g[i*d*d:], d, x.Data[h*d:], ld, y.Grad[h*d:], ld, d, d, x.Rows, true)
				}
			})
		}
	})
	return y
}

// LinearMap is a constant square matrix with a fast product, such as a Hadamard matrix: see
// linalg.Transform. Apply multiplies each row of x [rows × Width] by the matrix, ApplyT by
// its transpose, in place.
type LinearMap interface {
	Width() int
	Apply(p *parallel.Pool, x []float32, rows int)
	ApplyT(p *parallel.Pool, x []float32, rows int)
}

// Transform applies a constant linear map to each row of x or, if the map is narrower, to
// each of the pieces, such as heads, that a row consists of.
func (t *Tape) Transform(x *Var, m LinearMap) *Var {
	w := m.Width()
	demand(w > 0 && x.Cols%w == 0, "a map of width %d on %s", w, x.shape())
	y := t.value(x.Rows, x.Cols, x)
	copy(y.Data, x.Data)
	m.Apply(t.Pool, y.Data, len(y.Data)/w)
	t.record(y, func() {
		m.ApplyT(t.Pool, y.Grad, len(y.Grad)/w)
		t.pass(x, y)
	})
	return y
}
