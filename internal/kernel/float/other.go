//go:build !amd64 && !arm64

package float

import "unsafe"

// Machines without assembly run the portable kernels.

func microKernels[T real]() *microSet {
	var e T
	if unsafe.Sizeof(e) == 4 {
		return &portable32
	}
	return &portable64
}

func transposeBlocks(dst []float32, ldd int, src []byte, d DType, lds, rows, cols int) (r, c int) {
	return 0, 0
}

func transposeBlocks64(dst []float64, ldd int, src []float64, lds, rows, cols int) (r, c int) {
	return 0, 0
}

func f16ToF32Blocks(dst []float32, src []uint16) int     { return 0 }
func f32ToF16Blocks(dst []uint16, src []float32) int     { return 0 }
func roundF16Blocks(x []float32) int                     { return 0 }
func f16BytesToF32Blocks(dst []float32, src []byte) int  { return 0 }
func bf16BytesToF32Blocks(dst []float32, src []byte) int { return 0 }

func hasNarrow() bool { return false }

func narrowBlock(c []float32, ldc int, a []float32, lda int, b []byte, d DType, ldb, rows, kc, update int) {
	panic("kernel: no narrow products on this machine")
}

func sumSquaresBlocks(x []float32) (float64, int)          { return 0, 0 }
func axpyBlocks(y []float32, a float32, x []float32) int   { return 0 }
func axpyF16Blocks(y []float32, a float32, x []uint16) int { return 0 }

func hadamardBlocks(x []float32, scale float32) bool { return false }

// MinMaxAbs is [minMaxAbsGo].
func MinMaxAbs(x []float32) (lo, hi float32, abs uint32) { return minMaxAbsGo(x) }
