#include "textflag.h"

#define SHIFT 2
#define SIZE 4
#define BCAST VBROADCASTSS
#define FMA VFMADD231PS
#define ADD VADDPS
#define SUB VSUBPS
#define ZERO(r) VXORPS r, r, r

#include "gemm_amd64.h"

// func f32xHxWtier(kc int, a unsafe.Pointer, lda int, b unsafe.Pointer, ldb int, c unsafe.Pointer, ldc int, update int)
// for each height H; see gemm_amd64.go.

TEXT ·f32x12x32avx512(SB), NOSPLIT, $0-64
	ARGS
	WIDETILE12

TEXT ·f32x8x32avx512(SB), NOSPLIT, $0-64
	ARGS
	WIDETILE8

TEXT ·f32x4x32avx512(SB), NOSPLIT, $0-64
	ARGS
	WIDETILE4

TEXT ·f32x2x32avx512(SB), NOSPLIT, $0-64
	ARGS
	WIDETILE2

TEXT ·f32x1x32avx512(SB), NOSPLIT, $0-64
	ARGS
	WIDETILE1

TEXT ·f32x6x16avx2(SB), NOSPLIT, $0-64
	ARGS
	SLIMTILE6

TEXT ·f32x4x16avx2(SB), NOSPLIT, $0-64
	ARGS
	SLIMTILE4

TEXT ·f32x2x16avx2(SB), NOSPLIT, $0-64
	ARGS
	SLIMTILE2

TEXT ·f32x1x16avx2(SB), NOSPLIT, $0-64
	ARGS
	SLIMTILE1
