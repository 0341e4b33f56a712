package float

import (
	"unsafe"

	"github.com/specquant/specquant/internal/kernel/cpu"
)

// convert runs the kernel on the whole blocks of n numbers and returns how many
// those are.
func convert(dst, src unsafe.Pointer, n int, kernel func(dst, src unsafe.Pointer, blocks int)) int {
	if cpu.Active() < cpu.NEON || n < 8 {
		return 0
	}
	kernel(dst, src, n/8)
	return n &^ 7
}

func f16ToF32Blocks(dst []float32, src []uint16) int {
	return convert(unsafe.Pointer(unsafe.SliceData(dst)), unsafe.Pointer(unsafe.SliceData(src)), len(dst), f16tof32NEON)
}

func f16BytesToF32Blocks(dst []float32, src []byte) int {
	return convert(unsafe.Pointer(unsafe.SliceData(dst)), unsafe.Pointer(unsafe.SliceData(src)), len(dst), f16tof32NEON)
}

func f32ToF16Blocks(dst []uint16, src []float32) int {
	return convert(unsafe.Pointer(unsafe.SliceData(dst)), unsafe.Pointer(unsafe.SliceData(src)), len(dst), f32tof16NEON)
}

func bf16BytesToF32Blocks(dst []float32, src []byte) int {
	return convert(unsafe.Pointer(unsafe.SliceData(dst)), unsafe.Pointer(unsafe.SliceData(src)), len(dst), bf16tof32NEON)
}

func roundF16Blocks(x []float32) int {
	p := unsafe.Pointer(unsafe.SliceData(x))
	return convert(p, p, len(x), roundf16NEON)
}
