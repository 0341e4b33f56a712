package grad

import "github.com/specquant/specquant/internal/kernel/float"

// Linear is y = x·wᵀ + bias, with x [tokens × in], w [out × in] as in checkpoints, and bias
// [1 × out] or nil.
func (t *Tape) Linear(x, w, bias *Var) *Var {
	y := t.MulNT(x, w)
	if bias == nil {
		return y
	}
	return t.Add(y, bias)
}

// MulNT is y = a·bᵀ for a [m × k] and b [n × k].
func (t *Tape) MulNT(a, b *Var) *Var {
	demand(a.Cols == b.Cols, "a·bᵀ of %s and %s", a.shape(), b.shape())
	m, n, k := a.Rows, b.Rows, a.Cols
	y := t.value(m, n, a, b)
	float.MatMulNT(t.Pool, y.Data, n, a.Data, k, b.Data, k, m, n, k, false)
	t.record(y, func() {
		if a.need { // dy·b
			g, fresh := t.target(a)
			float.MatMulNN(t.Pool, g, k, y.Grad, n, b.Data, k, m, k, n, !fresh)
		}
		if b.need { // dyᵀ·a
			g, fresh := t.target(b)
			float.MatMulTN(t.Pool, g, k, y.Grad, n, a.Data, k, n, k, m, !fresh)
		}
	})
	return y
}

// MulNN is y = a·b for a [m × k] and b [k × n]: for example, tokens times a transform, or
// weights times the rotation of their inputs.
func (t *Tape) MulNN(a, b *Var) *Var {
	demand(a.Cols == b.Rows, "a·b of %s and %s", a.shape(), b.shape())
	m, n, k := a.Rows, b.Cols, a.Cols
	y := t.value(m, n, a, b)
	float.MatMulNN(t.Pool, y.Data, n, a.Data, k, b.Data, n, m, n, k, false)
	t.record(y, func() {
		if a.need { // dy·bᵀ
			g, fresh := t.target(a)
			float.MatMulNT(t.Pool, g, k, y.Grad, n, b.Data, n, m, k, n, !fresh)
		}
		if b.need { // aᵀ·dy
			g, fresh := t.target(b)
			float.MatMulTN(t.Pool, g, n, a.Data, k, y.Grad, n, k, n, m, !fresh)
		}
	})
	return y
}

// MulTN is y = aᵀ·b for a [k × m] and b [k × n]: for example, weights b [out × in] whose
// outputs are rotated by a [out × out].
func (t *Tape) MulTN(a, b *Var) *Var {
	demand(a.Rows == b.Rows, "aᵀ·b of %s and %s", a.shape(), b.shape())
	m, n, k := a.Cols, b.Cols, a.Rows
	y := t.value(m, n, a, b)
	float.MatMulTN(t.Pool, y.Data, n, a.Data, m, b.Data, n, m, n, k, false)
	t.record(y, func() {
		if a.need { // b·dyᵀ
			g, fresh := t.target(a)
			float.MatMulNT(t.Pool, g, m, b.Data, n, y.Grad, n, k, m, n, !fresh)
		}
		if b.need { // a·dy
			g, fresh := t.target(b)
			float.MatMulNN(t.Pool, g, n, a.Data, m, y.Grad, n, k, n, m, !fresh)
		}
	})
	return y
}
