#include "textflag.h"
#include "go_asm.h"
#include "int_avx2_amd64.h"

// Weights of 4 and 8 bits × tokens in groups of channels, see int_group.go. The
// sums of the weights' group are behind the float sums on the stack.

#define INT2G_COUNT \
	MOVQ    intArgs_parts(R12), AX;     \
	CMPQ    R13, $1;                    \
	CMOVQEQ intArgs_lastParts(R12), AX; \
	MOVQ    AX, intArgs_left(R12)

// INT2G_GROUP begins a group whose sums of bytes follow as many of float sums.
#define INT2G_GROUP(bytes) \
	VPXOR   Y0, Y0, Y0;               \
	MOVQ    $bytes, CX;               \
clear:                                \
	VMOVDQU Y0, (bytes-32)(SP)(CX*1); \
	SUBQ    $32, CX;                  \
	JNZ     clear;                    \
	INT2G_COUNT

// INT2G_PART sets BX to the steps of this part, AX and CX for INT2_START.
#define INT2G_PART \
	MOVQ    intArgs_steps(R12), BX;   \
	CMPQ    intArgs_total(R12), $1;   \
	CMOVQEQ intArgs_last(R12), BX;    \
	MOVQ    intArgs_sumNext(R12), AX; \
	MOVQ    R15, CX

// INT2G_SCALES sets AX and CX for INT2G_SCALE.
#define INT2G_SCALES \
	MOVQ intArgs_sumNext(R12), AX; \
	MOVQ R15, CX;                  \
	ADDQ $8, R15

#define INT2G_SCALE(at, a0, a1) \
	VBROADCASTSS 4(CX), Y12;          \
	ADDQ         AX, CX;              \
	VCVTDQ2PS    a0, a0;              \
	VCVTDQ2PS    a1, a1;              \
	VMULPS       Y12, a0, a0;         \
	VMULPS       Y12, a1, a1;         \
	VADDPS       at(SP), a0, a0;      \
	VADDPS       (32+at)(SP), a1, a1; \
	VMOVUPS      a0, at(SP);          \
	VMOVUPS      a1, (32+at)(SP)

// INT2G_FLUSH adds scale·sum of one token to its float sums.
#define INT2G_FLUSH(at, from, a0, a1) \
	VMOVUPS from(SP), a0;          \
	VMOVUPS (32+from)(SP), a1;     \
	VMULPS  (R14), a0, a0;         \
	VMULPS  32(R14), a1, a1;       \
	VADDPS  at(SP), a0, a0;        \
	VADDPS  (32+at)(SP), a1, a1;   \
	VMOVUPS a0, at(SP);            \
	VMOVUPS a1, (32+at)(SP)

// INT2G_LOAD8 loads a step of 4 columns.
#define INT2G_LOAD8 \
	VMOVDQU (SI), Y8;   \
	VMOVDQU 32(SI), Y9; \
	ADDQ    $64, SI

// INT2G_DOT8 adds a step of 4 columns of one token: two products of 255·15 stay
// within 16 bits.
#define INT2G_DOT8(x, a0, a1) \
	VPBROADCASTD x, Y14;                  \
	VPMADDUBSW   Y14, Y8, Y12;            \
	VPMADDUBSW   Y14, Y9, Y13;            \
	VPMADDWD     intOnes<>(SB), Y12, Y12; \
	VPMADDWD     intOnes<>(SB), Y13, Y13; \
	VPADDD       Y12, a0, a0;             \
	VPADDD       Y13, a1, a1

// func intAVX2Group4x4(args *intArgs)
TEXT ·intAVX2Group4x4(SB), 0, $512-8
	INT2_ENTER
	INT2_BEGIN(256)

group:
	INT2G_GROUP(256)

part:
	INT2G_PART
	INT2_START4(Y0, Y1)
	INT2_START4(Y2, Y3)
	INT2_START4(Y4, Y5)
	INT2_START4(Y6, Y7)
	PCALIGN $32

step:
	PREFETCHT0 2048(SI)
	INT2_LOAD4
	INT2_DOT4((R8), 4(R8), Y0, Y1)
	INT2_DOT4((R8)(DX*1), 4(R8)(DX*1), Y2, Y3)
	INT2_DOT4((R8)(DX*2), 4(R8)(DX*2), Y4, Y5)
	INT2_DOT4((R9), 4(R9), Y6, Y7)
	ADDQ $8, R8
	ADDQ $8, R9
	DECQ BX
	JNZ step

	INT2G_SCALES
	INT2G_SCALE(256, Y0, Y1)
	INT2G_SCALE(320, Y2, Y3)
	INT2G_SCALE(384, Y4, Y5)
	INT2G_SCALE(448, Y6, Y7)
	DECQ intArgs_total(R12)
	DECQ intArgs_left(R12)
	JNZ part

	INT2G_FLUSH(0, 256, Y0, Y1)
	INT2G_FLUSH(64, 320, Y2, Y3)
	INT2G_FLUSH(128, 384, Y4, Y5)
	INT2G_FLUSH(192, 448, Y6, Y7)
	ADDQ $64, R14
	DECQ R13
	JNZ group

	INT2_LEAVE

// func intAVX2Group4x2(args *intArgs)
TEXT ·intAVX2Group4x2(SB), 0, $256-8
	INT2_ENTER
	INT2_BEGIN(128)

group:
	INT2G_GROUP(128)

part:
	INT2G_PART
	INT2_START4(Y0, Y1)
	INT2_START4(Y2, Y3)
	PCALIGN $32

step:
	PREFETCHT0 2048(SI)
	INT2_LOAD4
	INT2_DOT4((R8), 4(R8), Y0, Y1)
	INT2_DOT4((R8)(DX*1), 4(R8)(DX*1), Y2, Y3)
	ADDQ $8, R8
	DECQ BX
	JNZ step

	INT2G_SCALES
	INT2G_SCALE(128, Y0, Y1)
	INT2G_SCALE(192, Y2, Y3)
	DECQ intArgs_total(R12)
	DECQ intArgs_left(R12)
	JNZ part

	INT2G_FLUSH(0, 128, Y0, Y1)
	INT2G_FLUSH(64, 192, Y2, Y3)
	ADDQ $64, R14
	DECQ R13
	JNZ group

	INT2_LEAVE

// func intAVX2Group4x1(args *intArgs)
TEXT ·intAVX2Group4x1(SB), 0, $128-8
	INT2_ENTER
	INT2_BEGIN(64)

group:
	INT2G_GROUP(64)

part:
	INT2G_PART
	INT2_START4(Y0, Y1)
	PCALIGN $32

step:
	PREFETCHT0 2048(SI)
	INT2_LOAD4
	INT2_DOT4((R8), 4(R8), Y0, Y1)
	ADDQ $8, R8
	DECQ BX
	JNZ step

	INT2G_SCALES
	INT2G_SCALE(64, Y0, Y1)
	DECQ intArgs_total(R12)
	DECQ intArgs_left(R12)
	JNZ part

	INT2G_FLUSH(0, 64, Y0, Y1)
	ADDQ $64, R14
	DECQ R13
	JNZ group

	INT2_LEAVE

// func intAVX2Group8x4(args *intArgs)
TEXT ·intAVX2Group8x4(SB), 0, $512-8
	INT2_ENTER
	INT2_BEGIN(256)

group:
	INT2G_GROUP(256)

part:
	INT2G_PART
	INT2_START8(Y0, Y1)
	INT2_START8(Y2, Y3)
	INT2_START8(Y4, Y5)
	INT2_START8(Y6, Y7)
	PCALIGN $32

step:
	PREFETCHT0 2048(SI)
	INT2G_LOAD8
	INT2G_DOT8((R8), Y0, Y1)
	INT2G_DOT8((R8)(DX*1), Y2, Y3)
	INT2G_DOT8((R8)(DX*2), Y4, Y5)
	INT2G_DOT8((R9), Y6, Y7)
	ADDQ $4, R8
	ADDQ $4, R9
	DECQ BX
	JNZ step

	INT2G_SCALES
	INT2G_SCALE(256, Y0, Y1)
	INT2G_SCALE(320, Y2, Y3)
	INT2G_SCALE(384, Y4, Y5)
	INT2G_SCALE(448, Y6, Y7)
	DECQ intArgs_total(R12)
	DECQ intArgs_left(R12)
	JNZ part

	INT2G_FLUSH(0, 256, Y0, Y1)
	INT2G_FLUSH(64, 320, Y2, Y3)
	INT2G_FLUSH(128, 384, Y4, Y5)
	INT2G_FLUSH(192, 448, Y6, Y7)
	ADDQ $64, R14
	DECQ R13
	JNZ group

	INT2_LEAVE

// func intAVX2Group8x2(args *intArgs)
TEXT ·intAVX2Group8x2(SB), 0, $256-8
	INT2_ENTER
	INT2_BEGIN(128)

group:
	INT2G_GROUP(128)

part:
	INT2G_PART
	INT2_START8(Y0, Y1)
	INT2_START8(Y2, Y3)
	PCALIGN $32

step:
	PREFETCHT0 2048(SI)
	INT2G_LOAD8
	INT2G_DOT8((R8), Y0, Y1)
	INT2G_DOT8((R8)(DX*1), Y2, Y3)
	ADDQ $4, R8
	DECQ BX
	JNZ step

	INT2G_SCALES
	INT2G_SCALE(128, Y0, Y1)
	INT2G_SCALE(192, Y2, Y3)
	DECQ intArgs_total(R12)
	DECQ intArgs_left(R12)
	JNZ part

	INT2G_FLUSH(0, 128, Y0, Y1)
	INT2G_FLUSH(64, 192, Y2, Y3)
	ADDQ $64, R14
	DECQ R13
	JNZ group

	INT2_LEAVE

// func intAVX2Group8x1(args *intArgs)
TEXT ·intAVX2Group8x1(SB), 0, $128-8
	INT2_ENTER
	INT2_BEGIN(64)

group:
	INT2G_GROUP(64)

part:
	INT2G_PART
	INT2_START8(Y0, Y1)
	PCALIGN $32

step:
	PREFETCHT0 2048(SI)
	INT2G_LOAD8
	INT2G_DOT8((R8), Y0, Y1)
	ADDQ $4, R8
	DECQ BX
	JNZ step

	INT2G_SCALES
	INT2G_SCALE(64, Y0, Y1)
	DECQ intArgs_total(R12)
	DECQ intArgs_left(R12)
	JNZ part

	INT2G_FLUSH(0, 64, Y0, Y1)
	ADDQ $64, R14
	DECQ R13
	JNZ group

	INT2_LEAVE
