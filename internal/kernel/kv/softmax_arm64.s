#include "textflag.h"
#include "neon_arm64.h"

// The softmax of a row of scores, and its weights as 16-bit integers, for NEON: see softmax.go.

// y plus the magic number is that plus n, the integer next to y, with n+128 in the lowest bits.
// Shifted to the exponent, that is the float32 2·2^n, which half of the polynomial is multiplied
// by: unlike an addition to the exponent, that leaves a NaN one.
#define CONSTANT(v, bits) \
	MOVW $bits, R6; \
	DUP4S_R(v, 6)

// BOTH does an operation for each of two vectors, whose registers are V0…V4 and V5…V9.
#define BOTH(OP, d, n, m) \
	OP(d, n, m); \
	OP((d+5), (n+5), (m+5))

// BOTH_C is BOTH with a constant as the last operand, BOTH_F with one as the first.
#define BOTH_C(OP, d, n, c) \
	OP(d, n, c); \
	OP((d+5), (n+5), c)

#define BOTH_F(OP, d, c, m) \
	OP(d, c, m); \
	OP((d+5), c, (m+5))

#define COPIES(d, c) \
	MOV16B(d, c); \
	MOV16B((d+5), c)

// MASKED loads four numbers for each of the two vectors, 0 where the mask is set.
#define MASKED(d, from, at) \
	LDRQ(d, from, at);          \
	LDRQ((d+5), from, (at+64)); \
	BOTH(BIC16B, d, d, 1)

// EXP2 makes the exponentials of two vectors, 64 bytes apart, in V4 and V9, the scales of their
// values in V2 and V7, and the minima in V3 and V8. V1 is the distance from the largest score,
// then a mask of those that are too far.
#define EXP2(at) \
	LDRQ(1, 2, at);            \
	LDRQ(6, 2, (at+64));       \
	BOTH_F(FSUB4S, 1, 16, 1);  \
	COPIES(2, 19);             \
	BOTH_C(FMLS4S, 2, 1, 17);  \
	BOTH_F(FSUB4S, 3, 19, 2);  \
	BOTH_C(FMLS4S, 3, 1, 17);  \
	COPIES(0, 21);             \
	BOTH_F(FMLA4S, 0, 20, 3);  \
	COPIES(4, 22);             \
	BOTH(FMLA4S, 4, 0, 3);     \
	COPIES(0, 23);             \
	BOTH(FMLA4S, 0, 4, 3);     \
	COPIES(4, 24);             \
	BOTH(FMLA4S, 4, 0, 3);     \
	SHL4S(2, 2, 23);           \
	SHL4S(7, 7, 23);           \
	BOTH_C(FCMGT4S, 1, 1, 18); \
	BOTH(FMUL4S, 4, 4, 2);     \
	BOTH(BIC16B, 4, 4, 1);     \
	MASKED(3, 4, at);          \
	MASKED(2, 3, at)

#define WEIGHTS(at) \
	FMLA4S(31, 9, 8);      \
	BOTH(FMUL4S, 4, 4, 2); \
	FMAX4S(29, 29, 4);     \
	FMAX4S(29, 29, 9);     \
	STRQ(4, 2, at);        \
	STRQ(9, 2, (at+64))

// LANES does the scores of four lanes, and adds to their sums.
#define LANES(at, sums, bases) \
	EXP2(at);                 \
	FADD4S(30, 4, 9);         \
	FMUL4S(31, 4, 3);         \
	WEIGHTS(at);              \
	EXP2((at+128));           \
	FADD4S(0, 4, 9);          \
	FADD4S(30, 30, 0);        \
	FMLA4S(31, 4, 3);         \
	WEIGHTS((at+128));        \
	FADD4S(sums, sums, 30);   \
	FADD4S(bases, bases, 31)

#define ROUND2(at) \
	LDRQ(1, 2, (2*at));    \
	LDRQ(2, 2, (2*at+16)); \
	FMUL4S(1, 1, 0);       \
	FMUL4S(2, 2, 0);       \
	FCVTNS4S(1, 1);        \
	FCVTNS4S(2, 2);        \
	XTN4H(1, 1);           \
	XTN2_8H(1, 2);         \
	STRQ(1, 0, at)

#define HIGHEST(at) \
	LDRQ(4, 2, at);      \
	LDRQ(5, 2, (at+16)); \
	LDRQ(6, 2, (at+32)); \
	LDRQ(7, 2, (at+48)); \
	FMAX4S(0, 0, 4);     \
	FMAX4S(1, 1, 5);     \
	FMAX4S(2, 2, 6);     \
	FMAX4S(3, 3, 7)

// FOLD adds up 16 lanes in halves, to F0.
#define FOLD(a, b, c, d) \
	FADD4S(0, a, c); \
	FADD4S(1, b, d); \
	FADD4S(0, 0, 1); \
	DUP4S(1, 0, 1);  \
	DUP4S(2, 0, 2);  \
	DUP4S(3, 0, 3);  \
	FADD4S(0, 0, 2); \
	FADD4S(1, 1, 3); \
	FADD4S(0, 0, 1)

// func kvSoftmaxNEON(dst, step, s, vscale, vmin unsafe.Pointer, blocks int, a, limit float32) (sum, base float32)
// A row of blocks of 64 scores: 16-bit integers, the largest weight of each block, and the
// sums before the division. The weights are put where the scores were.
//
//	R0 dst, R1 step, R2 scores, R3 scales, R4 minima, R5 blocks left
//	V10 16383, V11 2⁻¹⁰⁰, V12…V15 Σe·minimum, V16 largest score, V17 a, V18 limit, V19 magic
//	V20…V24 polynomial, V25…V28 Σe, V29 largest weights, V30 and V31 sums of a block
TEXT ·kvSoftmaxNEON(SB), NOSPLIT, $0-64
	MOVD dst+0(FP), R0
	MOVD step+8(FP), R1
	MOVD s+16(FP), R2
	MOVD vscale+24(FP), R3
	MOVD vmin+32(FP), R4
	MOVD blocks+40(FP), R5
	LDRQ(0, 2, 0)
	MOV16B(1, 0)
	MOV16B(2, 0)
	MOV16B(3, 0)
	MOVD R2, R7
	MOVD R5, R8
highest:
	HIGHEST(0)
	HIGHEST(64)
	HIGHEST(128)
	HIGHEST(192)
	ADD  $256, R2
	SUBS $1, R8
	BNE  highest
	MOVD R7, R2
	FMAX4S(0, 0, 1)
	FMAX4S(2, 2, 3)
	FMAX4S(0, 0, 2)
	FMAXV4S(0, 0)
	DUP4S(16, 0, 0)
	FMOVS a+48(FP), F0
	DUP4S(17, 0, 0)
	FMOVS limit+52(FP), F0
	DUP4S(18, 0, 0)
	CONSTANT(10, 0x467ffc00) // 16383
	CONSTANT(11, 0x0d800000) // 2⁻¹⁰⁰
	CONSTANT(19, 0x4b400080) // magic: 1.5·2²³ + 128
	CONSTANT(20, 0x3b9d0172) // C4/2
	CONSTANT(21, 0x3ce4fe2a) // C3/2
	CONSTANT(22, 0x3df601bc) // C2/2
	CONSTANT(23, 0x3eb17096) // C1/2
	CONSTANT(24, 0x3f000000) // 1/2
	ZERO16B(12)
	ZERO16B(13)
	ZERO16B(14)
	ZERO16B(15)
	ZERO16B(25)
	ZERO16B(26)
	ZERO16B(27)
	ZERO16B(28)
block:
	ZERO16B(29)
	LANES(0, 25, 12)
	LANES(16, 26, 13)
	LANES(32, 27, 14)
	LANES(48, 28, 15)
	FMAXV4S(0, 29)
	STRS(0, 1, 0)
	DUP4S(0, 0, 0)
	FMAX4S(0, 0, 11)
	FDIV4S(0, 10, 0)
	ROUND2(0)
	ROUND2(16)
	ROUND2(32)
	ROUND2(48)
	ROUND2(64)
	ROUND2(80)
	ROUND2(96)
	ROUND2(112)
	ADD  $256, R2
	ADD  $256, R3
	ADD  $256, R4
	ADD  $128, R0
	ADD  $4, R1
	SUBS $1, R5
	BNE  block
	FOLD(25, 26, 27, 28)
	FMOVS F0, sum+56(FP)
	FOLD(12, 13, 14, 15)
	FMOVS F0, base+60(FP)
	RET
