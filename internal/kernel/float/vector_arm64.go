package float

import "unsafe"

// The functions below do the blocks of 16 of their slices, and return how many
// numbers those are.

func sumSquaresBlocks(x []float32) (float64, int) {
	n := elemBlocks(len(x))
	if n == 0 {
		return 0, 0
	}
	return sumSquaresNEON(first(x), n/16), n
}

func axpyBlocks(y []float32, a float32, x []float32) int {
	n := elemBlocks(len(y))
	if n > 0 {
		axpyNEON(first(y), a, first(x), n/16)
	}
	return n
}

func axpyF16Blocks(y []float32, a float32, x []uint16) int {
	n := elemBlocks(len(y))
	if n > 0 {
		axpyF16NEON(first(y), a, unsafe.Pointer(&x[0]), n/16)
	}
	return n
}
