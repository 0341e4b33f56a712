package kv

import (
	"unsafe"

	"github.com/specquant/specquant/internal/kernel/cpu"
	"github.com/specquant/specquant/internal/kernel/shape"
)

// Attention with the matrix registers of AMX, for a cache of 8 bits: 16 rows at a time. One
// instruction multiplies up to 64 bytes of the rows' queries with the keys of 16 positions, or
// the rows' weights of 64 positions with 16 dimensions of their values, whose bytes lie in
// memory as that instruction takes them. The sums are those that int.go defines, to the bit:
// integers are exact in any order, and what is done in float32 is done in the same order.

// kvAMXRows is the number of rows that the routines for AMX take.
const kvAMXRows = 16

// kvAMXLeast is the fewest rows for which they take less time than those for AVX-512 VNNI, which
// compute up to 8 rows together.
const kvAMXLeast = 9

// kvAMX reports whether the routines for AMX can compute attention over the cache.
func (c *Cache) kvAMX() bool {
	if cpu.Active() < cpu.AMX || c.Bits != 8 {
		return false
	}
	_, _, ok := kvAMXSteps(c.kvIntGroups())
	return ok
}

// kvAMXSteps cuts a key of so many groups of four bytes into products of as many groups each, at
// most 16; false if that is not possible without many small ones.
func kvAMXSteps(groups int) (steps, depth int, ok bool) {
	steps = (groups + 15) / 16
	return steps, groups / steps, groups%steps == 0
}

// kvPlace is where 64 positions of a kv head lie in the cache, which may be a page.
type kvPlace struct {
	data       unsafe.Pointer // keys or values
	scale, min unsafe.Pointer // of the keys, IEEE binary16
}

// kvPlaces are the positions of a call, from the one that the scores begin with. The last of each
// is there twice, so that a routine may always fetch the next one ahead.
type kvPlaces struct{ keys, values []kvPlace }

// kvAMXScoreArgs are the arguments of kvScoreAMX. Distances are in bytes.
type kvAMXScoreArgs struct {
	config   unsafe.Pointer // the shapes of the matrix registers
	pages    unsafe.Pointer // the first kvPlace
	blocks   int            // of 16 positions
	q        unsafe.Pointer // the high plane of the first row's query
	plane    int            // from the high plane to the low one
	qRow     int            // from row to row
	steps    int            // products for a key
	depth    int            // bytes of a query in one product
	keyBytes int            // bytes of a block's keys in one product
	total    unsafe.Pointer // [16] int32: the sum of each query's integers
	dst      unsafe.Pointer // the scores
	dstRow   int            // from row to row of the scores

	// Where the kernel is: the minima of the next keys, from the keys to those that are fetched
	// ahead, and the blocks of 16 positions left of a page.
	//lint:ignore U1000 only the assembly uses them
	min, ahead, left uintptr
}

// kvAMXCombineArgs are the arguments of kvCombineAMX. Distances are in bytes.
type kvAMXCombineArgs struct {
	config  unsafe.Pointer // the shapes of the matrix registers
	w       unsafe.Pointer // the weights of the first row and block, as kvSoftmax writes them
	wRow    int            // from row to row of the weights
	pages   unsafe.Pointer // the first kvPlace
	next    int            // from four values to the next four
	blocks  int            // of 64 positions
	tiles   int            // of 16 dimensions
	sums    unsafe.Pointer // the sums
	sumsRow int            // from row to row of the sums
	step    unsafe.Pointer // the weights' step of the first block
	stepRow int            // from row to row of the steps

	// Where the kernel is: from the values to those that are fetched ahead.
	//lint:ignore U1000 only the assembly uses it
	ahead uintptr
}

// kvAMXConfig is what the instruction LDTILECFG reads: for each of 8 matrix registers the bytes
// of a row and the number of rows. Registers 0 and 1 hold sums, 4 and 5 the two planes of
// queries or weights, 6 keys or values.
type kvAMXConfig struct {
	palette, startRow uint8
	_                 [14]uint8
	rowBytes          [16]uint16
	rows              [16]uint8
}

// set makes the configuration for products of so many groups of four bytes.
func (c *kvAMXConfig) set(depth int) {
	c.palette = 1
	for i := range 2 {
		c.rowBytes[i], c.rows[i] = 64, kvAMXRows
		c.rowBytes[4+i], c.rows[4+i] = uint16(4*depth), kvAMXRows
	}
	c.rowBytes[6], c.rows[6] = 64, uint8(depth)
}

// listPlaces lists where the positions of the call lie, if routines for AMX are to read them.
func (a *kvCall) listPlaces() {
	if a.s.tiles[0].rows != kvAMXRows {
		return
	}
	c, b, n := a.c, &a.s.places, shape.CeilDiv(a.end-a.lo, kvAlign)
	key, value := c.keyRow(), c.valueRow()
	b.keys, b.values = growTo(b.keys, n+1), growTo(b.values, n+1)
	for i := range n {
		position := a.lo + i*kvAlign
		in, at, _ := c.piece(position, position+kvAlign)
		at += a.head * in.capacity
		keys, values, scales, minima := in.keys[at*key:][:kvAlign*key], in.values[at*value:][:kvAlign*value], in.ks[at:][:kvAlign], in.km[at:][:kvAlign]
		b.keys[i] = kvPlace{unsafe.Pointer(&keys[0]), unsafe.Pointer(&scales[0]), unsafe.Pointer(&minima[0])}
		b.values[i] = kvPlace{data: unsafe.Pointer(&values[0])}
	}
	b.keys[n], b.values[n] = b.keys[n-1], b.values[n-1]
}

// forget removes the addresses of the call's positions, so that the pages can be freed.
func (b *kvPlaces) forget() {
	clear(b.keys)
	clear(b.values)
}

// scoreTile computes the scores of a tile of 16 rows with the positions from…to-1; false, with
// nothing done, if the tile has fewer rows.
func (a *kvCall) scoreTile(t kvTile, from, to int) bool {
	if t.rows != kvAMXRows {
		return false
	}
	s, groups := a.s, a.c.kvIntGroups()
	from &^= kvAlign - 1
	blocks := shape.CeilDiv(to-from, kvLanes)
	steps, depth, _ := kvAMXSteps(groups)
	q, total, dst := s.ints[t.row*groups*8:][:kvAMXRows*groups*8], s.total[t.row:][:kvAMXRows], s.scores[t.row*a.width+from-a.lo:]
	_ = dst[(kvAMXRows-1)*a.width+blocks*kvLanes-1]
	pages := s.places.keys[(from-a.lo)/kvAlign:][:shape.CeilDiv(to-from, kvAlign)+1]
	var config kvAMXConfig
	config.set(depth)
	kvScoreAMX(&kvAMXScoreArgs{config: unsafe.Pointer(&config), pages: unsafe.Pointer(&pages[0]), blocks: blocks,
		q: unsafe.Pointer(&q[0]), plane: groups * 4, qRow: groups * 8, steps: steps, depth: 4 * depth, keyBytes: 4 * depth * kvLanes,
		total: unsafe.Pointer(&total[0]), dst: kvFirst(dst), dstRow: 4 * a.width})
	return true
}

// combineTile adds the weighted values of the positions from…to-1 to the sums of a tile of 16
// rows; false, with nothing done, if the tile has fewer rows. It reads whole blocks of 64 positions:
// those that no row sees have the weight 0.
func (a *kvCall) combineTile(t kvTile, from, to int, sums []float32) bool {
	if t.rows != kvAMXRows {
		return false
	}
	const fours = kvIntBlock / 4
	s, first, blocks, steps := a.s, (from-a.lo)/kvIntBlock, shape.CeilDiv(to-from, kvIntBlock), a.width/kvIntBlock
	w, step, sums := s.weights[2*t.row*a.width+2*first*kvIntBlock:], s.step[t.row*steps+first:], sums[t.row*a.dims:][:kvAMXRows*a.dims]
	_, _ = w[2*((kvAMXRows-1)*a.width+blocks*kvIntBlock)-1], step[(kvAMXRows-1)*steps+blocks-1]
	pages := s.places.values[first:][:blocks+1]
	var config kvAMXConfig
	config.set(fours)
	kvCombineAMX(&kvAMXCombineArgs{config: unsafe.Pointer(&config), w: unsafe.Pointer(&w[0]), wRow: 2 * a.width,
		pages: unsafe.Pointer(&pages[0]), next: 4 * a.c.valueRow(), blocks: blocks, tiles: a.dims / kvLanes,
		sums: kvFirst(sums), sumsRow: 4 * a.dims, step: kvFirst(step), stepRow: 4 * steps})
	return true
}
