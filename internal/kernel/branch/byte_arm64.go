package branch

import (
	"unsafe"

	"github.com/specquant/specquant/internal/kernel/cpu"
)

// byteTile is [byteTileGo] on the active tier. n is not 0. The kernels are called
// directly, not through a function value, so that y may lie on the caller's stack.
func byteTile(y []float32, ldy int, c []int8, n int, z []float32, tokens, update int) {
	if cpu.Active() < cpu.NEON {
		byteTileGo(y, ldy, c, n, z, tokens, update)
		return
	}
	_, _, _ = c[n*tileRows-1], z[tokens*n-1], y[(tokens-1)*ldy+tileRows-1]
	pc := unsafe.Pointer(&c[0])
	for t := 0; t < tokens; {
		pz, py := unsafe.Pointer(&z[t*n]), unsafe.Pointer(&y[t*ldy])
		if tokens-t >= 4 {
			byteTile4NEON(n, pc, pz, py, 4*ldy, update)
			t += 4
		} else {
			byteTile1NEON(n, pc, pz, py, 4*ldy, update)
			t++
		}
	}
}

// byteTiles4 adds four tiles c[4][n][16] times one token to y, if the tier has a
// kernel for it.
func byteTiles4(y []float32, c []int8, n int, z []float32) bool {
	if cpu.Active() < cpu.NEON || n == 0 {
		return false
	}
	_, _, _ = c[4*n*tileRows-1], z[n-1], y[4*tileRows-1]
	byteTiles4NEON(n, unsafe.Pointer(&c[0]), unsafe.Pointer(&z[0]), unsafe.Pointer(&y[0]))
	return true
}

// byteDots is [byteDotsGo] on the active tier. n is a multiple of 16, not 0.
func byteDots(out *[foldTokens][8]float32, data []int8, x []float32, ldx, n, tokens int) {
	if cpu.Active() < cpu.NEON {
		byteDotsGo(out, data, x, ldx, n, tokens)
		return
	}
	_, _ = data[n*8-1], x[(tokens-1)*ldx+n-1]
	for t := range tokens {
		var lanes [128]float32
		byteDotNEON(&lanes, unsafe.Pointer(&data[0]), unsafe.Pointer(&x[t*ldx]), n/16)
		foldLanes(&out[t], &lanes)
	}
}

// byteOut is [byteOutGo] on the active tier. n is a multiple of 16, not 0.
func byteOut(x []float32, ldx int, data []int8, z *[foldTokens][8]float32, n, tokens int) {
	if cpu.Active() < cpu.NEON {
		byteOutGo(x, ldx, data, z, n, tokens)
		return
	}
	_, _ = data[n*8-1], x[(tokens-1)*ldx+n-1]
	for t := range tokens {
		byteOutNEON(unsafe.Pointer(&x[t*ldx]), unsafe.Pointer(&data[0]), &z[t], n/16)
	}
}
