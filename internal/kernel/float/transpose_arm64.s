#include "textflag.h"
#include "neon_arm64.h"

// Transposes of 4 rows, blocks of 4 columns (F32) or 8 (16-bit) at a time: see
// transposeBlocks. R0 dst, R1 its rows' distance, R2…R5 rows of src, R6 blocks.

#define TRANSPOSE_ENTER \
	MOVD dst+0(FP), R0;     \
	MOVD ldd+8(FP), R1;     \
	MOVD src+16(FP), R2;    \
	MOVD lds+24(FP), R7;    \
	MOVD blocks+32(FP), R6; \
	ADD  R7, R2, R3;        \
	ADD  R7, R3, R4;        \
	ADD  R7, R4, R5

// TRANSPOSE writes V0…V3 as columns.
#define TRANSPOSE \
	VTRN1 V1.S4, V0.S4, V4.S4; \
	VTRN2 V1.S4, V0.S4, V5.S4; \
	VTRN1 V3.S4, V2.S4, V6.S4; \
	VTRN2 V3.S4, V2.S4, V7.S4; \
	VTRN1 V6.D2, V4.D2, V0.D2; \
	VTRN1 V7.D2, V5.D2, V1.D2; \
	VTRN2 V6.D2, V4.D2, V2.D2; \
	VTRN2 V7.D2, V5.D2, V3.D2; \
	STRQ(0, 0, 0);             \
	ADD  R1, R0;               \
	STRQ(1, 0, 0);             \
	ADD  R1, R0;               \
	STRQ(2, 0, 0);             \
	ADD  R1, R0;               \
	STRQ(3, 0, 0);             \
	ADD  R1, R0

#define TRANSPOSE_NEXT \
	ADD  $16, R2; \
	ADD  $16, R3; \
	ADD  $16, R4; \
	ADD  $16, R5; \
	SUBS $1, R6;  \
	BNE  loop;    \
	RET

#define ROWS(a) \
	LDRQ(a, 2, 0);     \
	LDRQ((a+1), 3, 0); \
	LDRQ((a+2), 4, 0); \
	LDRQ((a+3), 5, 0)

// func transpose4f32NEON(dst unsafe.Pointer, ldd int, src unsafe.Pointer, lds, blocks int)
TEXT ·transpose4f32NEON(SB), NOSPLIT, $0-40
	TRANSPOSE_ENTER
loop:
	ROWS(0)
	TRANSPOSE
	TRANSPOSE_NEXT

// func transpose4f16NEON(dst unsafe.Pointer, ldd int, src unsafe.Pointer, lds, blocks int)
TEXT ·transpose4f16NEON(SB), NOSPLIT, $0-40
	TRANSPOSE_ENTER
loop:
	ROWS(16)
	FCVTL4S(0, 16)
	FCVTL4S(1, 17)
	FCVTL4S(2, 18)
	FCVTL4S(3, 19)
	TRANSPOSE
	FCVTL2_4S(0, 16)
	FCVTL2_4S(1, 17)
	FCVTL2_4S(2, 18)
	FCVTL2_4S(3, 19)
	TRANSPOSE
	TRANSPOSE_NEXT

// func transpose4bf16NEON(dst unsafe.Pointer, ldd int, src unsafe.Pointer, lds, blocks int)
TEXT ·transpose4bf16NEON(SB), NOSPLIT, $0-40
	TRANSPOSE_ENTER
loop:
	ROWS(16)
	SHLL4S_16(0, 16)
	SHLL4S_16(1, 17)
	SHLL4S_16(2, 18)
	SHLL4S_16(3, 19)
	TRANSPOSE
	SHLL2_4S_16(0, 16)
	SHLL2_4S_16(1, 17)
	SHLL2_4S_16(2, 18)
	SHLL2_4S_16(3, 19)
	TRANSPOSE
	TRANSPOSE_NEXT
