package kernel

import "unsafe"

// The stages of the Walsh-Hadamard transform in assembly, as those of
// hadamard_amd64.go.

// hadamardBlocks scales x, whose length is a multiple of 16 and not 0, and does
// the stages within blocks of 16, if the active tier has assembly.
func hadamardBlocks(x []float32, scale float32) bool {
	if Active() < NEON {
		return false
	}
	hadamard16NEON(unsafe.Pointer(&x[0]), scale, len(x)/16)
	return true
}

// hadamardStages does the stages of distance h, a multiple of 16, up to below
// end, which divides the length of x, if the active tier has assembly.
func hadamardStages(x []float32, h, end int) bool {
	if Active() < NEON {
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

// scaleBlocks multiplies as much of x as there are whole blocks by scale, and
// says how many numbers that was.
func scaleBlocks(x []float32, scale float32) int {
	n := elemBlocks(len(x))
	if n > 0 {
		scale16NEON(first(x), scale, n/16)
	}
	return n
}
