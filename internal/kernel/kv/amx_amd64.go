package kv

import (
	"unsafe"

	"github.com/specquant/specquant/internal/kernel/cpu"
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

// kvAMXScoreArgs are the arguments of kvScoreAMX. Distances are in bytes.
type kvAMXScoreArgs struct {
	config     unsafe.Pointer // the shapes of the matrix registers
	keys       unsafe.Pointer // the first block of 16 positions
	blocks     int            // of 16 positions
	q          unsafe.Pointer // the high plane of the first row's query
	plane      int            // from the high plane to the low one
	qRow       int            // from row to row
	steps      int            // products for a key
	depth      int            // bytes of a query in one product
	keyBytes   int            // bytes of a block's keys in one product
	total      unsafe.Pointer // [16] int32: the sum of each query's integers
	scale, min unsafe.Pointer // of the keys, IEEE binary16
	dst        unsafe.Pointer // the scores
	dstRow     int            // from row to row of the scores
}

// kvAMXCombineArgs are the arguments of kvCombineAMX. Distances are in bytes.
type kvAMXCombineArgs struct {
	config  unsafe.Pointer // the shapes of the matrix registers
	w       unsafe.Pointer // the weights of the first row and block, as kvIntWeights writes them
	wRow    int            // from row to row of the weights
	values  unsafe.Pointer // the first four values
	next    int            // from four values to the next four
	block   int            // from 64 values to the next 64
	blocks  int            // of 64 positions
	tiles   int            // of 16 dimensions
	sums    unsafe.Pointer // the sums
	sumsRow int            // from row to row of the sums
	step    unsafe.Pointer // the weights' step of the first block
	stepRow int            // from row to row of the steps
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

// kvIntScoreAMX multiplies 16 queries with keys of 8 bits: see [kvIntScore].
func kvIntScoreAMX(a *kvIntScoreArgs) {
	steps, depth, _ := kvAMXSteps(a.steps)
	var config kvAMXConfig
	config.set(depth)
	kvScoreAMX(&kvAMXScoreArgs{config: unsafe.Pointer(&config), keys: a.keys, blocks: a.groups,
		q: a.q, plane: a.qRow / 2, qRow: a.qRow, steps: steps, depth: 4 * depth, keyBytes: 4 * depth * kvLanes,
		total: a.total, scale: a.scale, min: a.min, dst: a.dst, dstRow: a.dstRow})
}

// kvIntCombineAMX adds weighted values of 8 bits to the sums of 16 rows: see [kvIntCombine]. Whole
// blocks of 64 positions are read, which the cache and the weights have: its capacity is a
// multiple of that, and positions that no row sees have the weight 0.
func kvIntCombineAMX(a *kvIntCombineArgs, dims int) {
	const fours = kvIntBlock / 4
	var config kvAMXConfig
	config.set(fours)
	kvCombineAMX(&kvAMXCombineArgs{config: unsafe.Pointer(&config), w: a.w, wRow: a.wRow, values: a.values, next: a.next, block: fours * a.next,
		blocks: (a.fours + fours - 1) / fours, tiles: dims / kvLanes, sums: a.sums, sumsRow: a.sumsRow, step: a.step, stepRow: a.stepRow})
}
