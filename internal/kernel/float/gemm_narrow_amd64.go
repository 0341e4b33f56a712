package float

import (
	"unsafe"

	"github.com/specquant/specquant/internal/kernel/cpu"
)

type narrowKernel func(blocks int, a unsafe.Pointer, lda int, b unsafe.Pointer, ldb int, c unsafe.Pointer, ldc int, update int)

// narrowKernels returns the kernels of the active tier by type and rows; nil
// where there are none.
func narrowKernels() *[F32 + 1][narrowRows + 1]narrowKernel {
	switch tier := cpu.Active(); {
	case tier >= cpu.AVX512:
		return &narrow512
	case tier >= cpu.AVX2:
		return &narrow256
	}
	return nil
}

// narrowBlock multiplies rows of a, at most narrowRows, with 16 rows of b.
func narrowBlock(c []float32, ldc int, a []float32, lda int, b []byte, d DType, ldb, rows, kc, update int) {
	set := narrowKernels()
	_ = b[15*ldb+kc*d.Size()-1]
	for i := 0; i < rows; {
		h := min(rows-i, narrowRows)
		for set[d][h] == nil {
			h--
		}
		_, _ = a[(i+h-1)*lda+kc-1], c[(i+h-1)*ldc+15]
		set[d][h](kc/16, unsafe.Pointer(&a[i*lda]), 4*lda, unsafe.Pointer(&b[0]), ldb, unsafe.Pointer(&c[i*ldc]), 4*ldc, update)
		i += h
	}
}

func hasNarrow() bool { return narrowKernels() != nil }
