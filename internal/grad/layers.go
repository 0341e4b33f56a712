package grad

import (
	"math"

	"github.com/specquant/specquant/internal/kernel/float"
)

// RMSNorm is x/√(mean(x²)+eps)·gain for each row of x [tokens × n], gain
// [1 × n], as float.RMSNorm computes it.
func (t *Tape) RMSNorm(x, gain *Var, eps float64) *Var {
	n := x.Cols
	demand(gain.Rows == 1 && gain.Cols == n, "norm of %s with gains %s", x.shape(), gain.shape())
	y := t.value(x.Rows, n, x, gain)
	float.RMSNormOn(t.Pool, y.Data, x.Data, gain.Data, eps, x.Rows)
	t.record(y, func() {
		inv := t.take(x.Rows)
		t.rows(x.Rows, n, func(r int) {
			inv[r] = float32(1 / math.Sqrt(float.SumSquares(x.row(r))/float64(n)+eps))
		})
		if gain.need {
			t.columns(t.gradient(gain), x.Rows, func(r, from, to int, sums []float64) {
				row, dy := x.row(r)[from:to], y.Grad[r*n+from:r*n+to]
				for c, d := range dy {
					sums[c] += float64(d * row[c] * inv[r])
				}
			})
		}
		if x.need {
			g := t.gradient(x)
			t.rows(x.Rows, n, func(r int) {
				normGradient(g[r*n:][:n], x.row(r), gain.Data, y.Grad[r*n:][:n], inv[r])
			})
		}
		t.give(inv)
	})
	return y
}

// normGradient adds the gradient of x for the gradient dy of the result: with ĝ = gain·dy,
// dx = inv·(ĝ − x·inv²·mean(ĝ·x)).
func normGradient(dx, x, gain, dy []float32, inv float32) {
	var dot float64
	for i, v := range x {
		dot += float64(v * gain[i] * dy[i])
	}
	k := float32(dot*float64(inv)*float64(inv)/float64(len(x))) * inv
	for i, v := range x {
		dx[i] += inv*gain[i]*dy[i] - k*v
	}
}

// SwiGLU is silu(gate)·up, silu(g) = g/(1 + exp(−g)), as float.SwiGLU computes
// it.
func (t *Tape) SwiGLU(gate, up *Var) *Var {
	same("SwiGLU", gate, up)
	y := t.value(gate.Rows, gate.Cols, gate, up)
	t.elements(len(y.Data), func(from, to int) {
		copy(y.Data[from:to], gate.Data[from:to])
		float.SwiGLU(y.Data[from:to], up.Data[from:to])
	})
	t.record(y, func() {
		var dg, du []float32
		if gate.need {
			dg = t.gradient(gate)
		}
		if up.need {
			du = t.gradient(up)
		}
		s := t.take(len(y.Data)) // 1/(1 + exp(−gate))
		t.elements(len(s), func(from, to int) {
			sigmoid(s[from:to], gate.Data[from:to])
			if dg != nil {
				gateGradient(dg[from:to], y.Grad[from:to], gate.Data[from:to], up.Data[from:to], s[from:to])
			}
			if du != nil {
				for i := from; i < to; i++ {
					du[i] += y.Grad[i] * gate.Data[i] * s[i]
				}
			}
		})
		t.give(s)
	})
	return y
}

func sigmoid(dst, x []float32) {
	for i, v := range x {
		dst[i] = -v
	}
	float.Exp(dst)
	for i, v := range dst {
		dst[i] = 1 / (1 + v)
	}
}

// gateGradient adds dy·up·silu′(gate), silu′(g) = s·(1 + g·(1−s)).
func gateGradient(dg, dy, gate, up, s []float32) {
	for i, v := range s {
		dg[i] += dy[i] * up[i] * v * (1 + gate[i]*(1-v))
	}
}
