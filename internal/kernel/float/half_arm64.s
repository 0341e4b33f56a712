#include "textflag.h"
#include "neon_arm64.h"

// Conversions of blocks of 8 numbers, see half.go.

// func f16tof32NEON(dst, src unsafe.Pointer, blocks int)
TEXT ·f16tof32NEON(SB), NOSPLIT, $0-24
	MOVD dst+0(FP), R0
	MOVD src+8(FP), R2
	MOVD blocks+16(FP), R1
loop:
	LDRQ(0, 2, 0)
	FCVTL4S(1, 0)
	FCVTL2_4S(2, 0)
	STRQ(1, 0, 0)
	STRQ(2, 0, 16)
	ADD  $32, R0
	ADD  $16, R2
	SUBS $1, R1
	BNE  loop
	RET

// func f32tof16NEON(dst, src unsafe.Pointer, blocks int)
TEXT ·f32tof16NEON(SB), NOSPLIT, $0-24
	MOVD dst+0(FP), R0
	MOVD src+8(FP), R2
	MOVD blocks+16(FP), R1
loop:
	LDRQ(0, 2, 0)
	LDRQ(1, 2, 16)
	FCVTN4H(0, 0)
	FCVTN2_8H(0, 1)
	STRQ(0, 0, 0)
	ADD  $16, R0
	ADD  $32, R2
	SUBS $1, R1
	BNE  loop
	RET

// func roundf16NEON(dst, src unsafe.Pointer, blocks int)
TEXT ·roundf16NEON(SB), NOSPLIT, $0-24
	MOVD dst+0(FP), R0
	MOVD src+8(FP), R2
	MOVD blocks+16(FP), R1
loop:
	LDRQ(0, 2, 0)
	LDRQ(1, 2, 16)
	FCVTN4H(0, 0)
	FCVTN4H(1, 1)
	FCVTL4S(0, 0)
	FCVTL4S(1, 1)
	STRQ(0, 0, 0)
	STRQ(1, 0, 16)
	ADD  $32, R0
	ADD  $32, R2
	SUBS $1, R1
	BNE  loop
	RET

// func bf16tof32NEON(dst, src unsafe.Pointer, blocks int)
TEXT ·bf16tof32NEON(SB), NOSPLIT, $0-24
	MOVD dst+0(FP), R0
	MOVD src+8(FP), R2
	MOVD blocks+16(FP), R1
loop:
	LDRQ(0, 2, 0)
	SHLL4S_16(1, 0)
	SHLL2_4S_16(2, 0)
	STRQ(1, 0, 0)
	STRQ(2, 0, 16)
	ADD  $32, R0
	ADD  $16, R2
	SUBS $1, R1
	BNE  loop
	RET
