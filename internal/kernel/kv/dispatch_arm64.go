package kv

import (
	"unsafe"

	"github.com/specquant/specquant/internal/kernel/cpu"
)

// The choices of dispatch.go for NEON.

// kvTileRows returns the number of rows of the next tile if `left` rows are left. It may
// be larger than that: the rows after the last are fillers.
func kvTileRows(left int) int {
	switch {
	case cpu.Active() < cpu.NEON:
		return min(left, 8)
	case left > 2:
		return 4
	}
	return 1
}

// kvUnit returns how many positions the score routine for so many rows takes at once, a
// divisor of kvAlign.
func kvUnit(rows int) int {
	if cpu.Active() >= cpu.NEON && rows == 1 {
		return 32
	}
	return kvLanes
}

// kvWide reports whether there are routines for 32 dimensions and any number of rows.
func kvWide() bool { return false }

// kvIntPlanes reports whether the routines read 15-bit integers as two planes of bytes.
func kvIntPlanes() bool { return false }

// kvIntTileRows is [kvTileRows] for a cache of integers.
func kvIntTileRows(c *Cache, left int) int { return kvTileRows(left) }

// kvRowsTogether returns of how many rows the largest tile is, a power of two, if it takes about as
// long with fewer rows; otherwise 1.
func kvRowsTogether() int { return 1 }

// kvIntUnit is [kvUnit] for a cache of integers.
func kvIntUnit(rows int) int { return kvLanes }

// kvIntCombineRows adds all dimensions of the weighted values to the sums of all rows.
func kvIntCombineRows(c *Cache, a kvIntCombineArgs, rows, dims int) {
	kvIntCombineNarrow(c, a, rows, 16, dims)
}

// kvSoftmaxRow makes weights of the scores of a row: see [kvSoftmaxGo].
func kvSoftmaxRow(dst, step, s, vscale, vmin unsafe.Pointer, blocks int, a, limit float32) (sum, base float32) {
	return kvSoftmaxNEON(dst, step, s, vscale, vmin, blocks, a, limit)
}

// kvIntRound rounds x·inv to the integers u, whole blocks of 16 numbers. It returns how many
// numbers those are and the sum of their integers.
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

// kvPlaces is where the positions of a call lie; no routine here needs to know.
type kvPlaces struct{}

func (a *kvCall) listPlaces() {}
func (b *kvPlaces) forget()   {}

// scoreTile and combineTile have no routine here.
func (a *kvCall) scoreTile(t kvTile, from, to int) bool                   { return false }
func (a *kvCall) combineTile(t kvTile, from, to int, sums []float32) bool { return false }
