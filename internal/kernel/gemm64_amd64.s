#include "textflag.h"

#define SHIFT 3
#define SIZE 8
#define BCAST VBROADCASTSD
#define FMA VFMADD231PD
#define ADD VADDPD
#define SUB VSUBPD
#define ZERO(r) VXORPS r, r, r

#include "gemm_amd64.h"

// func f64xHxWtier(kc int, a unsafe.Pointer, lda int, b unsafe.Pointer, ldb int, c unsafe.Pointer, ldc int, update int)
// for each height H; see gemm_amd64.go.

TEXT ·f64x12x16avx512(SB), NOSPLIT, $0-64
	ARGS
	WIDETILE12

TEXT ·f64x8x16avx512(SB), NOSPLIT, $0-64
	ARGS
	WIDETILE8

TEXT ·f64x4x16avx512(SB), NOSPLIT, $0-64
	ARGS
	WIDETILE4

TEXT ·f64x2x16avx512(SB), NOSPLIT, $0-64
	ARGS
	WIDETILE2

TEXT ·f64x1x16avx512(SB), NOSPLIT, $0-64
	ARGS
	WIDETILE1

TEXT ·f64x6x8avx2(SB), NOSPLIT, $0-64
	ARGS
	SLIMTILE6

TEXT ·f64x4x8avx2(SB), NOSPLIT, $0-64
	ARGS
	SLIMTILE4

TEXT ·f64x2x8avx2(SB), NOSPLIT, $0-64
	ARGS
	SLIMTILE2

TEXT ·f64x1x8avx2(SB), NOSPLIT, $0-64
	ARGS
	SLIMTILE1
