#include "textflag.h"
#include "go_asm.h"
#include "int_avx2_amd64.h"
#include "int_planes256_amd64.h"

// Weights in bit planes × 8-bit tokens. Up to 6 bits two pairs of products,
// 4·63·128 at most, stay within 16 bits, as INT2_DOT4 needs; with 7 bits one
// pair does.

// INT2_DOT7 is INT2_DOT4 for 7 bits.
#define INT2_DOT7(lo, hi, a0, a1) \
	VPBROADCASTD lo, Y14;                 \
	VPMADDUBSW   Y14, Y10, Y12;           \
	VPMADDUBSW   Y14, Y11, Y15;           \
	VPMADDWD     intOnes<>(SB), Y12, Y12; \
	VPMADDWD     intOnes<>(SB), Y15, Y15; \
	VPADDD       Y12, a0, a0;             \
	VPADDD       Y15, a1, a1;             \
	VPBROADCASTD hi, Y14;                 \
	VPMADDUBSW   Y14, Y8, Y12;            \
	VPMADDUBSW   Y14, Y9, Y15;            \
	VPMADDWD     intOnes<>(SB), Y12, Y12; \
	VPMADDWD     intOnes<>(SB), Y15, Y15; \
	VPADDD       Y12, a0, a0;             \
	VPADDD       Y15, a1, a1

#define INT2P_DOTS1(lo, hi) INT2_DOT4(lo(R8), hi(R8), Y0, Y1)

#define INT2P_DOTS2(lo, hi) \
	INT2P_DOTS1(lo, hi); \
	INT2_DOT4(lo(R8)(DX*1), hi(R8)(DX*1), Y2, Y3)

#define INT2P_DOTS4(lo, hi) \
	INT2P_DOTS2(lo, hi); \
	INT2_DOT4(lo(R8)(DX*2), hi(R8)(DX*2), Y4, Y5); \
	INT2_DOT4(lo(R9), hi(R9), Y6, Y7)

#define INT2P_DOTS1W7(lo, hi) INT2_DOT7(lo(R8), hi(R8), Y0, Y1)

#define INT2P_DOTS2W7(lo, hi) \
	INT2P_DOTS1W7(lo, hi); \
	INT2_DOT7(lo(R8)(DX*1), hi(R8)(DX*1), Y2, Y3)

#define INT2P_DOTS4W7(lo, hi) \
	INT2P_DOTS2W7(lo, hi); \
	INT2_DOT7(lo(R8)(DX*2), hi(R8)(DX*2), Y4, Y5); \
	INT2_DOT7(lo(R9), hi(R9), Y6, Y7)

#define INT2P_STARTS1(START) START(Y0, Y1)

#define INT2P_STARTS2(START) \
	START(Y0, Y1); \
	START(Y2, Y3)

#define INT2P_STARTS4(START) \
	INT2P_STARTS2(START); \
	START(Y4, Y5); \
	START(Y6, Y7)

#define INT2P_FLUSHES1 INT2_FLUSH(0, Y0, Y1)

#define INT2P_FLUSHES2 \
	INT2_FLUSH(0, Y0, Y1); \
	INT2_FLUSH(64, Y2, Y3)

#define INT2P_FLUSHES4 \
	INT2P_FLUSHES2; \
	INT2_FLUSH(128, Y4, Y5); \
	INT2_FLUSH(192, Y6, Y7)

// INT2P_KERNEL is a kernel from its entry on: sums bytes of float sums, bytes of
// a step.
#define INT2P_KERNEL(sums, STARTS, START, AHEAD, STEP, DOTS, bytes, FLUSHES) \
	INT2_ENTER;           \
	INT2_BEGIN(sums);     \
group:                  \
	INT2_GROUP;           \
	STARTS(START);        \
	PCALIGN $32;          \
step:                   \
	AHEAD;                \
	STEP(DOTS);           \
	ADDQ    $bytes, SI;   \
	ADDQ    $32, R8;      \
	ADDQ    $32, R9;      \
	DECQ    BX;           \
	JNZ     step;         \
	FLUSHES;              \
	ADDQ    $64, R14;     \
	DECQ    R13;          \
	JNZ     group;        \
	INT2_LEAVE

// func intAVX2W2x4(args *intArgs)
TEXT ·intAVX2W2x4(SB), 0, $256-8
	INT2P_KERNEL(256, INT2P_STARTS4, INT2P_START2, INT2P_AHEAD2, INT2P_STEP2, INT2P_DOTS4, 128, INT2P_FLUSHES4)

// func intAVX2W2x2(args *intArgs)
TEXT ·intAVX2W2x2(SB), 0, $128-8
	INT2P_KERNEL(128, INT2P_STARTS2, INT2P_START2, INT2P_AHEAD2, INT2P_STEP2, INT2P_DOTS2, 128, INT2P_FLUSHES2)

// func intAVX2W2x1(args *intArgs)
TEXT ·intAVX2W2x1(SB), 0, $64-8
	INT2P_KERNEL(64, INT2P_STARTS1, INT2P_START2, INT2P_AHEAD2, INT2P_STEP2, INT2P_DOTS1, 128, INT2P_FLUSHES1)

// func intAVX2W3x4(args *intArgs)
TEXT ·intAVX2W3x4(SB), 0, $256-8
	INT2P_KERNEL(256, INT2P_STARTS4, INT2P_START3, INT2P_AHEAD3, INT2P_STEP3, INT2P_DOTS4, 192, INT2P_FLUSHES4)

// func intAVX2W3x2(args *intArgs)
TEXT ·intAVX2W3x2(SB), 0, $128-8
	INT2P_KERNEL(128, INT2P_STARTS2, INT2P_START3, INT2P_AHEAD3, INT2P_STEP3, INT2P_DOTS2, 192, INT2P_FLUSHES2)

// func intAVX2W3x1(args *intArgs)
TEXT ·intAVX2W3x1(SB), 0, $64-8
	INT2P_KERNEL(64, INT2P_STARTS1, INT2P_START3, INT2P_AHEAD3, INT2P_STEP3, INT2P_DOTS1, 192, INT2P_FLUSHES1)

// func intAVX2W5x4(args *intArgs)
TEXT ·intAVX2W5x4(SB), 0, $256-8
	INT2P_KERNEL(256, INT2P_STARTS4, INT2P_START5, INT2P_AHEAD5, INT2P_STEP5, INT2P_DOTS4, 320, INT2P_FLUSHES4)

// func intAVX2W5x2(args *intArgs)
TEXT ·intAVX2W5x2(SB), 0, $128-8
	INT2P_KERNEL(128, INT2P_STARTS2, INT2P_START5, INT2P_AHEAD5, INT2P_STEP5, INT2P_DOTS2, 320, INT2P_FLUSHES2)

// func intAVX2W5x1(args *intArgs)
TEXT ·intAVX2W5x1(SB), 0, $64-8
	INT2P_KERNEL(64, INT2P_STARTS1, INT2P_START5, INT2P_AHEAD5, INT2P_STEP5, INT2P_DOTS1, 320, INT2P_FLUSHES1)

// func intAVX2W6x4(args *intArgs)
TEXT ·intAVX2W6x4(SB), 0, $256-8
	INT2P_KERNEL(256, INT2P_STARTS4, INT2P_START6, INT2P_AHEAD6, INT2P_STEP6, INT2P_DOTS4, 384, INT2P_FLUSHES4)

// func intAVX2W6x2(args *intArgs)
TEXT ·intAVX2W6x2(SB), 0, $128-8
	INT2P_KERNEL(128, INT2P_STARTS2, INT2P_START6, INT2P_AHEAD6, INT2P_STEP6, INT2P_DOTS2, 384, INT2P_FLUSHES2)

// func intAVX2W6x1(args *intArgs)
TEXT ·intAVX2W6x1(SB), 0, $64-8
	INT2P_KERNEL(64, INT2P_STARTS1, INT2P_START6, INT2P_AHEAD6, INT2P_STEP6, INT2P_DOTS1, 384, INT2P_FLUSHES1)

// func intAVX2W7x4(args *intArgs)
TEXT ·intAVX2W7x4(SB), 0, $256-8
	INT2P_KERNEL(256, INT2P_STARTS4, INT2P_START7, INT2P_AHEAD7, INT2P_STEP7, INT2P_DOTS4W7, 448, INT2P_FLUSHES4)

// func intAVX2W7x2(args *intArgs)
TEXT ·intAVX2W7x2(SB), 0, $128-8
	INT2P_KERNEL(128, INT2P_STARTS2, INT2P_START7, INT2P_AHEAD7, INT2P_STEP7, INT2P_DOTS2W7, 448, INT2P_FLUSHES2)

// func intAVX2W7x1(args *intArgs)
TEXT ·intAVX2W7x1(SB), 0, $64-8
	INT2P_KERNEL(64, INT2P_STARTS1, INT2P_START7, INT2P_AHEAD7, INT2P_STEP7, INT2P_DOTS1W7, 448, INT2P_FLUSHES1)
