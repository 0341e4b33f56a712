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

// func intStartNEON(y, scale, shift unsafe.Pointer, shiftNext int, sum unsafe.Pointer, groups int)
// Where the sums of a row tile begin for one token, see zero.go.
TEXT ·intStartNEON(SB), NOSPLIT, $0-48
	MOVD y+0(FP), R0
	MOVD scale+8(FP), R1
	MOVD shift+16(FP), R2
	MOVD shiftNext+24(FP), R3
	MOVD sum+32(FP), R4
	MOVD groups+40(FP), R5
	ZERO16B(0)
	ZERO16B(1)
	ZERO16B(2)
	ZERO16B(3)

group:
	LD1R4S(16, 4)
	LDRQ(4, 1, 0)
	LDRQ(5, 2, 0)
	FMUL4S(4, 4, 5)
	FMUL4S(4, 4, 16)
	FSUB4S(0, 0, 4)
	LDRQ(4, 1, 16)
	LDRQ(5, 2, 16)
	FMUL4S(4, 4, 5)
	FMUL4S(4, 4, 16)
	FSUB4S(1, 1, 4)
	LDRQ(4, 1, 32)
	LDRQ(5, 2, 32)
	FMUL4S(4, 4, 5)
	FMUL4S(4, 4, 16)
	FSUB4S(2, 2, 4)
	LDRQ(4, 1, 48)
	LDRQ(5, 2, 48)
	FMUL4S(4, 4, 5)
	FMUL4S(4, 4, 16)
	FSUB4S(3, 3, 4)
	ADD  $64, R1
	ADD  R3, R2
	ADD  $4, R4
	SUBS $1, R5
	BNE  group
	STRQ(0, 0, 0)
	STRQ(1, 0, 16)
	STRQ(2, 0, 32)
	STRQ(3, 0, 48)
	RET
