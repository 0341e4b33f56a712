#include "textflag.h"
#include "go_asm.h"
#include "int_float_amd64.h"

// The AVX2 form of the kernels in int_float512_amd64.s, with the same bits.

#define CLEAR(a0, a1) \
	VXORPS a0, a0, a0; \
	VXORPS a1, a1, a1

// LOAD loads a step into Y8 and Y9 and makes its fields signed.
#define LOAD \
	PREFETCHT0 2048(SI);        \
	VPXOR      (SI), Y14, Y8;   \
	VPXOR      32(SI), Y14, Y9; \
	ADDQ       $64, SI

// COLUMN turns one column of the step into floats in Y10 and Y11: it shifts
// the field to the top and back with its sign.
#define COLUMN(left, right) \
	VPSLLD    $left, Y8, Y10;   \
	VPSLLD    $left, Y9, Y11;   \
	VPSRAD    $right, Y10, Y10; \
	VPSRAD    $right, Y11, Y11; \
	VCVTDQ2PS Y10, Y10;         \
	VCVTDQ2PS Y11, Y11

// WRITE writes the valid tokens and returns.
#define WRITE \
	MOVQ    intArgs_y(R12), R10;      \
	MOVQ    intArgs_yNext(R12), DX;   \
	MOVQ    intArgs_tokens(R12), BX;  \
write:                              \
	VMOVUPS (R15), Y0;                \
	VMOVUPS 32(R15), Y1;              \
	VMOVUPS Y0, (R10);                \
	VMOVUPS Y1, 32(R10);              \
	ADDQ    $64, R15;                 \
	ADDQ    DX, R10;                  \
	DECQ    BX;                       \
	JNZ     write;                    \
	VZEROUPPER;                       \
	RET

// func intFloat256W4x2(args *intArgs)
// One row tile, 2 tokens. Y8 Y9 weights, Y10 Y11 one column of them as floats.
TEXT ·intFloat256W4x2(SB), 0, $128-8
	INTF_ENTER
	LEAQ 0(SP), R15
	VPXOR Y15, Y15, Y15
	MOVL $0x88888888, AX
	MOVQ AX, X14
	VPBROADCASTD X14, Y14
	VMOVUPS Y15, 0(R15)
	VMOVUPS Y15, 32(R15)
	VMOVUPS Y15, 64(R15)
	VMOVUPS Y15, 96(R15)

group:
	INTF_GROUP
	CLEAR(Y0, Y1)
	CLEAR(Y2, Y3)
	CLEAR(Y4, Y5)
	CLEAR(Y6, Y7)
	PCALIGN $32

step:
	LOAD
	COLUMN(28, 28)
	INTF_FMA((R8), Y12, Y10, Y11, Y0, Y1)
	INTF_FMA((R8)(DX*1), Y13, Y10, Y11, Y2, Y3)
	COLUMN(20, 28)
	INTF_FMA(4(R8), Y12, Y10, Y11, Y0, Y1)
	INTF_FMA(4(R8)(DX*1), Y13, Y10, Y11, Y2, Y3)
	COLUMN(12, 28)
	INTF_FMA(8(R8), Y12, Y10, Y11, Y0, Y1)
	INTF_FMA(8(R8)(DX*1), Y13, Y10, Y11, Y2, Y3)
	COLUMN(4, 28)
	INTF_FMA(12(R8), Y12, Y10, Y11, Y0, Y1)
	INTF_FMA(12(R8)(DX*1), Y13, Y10, Y11, Y2, Y3)
	COLUMN(24, 28)
	INTF_FMA(16(R8), Y12, Y10, Y11, Y4, Y5)
	INTF_FMA(16(R8)(DX*1), Y13, Y10, Y11, Y6, Y7)
	COLUMN(16, 28)
	INTF_FMA(20(R8), Y12, Y10, Y11, Y4, Y5)
	INTF_FMA(20(R8)(DX*1), Y13, Y10, Y11, Y6, Y7)
	COLUMN(8, 28)
	INTF_FMA(24(R8), Y12, Y10, Y11, Y4, Y5)
	INTF_FMA(24(R8)(DX*1), Y13, Y10, Y11, Y6, Y7)
	COLUMN(0, 28)
	INTF_FMA(28(R8), Y12, Y10, Y11, Y4, Y5)
	INTF_FMA(28(R8)(DX*1), Y13, Y10, Y11, Y6, Y7)
	ADDQ $32, R8
	DECQ BX
	JNZ step

	VMOVUPS (R14), Y8
	VMOVUPS 32(R14), Y9
	ADDQ $64, R14
	INTF_FLUSH(0(R15), Y4, Y8, Y0)
	INTF_FLUSH(32(R15), Y5, Y9, Y1)
	INTF_FLUSH(64(R15), Y6, Y8, Y2)
	INTF_FLUSH(96(R15), Y7, Y9, Y3)
	DECQ R13
	JNZ group

	WRITE

// func intFloat256W4x1(args *intArgs)
// One row tile, 1 token. Y8 Y9 weights, Y10 Y11 one column of them as floats.
TEXT ·intFloat256W4x1(SB), 0, $64-8
	INTF_ENTER
	LEAQ 0(SP), R15
	VPXOR Y15, Y15, Y15
	MOVL $0x88888888, AX
	MOVQ AX, X14
	VPBROADCASTD X14, Y14
	VMOVUPS Y15, 0(R15)
	VMOVUPS Y15, 32(R15)

group:
	INTF_GROUP
	CLEAR(Y0, Y1)
	CLEAR(Y2, Y3)
	PCALIGN $32

step:
	LOAD
	COLUMN(28, 28)
	INTF_FMA((R8), Y12, Y10, Y11, Y0, Y1)
	COLUMN(20, 28)
	INTF_FMA(4(R8), Y12, Y10, Y11, Y0, Y1)
	COLUMN(12, 28)
	INTF_FMA(8(R8), Y12, Y10, Y11, Y0, Y1)
	COLUMN(4, 28)
	INTF_FMA(12(R8), Y12, Y10, Y11, Y0, Y1)
	COLUMN(24, 28)
	INTF_FMA(16(R8), Y12, Y10, Y11, Y2, Y3)
	COLUMN(16, 28)
	INTF_FMA(20(R8), Y12, Y10, Y11, Y2, Y3)
	COLUMN(8, 28)
	INTF_FMA(24(R8), Y12, Y10, Y11, Y2, Y3)
	COLUMN(0, 28)
	INTF_FMA(28(R8), Y12, Y10, Y11, Y2, Y3)
	ADDQ $32, R8
	DECQ BX
	JNZ step

	VMOVUPS (R14), Y8
	VMOVUPS 32(R14), Y9
	ADDQ $64, R14
	INTF_FLUSH(0(R15), Y2, Y8, Y0)
	INTF_FLUSH(32(R15), Y3, Y9, Y1)
	DECQ R13
	JNZ group

	WRITE

// func intFloat256W8x2(args *intArgs)
// One row tile, 2 tokens. Y8 Y9 weights, Y10 Y11 one column of them as floats.
TEXT ·intFloat256W8x2(SB), 0, $128-8
	INTF_ENTER
	LEAQ 0(SP), R15
	VPXOR Y15, Y15, Y15
	MOVL $0x80808080, AX
	MOVQ AX, X14
	VPBROADCASTD X14, Y14
	VMOVUPS Y15, 0(R15)
	VMOVUPS Y15, 32(R15)
	VMOVUPS Y15, 64(R15)
	VMOVUPS Y15, 96(R15)

group:
	INTF_GROUP
	CLEAR(Y0, Y1)
	CLEAR(Y2, Y3)
	CLEAR(Y4, Y5)
	CLEAR(Y6, Y7)
	PCALIGN $32

step:
	LOAD
	COLUMN(24, 24)
	INTF_FMA((R8), Y12, Y10, Y11, Y0, Y1)
	INTF_FMA((R8)(DX*1), Y13, Y10, Y11, Y2, Y3)
	COLUMN(16, 24)
	INTF_FMA(4(R8), Y12, Y10, Y11, Y0, Y1)
	INTF_FMA(4(R8)(DX*1), Y13, Y10, Y11, Y2, Y3)
	COLUMN(8, 24)
	INTF_FMA(8(R8), Y12, Y10, Y11, Y4, Y5)
	INTF_FMA(8(R8)(DX*1), Y13, Y10, Y11, Y6, Y7)
	COLUMN(0, 24)
	INTF_FMA(12(R8), Y12, Y10, Y11, Y4, Y5)
	INTF_FMA(12(R8)(DX*1), Y13, Y10, Y11, Y6, Y7)
	ADDQ $16, R8
	DECQ BX
	JNZ step

	VMOVUPS (R14), Y8
	VMOVUPS 32(R14), Y9
	ADDQ $64, R14
	INTF_FLUSH(0(R15), Y4, Y8, Y0)
	INTF_FLUSH(32(R15), Y5, Y9, Y1)
	INTF_FLUSH(64(R15), Y6, Y8, Y2)
	INTF_FLUSH(96(R15), Y7, Y9, Y3)
	DECQ R13
	JNZ group

	WRITE

// func intFloat256W8x1(args *intArgs)
// One row tile, 1 token. Y8 Y9 weights, Y10 Y11 one column of them as floats.
TEXT ·intFloat256W8x1(SB), 0, $64-8
	INTF_ENTER
	LEAQ 0(SP), R15
	VPXOR Y15, Y15, Y15
	MOVL $0x80808080, AX
	MOVQ AX, X14
	VPBROADCASTD X14, Y14
	VMOVUPS Y15, 0(R15)
	VMOVUPS Y15, 32(R15)

group:
	INTF_GROUP
	CLEAR(Y0, Y1)
	CLEAR(Y2, Y3)
	PCALIGN $32

step:
	LOAD
	COLUMN(24, 24)
	INTF_FMA((R8), Y12, Y10, Y11, Y0, Y1)
	COLUMN(16, 24)
	INTF_FMA(4(R8), Y12, Y10, Y11, Y0, Y1)
	COLUMN(8, 24)
	INTF_FMA(8(R8), Y12, Y10, Y11, Y2, Y3)
	COLUMN(0, 24)
	INTF_FMA(12(R8), Y12, Y10, Y11, Y2, Y3)
	ADDQ $16, R8
	DECQ BX
	JNZ step

	VMOVUPS (R14), Y8
	VMOVUPS 32(R14), Y9
	ADDQ $64, R14
	INTF_FLUSH(0(R15), Y2, Y8, Y0)
	INTF_FLUSH(32(R15), Y3, Y9, Y1)
	DECQ R13
	JNZ group

	WRITE

