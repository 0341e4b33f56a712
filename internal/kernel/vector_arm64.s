#include "textflag.h"
#include "neon_arm64.h"

// Vector operations on whole blocks of 16 numbers, in the order of the kernels for
// AVX2: 64 lanes (32 for the squares), folded in halves.

// func sumSquaresNEON(x unsafe.Pointer, blocks int) float64
TEXT ·sumSquaresNEON(SB), NOSPLIT, $0-24
	MOVD x+0(FP), R0
	MOVD blocks+8(FP), R1
	ZERO16B(0)
	ZERO16B(1)
	ZERO16B(2)
	ZERO16B(3)
	ZERO16B(4)
	ZERO16B(5)
	ZERO16B(6)
	ZERO16B(7)
	ZERO16B(8)
	ZERO16B(9)
	ZERO16B(10)
	ZERO16B(11)
	ZERO16B(12)
	ZERO16B(13)
	ZERO16B(14)
	ZERO16B(15)
	SUBS $2, R1
	BLT  rest
two:
	LDRQ(16, 0, 0)
	FCVTL2D(17, 16)
	FCVTL2_2D(18, 16)
	FMLA2D(0, 17, 17)
	FMLA2D(1, 18, 18)
	LDRQ(16, 0, 16)
	FCVTL2D(17, 16)
	FCVTL2_2D(18, 16)
	FMLA2D(2, 17, 17)
	FMLA2D(3, 18, 18)
	LDRQ(16, 0, 32)
	FCVTL2D(17, 16)
	FCVTL2_2D(18, 16)
	FMLA2D(4, 17, 17)
	FMLA2D(5, 18, 18)
	LDRQ(16, 0, 48)
	FCVTL2D(17, 16)
	FCVTL2_2D(18, 16)
	FMLA2D(6, 17, 17)
	FMLA2D(7, 18, 18)
	LDRQ(16, 0, 64)
	FCVTL2D(17, 16)
	FCVTL2_2D(18, 16)
	FMLA2D(8, 17, 17)
	FMLA2D(9, 18, 18)
	LDRQ(16, 0, 80)
	FCVTL2D(17, 16)
	FCVTL2_2D(18, 16)
	FMLA2D(10, 17, 17)
	FMLA2D(11, 18, 18)
	LDRQ(16, 0, 96)
	FCVTL2D(17, 16)
	FCVTL2_2D(18, 16)
	FMLA2D(12, 17, 17)
	FMLA2D(13, 18, 18)
	LDRQ(16, 0, 112)
	FCVTL2D(17, 16)
	FCVTL2_2D(18, 16)
	FMLA2D(14, 17, 17)
	FMLA2D(15, 18, 18)
	ADD  $128, R0
	SUBS $2, R1
	BGE  two
rest:
	ADDS $2, R1
	BEQ  fold
	LDRQ(16, 0, 0)
	FCVTL2D(17, 16)
	FCVTL2_2D(18, 16)
	FMLA2D(0, 17, 17)
	FMLA2D(1, 18, 18)
	LDRQ(16, 0, 16)
	FCVTL2D(17, 16)
	FCVTL2_2D(18, 16)
	FMLA2D(2, 17, 17)
	FMLA2D(3, 18, 18)
	LDRQ(16, 0, 32)
	FCVTL2D(17, 16)
	FCVTL2_2D(18, 16)
	FMLA2D(4, 17, 17)
	FMLA2D(5, 18, 18)
	LDRQ(16, 0, 48)
	FCVTL2D(17, 16)
	FCVTL2_2D(18, 16)
	FMLA2D(6, 17, 17)
	FMLA2D(7, 18, 18)
fold:
	FADD2D(0, 0, 4)
	FADD2D(1, 1, 5)
	FADD2D(8, 8, 12)
	FADD2D(9, 9, 13)
	FADD2D(0, 0, 8)
	FADD2D(1, 1, 9)
	FADD2D(2, 2, 6)
	FADD2D(3, 3, 7)
	FADD2D(10, 10, 14)
	FADD2D(11, 11, 15)
	FADD2D(2, 2, 10)
	FADD2D(3, 3, 11)
	FADD2D(0, 0, 2)
	FADD2D(1, 1, 3)
	FADD2D(0, 0, 1)
	VEXT $8, V0.B16, V0.B16, V1.B16
	FADD2D(0, 0, 1)
	FMOVD F0, ret+16(FP)
	RET

// func axpyNEON(y unsafe.Pointer, a float32, x unsafe.Pointer, blocks int)
TEXT ·axpyNEON(SB), NOSPLIT, $0-32
	MOVD  y+0(FP), R0
	MOVWU a+8(FP), R3
	MOVD  x+16(FP), R2
	MOVD  blocks+24(FP), R1
	DUP4S_R(16, 3)
loop:
	LDRQ(0, 0, 0)
	LDRQ(4, 2, 0)
	FMLA4S(0, 4, 16)
	STRQ(0, 0, 0)
	LDRQ(1, 0, 16)
	LDRQ(5, 2, 16)
	FMLA4S(1, 5, 16)
	STRQ(1, 0, 16)
	LDRQ(2, 0, 32)
	LDRQ(6, 2, 32)
	FMLA4S(2, 6, 16)
	STRQ(2, 0, 32)
	LDRQ(3, 0, 48)
	LDRQ(7, 2, 48)
	FMLA4S(3, 7, 16)
	STRQ(3, 0, 48)
	ADD  $64, R0
	ADD  $64, R2
	SUBS $1, R1
	BNE  loop
	RET

// func axpyF16NEON(y unsafe.Pointer, a float32, x unsafe.Pointer, blocks int)
TEXT ·axpyF16NEON(SB), NOSPLIT, $0-32
	MOVD  y+0(FP), R0
	MOVWU a+8(FP), R3
	MOVD  x+16(FP), R2
	MOVD  blocks+24(FP), R1
	DUP4S_R(16, 3)
loop:
	LDRQ(8, 2, 0)
	LDRQ(9, 2, 16)
	FCVTL4S(4, 8)
	FCVTL2_4S(5, 8)
	FCVTL4S(6, 9)
	FCVTL2_4S(7, 9)
	LDRQ(0, 0, 0)
	FMLA4S(0, 4, 16)
	STRQ(0, 0, 0)
	LDRQ(1, 0, 16)
	FMLA4S(1, 5, 16)
	STRQ(1, 0, 16)
	LDRQ(2, 0, 32)
	FMLA4S(2, 6, 16)
	STRQ(2, 0, 32)
	LDRQ(3, 0, 48)
	FMLA4S(3, 7, 16)
	STRQ(3, 0, 48)
	ADD  $64, R0
	ADD  $32, R2
	SUBS $1, R1
	BNE  loop
	RET
