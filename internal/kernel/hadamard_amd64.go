package kernel

import "unsafe"

// The stages of the Walsh-Hadamard transform in assembly: see hadamard.go.
// hadamard16 scales and does the four stages within each of blocks of 16;
// hadamard2 does the stage of distance h, hadamard4 those of h and 2h, h being a
// multiple of 16, on groups of 2h or 4h numbers.

//go:noescape
func hadamard16avx512(x unsafe.Pointer, scale float32, blocks int)

//go:noescape
func hadamard16avx2(x unsafe.Pointer, scale float32, blocks int)

//go:noescape
func hadamard2avx512(x unsafe.Pointer, h, groups int)

//go:noescape
func hadamard4avx512(x unsafe.Pointer, h, groups int)

//go:noescape
func hadamard2avx2(x unsafe.Pointer, h, groups int)

//go:noescape
func hadamard4avx2(x unsafe.Pointer, h, groups int)

// hadamardBlocks transforms x, whose length is a power of two and at least 16,
// on the active tier, and says whether that has assembly.
func hadamardBlocks(x []float32, scale float32) bool {
	first, two, four := hadamard16avx512, hadamard2avx512, hadamard4avx512
	switch tier := Active(); {
	case tier < AVX2 || len(x) < 16:
		return false
	case tier < AVX512:
		first, two, four = hadamard16avx2, hadamard2avx2, hadamard4avx2
	}
	p := unsafe.Pointer(&x[0])
	first(p, scale, len(x)/16)
	h := 16
	for ; 4*h <= len(x); h *= 4 {
		four(p, h, len(x)/(4*h))
	}
	if h < len(x) {
		two(p, h, len(x)/(2*h))
	}
	return true
}
