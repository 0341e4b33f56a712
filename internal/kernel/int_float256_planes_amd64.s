#include "textflag.h"
#include "go_asm.h"
#include "int_float_amd64.h"
#include "int_float256_amd64.h"
#include "int_planes256_amd64.h"

// The AVX2 form of the kernels in int_float512_planes_amd64.s, with the same
// bits. A field is made signed by its top bit, and shifted to the top of a word
// and back with its sign.

#define FMA1A(at) INTF_FMA(at(R8), Y12, Y10, Y11, Y0, Y1)
#define FMA1B(at) INTF_FMA(at(R8), Y12, Y10, Y11, Y2, Y3)

#define FMA2A(at) \
	INTF_FMA(at(R8), Y12, Y10, Y11, Y0, Y1); \
	INTF_FMA(at(R8)(DX*1), Y13, Y10, Y11, Y2, Y3)
#define FMA2B(at) \
	INTF_FMA(at(R8), Y12, Y10, Y11, Y4, Y5); \
	INTF_FMA(at(R8)(DX*1), Y13, Y10, Y11, Y6, Y7)

// FIELD is four columns, their fields from bit n of the bytes in Y8 and Y9 on,
// left = 32 - their bits.
#define FIELD(n, left, FMA, at) \
	COLUMN(left-n, left);    \
	FMA(at);                 \
	COLUMN(left-8-n, left);  \
	FMA(4+at);               \
	COLUMN(left-16-n, left); \
	FMA(8+at);               \
	COLUMN(left-24-n, left); \
	FMA(12+at)

#define BLOCK2(block) \
	VPXOR block(SI), Y14, Y8; \
	VPXOR 32+block(SI), Y14, Y9

// THREE puts the third bit above a field, and turns it over.
#define THREE(block, n, OP, n1) \
	INT2P_FIELD(block, VPSRLW, n, intBits01<>(SB), Y8, Y9); \
	INT2P_MORE(128, OP, n1, intBit2<>(SB), Y8, Y9);         \
	VPXOR Y14, Y8, Y8;                                      \
	VPXOR Y14, Y9, Y9

#define STEP2(A, B) \
	BLOCK2(0); \
	FIELD(0, 30, A, 0); \
	FIELD(2, 30, B, 16); \
	FIELD(4, 30, A, 32); \
	FIELD(6, 30, B, 48); \
	BLOCK2(64); \
	FIELD(0, 30, A, 64); \
	FIELD(2, 30, B, 80); \
	FIELD(4, 30, A, 96); \
	FIELD(6, 30, B, 112)

#define STEP3(A, B) \
	THREE(0, 0, VPSRLW, 0); \
	FIELD(0, 29, A, 0); \
	THREE(0, 2, VPSRLW, 2); \
	FIELD(0, 29, B, 16); \
	THREE(0, 4, VPSRLW, 4); \
	FIELD(0, 29, A, 32); \
	THREE(0, 6, VPSLLW, 2); \
	FIELD(0, 29, B, 48); \
	THREE(64, 0, VPSRLW, 1); \
	FIELD(0, 29, A, 64); \
	THREE(64, 2, VPSRLW, 3); \
	FIELD(0, 29, B, 80); \
	THREE(64, 4, VPSRLW, 5); \
	FIELD(0, 29, A, 96); \
	THREE(64, 6, VPSLLW, 1); \
	FIELD(0, 29, B, 112)

// func intFloat256W2x2(args *intArgs)
// One row tile, 2 tokens.
TEXT ·intFloat256W2x2(SB), 0, $128-8
	INTF_ENTER
	MOVL $0xaaaaaaaa, AX
	MOVQ AX, X14
	VPBROADCASTD X14, Y14
	BEGIN2

group:
	INTF_GROUP
	CLEAR(Y0, Y1)
	CLEAR(Y2, Y3)
	CLEAR(Y4, Y5)
	CLEAR(Y6, Y7)
	PCALIGN $32

step:
	INT2P_AHEAD2
	STEP2(FMA2A, FMA2B)
	ADDQ $128, SI
	ADDQ $128, R8
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

// func intFloat256W2x1(args *intArgs)
// One row tile, 1 token.
TEXT ·intFloat256W2x1(SB), 0, $64-8
	INTF_ENTER
	MOVL $0xaaaaaaaa, AX
	MOVQ AX, X14
	VPBROADCASTD X14, Y14
	BEGIN1

group:
	INTF_GROUP
	CLEAR(Y0, Y1)
	CLEAR(Y2, Y3)
	PCALIGN $32

step:
	INT2P_AHEAD2
	STEP2(FMA1A, FMA1B)
	ADDQ $128, SI
	ADDQ $128, R8
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

// func intFloat256W3x2(args *intArgs)
// One row tile, 2 tokens.
TEXT ·intFloat256W3x2(SB), 0, $128-8
	INTF_ENTER
	MOVL $0x04040404, AX
	MOVQ AX, X14
	VPBROADCASTD X14, Y14
	BEGIN2

group:
	INTF_GROUP
	CLEAR(Y0, Y1)
	CLEAR(Y2, Y3)
	CLEAR(Y4, Y5)
	CLEAR(Y6, Y7)
	PCALIGN $32

step:
	INT2P_AHEAD3
	STEP3(FMA2A, FMA2B)
	ADDQ $192, SI
	ADDQ $128, R8
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

// func intFloat256W3x1(args *intArgs)
// One row tile, 1 token.
TEXT ·intFloat256W3x1(SB), 0, $64-8
	INTF_ENTER
	MOVL $0x04040404, AX
	MOVQ AX, X14
	VPBROADCASTD X14, Y14
	BEGIN1

group:
	INTF_GROUP
	CLEAR(Y0, Y1)
	CLEAR(Y2, Y3)
	PCALIGN $32

step:
	INT2P_AHEAD3
	STEP3(FMA1A, FMA1B)
	ADDQ $192, SI
	ADDQ $128, R8
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
