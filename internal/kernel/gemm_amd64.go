package kernel

import "unsafe"

// The register kernels in assembly: see [microKernel] and gemm_portable.go for
// what they compute. The name gives type, rows × columns, and tier.

//go:noescape
func f32x12x32avx512(kc int, a unsafe.Pointer, lda int, b unsafe.Pointer, ldb int, c unsafe.Pointer, ldc int, update int)

//go:noescape
func f32x8x32avx512(kc int, a unsafe.Pointer, lda int, b unsafe.Pointer, ldb int, c unsafe.Pointer, ldc int, update int)

//go:noescape
func f32x4x32avx512(kc int, a unsafe.Pointer, lda int, b unsafe.Pointer, ldb int, c unsafe.Pointer, ldc int, update int)

//go:noescape
func f32x2x32avx512(kc int, a unsafe.Pointer, lda int, b unsafe.Pointer, ldb int, c unsafe.Pointer, ldc int, update int)

//go:noescape
func f32x1x32avx512(kc int, a unsafe.Pointer, lda int, b unsafe.Pointer, ldb int, c unsafe.Pointer, ldc int, update int)

//go:noescape
func f64x12x16avx512(kc int, a unsafe.Pointer, lda int, b unsafe.Pointer, ldb int, c unsafe.Pointer, ldc int, update int)

//go:noescape
func f64x8x16avx512(kc int, a unsafe.Pointer, lda int, b unsafe.Pointer, ldb int, c unsafe.Pointer, ldc int, update int)

//go:noescape
func f64x4x16avx512(kc int, a unsafe.Pointer, lda int, b unsafe.Pointer, ldb int, c unsafe.Pointer, ldc int, update int)

//go:noescape
func f64x2x16avx512(kc int, a unsafe.Pointer, lda int, b unsafe.Pointer, ldb int, c unsafe.Pointer, ldc int, update int)

//go:noescape
func f64x1x16avx512(kc int, a unsafe.Pointer, lda int, b unsafe.Pointer, ldb int, c unsafe.Pointer, ldc int, update int)

//go:noescape
func f32x6x16avx2(kc int, a unsafe.Pointer, lda int, b unsafe.Pointer, ldb int, c unsafe.Pointer, ldc int, update int)

//go:noescape
func f32x4x16avx2(kc int, a unsafe.Pointer, lda int, b unsafe.Pointer, ldb int, c unsafe.Pointer, ldc int, update int)

//go:noescape
func f32x2x16avx2(kc int, a unsafe.Pointer, lda int, b unsafe.Pointer, ldb int, c unsafe.Pointer, ldc int, update int)

//go:noescape
func f32x1x16avx2(kc int, a unsafe.Pointer, lda int, b unsafe.Pointer, ldb int, c unsafe.Pointer, ldc int, update int)

//go:noescape
func f64x6x8avx2(kc int, a unsafe.Pointer, lda int, b unsafe.Pointer, ldb int, c unsafe.Pointer, ldc int, update int)

//go:noescape
func f64x4x8avx2(kc int, a unsafe.Pointer, lda int, b unsafe.Pointer, ldb int, c unsafe.Pointer, ldc int, update int)

//go:noescape
func f64x2x8avx2(kc int, a unsafe.Pointer, lda int, b unsafe.Pointer, ldb int, c unsafe.Pointer, ldc int, update int)

//go:noescape
func f64x1x8avx2(kc int, a unsafe.Pointer, lda int, b unsafe.Pointer, ldb int, c unsafe.Pointer, ldc int, update int)

var (
	avx512Set32 = microSet{32, 12, [maxHeight + 1]microKernel{1: f32x1x32avx512, 2: f32x2x32avx512, 4: f32x4x32avx512, 8: f32x8x32avx512, 12: f32x12x32avx512}}
	avx512Set64 = microSet{16, 12, [maxHeight + 1]microKernel{1: f64x1x16avx512, 2: f64x2x16avx512, 4: f64x4x16avx512, 8: f64x8x16avx512, 12: f64x12x16avx512}}
	avx2Set32   = microSet{16, 6, [maxHeight + 1]microKernel{1: f32x1x16avx2, 2: f32x2x16avx2, 4: f32x4x16avx2, 6: f32x6x16avx2}}
	avx2Set64   = microSet{8, 6, [maxHeight + 1]microKernel{1: f64x1x8avx2, 2: f64x2x8avx2, 4: f64x4x8avx2, 6: f64x6x8avx2}}
)

// microKernels returns the register kernels of the active tier.
func microKernels[T real]() *microSet {
	var e T
	single := unsafe.Sizeof(e) == 4
	switch tier := Active(); {
	case tier >= AVX512 && single:
		return &avx512Set32
	case tier >= AVX512:
		return &avx512Set64
	case tier >= AVX2 && single:
		return &avx2Set32
	case tier >= AVX2:
		return &avx2Set64
	case single:
		return &portable32
	}
	return &portable64
}
