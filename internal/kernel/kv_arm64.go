package kernel

import "unsafe"

// Attention over the cache in assembly: see kv_attend.go for what it computes.

// kvScoreArgs are the arguments of a kernel that multiplies a tile of queries
// with blocks of 16 keys.
type kvScoreArgs struct {
	keys       unsafe.Pointer // first block
	blockBytes int            // from block to block
	steps      int            // of a block: bytes of a packed key, or head_dim
	groups     int            // groups of blocks
	q          unsafe.Pointer // [head_dim][rows]
	total      unsafe.Pointer // [rows]
	scale, min unsafe.Pointer
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
	case Active() < NEON:
		return min(left, 8)
	case left > 2:
		return 4
	}
	return 1
}

// kvUnit is how many positions the score kernel for that many rows takes at
// once; it divides kvAlign.
func kvUnit(rows int) int {
	if Active() >= NEON && rows == 1 {
		return 32
	}
	return kvLanes
}

// kvScoreBlocks computes what scores does, in assembly. It returns false if the active
// tier has none.
func kvScoreBlocks(c *KVCache, head, from, n int, q, total []float32, rows int, dst []float32, stride int) bool {
	if Active() < NEON {
		return false
	}
	at, row := head*c.capacity+from, c.keyRow()
	a := kvScoreArgs{steps: row, groups: n / kvUnit(rows), q: first(q), total: first(total), dst: first(dst), dstRow: 4 * stride}
	// Go checks the bounds of the last element that the kernel reads or writes.
	_, _, _ = q[c.HeadDim*rows-1], total[rows-1], dst[(rows-1)*stride+n-1]
	if c.Bits == 16 {
		a.keys, a.blockBytes = unsafe.Pointer(&c.keys32[at*row]), 4*kvLanes*row
		_ = c.keys32[(at+n)*row-1]
	} else {
		a.keys, a.blockBytes = unsafe.Pointer(&c.keys[at*row]), kvLanes*row
		a.scale, a.min = unsafe.Pointer(&c.ks[at]), unsafe.Pointer(&c.km[at])
		_, _ = c.keys[(at+n)*row-1], c.ks[at+n-1]
	}
	kvScoreNEON(&a, rows, kvUnit(rows), c.Bits)
	return true
}

// kvWeightBlocks computes what kvWeights does for the whole blocks of 16, and returns how
// many numbers those are.
func kvWeightBlocks(p []float32, scale, minimum []uint16, lanes *[kvLanes]float32) int {
	n := elemBlocks(len(p))
	if n == 0 {
		return 0
	}
	kvWeightsNEON(first(p), unsafe.Pointer(&scale[:n][0]), unsafe.Pointer(&minimum[:n][0]), unsafe.Pointer(lanes), n/16)
	return n
}

// kvCombineBlocks computes what combine does, in assembly. It returns false if the
// active tier has none.
func kvCombineBlocks(c *KVCache, head, from, n int, w []float32, stride, rows int, sums []float32, dims int) bool {
	if Active() < NEON {
		return false
	}
	at, row := head*c.capacity+from, c.valueRow()
	a := kvCombineArgs{w: first(w), wRow: 4 * stride, n: n, sums: first(sums), sumsRow: 4 * dims}
	_, _ = w[(rows-1)*stride+n-1], sums[rows*dims-1]
	piece, half := 16, 8 // bytes of a piece of 32 dimensions, of 8 dimensions
	switch c.Bits {
	case 16:
		a.values, a.next, piece, half = unsafe.Pointer(&c.values32[at*row]), 4*row, 4*kvDims, 32
		_ = c.values32[(at+n)*row-1]
	case 8:
		piece = kvDims
		fallthrough
	default:
		a.values, a.next = unsafe.Pointer(&c.values[at*row]), row
		_ = c.values[(at+n)*row-1]
	}
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
