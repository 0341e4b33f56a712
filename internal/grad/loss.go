package grad

// MSE is the squared error of x against a constant target of the same shape, relative to
// the target's power: Σ w_c·(x − target)² / Σ w_c·target², with a weight for each column
// (nil: 1). If the target is all zero it is the mean squared error.
func (t *Tape) MSE(x, target *Var, weights []float32) *Var {
	same("squared error", x, target)
	demand(weights == nil || len(weights) == x.Cols, "%d weights for %d columns", len(weights), x.Cols)
	n := x.Cols
	weight := func(c int) float64 {
		if weights == nil {
			return 1
		}
		return float64(weights[c])
	}
	power := t.sumRows(x.Rows, n, func(r int) (sum float64) {
		for c, v := range target.row(r) {
			sum += weight(c) * float64(v) * float64(v)
		}
		return sum
	})
	if power == 0 {
		power = float64(max(len(x.Data), 1))
	}
	y := t.value(1, 1, x)
	y.Data[0] = float32(t.sumRows(x.Rows, n, func(r int) (sum float64) {
		u := x.row(r)
		for c, v := range target.row(r) {
			d := float64(u[c]) - float64(v)
			sum += weight(c) * d * d
		}
		return sum
	}) / power)
	t.record(y, func() {
		g, k := t.gradient(x), 2*float64(y.Grad[0])/power
		t.rows(x.Rows, n, func(r int) {
			u, dst := x.row(r), g[r*n:][:n]
			for c, v := range target.row(r) {
				dst[c] += float32(k * weight(c) * (float64(u[c]) - float64(v)))
			}
		})
	})
	return y
}

// SumSquares is factor·Σ x², a regularization term.
func (t *Tape) SumSquares(x *Var, factor float64) *Var {
	y := t.value(1, 1, x)
	y.Data[0] = float32(factor * t.sumRows(x.Rows, x.Cols, func(r int) (sum float64) {
		for _, v := range x.row(r) {
			sum += float64(v) * float64(v)
		}
		return sum
	}))
	t.record(y, func() {
		g, k := t.gradient(x), float32(2*factor)*y.Grad[0]
		t.elements(len(g), func(from, to int) {
			for i := from; i < to; i++ {
				g[i] += k * x.Data[i]
			}
		})
	})
	return y
}
