package grad

// Reshape returns x as [rows × cols]; it shares the memory of x.
func (t *Tape) Reshape(x *Var, rows, cols int) *Var {
	demand(rows*cols == len(x.Data), "reshape of %s to %d×%d", x.shape(), rows, cols)
	y := t.view(x, rows, cols)
	t.record(y, func() { t.pass(x, y) })
	return y
}

// Transpose is xᵀ.
func (t *Tape) Transpose(x *Var) *Var {
	y := t.value(x.Cols, x.Rows, x)
	t.rows(y.Rows, y.Cols, func(r int) {
		row := y.row(r)
		for c := range row {
			row[c] = x.Data[c*x.Cols+r]
		}
	})
	t.record(y, func() {
		g := t.gradient(x)
		t.rows(x.Rows, x.Cols, func(r int) {
			row := g[r*x.Cols:][:x.Cols]
			for c := range row {
				row[c] += y.Grad[c*y.Cols+r]
			}
		})
	})
	return y
}

// Gather picks columns: y[r][j] = x[r][from[j]]. A column may be picked more
// than once, as when query heads share what belongs to a kv head. from must
// not change until the gradient is computed.
func (t *Tape) Gather(x *Var, from []int) *Var {
	for _, c := range from {
		demand(c >= 0 && c < x.Cols, "column %d of %s", c, x.shape())
	}
	y := t.value(x.Rows, len(from), x)
	t.rows(y.Rows, y.Cols, func(r int) {
		row, src := y.row(r), x.row(r)
		for j, c := range from {
			row[j] = src[c]
		}
	})
	t.record(y, func() {
		g := t.gradient(x)
		t.rows(x.Rows, y.Cols, func(r int) {
			row, dy := g[r*x.Cols:][:x.Cols], y.Grad[r*y.Cols:][:y.Cols]
			for j, c := range from {
				row[c] += dy[j]
			}
		})
	})
	return y
}

// Embedding selects rows: y[i] = table[ids[i]], as [len(ids) × hidden]. ids must not change
// until the gradient is computed.
func (t *Tape) Embedding(table *Var, ids []int) *Var {
	for _, id := range ids {
		demand(id >= 0 && id < table.Rows, "row %d of %s", id, table.shape())
	}
	y := t.value(len(ids), table.Cols, table)
	t.rows(y.Rows, y.Cols, func(r int) { copy(y.row(r), table.row(ids[r])) })
	t.record(y, func() {
		g, n := t.gradient(table), table.Cols
		// Work is divided by columns, because a row may be selected more than once.
		t.Pool.Run((n+columnBlock-1)/columnBlock, func(i int) {
			from, to := i*columnBlock, min((i+1)*columnBlock, n)
			for r, id := range ids {
				dst, dy := g[id*n+from:id*n+to], y.Grad[r*n+from:r*n+to]
				for c, v := range dy {
					dst[c] += v
				}
			}
		})
	})
	return y
}
