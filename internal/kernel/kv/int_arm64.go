package kv

import (
	"unsafe"

	"github.com/specquant/specquant/internal/kernel/cpu"
)

// Attention over a cache of integers in assembly: see int.go for what it computes.

// kvIntScoreArgs are the arguments of a kernel that multiplies a tile of queries with
// blocks of 16 keys.
type kvIntScoreArgs struct {
	keys       unsafe.Pointer // first block
	blockBytes int            // from block to block
	steps      int            // of a block: four bytes of each key
	groups     int            // groups of blocks
	q          unsafe.Pointer // see kvIntRow
	qRow       int            // bytes from row to row; with planes twice the bytes from plane to plane
	total      unsafe.Pointer // [rows], int32
	scale, min unsafe.Pointer
	dst        unsafe.Pointer
	dstRow     int // bytes from row to row
}

// kvIntCombineArgs are the arguments of a kernel that adds weighted values to sums.
type kvIntCombineArgs struct {
	w       unsafe.Pointer // as kvIntWeights writes them
	wRow    int            // bytes from row to row
	values  unsafe.Pointer
	next    int // bytes from four positions to the next four
	fours   int // how many of them
	sums    unsafe.Pointer
	sumsRow int            // bytes from row to row
	step    unsafe.Pointer // of the first block
	stepRow int            // bytes from row to row
}

// The kernels read integers of 15 bits as they are.
func kvIntPlanes() bool { return false }

// kvIntTileRows is kvTileRows for a cache of integers, kvIntUnit is kvUnit.
func kvIntTileRows(left int) int { return kvTileRows(left) }
func kvIntUnit(rows int) int     { return kvLanes }

// kvIntRound rounds x·inv into u, whole blocks of 16, and returns how many numbers those are
// and their sum.
func kvIntRound(u []byte, x []float32, inv float32, bits int) (n int, total int32) {
	if n = kvBlocks(len(x)); n == 0 {
		return 0, 0
	}
	_ = u[2*n-1]
	if bits == 4 {
		return n, kvIntRound4NEON(unsafe.Pointer(&u[0]), kvFirst(x), inv, n)
	}
	return n, kvIntRound8NEON(unsafe.Pointer(&u[0]), kvFirst(x), inv, n)
}

// kvIntScoreBlocks computes what scoresInt does, in assembly. It returns false if the active
// tier has none.
func kvIntScoreBlocks(c *Cache, head, from, n int, q []byte, total []int32, dst []float32, stride int) bool {
	if cpu.Active() < cpu.NEON {
		return false
	}
	at, row, rows := head*c.capacity+from, c.keyRow(), len(total)
	a := kvIntScoreArgs{keys: unsafe.Pointer(&c.keys[at*row]), blockBytes: kvLanes * row, steps: row / 4, groups: n / kvLanes,
		q: unsafe.Pointer(&q[0]), qRow: len(q) / rows, total: unsafe.Pointer(&total[0]), scale: unsafe.Pointer(&c.ks[at]), min: unsafe.Pointer(&c.km[at]),
		dst: kvFirst(dst), dstRow: 4 * stride}
	// Go checks the bounds of the last element that the kernel reads or writes.
	_, _, _ = c.keys[(at+n)*row-1], c.ks[at+n-1], dst[(rows-1)*stride+n-1]
	kvIntScoreNEON(&a, rows, kvLanes, c.Bits)
	return true
}

// kvIntWeightBlocks computes what kvIntWeights does, in assembly. It returns false if the
// active tier has none.
func kvIntWeightBlocks(dst []byte, step, w []float32) bool {
	if cpu.Active() < cpu.NEON || len(step) == 0 {
		return false
	}
	n := len(step) * kvIntBlock
	_, _ = dst[2*n-1], w[n-1]
	kvIntWeightsNEON(unsafe.Pointer(&dst[0]), kvFirst(step), kvFirst(w), len(step))
	return true
}

// kvIntCombineBlocks computes what combineInt does, in assembly. It returns false if the
// active tier has none.
func kvIntCombineBlocks(c *Cache, head, from, n int, w []byte, wRow int, step []float32, stepRow, rows int, sums []float32, dims int) bool {
	if cpu.Active() < cpu.NEON {
		return false
	}
	at, row := head*c.capacity+from, c.valueRow()
	_, _, _ = w[(rows-1)*wRow+2*n-1], step[(rows-1)*stepRow+(n-1)/kvIntBlock], sums[rows*dims-1]
	_ = c.values[(at+n)*row-1]
	a := kvIntCombineArgs{w: unsafe.Pointer(&w[0]), wRow: wRow, values: unsafe.Pointer(&c.values[at*row]), next: 4 * row, fours: n / 4,
		sums: kvFirst(sums), sumsRow: 4 * dims, step: kvFirst(step), stepRow: 4 * stepRow}
	for d := 0; d < dims; d += 16 {
		b := a
		b.values = unsafe.Add(a.values, d*c.Bits/2)
		to := d
		if c.Bits == 4 { // 8 dimensions, and 8 that are 16 further
			to = d/kvDims*kvDims + d%kvDims/2
		}
		b.sums = unsafe.Add(a.sums, 4*to)
		kvIntCombineNEON(&b, rows, 16, c.Bits)
	}
	return true
}
