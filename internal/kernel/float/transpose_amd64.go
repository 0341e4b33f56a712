package float

import (
	"unsafe"

	"github.com/specquant/specquant/internal/kernel/cpu"
)

// transposer is a tier's routines for transposing blocks of `edge` rows and `edge` columns,
// by the type of the elements, which become float32. A routine does `blocks` blocks that
// lie side by side; ldd and lds are in bytes.
type transposer struct {
	edge int
	fn   [F32 + 1]func(dst unsafe.Pointer, ldd int, src unsafe.Pointer, lds, blocks int)
}

var (
	transposer512 = transposer{16, [F32 + 1]func(dst unsafe.Pointer, ldd int, src unsafe.Pointer, lds, blocks int){
		F16: transpose16f16avx512, BF16: transpose16bf16avx512, F32: transpose16f32avx512}}
	transposer256 = transposer{8, [F32 + 1]func(dst unsafe.Pointer, ldd int, src unsafe.Pointer, lds, blocks int){
		F16: transpose8f16avx2, BF16: transpose8bf16avx2, F32: transpose8f32avx2}}
)

// transposeBlocks sets dst[j·ldd + i] to element j of row i of src, which is of type d
// with lds bytes from row to row, for i < r and j < c. It returns r and c: rows and cols,
// rounded down to whole blocks.
func transposeBlocks(dst []float32, ldd int, src []byte, d DType, lds, rows, cols int) (r, c int) {
	t := &transposer512
	switch tier := cpu.Active(); {
	case tier < cpu.AVX2:
		return 0, 0
	case tier < cpu.AVX512 || rows < transposer512.edge || cols < transposer512.edge:
		t = &transposer256
	}
	r, c = rows/t.edge*t.edge, cols/t.edge*t.edge
	if r == 0 || c == 0 {
		return 0, 0
	}
	_ = src[(r-1)*lds+c*d.Size()-1]
	_ = dst[(c-1)*ldd+r-1]
	for i := 0; i < r; i += t.edge {
		t.fn[d](unsafe.Pointer(&dst[i]), 4*ldd, unsafe.Pointer(&src[i*lds]), lds, c/t.edge)
	}
	return r, c
}

// transposeBlocks64 is [transposeBlocks] for float64; lds counts elements.
func transposeBlocks64(dst []float64, ldd int, src []float64, lds, rows, cols int) (r, c int) {
	r, c = rows&^3, cols&^3
	if r == 0 || c == 0 || cpu.Active() < cpu.AVX2 {
		return 0, 0
	}
	_, _ = src[(r-1)*lds+c-1], dst[(c-1)*ldd+r-1]
	for i := 0; i < r; i += 4 {
		transpose4f64avx2(unsafe.Pointer(&dst[i]), 8*ldd, unsafe.Pointer(&src[i*lds]), 8*lds, c/4)
	}
	return r, c
}
