package stage

import (
	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/quant"
)

// columns is the layout in which GPTQ works on a layer: weights, errors and codes are
// stored column by column, [columns × rows], so that a vector register holds one column
// of many rows.
type columns struct {
	rows, n int
	ld      int       // values from one column to the next
	width   int       // columns that share a step: a group, or all
	scale   []float32 // [groups × rows]
	shift   []float32 // [groups × rows]
}

// lanes is a multiple of the number of rows in a vector register of any kernel. Chunks are
// padded to a multiple of it, so that no rows are left for a slower loop that rounds
// differently.
const lanes = 16

func newColumns(g quant.Grid, steps quant.Steps, rows, n int) *columns {
	t := &columns{rows: rows, n: n, ld: (rows + lanes - 1) / lanes * lanes, width: n}
	if t.ld%(2*lanes) == 0 {
		t.ld += lanes // columns a power of two apart would compete for the same few cache sets
	}
	groups := g.Groups(n)
	if groups > 1 {
		t.width = g.Group
	}
	t.scale, t.shift = make([]float32, groups*t.ld), make([]float32, groups*t.ld)
	for i := range t.scale {
		t.scale[i] = 1 // of rows that are padding
	}
	for k := range groups {
		chunk{t, 0, rows, rows}.readSteps(g, steps, k)
	}
	return t
}

// chunk is some of the rows, for one thread.
type chunk struct {
	*columns
	first, m int // the first row, and how many there are
	whole    int // m, padded to whole vectors
}

// inline is the pool for products within a chunk: it runs them on the calling thread.
var inline *parallel.Pool

// each calls fn for all chunks of the rows. How rows are divided into chunks depends on
// the number of threads, so the result for a row must not depend on the other rows of its
// chunk.
func (t *columns) each(p *parallel.Pool, fn func(c chunk)) {
	const least, most, chunksPerThread = 32, 192, 4
	size := min(max(t.rows/(p.Threads()*chunksPerThread)/least*least, least), most)
	p.Run((t.rows+size-1)/size, func(i int) {
		m := min(size, t.rows-i*size)
		fn(chunk{t, i * size, m, (m + lanes - 1) / lanes * lanes})
	})
}

// readSteps copies the scales and shifts of group k for the chunk's rows.
func (c chunk) readSteps(g quant.Grid, steps quant.Steps, k int) {
	groups := g.Groups(c.n)
	for i := c.first; i < c.first+c.m; i++ {
		c.scale[k*c.ld+i], c.shift[k*c.ld+i] = steps.At(g, i*groups+k)
	}
}

// steps are the scales and shifts of column j, padded to whole vectors.
func (c chunk) steps(j int) (scale, shift []float32) {
	k := j/c.width*c.ld + c.first
	return c.scale[k:][:c.whole], c.shift[k:][:c.whole]
}

// tile is how many columns are transposed at a time: this many columns of a chunk fit into
// the first-level cache.
const tile = 16

// transpose writes w [rows × n] to dst [n × rows], with its columns in the given order, or
// unchanged if it is nil.
func (c chunk) transpose(dst, w []float32, order []int) {
	w = w[c.first*c.n:]
	if order == nil {
		float.Transpose(dst[c.first:], c.ld, w, c.n, c.m, c.n)
		return
	}
	to := inverseOrder(order)
	some := make([]float32, tile*c.whole)
	for j := 0; j < c.n; j += tile {
		many := min(tile, c.n-j)
		float.Transpose(some, c.whole, w[j:], c.n, c.m, many)
		for k := range many {
			copy(dst[to[j+k]*c.ld+c.first:][:c.m], some[k*c.whole:])
		}
	}
}

// transposeBack writes codes [n × rows], whose columns are in the given order, to q
// [rows × n] in their original order.
func (c chunk) transposeBack(q, codes []int8, order []int) {
	to, from := float.Bytes(q[c.first*c.n:]), float.Bytes(codes[c.first:])
	if order == nil {
		float.TransposeBytes(to, c.n, from, c.ld, c.n, c.m)
		return
	}
	at := inverseOrder(order)
	some := make([]byte, 4*tile*c.whole)
	for j := 0; j < c.n; j += 4 * tile {
		columns := min(4*tile, c.n-j)
		for k := range columns {
			copy(some[k*c.whole:][:c.m], from[at[j+k]*c.ld:])
		}
		float.TransposeBytes(to[j:], c.n, some, c.whole, columns, c.m)
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

// begin calls the function of the same name for each row of the chunk, for the group that
// begins at column from and whose weights are in v up to column end, and then reads the
// scales and shifts that it has set.
func (c chunk) begin(g quant.Grid, steps quant.Steps, from, end int, v, w []float32, begin func(row, from int, group []float32)) {
	group := make([]float32, end-from)
	for i := range c.m {
		if from == 0 {
			// Nothing has changed the row yet, and the group may be the whole row.
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
