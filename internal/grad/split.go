package grad

import "fmt"

// chunk is how many elements of an element-wise loop make a unit of work.
const chunk = 16 << 10

// elements runs f over fixed pieces of n elements.
func (t *Tape) elements(n int, f func(from, to int)) {
	t.Pool.Run((n+chunk-1)/chunk, func(i int) { f(i*chunk, min((i+1)*chunk, n)) })
}

// rows runs f for each of n rows of cols elements.
func (t *Tape) rows(n, cols int, f func(r int)) {
	each := max(1, chunk/max(1, cols))
	t.Pool.Run((n+each-1)/each, func(i int) {
		for r := i * each; r < min((i+1)*each, n); r++ {
			f(r)
		}
	})
}

// columnBlock is how many columns a unit of work sums: a few cache lines, so that rows are
// read in order.
const columnBlock = 64

// columns adds to each dst[c] the sum over rows of the terms for element (r, c), in
// ascending order of rows and in float64. f gets a row and a range of columns from…to and
// adds its terms to the sums of those columns.
func (t *Tape) columns(dst []float32, rows int, f func(r, from, to int, sums []float64)) {
	cols := len(dst)
	t.Pool.Run((cols+columnBlock-1)/columnBlock, func(i int) {
		var sums [columnBlock]float64
		from, to := i*columnBlock, min((i+1)*columnBlock, cols)
		for r := range rows {
			f(r, from, to, sums[:to-from])
		}
		for c, s := range sums[:to-from] {
			dst[from+c] += float32(s)
		}
	})
}

// sumRows returns Σ f(r), rows ascending.
func (t *Tape) sumRows(n, cols int, f func(r int) float64) float64 {
	part := make([]float64, n)
	t.rows(n, cols, func(r int) { part[r] = f(r) })
	var sum float64
	for _, v := range part {
		sum += v
	}
	return sum
}

// same panics unless the shapes of a and b agree.
func same(op string, a, b *Var) {
	if a.Rows != b.Rows || a.Cols != b.Cols {
		panic(fmt.Sprintf("grad: %s of %s and %s", op, a.shape(), b.shape()))
	}
}

// demand panics with a message unless ok.
func demand(ok bool, format string, args ...any) {
	if !ok {
		panic("grad: " + fmt.Sprintf(format, args...))
	}
}
