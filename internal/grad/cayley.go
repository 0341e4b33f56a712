package grad

import (
	"fmt"

	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/linalg"
)

// Cayley returns an orthogonal matrix for any square x: with the skew-symmetric matrix a =
// lower(x) − lower(x)ᵀ, where lower is the strict lower triangle, it is q = (I − a)·(I +
// a)⁻¹ = 2·(I + a)⁻¹ − I. Zero gives the identity. It never fails: I + a has no singular
// value below 1.
func (t *Tape) Cayley(x *Var) *Var {
	n := x.Rows
	demand(x.Cols == n, "Cayley transform of %s", x.shape())
	m := make([]float64, n*n)
	for i := range n {
		m[i*n+i] = 1
		for j := range i {
			v := float64(x.Data[i*n+j])
			m[i*n+j], m[j*n+i] = v, -v
		}
	}
	inv := linalg.Invert(m, n) // never singular
	y := t.value(n, n, x)
	for i, v := range inv {
		y.Data[i] = float32(2 * v)
	}
	for i := range n {
		y.Data[i*n+i]--
	}
	t.record(y, func() {
		// q = 2·m⁻¹ − I: dm = −2·m⁻ᵀ·dq·m⁻ᵀ; a is m off the diagonal.
		g, dm := t.gradient(x), t.inverseGradient(inv, y.Grad, n)
		for i := range n {
			for j := range i {
				g[i*n+j] += 2 * (dm[i*n+j] - dm[j*n+i])
			}
		}
		t.give(dm)
	})
	return y
}

// Inverse is x⁻¹ of a square matrix, computed in float64. It is an error if x is singular.
func (t *Tape) Inverse(x *Var) (*Var, error) {
	n := x.Rows
	demand(x.Cols == n, "inverse of %s", x.shape())
	m := make([]float64, n*n)
	for i, v := range x.Data {
		m[i] = float64(v)
	}
	inv := linalg.Invert(m, n)
	if inv == nil {
		return nil, fmt.Errorf("matrix %q of %s is singular or not finite and has no inverse; lower the learning rate", x.Name, x.shape())
	}
	y := t.value(n, n, x)
	for i, v := range inv {
		y.Data[i] = float32(v)
	}
	t.record(y, func() {
		dm := t.inverseGradient(inv, y.Grad, n)
		float.AddToOn(t.Pool, t.gradient(x), dm)
		t.give(dm)
	})
	return y, nil
}

// inverseGradient returns −m⁻ᵀ·dy·m⁻ᵀ, the gradient of m for the gradient dy of m⁻¹.
func (t *Tape) inverseGradient(inv []float64, dy []float32, n int) []float32 {
	y := t.take(n * n)
	for i, v := range inv {
		y[i] = float32(v)
	}
	s, out := t.take(n*n), t.take(n*n)
	float.MatMulTN(t.Pool, s, n, y, n, dy, n, n, n, n, false)
	float.MatMulNT(t.Pool, out, n, s, n, y, n, n, n, n, false)
	for i, v := range out {
		out[i] = -v
	}
	t.give(y)
	t.give(s)
	return out
}
