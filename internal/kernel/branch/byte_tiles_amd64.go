package branch

import (
	"unsafe"

	"github.com/specquant/specquant/internal/kernel/cpu"
)

// byteTile is [byteTileGo] on the active tier. n is not 0. The kernels are called
// directly, not through a function value, so that y may lie on the caller's stack.
func byteTile(y []float32, ldy int, c []int8, n int, z []float32, tokens, update int) {
	tier := cpu.Active()
	if tier < cpu.AVX2 {
		byteTileGo(y, ldy, c, n, z, tokens, update)
		return
	}
	_, _, _ = c[n*tileRows-1], z[tokens*n-1], y[(tokens-1)*ldy+tileRows-1]
	pc := unsafe.Pointer(&c[0])
	for t := 0; t < tokens; {
		pz, py := unsafe.Pointer(&z[t*n]), unsafe.Pointer(&y[t*ldy])
		left := tokens - t
		switch {
		case tier >= cpu.AVX512 && left >= 8:
			byteTile8avx512(n, pc, pz, py, 4*ldy, update)
			t += 8
		case tier >= cpu.AVX512 && left >= 4:
			byteTile4avx512(n, pc, pz, py, 4*ldy, update)
			t += 4
		case tier >= cpu.AVX512:
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
	if cpu.Active() < cpu.AVX512 || n == 0 {
		return false
	}
	_, _, _ = c[4*n*tileRows-1], z[n-1], y[4*tileRows-1]
	byteTiles4avx512(n, unsafe.Pointer(&c[0]), unsafe.Pointer(&z[0]), unsafe.Pointer(&y[0]))
	return true
}

// Pair sets sums to the branch of tiles `tile` and tile+1 for some tokens, s as
// [ByteTiles.Scaled] gives it. It needs AVX-512.
func (w *ByteTiles) Pair(sums *PairSums, tile int, s []float32, tokens int) {
	if tokens == tileTokens && tile+1 < w.Tiles() {
		c := w.codes(tile, 2)
		_, _ = c[2*w.Count*tileRows-1], s[tileTokens*w.Count-1]
		bytePair12avx512(w.Count, unsafe.Pointer(&c[0]), unsafe.Pointer(&s[0]), unsafe.Pointer(sums))
		return
	}
	for i := range min(2, w.Tiles()-tile) {
		byteTile(sums[i*tileRows:], 2*tileRows, w.codes(tile+i, 1), w.Count, s, tokens, tileSet)
	}
}

// Prefetch prefetches the codes of some tiles, which are needed when the product in
// progress is done: they are read in pieces too short for the hardware prefetcher to
// recognize a stream.
func (w *ByteTiles) Prefetch(tile, tiles int) {
	if c := w.codes(tile, tiles); len(c) > 0 {
		prefetch(unsafe.Pointer(&c[0]), len(c))
	}
}
