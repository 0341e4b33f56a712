#include "textflag.h"
#include "neon_arm64.h"

// The element-wise operations, see elem.go, of blocks of 16 numbers.

// ELEM_CONSTANTS loads V16…V29: log2 e, the number that rounds, ln 2 in two parts,
// C6…C2, 1, the lowest and the highest argument of exp, infinity, and the least
// normal number.
#define ELEM_CONSTANT(v) \
	LD1R4S(v, 8); \
	ADD $4, R8

#define ELEM_CONSTANTS \
	MOVD $elemConst<>(SB), R8; \
	ELEM_CONSTANT(16); \
	ELEM_CONSTANT(17); \
	ELEM_CONSTANT(18); \
	ELEM_CONSTANT(19); \
	ELEM_CONSTANT(20); \
	ELEM_CONSTANT(21); \
	ELEM_CONSTANT(22); \
	ELEM_CONSTANT(23); \
	ELEM_CONSTANT(24); \
	ELEM_CONSTANT(25); \
	ELEM_CONSTANT(26); \
	ELEM_CONSTANT(27); \
	ELEM_CONSTANT(28); \
	ELEM_CONSTANT(29)

DATA elemConst<>+0(SB)/4, $0x3fb8aa3b
DATA elemConst<>+4(SB)/4, $0x4b400000
DATA elemConst<>+8(SB)/4, $0x3f317200
DATA elemConst<>+12(SB)/4, $0x35bfbf00
DATA elemConst<>+16(SB)/4, $0x3ab688be
DATA elemConst<>+20(SB)/4, $0x3c0905f1
DATA elemConst<>+24(SB)/4, $0x3d2aaa8c
DATA elemConst<>+28(SB)/4, $0x3e2aaa6e
DATA elemConst<>+32(SB)/4, $0x3f000000
DATA elemConst<>+36(SB)/4, $0x3f800000
DATA elemConst<>+40(SB)/4, $0xc2aea8f6
DATA elemConst<>+44(SB)/4, $0x42b17218
DATA elemConst<>+48(SB)/4, $0x7f800000
DATA elemConst<>+52(SB)/4, $0x00800000
GLOBL elemConst<>(SB), RODATA|NOPTR, $56

// EXP sets V5 to the exponential of V0; it uses V1…V4. The products with ln 2 are
// exact, so that fusing changes nothing.
#define EXP \
	FMUL4S(1, 0, 16);  \
	FADD4S(1, 1, 17);  \
	FSUB4S(2, 1, 17);  \
	MOV16B(3, 0);      \
	FMLS4S(3, 2, 18);  \
	FMLS4S(3, 2, 19);  \
	FMUL4S(4, 3, 20);  \
	FADD4S(4, 4, 21);  \
	FMUL4S(4, 4, 3);   \
	FADD4S(4, 4, 22);  \
	FMUL4S(4, 4, 3);   \
	FADD4S(4, 4, 23);  \
	FMUL4S(4, 4, 3);   \
	FADD4S(4, 4, 24);  \
	FMUL4S(5, 3, 3);   \
	FMUL4S(4, 4, 5);   \
	FADD4S(4, 4, 3);   \
	FADD4S(4, 4, 25);  \
	SHL4S(1, 1, 23);   \
	ADD4S(4, 4, 1);    \
	FCMGT4S(1, 26, 0); \
	BIC16B(4, 4, 1);   \
	FCMGE4S(2, 27, 0); \
	FADD4S(5, 0, 28);  \
	BIT16B(5, 4, 2)

// func expNEON(x unsafe.Pointer, blocks int)
TEXT ·expNEON(SB), NOSPLIT, $0-16
	MOVD x+0(FP), R0
	MOVD blocks+8(FP), R1
	LSL  $2, R1
	ELEM_CONSTANTS
loop:
	LDRQ(0, 0, 0)
	EXP
	STRQ(5, 0, 0)
	ADD  $16, R0
	SUBS $1, R1
	BNE  loop
	RET

// func maxScaledNEON(x unsafe.Pointer, scale float32, blocks int) float32
TEXT ·maxScaledNEON(SB), NOSPLIT, $0-28
	MOVD  x+0(FP), R0
	MOVWU scale+8(FP), R2
	MOVD  blocks+16(FP), R1
	DUP4S_R(16, 2)
	LDRQ(0, 0, 0)
	FMUL4S(0, 0, 16)
	MOV16B(1, 0)
	MOV16B(2, 0)
	MOV16B(3, 0)
loop:
	LDRQ(4, 0, 0)
	FMUL4S(4, 4, 16)
	FMAX4S(0, 0, 4)
	LDRQ(4, 0, 16)
	FMUL4S(4, 4, 16)
	FMAX4S(1, 1, 4)
	LDRQ(4, 0, 32)
	FMUL4S(4, 4, 16)
	FMAX4S(2, 2, 4)
	LDRQ(4, 0, 48)
	FMUL4S(4, 4, 16)
	FMAX4S(3, 3, 4)
	ADD  $64, R0
	SUBS $1, R1
	BNE  loop
	FMAX4S(0, 0, 1)
	FMAX4S(2, 2, 3)
	FMAX4S(0, 0, 2)
	FMAXV4S(0, 0)
	FMOVS F0, ret+24(FP)
	RET

// EXPSUM does it for the four numbers at `at`, adding to the lanes in a and b;
// V6…V13 are lanes.
#define EXPSUM(at, a, b) \
	LDRQ(0, 0, at);   \
	FMUL4S(0, 0, 14); \
	FSUB4S(0, 0, 15); \
	EXP;              \
	STRQ(5, 0, at);   \
	FCVTL2D(30, 5);   \
	FCVTL2_2D(31, 5); \
	FADD2D(a, a, 30); \
	FADD2D(b, b, 31)

// func expSumNEON(x unsafe.Pointer, scale, top float32, lanes unsafe.Pointer, blocks int)
TEXT ·expSumNEON(SB), NOSPLIT, $0-32
	MOVD  x+0(FP), R0
	MOVWU scale+8(FP), R2
	MOVWU top+12(FP), R3
	MOVD  lanes+16(FP), R4
	MOVD  blocks+24(FP), R1
	DUP4S_R(14, 2)
	DUP4S_R(15, 3)
	ELEM_CONSTANTS
	LDRQ(6, 4, 0)
	LDRQ(7, 4, 16)
	LDRQ(8, 4, 32)
	LDRQ(9, 4, 48)
	LDRQ(10, 4, 64)
	LDRQ(11, 4, 80)
	LDRQ(12, 4, 96)
	LDRQ(13, 4, 112)
loop:
	EXPSUM(0, 6, 7)
	EXPSUM(16, 8, 9)
	EXPSUM(32, 10, 11)
	EXPSUM(48, 12, 13)
	ADD  $64, R0
	SUBS $1, R1
	BNE  loop
	STRQ(6, 4, 0)
	STRQ(7, 4, 16)
	STRQ(8, 4, 32)
	STRQ(9, 4, 48)
	STRQ(10, 4, 64)
	STRQ(11, 4, 80)
	STRQ(12, 4, 96)
	STRQ(13, 4, 112)
	RET

// func normalizeNEON(x unsafe.Pointer, inv float32, blocks int)
TEXT ·normalizeNEON(SB), NOSPLIT, $0-24
	MOVD  x+0(FP), R0
	MOVWU inv+8(FP), R2
	MOVD  blocks+16(FP), R1
	LSL   $2, R1
	DUP4S_R(16, 2)
	ELEM_CONSTANTS
	DUP4S_R(16, 2)
loop:
	LDRQ(0, 0, 0)
	FMUL4S(0, 0, 16)
	FCMGT4S(1, 29, 0)
	BIC16B(0, 0, 1)
	STRQ(0, 0, 0)
	ADD  $16, R0
	SUBS $1, R1
	BNE  loop
	RET

// func swigluNEON(gate, up unsafe.Pointer, blocks int)
TEXT ·swigluNEON(SB), NOSPLIT, $0-24
	MOVD gate+0(FP), R0
	MOVD up+8(FP), R2
	MOVD blocks+16(FP), R1
	LSL  $2, R1
	ELEM_CONSTANTS
loop:
	LDRQ(6, 0, 0)
	FNEG4S(0, 6)
	EXP
	FADD4S(5, 5, 25)
	FDIV4S(5, 6, 5)
	LDRQ(7, 2, 0)
	FMUL4S(5, 5, 7)
	STRQ(5, 0, 0)
	ADD  $16, R0
	ADD  $16, R2
	SUBS $1, R1
	BNE  loop
	RET

// func addNEON(x, y unsafe.Pointer, blocks int)
TEXT ·addNEON(SB), NOSPLIT, $0-24
	MOVD x+0(FP), R0
	MOVD y+8(FP), R2
	MOVD blocks+16(FP), R1
loop:
	LDRQ(0, 0, 0)
	LDRQ(4, 2, 0)
	FADD4S(0, 0, 4)
	STRQ(0, 0, 0)
	LDRQ(1, 0, 16)
	LDRQ(5, 2, 16)
	FADD4S(1, 1, 5)
	STRQ(1, 0, 16)
	LDRQ(2, 0, 32)
	LDRQ(6, 2, 32)
	FADD4S(2, 2, 6)
	STRQ(2, 0, 32)
	LDRQ(3, 0, 48)
	LDRQ(7, 2, 48)
	FADD4S(3, 3, 7)
	STRQ(3, 0, 48)
	ADD  $64, R0
	ADD  $64, R2
	SUBS $1, R1
	BNE  loop
	RET

// func mulScaledNEON(dst, x, weight unsafe.Pointer, scale float32, blocks int)
TEXT ·mulScaledNEON(SB), NOSPLIT, $0-40
	MOVD  dst+0(FP), R0
	MOVD  x+8(FP), R2
	MOVD  weight+16(FP), R3
	MOVWU scale+24(FP), R4
	MOVD  blocks+32(FP), R1
	DUP4S_R(16, 4)
loop:
	LDRQ(0, 2, 0)
	LDRQ(4, 3, 0)
	FMUL4S(0, 0, 16)
	FMUL4S(0, 0, 4)
	STRQ(0, 0, 0)
	LDRQ(1, 2, 16)
	LDRQ(5, 3, 16)
	FMUL4S(1, 1, 16)
	FMUL4S(1, 1, 5)
	STRQ(1, 0, 16)
	LDRQ(2, 2, 32)
	LDRQ(6, 3, 32)
	FMUL4S(2, 2, 16)
	FMUL4S(2, 2, 6)
	STRQ(2, 0, 32)
	LDRQ(3, 2, 48)
	LDRQ(7, 3, 48)
	FMUL4S(3, 3, 16)
	FMUL4S(3, 3, 7)
	STRQ(3, 0, 48)
	ADD  $64, R0
	ADD  $64, R2
	ADD  $64, R3
	SUBS $1, R1
	BNE  loop
	RET

// func ropeNEON(lo, hi, cos, sin unsafe.Pointer, blocks int)
TEXT ·ropeNEON(SB), NOSPLIT, $0-40
	MOVD lo+0(FP), R0
	MOVD hi+8(FP), R2
	MOVD cos+16(FP), R3
	MOVD sin+24(FP), R4
	MOVD blocks+32(FP), R1
	LSL  $2, R1
loop:
	LDRQ(0, 0, 0)
	LDRQ(1, 2, 0)
	LDRQ(2, 3, 0)
	LDRQ(3, 4, 0)
	FMUL4S(4, 0, 2)
	FMUL4S(5, 1, 3)
	FMUL4S(6, 1, 2)
	FMUL4S(7, 0, 3)
	FSUB4S(4, 4, 5)
	FADD4S(6, 6, 7)
	STRQ(4, 0, 0)
	STRQ(6, 2, 0)
	ADD  $16, R0
	ADD  $16, R2
	ADD  $16, R3
	ADD  $16, R4
	SUBS $1, R1
	BNE  loop
	RET
