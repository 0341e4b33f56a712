package float

import (
	"unsafe"

	"github.com/specquant/specquant/internal/kernel/cpu"
)

// The stages of the Walsh-Hadamard transform in assembly: see hadamard.go.
// hadamard16… scales and does the four stages within each block of 16 numbers;
// hadamard2… does the stage of distance h, hadamard4… those of h and 2h, h being a
// multiple of 16, on groups of 2h or 4h numbers; scale16… only scales.

// hadamardBlocks multiplies x by scale and does the stages within blocks of 16, in
// assembly. It returns false if the active tier has none. The length of x is a multiple
// of 16 and not 0.
func hadamardBlocks(x []float32, scale float32) bool {
	switch tier := cpu.Active(); {
	case tier >= cpu.AVX512:
		hadamard16avx512(unsafe.Pointer(&x[0]), scale, len(x)/16)
	case tier >= cpu.AVX2:
		hadamard16avx2(unsafe.Pointer(&x[0]), scale, len(x)/16)
	default:
		return false
	}
	return true
}

// hadamardStages does the stages of distance h, 2h, … below end, in assembly. It returns
// false if the active tier has none. h is a multiple of 16, and end divides the length
// of x.
func hadamardStages(x []float32, h, end int) bool {
	two, four := hadamard2avx512, hadamard4avx512
	switch tier := cpu.Active(); {
	case tier < cpu.AVX2:
		return false
	case tier < cpu.AVX512:
		two, four = hadamard2avx2, hadamard4avx2
	}
	p := unsafe.Pointer(&x[0])
	for ; 4*h <= end; h *= 4 {
		four(p, h, len(x)/(4*h))
	}
	if h < end {
		two(p, h, len(x)/(2*h))
	}
	return true
}

// scaleBlocks multiplies the whole blocks of 16 of x by scale and returns how many
// numbers those are.
func scaleBlocks(x []float32, scale float32) int {
	blocks := len(x) / 16
	switch tier := cpu.Active(); {
	case blocks == 0:
		return 0
	case tier >= cpu.AVX512:
		scale16avx512(unsafe.Pointer(&x[0]), scale, blocks)
	case tier >= cpu.AVX2:
		scale16avx2(unsafe.Pointer(&x[0]), scale, blocks)
	default:
		return 0
	}
	return blocks * 16
}
