package branch

import (
	"unsafe"

	"github.com/specquant/specquant/internal/kernel/cpu"
)

// halfTile is [halfTileGo] on the active tier. The kernels are called directly, not
// through a function value, so that y may lie on the caller's stack.
func halfTile(y []float32, ldy int, c []uint16, n int, z []float32, ldz, tokens, update int) {
	tier := cpu.Active()
	if tier < cpu.AVX2 {
		halfTileGo(y, ldy, c, n, z, ldz, tokens, update)
		return
	}
	_, _, _ = c[n*tileRows-1], z[(tokens-1)*ldz+n-1], y[(tokens-1)*ldy+tileRows-1]
	pc := unsafe.Pointer(&c[0])
	for t := 0; t < tokens; {
		pz, py := unsafe.Pointer(&z[t*ldz]), unsafe.Pointer(&y[t*ldy])
		left := tokens - t
		switch {
		case tier >= cpu.AVX512 && left >= 12:
			halfTile12avx512(n, pc, pz, 4*ldz, py, 4*ldy, update)
			t += 12
		case tier >= cpu.AVX512 && left >= 8:
			halfTile8avx512(n, pc, pz, 4*ldz, py, 4*ldy, update)
			t += 8
		case tier >= cpu.AVX512 && left >= 4:
			halfTile4avx512(n, pc, pz, 4*ldz, py, 4*ldy, update)
			t += 4
		case tier >= cpu.AVX512:
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
	if cpu.Active() < cpu.AVX512 {
		return false
	}
	_, _, _ = c[4*n*tileRows-1], z[n-1], y[4*tileRows-1]
	halfTiles4avx512(n, unsafe.Pointer(&c[0]), unsafe.Pointer(&z[0]), unsafe.Pointer(&y[0]))
	return true
}

// Pair sets sums to the branch of tiles `tile` and tile+1 for some tokens, −0 where a tile
// has no coefficients. It needs AVX-512.
func (w *HalfTiles) Pair(sums *PairSums, tile int, z []float32, ldz, tokens int) {
	n := w.Count[tile]
	if tokens == tileTokens && n > 0 && tile+1 < len(w.Count) && w.Count[tile+1] == n && w.Offset[tile+1] == w.Offset[tile]+n*tileRows {
		data := w.Data[w.Offset[tile]:][:2*n*tileRows]
		_ = z[(tokens-1)*ldz+n-1]
		halfPair12avx512(n, unsafe.Pointer(&data[0]), unsafe.Pointer(&z[0]), 4*ldz, unsafe.Pointer(sums))
		return
	}
	for i := range min(2, len(w.Count)-tile) {
		n, y := w.Count[tile+i], sums[i*tileRows:]
		if n == 0 {
			for t := range tokens {
				copy(y[t*2*tileRows:], Nothing[:])
			}
			continue
		}
		halfTile(y, 2*tileRows, w.Data[w.Offset[tile+i]:][:n*tileRows], n, z, ldz, tokens, tileSet)
	}
}

// Prefetch prefetches the coefficients of tile i, which are needed when the product in
// progress is done: they are read in pieces too short for the hardware prefetcher to
// recognize a stream.
func (w *HalfTiles) Prefetch(i int) {
	if n := w.Count[i]; n > 0 {
		c := w.Data[w.Offset[i]:][:n*tileRows]
		prefetch(unsafe.Pointer(&c[0]), 2*len(c))
	}
}
