package kv

import (
	"unsafe"

	"github.com/specquant/specquant/internal/kernel/cpu"
)

// Attention over the cache in assembly: see attend.go for what it computes.

// kvScoreArgs are the arguments of a kernel that multiplies a tile of queries
// with blocks of 16 keys.
type kvScoreArgs struct {
	keys       unsafe.Pointer // first block
	blockBytes int            // from block to block
	steps      int            // of a block: head_dim
	groups     int            // groups of blocks
	q          unsafe.Pointer // [head_dim][rows]
	dst        unsafe.Pointer
	dstRow     int // bytes from row to row
}

// kvCombineArgs are the arguments of a kernel that adds weighted values to sums.
type kvCombineArgs struct {
	w       unsafe.Pointer
	wRow    int // bytes from row to row
	values  unsafe.Pointer
	next    int // bytes from value to value
	n       int // values
	sums    unsafe.Pointer
	sumsRow int // bytes from row to row
}

// The names of the kernels give rows × positions, or rows × dimensions, and the bits.

// kvTileRows returns the number of rows of the next tile if `left` rows are left. It may
// be larger; the rows beyond are fillers.
func kvTileRows(left int) int {
	switch {
	case cpu.Active() < cpu.NEON:
		return min(left, 8)
	case left > 2:
		return 4
	}
	return 1
}

// kvUnit is how many positions the score kernel for that many rows takes at
// once; it divides kvAlign.
func kvUnit(rows int) int {
	if cpu.Active() >= cpu.NEON && rows == 1 {
		return 32
	}
	return kvLanes
}

// kvScoreBlocks computes what scores does, in assembly. It returns false if the active
// tier has none.
func kvScoreBlocks(c *Cache, head, from, n int, q []float32, rows int, dst []float32, stride int) bool {
	if cpu.Active() < cpu.NEON {
		return false
	}
	at, row := head*c.capacity+from, c.keyRow()
	a := kvScoreArgs{keys: unsafe.Pointer(&c.keys32[at*row]), blockBytes: 4 * kvLanes * row,
		steps: row, groups: n / kvUnit(rows), q: kvFirst(q), dst: kvFirst(dst), dstRow: 4 * stride}
	// Go checks the bounds of the last element that the kernel reads or writes.
	_, _, _ = q[c.HeadDim*rows-1], dst[(rows-1)*stride+n-1], c.keys32[(at+n)*row-1]
	kvScoreNEON(&a, rows, kvUnit(rows), c.Bits)
	return true
}

// kvWeightBlocks computes what kvWeights does for the whole blocks of 16, and returns how
// many numbers those are.
func kvWeightBlocks(p []float32, scale, minimum []uint16, lanes *[kvLanes]float32) int {
	n := kvBlocks(len(p))
	if n == 0 {
		return 0
	}
	kvWeightsNEON(kvFirst(p), unsafe.Pointer(&scale[:n][0]), unsafe.Pointer(&minimum[:n][0]), unsafe.Pointer(lanes), n/16)
	return n
}

// kvCombineBlocks computes what combine does, in assembly. It returns false if the
// active tier has none.
func kvCombineBlocks(c *Cache, head, from, n int, w []float32, stride, rows int, sums []float32, dims int) bool {
	if cpu.Active() < cpu.NEON {
		return false
	}
	at, row := head*c.capacity+from, c.valueRow()
	a := kvCombineArgs{w: kvFirst(w), wRow: 4 * stride, n: n, sums: kvFirst(sums), sumsRow: 4 * dims}
	_, _ = w[(rows-1)*stride+n-1], sums[rows*dims-1]
	const piece, half = 4 * kvDims, 32 // bytes of a piece of 32 dimensions, of 8 dimensions
	a.values, a.next = unsafe.Pointer(&c.values32[at*row]), 4*row
	_ = c.values32[(at+n)*row-1]
	for d := 0; d < dims; d += kvDims {
		if rows == 4 {
			// Dimensions 0…7 and 16…23 of the piece, then the others.
			kvCombineNEON(&a, 4, 16, c.Bits)
			a.values, a.sums = unsafe.Add(a.values, half), unsafe.Add(a.sums, 32)
			kvCombineNEON(&a, 4, 16, c.Bits)
			a.values, a.sums = unsafe.Add(a.values, -half), unsafe.Add(a.sums, -32)
		} else {
			kvCombineNEON(&a, 1, 32, c.Bits)
		}
		if d+kvDims < dims {
			a.values, a.sums = unsafe.Add(a.values, piece), unsafe.Add(a.sums, 4*kvDims)
		}
	}
	return true
}

// kvFirst is the address of a vector's data.
func kvFirst(x []float32) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(x)) }

// kvBlocks returns how many of n numbers the assembly takes.
func kvBlocks(n int) int {
	if cpu.Active() < cpu.NEON {
		return 0
	}
	return n &^ 15
}
