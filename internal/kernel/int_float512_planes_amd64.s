#include "textflag.h"
#include "go_asm.h"
#include "int_float_amd64.h"
#include "int_float512_amd64.h"

// Weights of 2 and 3 bits in planes times float tokens, as the kernels of 4 bits
// do it: the two chains of an output take turns, four columns each.

// The floats that the fields stand for, repeated: VPERMPS looks up four bits, and
// those above a field do not matter.
DATA intFloats2<>+0(SB)/4, $0xc0000000
DATA intFloats2<>+4(SB)/4, $0xbf800000
DATA intFloats2<>+8(SB)/4, $0x00000000
DATA intFloats2<>+12(SB)/4, $0x3f800000
DATA intFloats2<>+16(SB)/4, $0xc0000000
DATA intFloats2<>+20(SB)/4, $0xbf800000
DATA intFloats2<>+24(SB)/4, $0x00000000
DATA intFloats2<>+28(SB)/4, $0x3f800000
DATA intFloats2<>+32(SB)/4, $0xc0000000
DATA intFloats2<>+36(SB)/4, $0xbf800000
DATA intFloats2<>+40(SB)/4, $0x00000000
DATA intFloats2<>+44(SB)/4, $0x3f800000
DATA intFloats2<>+48(SB)/4, $0xc0000000
DATA intFloats2<>+52(SB)/4, $0xbf800000
DATA intFloats2<>+56(SB)/4, $0x00000000
DATA intFloats2<>+60(SB)/4, $0x3f800000
GLOBL intFloats2<>(SB), RODATA|NOPTR, $64

DATA intFloats3<>+0(SB)/4, $0xc0800000
DATA intFloats3<>+4(SB)/4, $0xc0400000
DATA intFloats3<>+8(SB)/4, $0xc0000000
DATA intFloats3<>+12(SB)/4, $0xbf800000
DATA intFloats3<>+16(SB)/4, $0x00000000
DATA intFloats3<>+20(SB)/4, $0x3f800000
DATA intFloats3<>+24(SB)/4, $0x40000000
DATA intFloats3<>+28(SB)/4, $0x40400000
DATA intFloats3<>+32(SB)/4, $0xc0800000
DATA intFloats3<>+36(SB)/4, $0xc0400000
DATA intFloats3<>+40(SB)/4, $0xc0000000
DATA intFloats3<>+44(SB)/4, $0xbf800000
DATA intFloats3<>+48(SB)/4, $0x00000000
DATA intFloats3<>+52(SB)/4, $0x3f800000
DATA intFloats3<>+56(SB)/4, $0x40000000
DATA intFloats3<>+60(SB)/4, $0x40400000
GLOBL intFloats3<>(SB), RODATA|NOPTR, $64

// FMA<tokens>A and B add one column, at bytes from the tokens' next, to a chain.
#define FMA1A(at) INTF_FMA(at(R8), Z29, Z26, Z27, Z0, Z1)
#define FMA1B(at) INTF_FMA(at(R8), Z29, Z26, Z27, Z2, Z3)

#define FMA2A(at) \
	INTF_FMA(at(R8), Z29, Z26, Z27, Z0, Z1); \
	INTF_FMA(at(R8)(DX*1), Z30, Z26, Z27, Z2, Z3)
#define FMA2B(at) \
	INTF_FMA(at(R8), Z29, Z26, Z27, Z4, Z5); \
	INTF_FMA(at(R8)(DX*1), Z30, Z26, Z27, Z6, Z7)

#define FMA4A(at) \
	FMA2A(at); \
	INTF_FMA(at(R8)(DX*2), Z29, Z26, Z27, Z4, Z5); \
	INTF_FMA(at(R9), Z30, Z26, Z27, Z6, Z7)
#define FMA4B(at) \
	INTF_FMA(at(R8), Z29, Z26, Z27, Z8, Z9); \
	INTF_FMA(at(R8)(DX*1), Z30, Z26, Z27, Z10, Z11); \
	INTF_FMA(at(R8)(DX*2), Z29, Z26, Z27, Z12, Z13); \
	INTF_FMA(at(R9), Z30, Z26, Z27, Z14, Z15)

// FIELD is four columns, their fields from bit n of the bytes in Z24 and Z25 on.
#define FIELD(n, FMA, at) \
	COLUMN4(n);    \
	FMA(at);       \
	COLUMN4(8+n);  \
	FMA(4+at);     \
	COLUMN4(16+n); \
	FMA(8+at);     \
	COLUMN4(24+n); \
	FMA(12+at)

#define BLOCK2(block) \
	VMOVDQU64 block(SI), Z24; \
	VMOVDQU64 block(SI)(DI*1), Z25

// THREE puts the third bit above a field, in Z24 and Z25.
#define THREE(block, n, OP, n1) \
	VPSRLD     $n, block(SI), Z24;        \
	VPSRLD     $n, block(SI)(DI*1), Z25;  \
	OP         $n1, 128(SI), Z26;         \
	OP         $n1, 128(SI)(DI*1), Z27;   \
	VPTERNLOGD $0xe4, Z23, Z26, Z24;      \
	VPTERNLOGD $0xe4, Z23, Z27, Z25

#define AHEAD2 \
	PREFETCHT0 4096(SI);       \
	PREFETCHT0 4160(SI);       \
	PREFETCHT0 4096(SI)(DI*1); \
	PREFETCHT0 4160(SI)(DI*1)

#define AHEAD3 \
	AHEAD2;                    \
	PREFETCHT0 4224(SI);       \
	PREFETCHT0 4224(SI)(DI*1)

#define STEP2(A, B) \
	BLOCK2(0); \
	FIELD(0, A, 0); \
	FIELD(2, B, 16); \
	FIELD(4, A, 32); \
	FIELD(6, B, 48); \
	BLOCK2(64); \
	FIELD(0, A, 64); \
	FIELD(2, B, 80); \
	FIELD(4, A, 96); \
	FIELD(6, B, 112)

#define STEP3(A, B) \
	THREE(0, 0, VPSRLD, 0); \
	FIELD(0, A, 0); \
	THREE(0, 2, VPSRLD, 2); \
	FIELD(0, B, 16); \
	THREE(0, 4, VPSRLD, 4); \
	FIELD(0, A, 32); \
	THREE(0, 6, VPSLLD, 2); \
	FIELD(0, B, 48); \
	THREE(64, 0, VPSRLD, 1); \
	FIELD(0, A, 64); \
	THREE(64, 2, VPSRLD, 3); \
	FIELD(0, B, 80); \
	THREE(64, 4, VPSRLD, 5); \
	FIELD(0, A, 96); \
	THREE(64, 6, VPSLLD, 1); \
	FIELD(0, B, 112)

// func intFloat512W2x4(args *intArgs)
// Two row tiles, 4 tokens.
TEXT ·intFloat512W2x4(SB), 0, $576-8
	INTF_ENTER
	SUMS
	VMOVUPS intFloats2<>(SB), Z28
	BEGIN(512)

group:
	INTF_GROUP
	CLEAR(Z0, Z1)
	CLEAR(Z2, Z3)
	CLEAR(Z4, Z5)
	CLEAR(Z6, Z7)
	CLEAR(Z8, Z9)
	CLEAR(Z10, Z11)
	CLEAR(Z12, Z13)
	CLEAR(Z14, Z15)
	PCALIGN $32

step:
	AHEAD2
	STEP2(FMA4A, FMA4B)
	ADDQ $128, SI
	ADDQ $128, R8
	ADDQ $128, R9
	DECQ BX
	JNZ step

	SCALES
	INTF_FLUSH(0(R15), Z8, Z24, Z0)
	INTF_FLUSH(64(R15), Z9, Z25, Z1)
	INTF_FLUSH(128(R15), Z10, Z24, Z2)
	INTF_FLUSH(192(R15), Z11, Z25, Z3)
	INTF_FLUSH(256(R15), Z12, Z24, Z4)
	INTF_FLUSH(320(R15), Z13, Z25, Z5)
	INTF_FLUSH(384(R15), Z14, Z24, Z6)
	INTF_FLUSH(448(R15), Z15, Z25, Z7)
	DECQ R13
	JNZ group

	WRITE

// func intFloat512W2x2(args *intArgs)
// Two row tiles, 2 tokens.
TEXT ·intFloat512W2x2(SB), 0, $320-8
	INTF_ENTER
	SUMS
	VMOVUPS intFloats2<>(SB), Z28
	BEGIN(256)

group:
	INTF_GROUP
	CLEAR(Z0, Z1)
	CLEAR(Z2, Z3)
	CLEAR(Z4, Z5)
	CLEAR(Z6, Z7)
	PCALIGN $32

step:
	AHEAD2
	STEP2(FMA2A, FMA2B)
	ADDQ $128, SI
	ADDQ $128, R8
	ADDQ $128, R9
	DECQ BX
	JNZ step

	SCALES
	INTF_FLUSH(0(R15), Z4, Z24, Z0)
	INTF_FLUSH(64(R15), Z5, Z25, Z1)
	INTF_FLUSH(128(R15), Z6, Z24, Z2)
	INTF_FLUSH(192(R15), Z7, Z25, Z3)
	DECQ R13
	JNZ group

	WRITE

// func intFloat512W2x1(args *intArgs)
// Two row tiles, 1 token.
TEXT ·intFloat512W2x1(SB), 0, $192-8
	INTF_ENTER
	SUMS
	VMOVUPS intFloats2<>(SB), Z28
	BEGIN(128)

group:
	INTF_GROUP
	CLEAR(Z0, Z1)
	CLEAR(Z2, Z3)
	PCALIGN $32

step:
	AHEAD2
	STEP2(FMA1A, FMA1B)
	ADDQ $128, SI
	ADDQ $128, R8
	ADDQ $128, R9
	DECQ BX
	JNZ step

	SCALES
	INTF_FLUSH(0(R15), Z2, Z24, Z0)
	INTF_FLUSH(64(R15), Z3, Z25, Z1)
	DECQ R13
	JNZ group

	WRITE

// func intFloat512W3x4(args *intArgs)
// Two row tiles, 4 tokens.
TEXT ·intFloat512W3x4(SB), 0, $576-8
	INTF_ENTER
	SUMS
	VMOVUPS intFloats3<>(SB), Z28
	MOVL $0x03030303, AX
	VPBROADCASTD AX, Z23
	BEGIN(512)

group:
	INTF_GROUP
	CLEAR(Z0, Z1)
	CLEAR(Z2, Z3)
	CLEAR(Z4, Z5)
	CLEAR(Z6, Z7)
	CLEAR(Z8, Z9)
	CLEAR(Z10, Z11)
	CLEAR(Z12, Z13)
	CLEAR(Z14, Z15)
	PCALIGN $32

step:
	AHEAD3
	STEP3(FMA4A, FMA4B)
	ADDQ $192, SI
	ADDQ $128, R8
	ADDQ $128, R9
	DECQ BX
	JNZ step

	SCALES
	INTF_FLUSH(0(R15), Z8, Z24, Z0)
	INTF_FLUSH(64(R15), Z9, Z25, Z1)
	INTF_FLUSH(128(R15), Z10, Z24, Z2)
	INTF_FLUSH(192(R15), Z11, Z25, Z3)
	INTF_FLUSH(256(R15), Z12, Z24, Z4)
	INTF_FLUSH(320(R15), Z13, Z25, Z5)
	INTF_FLUSH(384(R15), Z14, Z24, Z6)
	INTF_FLUSH(448(R15), Z15, Z25, Z7)
	DECQ R13
	JNZ group

	WRITE

// func intFloat512W3x2(args *intArgs)
// Two row tiles, 2 tokens.
TEXT ·intFloat512W3x2(SB), 0, $320-8
	INTF_ENTER
	SUMS
	VMOVUPS intFloats3<>(SB), Z28
	MOVL $0x03030303, AX
	VPBROADCASTD AX, Z23
	BEGIN(256)

group:
	INTF_GROUP
	CLEAR(Z0, Z1)
	CLEAR(Z2, Z3)
	CLEAR(Z4, Z5)
	CLEAR(Z6, Z7)
	PCALIGN $32

step:
	AHEAD3
	STEP3(FMA2A, FMA2B)
	ADDQ $192, SI
	ADDQ $128, R8
	ADDQ $128, R9
	DECQ BX
	JNZ step

	SCALES
	INTF_FLUSH(0(R15), Z4, Z24, Z0)
	INTF_FLUSH(64(R15), Z5, Z25, Z1)
	INTF_FLUSH(128(R15), Z6, Z24, Z2)
	INTF_FLUSH(192(R15), Z7, Z25, Z3)
	DECQ R13
	JNZ group

	WRITE

// func intFloat512W3x1(args *intArgs)
// Two row tiles, 1 token.
TEXT ·intFloat512W3x1(SB), 0, $192-8
	INTF_ENTER
	SUMS
	VMOVUPS intFloats3<>(SB), Z28
	MOVL $0x03030303, AX
	VPBROADCASTD AX, Z23
	BEGIN(128)

group:
	INTF_GROUP
	CLEAR(Z0, Z1)
	CLEAR(Z2, Z3)
	PCALIGN $32

step:
	AHEAD3
	STEP3(FMA1A, FMA1B)
	ADDQ $192, SI
	ADDQ $128, R8
	ADDQ $128, R9
	DECQ BX
	JNZ step

	SCALES
	INTF_FLUSH(0(R15), Z2, Z24, Z0)
	INTF_FLUSH(64(R15), Z3, Z25, Z1)
	DECQ R13
	JNZ group

	WRITE
