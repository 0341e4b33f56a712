package float

import (
	"unsafe"

	"github.com/specquant/specquant/internal/kernel/cpu"
)

// transposeBlocks sets dst[j·ldd + i] to element j of row i of src, which is of type d
// with lds bytes from row to row, for i < r and j < c. It returns r and c: rows and cols,
// rounded down to multiples of 4 and of 4 or 8.
func transposeBlocks(dst []float32, ldd int, src []byte, d DType, lds, rows, cols int) (r, c int) {
	kernel, edge := transpose4f32NEON, 4
	switch d {
	case F16:
		kernel, edge = transpose4f16NEON, 8
	case BF16:
		kernel, edge = transpose4bf16NEON, 8
	}
	r, c = rows&^3, cols/edge*edge
	if r == 0 || c == 0 || cpu.Active() < cpu.NEON {
		return 0, 0
	}
	_, _ = src[(r-1)*lds+c*d.Size()-1], dst[(c-1)*ldd+r-1]
	for i := 0; i < r; i += 4 {
		kernel(unsafe.Pointer(&dst[i]), 4*ldd, unsafe.Pointer(&src[i*lds]), lds, c/edge)
	}
	return r, c
}

// transposeBlocks64 transposes nothing: there is no routine for float64.
func transposeBlocks64(dst []float64, ldd int, src []float64, lds, rows, cols int) (r, c int) {
	return 0, 0
}
