package kernel

import "unsafe"

// byteTile is [byteTileGo] on the active tier. n is not 0. The kernels are called
// directly, not through a function value, so that y may lie on the caller's stack.
func byteTile(y []float32, ldy int, c []int8, n int, z []float32, tokens, update int) {
	tier := Active()
	if tier < AVX2 {
		byteTileGo(y, ldy, c, n, z, tokens, update)
		return
	}
	_, _, _ = c[n*tileRows-1], z[tokens*n-1], y[(tokens-1)*ldy+tileRows-1]
	pc := unsafe.Pointer(&c[0])
	for t := 0; t < tokens; {
		pz, py := unsafe.Pointer(&z[t*n]), unsafe.Pointer(&y[t*ldy])
		left := tokens - t
		switch {
		case tier >= AVX512 && left >= 8:
			byteTile8avx512(n, pc, pz, py, 4*ldy, update)
			t += 8
		case tier >= AVX512 && left >= 4:
			byteTile4avx512(n, pc, pz, py, 4*ldy, update)
			t += 4
		case tier >= AVX512:
			byteTile1avx512(n, pc, pz, py, 4*ldy, update)
			t++
		case left >= 4:
			byteTile4avx2(n, pc, pz, py, 4*ldy, update)
			t += 4
		default:
			byteTile1avx2(n, pc, pz, py, 4*ldy, update)
			t++
		}
	}
}

// byteTiles4 adds four tiles c[4][n][16] times one token to y, if the tier has a
// kernel for it.
func byteTiles4(y []float32, c []int8, n int, z []float32) bool {
	if Active() < AVX512 || n == 0 {
		return false
	}
	_, _, _ = c[4*n*tileRows-1], z[n-1], y[4*tileRows-1]
	byteTiles4avx512(n, unsafe.Pointer(&c[0]), unsafe.Pointer(&z[0]), unsafe.Pointer(&y[0]))
	return true
}

// bytePair sets y[t][tile][lane] to the products of two tiles c[2][n][16] with 12
// tokens. It needs AVX-512; n is not 0.
func bytePair(y *intSums, c []int8, n int, z []float32) {
	_, _ = c[2*n*tileRows-1], z[intTokens*n-1]
	bytePair12avx512(n, unsafe.Pointer(&c[0]), unsafe.Pointer(&z[0]), unsafe.Pointer(y))
}

// ahead prefetches the codes of some tiles, which are needed when the product in
// progress is done: they are read in pieces too short for the hardware prefetcher to
// recognize a stream.
func (w *ByteTiles) ahead(tile, tiles int) {
	if c := w.codes(tile, tiles); len(c) > 0 {
		prefetch(unsafe.Pointer(&c[0]), len(c))
	}
}
