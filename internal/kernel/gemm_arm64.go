package kernel

import "unsafe"

// The register kernels in assembly: see [microKernel] and gemm_portable.go for
// what they compute. The name gives type and rows × columns.

//go:noescape
func f32x1x16NEON(kc int, a unsafe.Pointer, lda int, b unsafe.Pointer, ldb int, c unsafe.Pointer, ldc int, update int)

//go:noescape
func f32x2x16NEON(kc int, a unsafe.Pointer, lda int, b unsafe.Pointer, ldb int, c unsafe.Pointer, ldc int, update int)

//go:noescape
func f32x4x16NEON(kc int, a unsafe.Pointer, lda int, b unsafe.Pointer, ldb int, c unsafe.Pointer, ldc int, update int)

//go:noescape
func f32x6x16NEON(kc int, a unsafe.Pointer, lda int, b unsafe.Pointer, ldb int, c unsafe.Pointer, ldc int, update int)

//go:noescape
func f64x1x8NEON(kc int, a unsafe.Pointer, lda int, b unsafe.Pointer, ldb int, c unsafe.Pointer, ldc int, update int)

//go:noescape
func f64x2x8NEON(kc int, a unsafe.Pointer, lda int, b unsafe.Pointer, ldb int, c unsafe.Pointer, ldc int, update int)

//go:noescape
func f64x4x8NEON(kc int, a unsafe.Pointer, lda int, b unsafe.Pointer, ldb int, c unsafe.Pointer, ldc int, update int)

//go:noescape
func f64x6x8NEON(kc int, a unsafe.Pointer, lda int, b unsafe.Pointer, ldb int, c unsafe.Pointer, ldc int, update int)

var (
	neonSet32 = microSet{16, 6, [maxHeight + 1]microKernel{1: f32x1x16NEON, 2: f32x2x16NEON, 4: f32x4x16NEON, 6: f32x6x16NEON}}
	neonSet64 = microSet{8, 6, [maxHeight + 1]microKernel{1: f64x1x8NEON, 2: f64x2x8NEON, 4: f64x4x8NEON, 6: f64x6x8NEON}}
)

// microKernels returns the register kernels of the active tier.
func microKernels[T real]() *microSet {
	var e T
	single := unsafe.Sizeof(e) == 4
	switch asm := Active() >= NEON; {
	case asm && single:
		return &neonSet32
	case asm:
		return &neonSet64
	case single:
		return &portable32
	}
	return &portable64
}

// No assembly multiplies a few tokens without packing.

func hasNarrow() bool { return false }

func narrowBlock(c []float32, ldc int, a []float32, lda int, b []byte, d DType, ldb, rows, kc, update int) {
	panic("kernel: no narrow products on this machine")
}
