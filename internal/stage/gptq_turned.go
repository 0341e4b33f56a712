package stage

import (
	"github.com/specquant/specquant/internal/kernel"
	"github.com/specquant/specquant/internal/quant"
)

// turned is a layer column by column: weights, errors and codes lie [columns × rows],
// so that a vector register holds a column of many rows.
type turned struct {
	rows, n int
	ld      int       // from column to column
	width   int       // columns of a group
	scale   []float32 // [groups × rows], as are
	shift   []float32
}

// lanes is the rows that chunks are filled up to a multiple of: those of a vector,
// which no kernel leaves to a slower loop that rounds otherwise.
const lanes = 16

func newTurned(g quant.Grid, steps quant.Steps, rows, n int) *turned {
	t := &turned{rows: rows, n: n, ld: (rows + lanes - 1) / lanes * lanes, width: n}
	if t.ld%(2*lanes) == 0 {
		t.ld += lanes // columns at powers of two would share few lines of a cache
	}
	groups := g.Groups(n)
	if groups > 1 {
		t.width = g.Group
	}
	t.scale, t.shift = make([]float32, groups*t.ld), make([]float32, groups*t.ld)
	for i := range t.scale {
		t.scale[i] = 1 // where there is no row
	}
	for k := range groups {
		chunk{t, 0, rows, rows}.readSteps(g, steps, k)
	}
	return t
}

// chunk is some rows of it.
type chunk struct {
	*turned
	first, m int // the first row, and how many there are
	whole    int // m, filled up with what counts for nothing
}

// inline is for products within a chunk, the chunks having the threads.
var inline *kernel.Pool

// each calls fn for all chunks of the rows. What comes out for a row does not depend
// on its company, since that depends on the number of threads.
func (t *turned) each(p *kernel.Pool, fn func(c chunk)) {
	const least, most, turns = 32, 192, 4
	size := min(max(t.rows/(p.Threads()*turns)/least*least, least), most)
	p.Run((t.rows+size-1)/size, func(i int) {
		m := min(size, t.rows-i*size)
		fn(chunk{t, i * size, m, (m + lanes - 1) / lanes * lanes})
	})
}

// readSteps takes the steps of group k of all rows.
func (c chunk) readSteps(g quant.Grid, steps quant.Steps, k int) {
	groups := g.Groups(c.n)
	for i := c.first; i < c.first+c.m; i++ {
		c.scale[k*c.ld+i], c.shift[k*c.ld+i] = steps.At(g, i*groups+k)
	}
}

// steps are the scales and shifts of column j, of whole vectors.
func (c chunk) steps(j int) (scale, shift []float32) {
	k := j/c.width*c.ld + c.first
	return c.scale[k:][:c.whole], c.shift[k:][:c.whole]
}

// tile is how many columns are turned at a time: those of all rows of a chunk fit
// the first cache.
const tile = 16

// turn writes w to dst, its columns in the given order; nil: as they stand.
func (c chunk) turn(dst, w []float32, order []int) {
	w = w[c.first*c.n:]
	if order == nil {
		kernel.Transpose(dst[c.first:], c.ld, w, c.n, c.m, c.n)
		return
	}
	to := inverseOrder(order)
	some := make([]float32, tile*c.whole)
	for j := 0; j < c.n; j += tile {
		columns := min(tile, c.n-j)
		kernel.Transpose(some, c.whole, w[j:], c.n, c.m, columns)
		for k := range columns {
			copy(dst[to[j+k]*c.ld+c.first:][:c.m], some[k*c.whole:])
		}
	}
}

// back writes codes, whose columns are in the given order, to q as they stand there.
func (c chunk) back(q, codes []int8, order []int) {
	to, from := kernel.Bytes(q[c.first*c.n:]), kernel.Bytes(codes[c.first:])
	if order == nil {
		kernel.TransposeBytes(to, c.n, from, c.ld, c.n, c.m)
		return
	}
	at := inverseOrder(order)
	some := make([]byte, 4*tile*c.whole)
	for j := 0; j < c.n; j += 4 * tile {
		columns := min(4*tile, c.n-j)
		for k := range columns {
			copy(some[k*c.whole:][:c.m], from[at[j+k]*c.ld:])
		}
		kernel.TransposeBytes(to[j:], c.n, some, c.whole, columns, c.m)
	}
}

// inverseOrder is the position of each column.
func inverseOrder(order []int) []int {
	at := make([]int, len(order))
	for position, column := range order {
		at[column] = position
	}
	return at
}

// begin tells of the group that begins with column from, whose weights are in v up
// to column end, and takes the steps that it is given.
func (c chunk) begin(g quant.Grid, steps quant.Steps, from, end int, v, w []float32, begin func(row, from int, group []float32)) {
	group := make([]float32, end-from)
	for i := range c.m {
		if from == 0 {
			// Nothing has changed it yet, and it may be all of the row.
			begin(c.first+i, 0, w[(c.first+i)*c.n:][:c.width])
			continue
		}
		for j := range group {
			group[j] = v[j*c.ld+i]
		}
		begin(c.first+i, from, group)
	}
	c.readSteps(g, steps, from/c.width)
}
