package float

import (
	"unsafe"

	"github.com/specquant/specquant/internal/kernel/cpu"
)

// The functions below do the blocks of 16 of their slices on the active tier,
// and return how many numbers those are.

func sumSquaresBlocks(x []float32) (float64, int) {
	if n := len(x) &^ 15; n > 0 {
		switch tier := cpu.Active(); {
		case tier >= cpu.AVX512:
			return sumSquaresavx512(unsafe.Pointer(&x[0]), n/16), n
		case tier >= cpu.AVX2:
			return sumSquaresavx2(unsafe.Pointer(&x[0]), n/16), n
		}
	}
	return 0, 0
}

func axpyBlocks(y []float32, a float32, x []float32) int {
	if n := len(y) &^ 15; n > 0 {
		py, px := unsafe.Pointer(&y[0]), unsafe.Pointer(&x[0])
		switch tier := cpu.Active(); {
		case tier >= cpu.AVX512:
			axpyavx512(py, a, px, n/16)
			return n
		case tier >= cpu.AVX2:
			axpyavx2(py, a, px, n/16)
			return n
		}
	}
	return 0
}

func axpyF16Blocks(y []float32, a float32, x []uint16) int {
	if n := len(y) &^ 15; n > 0 {
		py, px := unsafe.Pointer(&y[0]), unsafe.Pointer(&x[0])
		switch tier := cpu.Active(); {
		case tier >= cpu.AVX512:
			axpyF16avx512(py, a, px, n/16)
			return n
		case tier >= cpu.AVX2:
			axpyF16avx2(py, a, px, n/16)
			return n
		}
	}
	return 0
}
