#include "textflag.h"
#include "neon_arm64.h"

// QUANTIZE sets a to the codes of the four numbers at `at`.
#define QUANTIZE(a, at) \
	LDRQ(a, 1, at);   \
	FDIV4S(a, a, 16); \
	FRINTN4S(a, a);   \
	FADD4S(a, a, 17); \
	FMAX4S(a, a, 20); \
	FMIN4S(a, a, 18); \
	FCVTNS4S(a, a);   \
	SUB4S(a, a, 19)

// func intQuantizeNEON(q *int8, x *float32, n int, delta, z, top float32, off int32)
// q = clamp(RoundToEven(x/delta) + z, 0, top) - off; n is a positive multiple of 16.
TEXT ·intQuantizeNEON(SB), NOSPLIT, $0-40
	MOVD  q+0(FP), R0
	MOVD  x+8(FP), R1
	MOVD  n+16(FP), R2
	MOVWU delta+24(FP), R3
	DUP4S_R(16, 3)
	MOVWU z+28(FP), R3
	DUP4S_R(17, 3)
	MOVWU top+32(FP), R3
	DUP4S_R(18, 3)
	MOVWU off+36(FP), R3
	DUP4S_R(19, 3)
	ZERO16B(20)

loop:
	QUANTIZE(0, 0)
	QUANTIZE(1, 16)
	QUANTIZE(2, 32)
	QUANTIZE(3, 48)
	XTN4H(0, 0)
	XTN2_8H(0, 1)
	XTN4H(2, 2)
	XTN2_8H(2, 3)
	XTN8B(0, 0)
	XTN2_16B(0, 2)
	STRQ(0, 0, 0)
	ADD  $64, R1
	ADD  $16, R0
	SUBS $16, R2
	BNE  loop
	RET

// func intSumNEON(q *int8, n int) int32
// Sum of q; n is a positive multiple of 16.
TEXT ·intSumNEON(SB), NOSPLIT, $0-20
	MOVD q+0(FP), R0
	MOVD n+8(FP), R1
	ZERO16B(0)

loop:
	LDRQ(1, 0, 0)
	SADDLP8H(1, 1)
	SADALP4S(0, 1)
	ADD  $16, R0
	SUBS $16, R1
	BNE  loop
	ADDV4S(0, 0)
	FMOVS F0, ret+16(FP)
	RET
