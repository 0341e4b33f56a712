package float

import (
	"unsafe"

	"github.com/specquant/specquant/internal/kernel/cpu"
)

// convert runs the kernel of the active tier on the whole blocks of n numbers
// and returns how many those are.
func convert(dst, src unsafe.Pointer, n int, wide, slim func(dst, src unsafe.Pointer, blocks int)) int {
	switch tier := cpu.Active(); {
	case tier >= cpu.AVX512 && n >= 16:
		wide(dst, src, n/16)
		return n &^ 15
	case tier >= cpu.AVX2 && n >= 8:
		slim(dst, src, n/8)
		return n &^ 7
	}
	return 0
}

func f16ToF32Blocks(dst []float32, src []uint16) int {
	return convert(unsafe.Pointer(unsafe.SliceData(dst)), unsafe.Pointer(unsafe.SliceData(src)), len(dst), f16tof32avx512, f16tof32avx2)
}

func f16BytesToF32Blocks(dst []float32, src []byte) int {
	return convert(unsafe.Pointer(unsafe.SliceData(dst)), unsafe.Pointer(unsafe.SliceData(src)), len(dst), f16tof32avx512, f16tof32avx2)
}

func f32ToF16Blocks(dst []uint16, src []float32) int {
	return convert(unsafe.Pointer(unsafe.SliceData(dst)), unsafe.Pointer(unsafe.SliceData(src)), len(dst), f32tof16avx512, f32tof16avx2)
}

func bf16BytesToF32Blocks(dst []float32, src []byte) int {
	return convert(unsafe.Pointer(unsafe.SliceData(dst)), unsafe.Pointer(unsafe.SliceData(src)), len(dst), bf16tof32avx512, bf16tof32avx2)
}

func roundF16Blocks(x []float32) int {
	p := unsafe.Pointer(unsafe.SliceData(x))
	return convert(p, p, len(x), roundf16avx512, roundf16avx2)
}
