package branch

import (
	"unsafe"

	"github.com/specquant/specquant/internal/kernel/cpu"
)

// halfTile is [halfTileGo] on the active tier. The kernels are called directly, not
// through a function value, so that y may lie on the caller's stack.
func halfTile(y []float32, ldy int, c []uint16, n int, z []float32, ldz, tokens, update int) {
	if cpu.Active() < cpu.NEON {
		halfTileGo(y, ldy, c, n, z, ldz, tokens, update)
		return
	}
	_, _, _ = c[n*tileRows-1], z[(tokens-1)*ldz+n-1], y[(tokens-1)*ldy+tileRows-1]
	pc := unsafe.Pointer(&c[0])
	for t := 0; t < tokens; {
		pz, py := unsafe.Pointer(&z[t*ldz]), unsafe.Pointer(&y[t*ldy])
		if tokens-t >= 4 {
			halfTile4NEON(n, pc, pz, 4*ldz, py, 4*ldy, update)
			t += 4
		} else {
			halfTile1NEON(n, pc, pz, 4*ldz, py, 4*ldy, update)
			t++
		}
	}
}

// halfTiles4 adds four tiles c[4][n][16] times one token to y, if the tier has
// a kernel for it.
func halfTiles4(y []float32, c []uint16, n int, z []float32) bool {
	if cpu.Active() < cpu.NEON {
		return false
	}
	_, _, _ = c[4*n*tileRows-1], z[n-1], y[4*tileRows-1]
	halfTiles4NEON(n, unsafe.Pointer(&c[0]), unsafe.Pointer(&z[0]), unsafe.Pointer(&y[0]))
	return true
}
