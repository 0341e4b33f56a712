package branch

import "unsafe"

// Pair sets sums to what tiles `tile` and tile+1 add for some tokens, whose
// [ByteTiles.Scaled] is s. It needs AVX-512.
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

// Prefetch asks the processor to load the codes of some tiles into its cache, because they
// are needed as soon as the product in progress is done. They are read in pieces too short
// for the hardware prefetcher to do that by itself.
func (w *ByteTiles) Prefetch(tile, tiles int) {
	if c := w.codes(tile, tiles); len(c) > 0 {
		prefetch(unsafe.Pointer(&c[0]), len(c))
	}
}
