package grad

import (
	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/llama"
)

// Rope rotates each head of x [tokens × heads·head_dim] by its position. Rows are windows
// of `window` tokens, one after another: row r is at position r mod window. The gradient is
// rotated back.
func (t *Tape) Rope(x *Var, rope *llama.Rope, window int) *Var {
	dim := 2 * rope.Half
	demand(dim > 0 && x.Cols%dim == 0 && window > 0 && x.Rows%window == 0 && window <= rope.Positions,
		"RoPE of %s: heads of %d, windows of %d, %d positions", x.shape(), dim, window, rope.Positions)
	y := t.value(x.Rows, x.Cols, x)
	t.rows(x.Rows, x.Cols, func(r int) {
		row := y.row(r)
		copy(row, x.row(r))
		for o := 0; o < len(row); o += dim {
			rope.Apply(row[o:o+dim], r%window)
		}
	})
	t.record(y, func() {
		sin := t.take(window * rope.Half)
		for i := range sin {
			sin[i] = -rope.Sin[i]
		}
		t.rows(x.Rows, x.Cols, func(r int) {
			row, at := y.Grad[r*x.Cols:][:x.Cols], r%window*rope.Half
			for o := 0; o < len(row); o += dim {
				float.Rope(row[o:o+dim], rope.Cos[at:at+rope.Half], sin[at:at+rope.Half])
			}
		})
		t.give(sin)
		t.pass(x, y)
	})
	return y
}
