package kv

import (
	"unsafe"

	"github.com/specquant/specquant/internal/kernel/cpu"
)

// The choices of dispatch.go by the tiers of amd64.

// kvTileRows returns the number of rows of the next tile if `left` rows are left. It may
// be larger than that: the rows after the last are fillers.
func kvTileRows(left int) int {
	switch tier := cpu.Active(); {
	case tier >= cpu.AVX512 && left > 4:
		return 8
	case tier >= cpu.AVX512 && left > 2:
		return 4
	case tier >= cpu.AVX512:
		return left
	case tier >= cpu.AVX2 && left > 2:
		return 4
	case tier >= cpu.AVX2:
		return 1
	}
	return min(left, 8)
}

// kvUnit returns how many positions the score routine for so many rows takes at once, a
// divisor of kvAlign.
func kvUnit(rows int) int {
	switch tier := cpu.Active(); {
	case tier >= cpu.AVX512 && rows == 8:
		return 32
	case tier >= cpu.AVX512:
		return 64
	case tier >= cpu.AVX2 && rows == 1:
		return 32
	}
	return kvLanes
}

// kvWide reports whether there are routines for 32 dimensions and any number of rows of a
// tile, and for 64 dimensions of one row.
func kvWide() bool { return cpu.Active() >= cpu.AVX512 }

// kvScore multiplies queries with keys of float32: see [kvScore512].
func kvScore(a *kvScoreArgs, rows, positions, bits int) {
	if cpu.Active() >= cpu.AVX512 {
		kvScore512(a, rows, positions, bits)
	} else {
		kvScore256(a, rows, positions, bits)
	}
}

// kvCombine adds weighted values of float32 to sums: see [kvCombine512].
func kvCombine(a *kvCombineArgs, rows, dims, bits int) {
	if cpu.Active() >= cpu.AVX512 {
		kvCombine512(a, rows, dims, bits)
	} else {
		kvCombine256(a, rows, dims, bits)
	}
}

// kvIntPlanes reports whether the routines read 15-bit integers as two planes of bytes.
func kvIntPlanes() bool { return cpu.Active() >= cpu.AVX512VNNI }

// kvIntTileRows is [kvTileRows] for a cache of integers.
func kvIntTileRows(c *Cache, left int) int {
	switch {
	case left >= kvAMXLeast && c.kvAMX():
		return kvAMXRows
	case kvIntPlanes():
		return kvTileRows(left)
	case cpu.Active() >= cpu.AVX2 && left > 2:
		return 4
	case cpu.Active() >= cpu.AVX2:
		return 1
	}
	return min(left, 8)
}

// kvRowsTogether returns of how many rows the largest tile is, a power of two, if it takes about as
// long with fewer rows; otherwise 1.
func kvRowsTogether() int {
	if cpu.Active() >= cpu.AMX {
		return kvAMXRows
	}
	return 1
}

// kvIntUnit is [kvUnit] for a cache of integers.
func kvIntUnit(rows int) int {
	if kvIntPlanes() && rows <= 8 {
		return kvUnit(rows)
	}
	return kvLanes
}

// kvIntScore multiplies queries with keys of 4 or 8 bits: see [kvIntScore512].
func kvIntScore(a *kvIntScoreArgs, rows, positions, bits int) {
	if kvIntPlanes() {
		kvIntScore512(a, rows, positions, bits)
	} else {
		kvIntScore256(a, rows, positions, bits)
	}
}

// kvIntCombine adds weighted values of 4 or 8 bits to sums: see [kvIntCombine512].
func kvIntCombine(a *kvIntCombineArgs, rows, dims, bits int) {
	if kvIntPlanes() {
		kvIntCombine512(a, rows, dims, bits)
	} else {
		kvIntCombine256(a, rows, dims, bits)
	}
}

// kvIntCombineRows adds all dimensions of the weighted values to the sums of all rows.
func kvIntCombineRows(c *Cache, a kvIntCombineArgs, rows, dims int) {
	switch {
	case !kvIntPlanes() && rows == 1:
		kvIntCombineNarrow(c, a, rows, 16, dims)
		return
	case !kvIntPlanes():
		kvIntCombineNarrow(c, a, rows, 8, dims)
		return
	}
	for r := 0; r < rows; r += 4 {
		each := min(rows-r, 4)
		for d := 0; d < dims; {
			b, wide := a, kvDims
			b.values, b.sums = unsafe.Add(a.values, d*c.Bits/2), unsafe.Add(a.sums, 4*d)
			if each == 1 && d+2*kvDims <= dims {
				wide = 2 * kvDims
			}
			kvIntCombine(&b, each, wide, c.Bits)
			d += wide
		}
		if r+4 < rows {
			a.w, a.sums, a.step = unsafe.Add(a.w, 4*a.wRow), unsafe.Add(a.sums, 4*a.sumsRow), unsafe.Add(a.step, 4*a.stepRow)
		}
	}
}

// kvSoftmaxRow makes weights of the scores of a row: see [kvSoftmaxGo].
func kvSoftmaxRow(dst, step, s, vscale, vmin unsafe.Pointer, blocks int, a, limit float32) (sum, base float32) {
	if kvIntPlanes() {
		return kvSoftmax512(dst, step, s, vscale, vmin, blocks, a, limit)
	}
	return kvSoftmax256(dst, step, s, vscale, vmin, blocks, a, limit)
}

// kvIntRound rounds x·inv to the integers u, whole blocks of 16 numbers. It returns how many
// numbers those are and the sum of their integers.
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

// kvIntOrder is the order of kvIntPlace for caches of 8 bits and of 4: of 16 bytes, and of
// the bytes of eight 16-bit integers.
var kvIntOrder = [2][2][16]byte{
	{{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}},
	{{0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15}, {0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15}},
}
