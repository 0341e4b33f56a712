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

// kvIntPlanes reports whether the kernels read integers of 15 bits as two planes of bytes.
func kvIntPlanes() bool { return cpu.Active() >= cpu.AVX512VNNI }

// kvIntTileRows is kvTileRows for a cache of integers, kvIntUnit is kvUnit.
func kvIntTileRows(left int) int {
	switch {
	case kvIntPlanes():
		return kvTileRows(left)
	case cpu.Active() >= cpu.AVX2 && left > 2:
		return 4
	case cpu.Active() >= cpu.AVX2:
		return 1
	}
	return min(left, 8)
}

func kvIntUnit(rows int) int {
	if kvIntPlanes() {
		return kvUnit(rows)
	}
	return kvLanes
}

// kvIntRound rounds x·inv into u, whole blocks of 16, and returns how many numbers those are
// and their sum.
func kvIntRound(u []byte, x []float32, inv float32, bits int) (n int, total int32) {
	if n = kvBlocks(len(x)); n == 0 {
		return 0, 0
	}
	order := &kvIntOrder[0]
	if bits == 4 {
		order = &kvIntOrder[1]
	}
	if kvIntPlanes() {
		_ = u[len(u)/2+n-1]
		return n, kvIntRoundAVX512(unsafe.Pointer(&u[0]), unsafe.Pointer(&u[len(u)/2]), kvFirst(x), unsafe.Pointer(&order[0]), inv, n)
	}
	_ = u[2*n-1]
	return n, kvIntRoundAVX2(unsafe.Pointer(&u[0]), kvFirst(x), unsafe.Pointer(&order[1]), inv, n)
}

// kvIntOrder is the order of kvIntPlace for caches of 8 bits and of 4: for 16 bytes, and of
// the bytes of eight 16-bit integers.
var kvIntOrder = [2][2][16]byte{
	{{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}},
	{{0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15}, {0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15}},
}

// kvIntScoreBlocks computes what scoresInt does, in assembly. It returns false if the active
// tier has none.
func kvIntScoreBlocks(c *Cache, head, from, n int, q []byte, total []int32, dst []float32, stride int) bool {
	if cpu.Active() < cpu.AVX2 {
		return false
	}
	at, row, rows := head*c.capacity+from, c.keyRow(), len(total)
	a := kvIntScoreArgs{keys: unsafe.Pointer(&c.keys[at*row]), blockBytes: kvLanes * row, steps: row / 4, groups: n / kvIntUnit(rows),
		q: unsafe.Pointer(&q[0]), qRow: len(q) / rows, total: unsafe.Pointer(&total[0]), scale: unsafe.Pointer(&c.ks[at]), min: unsafe.Pointer(&c.km[at]),
		dst: kvFirst(dst), dstRow: 4 * stride}
	// Go checks the bounds of the last element that the kernel reads or writes.
	_, _, _ = c.keys[(at+n)*row-1], c.ks[at+n-1], dst[(rows-1)*stride+n-1]
	if kvIntPlanes() {
		kvIntScore512(&a, rows, kvIntUnit(rows), c.Bits)
	} else {
		kvIntScore256(&a, rows, kvIntUnit(rows), c.Bits)
	}
	return true
}

// kvIntWeightBlocks computes what kvIntWeights does, in assembly. It returns false if the
// active tier has none.
func kvIntWeightBlocks(dst []byte, step, w []float32) bool {
	if cpu.Active() < cpu.AVX2 || len(step) == 0 {
		return false
	}
	n := len(step) * kvIntBlock
	_, _ = dst[2*n-1], w[n-1]
	if kvIntPlanes() {
		kvIntWeightsAVX512(unsafe.Pointer(&dst[0]), kvFirst(step), kvFirst(w), len(step))
	} else {
		kvIntWeightsAVX2(unsafe.Pointer(&dst[0]), kvFirst(step), kvFirst(w), len(step))
	}
	return true
}

// kvIntCombineBlocks computes what combineInt does, in assembly. It returns false if the
// active tier has none.
func kvIntCombineBlocks(c *Cache, head, from, n int, w []byte, wRow int, step []float32, stepRow, rows int, sums []float32, dims int) bool {
	if cpu.Active() < cpu.AVX2 {
		return false
	}
	at, row := head*c.capacity+from, c.valueRow()
	_, _, _ = w[(rows-1)*wRow+2*n-1], step[(rows-1)*stepRow+(n-1)/kvIntBlock], sums[rows*dims-1]
	_ = c.values[(at+n)*row-1]
	a := kvIntCombineArgs{w: unsafe.Pointer(&w[0]), wRow: wRow, values: unsafe.Pointer(&c.values[at*row]), next: 4 * row, fours: n / 4,
		sums: kvFirst(sums), sumsRow: 4 * dims, step: kvFirst(step), stepRow: 4 * stepRow}
	if !kvIntPlanes() {
		kvIntCombineNarrow(c, a, rows, dims)
		return true
	}
	for r := 0; r < rows; r += 4 {
		each := min(rows-r, 4)
		for d := 0; d < dims; {
			b, wide := a, kvDims
			b.values, b.sums = unsafe.Add(a.values, d*c.Bits/2), unsafe.Add(a.sums, 4*d)
			if each == 1 && d+2*kvDims <= dims {
				wide = 2 * kvDims
			}
			kvIntCombine512(&b, each, wide, c.Bits)
			d += wide
		}
		if r+4 < rows {
			a.w, a.sums, a.step = unsafe.Add(a.w, 4*wRow), unsafe.Add(a.sums, 16*dims), unsafe.Add(a.step, 16*stepRow)
		}
	}
	return true
}

// kvIntCombineNarrow calls the kernels for AVX2: 8 dimensions of 4 rows or 16 of one. With 4
// bits half of them are 16 dimensions beyond the others.
func kvIntCombineNarrow(c *Cache, a kvIntCombineArgs, rows, dims int) {
	wide := 8
	if rows == 1 {
		wide = 16
	}
	for d := 0; d < dims; d += wide {
		b := a
		b.values = unsafe.Add(a.values, d*c.Bits/2)
		to := d
		if c.Bits == 4 {
			to = d/kvDims*kvDims + d%kvDims/2
		}
		b.sums = unsafe.Add(a.sums, 4*to)
		kvIntCombine256(&b, rows, wide, c.Bits)
	}
}
