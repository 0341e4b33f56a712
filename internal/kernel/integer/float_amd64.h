// Common parts of the kernels for integer weights and float tokens.
//
// Registers:
//   SI, DI        first tile's next step, distance to the second tile (AVX-512)
//   R8, R9        next column of tokens 0 and 3, DX distance between tokens
//   R12 arguments, R13 groups left, R14 next scales, BX steps left
//   R15           float sums, [token][tile][16]

#include "zero_amd64.h"

#define INTF_ENTER \
	MOVQ args+0(FP), R12;          \
	MOVQ intArgs_w(R12), SI;       \
	MOVQ intArgs_wNext(R12), DI;   \
	MOVQ intArgs_q(R12), R8;       \
	MOVQ intArgs_qNext(R12), DX;   \
	LEAQ (DX)(DX*2), AX;           \
	LEAQ (R8)(AX*1), R9;           \
	MOVQ intArgs_groups(R12), R13; \
	MOVQ intArgs_scale(R12), R14;  \
	ZERO_BEGIN

#define INTF_GROUP \
	MOVQ    intArgs_steps(R12), BX; \
	CMPQ    R13, $1;                \
	CMOVQEQ intArgs_last(R12), BX

#define INTF_FMA(x, b, w0, w1, a0, a1) \
	VBROADCASTSS x, b;       \
	VFMADD231PS  b, w0, a0;  \
	VFMADD231PS  b, w1, a1

// INTF_FLUSH adds scale·product to the float sum at mem.
#define INTF_FLUSH(mem, scale, a) \
	VMULPS  scale, a, a; \
	VADDPS  mem, a, a;   \
	VMOVUPS a, mem
