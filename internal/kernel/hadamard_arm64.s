#include "textflag.h"
#include "neon_arm64.h"

// The stages of the Walsh-Hadamard transform, see hadamard.go and
// hadamard_amd64.go.

// BUTTERFLY sets s to a+b and d to a−b.
#define BUTTERFLY(a, b, s, d) \
	FADD4S(s, a, b); \
	FSUB4S(d, a, b)

// func hadamard16NEON(x unsafe.Pointer, scale float32, blocks int)
TEXT ·hadamard16NEON(SB), NOSPLIT, $0-24
	MOVD  x+0(FP), R0
	MOVWU scale+8(FP), R2
	MOVD  blocks+16(FP), R1
	DUP4S_R(16, 2)
loop:
	VLD4 (R0), [V0.S4, V1.S4, V2.S4, V3.S4] // every fourth number
	FMUL4S(0, 0, 16)
	FMUL4S(1, 1, 16)
	FMUL4S(2, 2, 16)
	FMUL4S(3, 3, 16)
	BUTTERFLY(0, 1, 4, 5)
	BUTTERFLY(2, 3, 6, 7)
	BUTTERFLY(4, 6, 0, 2)
	BUTTERFLY(5, 7, 1, 3)
	VTRN1 V1.S4, V0.S4, V4.S4
	VTRN2 V1.S4, V0.S4, V5.S4
	VTRN1 V3.S4, V2.S4, V6.S4
	VTRN2 V3.S4, V2.S4, V7.S4
	VTRN1 V6.D2, V4.D2, V0.D2
	VTRN1 V7.D2, V5.D2, V1.D2
	VTRN2 V6.D2, V4.D2, V2.D2
	VTRN2 V7.D2, V5.D2, V3.D2
	BUTTERFLY(0, 1, 4, 5)
	BUTTERFLY(2, 3, 6, 7)
	BUTTERFLY(4, 6, 0, 2)
	BUTTERFLY(5, 7, 1, 3)
	STRQ(0, 0, 0)
	STRQ(1, 0, 16)
	STRQ(2, 0, 32)
	STRQ(3, 0, 48)
	ADD  $64, R0
	SUBS $1, R1
	BNE  loop
	RET

// func hadamard2NEON(x unsafe.Pointer, h, groups int)
TEXT ·hadamard2NEON(SB), NOSPLIT, $0-24
	MOVD x+0(FP), R0
	MOVD h+8(FP), R2
	MOVD groups+16(FP), R1
	LSL  $2, R2, R3
group:
	ADD  R3, R0, R4
	MOVD R2, R5
next:
	LDRQ(0, 0, 0)
	LDRQ(4, 4, 0)
	BUTTERFLY(0, 4, 16, 20)
	STRQ(16, 0, 0)
	STRQ(20, 4, 0)
	LDRQ(1, 0, 16)
	LDRQ(5, 4, 16)
	BUTTERFLY(1, 5, 17, 21)
	STRQ(17, 0, 16)
	STRQ(21, 4, 16)
	LDRQ(2, 0, 32)
	LDRQ(6, 4, 32)
	BUTTERFLY(2, 6, 18, 22)
	STRQ(18, 0, 32)
	STRQ(22, 4, 32)
	LDRQ(3, 0, 48)
	LDRQ(7, 4, 48)
	BUTTERFLY(3, 7, 19, 23)
	STRQ(19, 0, 48)
	STRQ(23, 4, 48)
	ADD  $64, R0
	ADD  $64, R4
	SUBS $16, R5
	BNE  next
	MOVD R4, R0
	SUBS $1, R1
	BNE  group
	RET

// func hadamard4NEON(x unsafe.Pointer, h, groups int)
TEXT ·hadamard4NEON(SB), NOSPLIT, $0-24
	MOVD x+0(FP), R0
	MOVD h+8(FP), R2
	MOVD groups+16(FP), R1
	LSL  $2, R2, R3
group:
	ADD  R3, R0, R4
	ADD  R3, R4, R6
	ADD  R3, R6, R7
	MOVD R2, R5
next:
	LDRQ(0, 0, 0)
	LDRQ(1, 4, 0)
	LDRQ(2, 6, 0)
	LDRQ(3, 7, 0)
	BUTTERFLY(0, 1, 4, 5)
	BUTTERFLY(2, 3, 6, 7)
	BUTTERFLY(4, 6, 0, 2)
	BUTTERFLY(5, 7, 1, 3)
	STRQ(0, 0, 0)
	STRQ(1, 4, 0)
	STRQ(2, 6, 0)
	STRQ(3, 7, 0)
	LDRQ(8, 0, 16)
	LDRQ(9, 4, 16)
	LDRQ(10, 6, 16)
	LDRQ(11, 7, 16)
	BUTTERFLY(8, 9, 12, 13)
	BUTTERFLY(10, 11, 14, 15)
	BUTTERFLY(12, 14, 8, 10)
	BUTTERFLY(13, 15, 9, 11)
	STRQ(8, 0, 16)
	STRQ(9, 4, 16)
	STRQ(10, 6, 16)
	STRQ(11, 7, 16)
	LDRQ(0, 0, 32)
	LDRQ(1, 4, 32)
	LDRQ(2, 6, 32)
	LDRQ(3, 7, 32)
	BUTTERFLY(0, 1, 4, 5)
	BUTTERFLY(2, 3, 6, 7)
	BUTTERFLY(4, 6, 0, 2)
	BUTTERFLY(5, 7, 1, 3)
	STRQ(0, 0, 32)
	STRQ(1, 4, 32)
	STRQ(2, 6, 32)
	STRQ(3, 7, 32)
	LDRQ(8, 0, 48)
	LDRQ(9, 4, 48)
	LDRQ(10, 6, 48)
	LDRQ(11, 7, 48)
	BUTTERFLY(8, 9, 12, 13)
	BUTTERFLY(10, 11, 14, 15)
	BUTTERFLY(12, 14, 8, 10)
	BUTTERFLY(13, 15, 9, 11)
	STRQ(8, 0, 48)
	STRQ(9, 4, 48)
	STRQ(10, 6, 48)
	STRQ(11, 7, 48)
	ADD  $64, R0
	ADD  $64, R4
	ADD  $64, R6
	ADD  $64, R7
	SUBS $16, R5
	BNE  next
	MOVD R7, R0
	SUBS $1, R1
	BNE  group
	RET

// func scale16NEON(x unsafe.Pointer, scale float32, blocks int)
TEXT ·scale16NEON(SB), NOSPLIT, $0-24
	MOVD  x+0(FP), R0
	MOVWU scale+8(FP), R2
	MOVD  blocks+16(FP), R1
	DUP4S_R(16, 2)
loop:
	LDRQ(0, 0, 0)
	FMUL4S(0, 0, 16)
	STRQ(0, 0, 0)
	LDRQ(1, 0, 16)
	FMUL4S(1, 1, 16)
	STRQ(1, 0, 16)
	LDRQ(2, 0, 32)
	FMUL4S(2, 2, 16)
	STRQ(2, 0, 32)
	LDRQ(3, 0, 48)
	FMUL4S(3, 3, 16)
	STRQ(3, 0, 48)
	ADD  $64, R0
	SUBS $1, R1
	BNE  loop
	RET
