package float

import (
	"unsafe"

	"github.com/specquant/specquant/internal/kernel/cpu"
)

// The stages of the Walsh-Hadamard transform in assembly, as those of
// hadamard_amd64.go.

// hadamardBlocks multiplies x by scale and does the stages within blocks of 16, in
// assembly. It returns false if the active tier has none. The length of x is a multiple
// of 16 and not 0.
func hadamardBlocks(x []float32, scale float32) bool {
	if cpu.Active() < cpu.NEON {
		return false
	}
	hadamard16NEON(unsafe.Pointer(&x[0]), scale, len(x)/16)
	return true
}

// hadamardStages does the stages of distance h, 2h, … below end, in assembly. It returns
// false if the active tier has none. h is a multiple of 16, and end divides the length
// of x.
func hadamardStages(x []float32, h, end int) bool {
	if cpu.Active() < cpu.NEON {
		return false
	}
	p := unsafe.Pointer(&x[0])
	for ; 4*h <= end; h *= 4 {
		hadamard4NEON(p, h, len(x)/(4*h))
	}
	if h < end {
		hadamard2NEON(p, h, len(x)/(2*h))
	}
	return true
}

// scaleBlocks multiplies the whole blocks of 16 of x by scale and returns how many
// numbers those are.
func scaleBlocks(x []float32, scale float32) int {
	n := elemBlocks(len(x))
	if n > 0 {
		scale16NEON(first(x), scale, n/16)
	}
	return n
}
