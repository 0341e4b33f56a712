package branch

import "unsafe"

// Pair sets sums to what tiles `tile` and tile+1 add for some tokens; −0, which changes no
// number that it is added to, where a tile has no coefficients. It needs AVX-512.
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

// Prefetch asks the processor to load the coefficients of tile i into its cache, because
// they are needed as soon as the product in progress is done. They are read in pieces too
// short for the hardware prefetcher to do that by itself.
func (w *HalfTiles) Prefetch(i int) {
	if n := w.Count[i]; n > 0 {
		c := w.Data[w.Offset[i]:][:n*tileRows]
		prefetch(unsafe.Pointer(&c[0]), 2*len(c))
	}
}
