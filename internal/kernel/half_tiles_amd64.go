package kernel

import "unsafe"

// halfTile is [halfTileGo] on the active tier. The kernels are called directly, not
// through a function value, so that y may lie on the caller's stack.
func halfTile(y []float32, ldy int, c []uint16, n int, z []float32, ldz, tokens, update int) {
	tier := Active()
	if tier < AVX2 {
		halfTileGo(y, ldy, c, n, z, ldz, tokens, update)
		return
	}
	_, _, _ = c[n*tileRows-1], z[(tokens-1)*ldz+n-1], y[(tokens-1)*ldy+tileRows-1]
	pc := unsafe.Pointer(&c[0])
	for t := 0; t < tokens; {
		pz, py := unsafe.Pointer(&z[t*ldz]), unsafe.Pointer(&y[t*ldy])
		left := tokens - t
		switch {
		case tier >= AVX512 && left >= 12:
			halfTile12avx512(n, pc, pz, 4*ldz, py, 4*ldy, update)
			t += 12
		case tier >= AVX512 && left >= 8:
			halfTile8avx512(n, pc, pz, 4*ldz, py, 4*ldy, update)
			t += 8
		case tier >= AVX512 && left >= 4:
			halfTile4avx512(n, pc, pz, 4*ldz, py, 4*ldy, update)
			t += 4
		case tier >= AVX512:
			halfTile1avx512(n, pc, pz, 4*ldz, py, 4*ldy, update)
			t++
		case left >= 4:
			halfTile4avx2(n, pc, pz, 4*ldz, py, 4*ldy, update)
			t += 4
		default:
			halfTile1avx2(n, pc, pz, 4*ldz, py, 4*ldy, update)
			t++
		}
	}
}

// halfTiles4 adds four tiles c[4][n][16] times one token to y, if the tier has
// a kernel for it.
func halfTiles4(y []float32, c []uint16, n int, z []float32) bool {
	if Active() < AVX512 {
		return false
	}
	_, _, _ = c[4*n*tileRows-1], z[n-1], y[4*tileRows-1]
	halfTiles4avx512(n, unsafe.Pointer(&c[0]), unsafe.Pointer(&z[0]), unsafe.Pointer(&y[0]))
	return true
}

// ahead prefetches the coefficients of tile i, which are needed when the product in
// progress is done: they are read in pieces too short for the hardware prefetcher to
// recognize a stream.
func (w *HalfTiles) ahead(i int) {
	if n := w.Count[i]; n > 0 {
		c := w.Data[w.Offset[i]:][:n*tileRows]
		prefetch(unsafe.Pointer(&c[0]), 2*len(c))
	}
}
