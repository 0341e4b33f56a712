// Common parts of the kernels for integer weights and float tokens.
//
// Registers:
//   SI, DI        first tile's next step, distance to the second tile (AVX-512)
//   R8, R9        next column of tokens 0 and 3, DX distance between tokens
//   R12 arguments, R13 groups left, R14 next scales, BX steps left
//   R15           float sums, [token][tile][16]

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
	MOVQ intArgs_shift(R12), AX;   \
	MOVQ AX, intArgs_shiftAt(R12); \
	MOVQ intArgs_fsum(R12), AX;    \
	MOVQ AX, intArgs_fsumAt(R12)

#define INTF_GROUP \
	MOVQ    intArgs_steps(R12), BX; \
	CMPQ    R13, $1;                \
	CMOVQEQ intArgs_last(R12), BX

#define INTF_FMA(x, b, w0, w1, a0, a1) \
	VBROADCASTSS x, b;       \
	VFMADD231PS  b, w0, a0;  \
	VFMADD231PS  b, w1, a1

// INTF_SHIFTS loads what zero points are different from the middle by, of the halves of one row
// tile or of both row tiles, into s0 and s1; second is where the latter are from AX on. It sets CX and AX for INTF_UNSHIFT, which subtracts that times the token's sum.
#define INTF_SHIFTS(second, s0, s1) \
	MOVQ    intArgs_shiftAt(R12), AX;   \
	VMOVUPS (AX), s0;                   \
	VMOVUPS second, s1;                 \
	ADDQ    intArgs_shiftNext(R12), AX; \
	MOVQ    AX, intArgs_shiftAt(R12);   \
	MOVQ    intArgs_fsumAt(R12), CX;    \
	MOVQ    intArgs_fsumNext(R12), AX;  \
	ADDQ    $4, intArgs_fsumAt(R12)

#define INTF_UNSHIFT(sum, s0, s1, t0, t1, a0, a1) \
	VBROADCASTSS (CX), sum;   \
	ADDQ         AX, CX;      \
	VMULPS       sum, s0, t0; \
	VMULPS       sum, s1, t1; \
	VSUBPS       t0, a0, a0;  \
	VSUBPS       t1, a1, a1

// INTF_FLUSH adds scale·product to the float sum at mem.
#define INTF_FLUSH(mem, scale, a) \
	VMULPS  scale, a, a; \
	VADDPS  mem, a, a;   \
	VMOVUPS a, mem
