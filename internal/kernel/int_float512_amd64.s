#include "textflag.h"
#include "go_asm.h"
#include "int_float_amd64.h"

// Integer weights times float tokens. Each output has two chains of fused
// multiply-adds, for latency: with 4 bits columns 0…3 and 4…7 of every step,
// with 8 bits columns 0, 1 and 2, 3. Their sum, times the scale, is added to
// the float sum of the group before. All widths and both instruction sets do
// the same operations in the same order.

// The floats -8…7 that the nibbles stand for: VPERMPS looks them up.
DATA intFloats4<>+0(SB)/4, $0xc1000000
DATA intFloats4<>+4(SB)/4, $0xc0e00000
DATA intFloats4<>+8(SB)/4, $0xc0c00000
DATA intFloats4<>+12(SB)/4, $0xc0a00000
DATA intFloats4<>+16(SB)/4, $0xc0800000
DATA intFloats4<>+20(SB)/4, $0xc0400000
DATA intFloats4<>+24(SB)/4, $0xc0000000
DATA intFloats4<>+28(SB)/4, $0xbf800000
DATA intFloats4<>+32(SB)/4, $0x00000000
DATA intFloats4<>+36(SB)/4, $0x3f800000
DATA intFloats4<>+40(SB)/4, $0x40000000
DATA intFloats4<>+44(SB)/4, $0x40400000
DATA intFloats4<>+48(SB)/4, $0x40800000
DATA intFloats4<>+52(SB)/4, $0x40a00000
DATA intFloats4<>+56(SB)/4, $0x40c00000
DATA intFloats4<>+60(SB)/4, $0x40e00000
GLOBL intFloats4<>(SB), RODATA|NOPTR, $64

// SUMS points R15 at the float sums, on a cache line.
#define SUMS \
	LEAQ 63(SP), R15; \
	ANDQ $~63, R15

#define ZERO(bytes) \
	VPXORD  Z31, Z31, Z31;         \
	MOVQ    $bytes, CX;            \
zero:                            \
	VMOVUPS Z31, -64(R15)(CX*1);   \
	SUBQ    $64, CX;               \
	JNZ     zero

#define CLEAR(a0, a1) \
	VPXORD a0, a0, a0; \
	VPXORD a1, a1, a1

// LOAD loads a step of both tiles into Z24 and Z25.
#define LOAD \
	PREFETCHT0 4096(SI);         \
	PREFETCHT0 4096(SI)(DI*1);   \
	VMOVDQU64  (SI), Z24;        \
	VMOVDQU64  (SI)(DI*1), Z25;  \
	ADDQ       $64, SI

// COLUMN4 and COLUMN8 turn one column of the step into floats in Z26 and Z27.
#define COLUMN4(right) \
	VPSRLD  $right, Z24, Z26; \
	VPSRLD  $right, Z25, Z27; \
	VPERMPS Z28, Z26, Z26;    \
	VPERMPS Z28, Z27, Z27

#define COLUMN8(left) \
	VPSLLD    $left, Z24, Z26; \
	VPSLLD    $left, Z25, Z27; \
	VPSRAD    $24, Z26, Z26;   \
	VPSRAD    $24, Z27, Z27;   \
	VCVTDQ2PS Z26, Z26;        \
	VCVTDQ2PS Z27, Z27

#define SCALES \
	MOVQ       intArgs_scaleNext(R12), AX; \
	VMOVUPS    (R14), Z24;                 \
	VMOVUPS    (R14)(AX*1), Z25;           \
	PREFETCHT0 512(R14);                   \
	PREFETCHT0 512(R14)(AX*1);             \
	ADDQ       $64, R14

// WRITE writes the valid tokens and returns.
#define WRITE \
	MOVQ    intArgs_y(R12), R10;      \
	MOVQ    intArgs_yNext(R12), DX;   \
	MOVQ    intArgs_yTile(R12), R11;  \
	MOVQ    intArgs_tokens(R12), BX;  \
write:                              \
	VMOVUPS (R15), Z0;                \
	VMOVUPS 64(R15), Z1;              \
	VMOVUPS Z0, (R10);                \
	VMOVUPS Z1, (R10)(R11*1);         \
	ADDQ    $128, R15;                \
	ADDQ    DX, R10;                  \
	DECQ    BX;                       \
	JNZ     write;                    \
	VZEROUPPER;                       \
	RET

// func intFloat512W4x4(args *intArgs)
// Two row tiles, 4 tokens. Z24 Z25 weights, Z26 Z27 one column of them as floats.
TEXT ·intFloat512W4x4(SB), 0, $576-8
	INTF_ENTER
	SUMS
	VMOVUPS intFloats4<>(SB), Z28
	ZERO(512)

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
	LOAD
	COLUMN4(0)
	INTF_FMA((R8), Z29, Z26, Z27, Z0, Z1)
	INTF_FMA((R8)(DX*1), Z30, Z26, Z27, Z2, Z3)
	INTF_FMA((R8)(DX*2), Z29, Z26, Z27, Z4, Z5)
	INTF_FMA((R9), Z30, Z26, Z27, Z6, Z7)
	COLUMN4(8)
	INTF_FMA(4(R8), Z29, Z26, Z27, Z0, Z1)
	INTF_FMA(4(R8)(DX*1), Z30, Z26, Z27, Z2, Z3)
	INTF_FMA(4(R8)(DX*2), Z29, Z26, Z27, Z4, Z5)
	INTF_FMA(4(R9), Z30, Z26, Z27, Z6, Z7)
	COLUMN4(16)
	INTF_FMA(8(R8), Z29, Z26, Z27, Z0, Z1)
	INTF_FMA(8(R8)(DX*1), Z30, Z26, Z27, Z2, Z3)
	INTF_FMA(8(R8)(DX*2), Z29, Z26, Z27, Z4, Z5)
	INTF_FMA(8(R9), Z30, Z26, Z27, Z6, Z7)
	COLUMN4(24)
	INTF_FMA(12(R8), Z29, Z26, Z27, Z0, Z1)
	INTF_FMA(12(R8)(DX*1), Z30, Z26, Z27, Z2, Z3)
	INTF_FMA(12(R8)(DX*2), Z29, Z26, Z27, Z4, Z5)
	INTF_FMA(12(R9), Z30, Z26, Z27, Z6, Z7)
	COLUMN4(4)
	INTF_FMA(16(R8), Z29, Z26, Z27, Z8, Z9)
	INTF_FMA(16(R8)(DX*1), Z30, Z26, Z27, Z10, Z11)
	INTF_FMA(16(R8)(DX*2), Z29, Z26, Z27, Z12, Z13)
	INTF_FMA(16(R9), Z30, Z26, Z27, Z14, Z15)
	COLUMN4(12)
	INTF_FMA(20(R8), Z29, Z26, Z27, Z8, Z9)
	INTF_FMA(20(R8)(DX*1), Z30, Z26, Z27, Z10, Z11)
	INTF_FMA(20(R8)(DX*2), Z29, Z26, Z27, Z12, Z13)
	INTF_FMA(20(R9), Z30, Z26, Z27, Z14, Z15)
	COLUMN4(20)
	INTF_FMA(24(R8), Z29, Z26, Z27, Z8, Z9)
	INTF_FMA(24(R8)(DX*1), Z30, Z26, Z27, Z10, Z11)
	INTF_FMA(24(R8)(DX*2), Z29, Z26, Z27, Z12, Z13)
	INTF_FMA(24(R9), Z30, Z26, Z27, Z14, Z15)
	COLUMN4(28)
	INTF_FMA(28(R8), Z29, Z26, Z27, Z8, Z9)
	INTF_FMA(28(R8)(DX*1), Z30, Z26, Z27, Z10, Z11)
	INTF_FMA(28(R8)(DX*2), Z29, Z26, Z27, Z12, Z13)
	INTF_FMA(28(R9), Z30, Z26, Z27, Z14, Z15)
	ADDQ $32, R8
	ADDQ $32, R9
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

// func intFloat512W4x2(args *intArgs)
// Two row tiles, 2 tokens. Z24 Z25 weights, Z26 Z27 one column of them as floats.
TEXT ·intFloat512W4x2(SB), 0, $320-8
	INTF_ENTER
	SUMS
	VMOVUPS intFloats4<>(SB), Z28
	ZERO(256)

group:
	INTF_GROUP
	CLEAR(Z0, Z1)
	CLEAR(Z2, Z3)
	CLEAR(Z4, Z5)
	CLEAR(Z6, Z7)
	PCALIGN $32

step:
	LOAD
	COLUMN4(0)
	INTF_FMA((R8), Z29, Z26, Z27, Z0, Z1)
	INTF_FMA((R8)(DX*1), Z30, Z26, Z27, Z2, Z3)
	COLUMN4(8)
	INTF_FMA(4(R8), Z29, Z26, Z27, Z0, Z1)
	INTF_FMA(4(R8)(DX*1), Z30, Z26, Z27, Z2, Z3)
	COLUMN4(16)
	INTF_FMA(8(R8), Z29, Z26, Z27, Z0, Z1)
	INTF_FMA(8(R8)(DX*1), Z30, Z26, Z27, Z2, Z3)
	COLUMN4(24)
	INTF_FMA(12(R8), Z29, Z26, Z27, Z0, Z1)
	INTF_FMA(12(R8)(DX*1), Z30, Z26, Z27, Z2, Z3)
	COLUMN4(4)
	INTF_FMA(16(R8), Z29, Z26, Z27, Z4, Z5)
	INTF_FMA(16(R8)(DX*1), Z30, Z26, Z27, Z6, Z7)
	COLUMN4(12)
	INTF_FMA(20(R8), Z29, Z26, Z27, Z4, Z5)
	INTF_FMA(20(R8)(DX*1), Z30, Z26, Z27, Z6, Z7)
	COLUMN4(20)
	INTF_FMA(24(R8), Z29, Z26, Z27, Z4, Z5)
	INTF_FMA(24(R8)(DX*1), Z30, Z26, Z27, Z6, Z7)
	COLUMN4(28)
	INTF_FMA(28(R8), Z29, Z26, Z27, Z4, Z5)
	INTF_FMA(28(R8)(DX*1), Z30, Z26, Z27, Z6, Z7)
	ADDQ $32, R8
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

// func intFloat512W4x1(args *intArgs)
// Two row tiles, 1 token. Z24 Z25 weights, Z26 Z27 one column of them as floats.
TEXT ·intFloat512W4x1(SB), 0, $192-8
	INTF_ENTER
	SUMS
	VMOVUPS intFloats4<>(SB), Z28
	ZERO(128)

group:
	INTF_GROUP
	CLEAR(Z0, Z1)
	CLEAR(Z2, Z3)
	PCALIGN $32

step:
	LOAD
	COLUMN4(0)
	INTF_FMA((R8), Z29, Z26, Z27, Z0, Z1)
	COLUMN4(8)
	INTF_FMA(4(R8), Z29, Z26, Z27, Z0, Z1)
	COLUMN4(16)
	INTF_FMA(8(R8), Z29, Z26, Z27, Z0, Z1)
	COLUMN4(24)
	INTF_FMA(12(R8), Z29, Z26, Z27, Z0, Z1)
	COLUMN4(4)
	INTF_FMA(16(R8), Z29, Z26, Z27, Z2, Z3)
	COLUMN4(12)
	INTF_FMA(20(R8), Z29, Z26, Z27, Z2, Z3)
	COLUMN4(20)
	INTF_FMA(24(R8), Z29, Z26, Z27, Z2, Z3)
	COLUMN4(28)
	INTF_FMA(28(R8), Z29, Z26, Z27, Z2, Z3)
	ADDQ $32, R8
	DECQ BX
	JNZ step

	SCALES
	INTF_FLUSH(0(R15), Z2, Z24, Z0)
	INTF_FLUSH(64(R15), Z3, Z25, Z1)
	DECQ R13
	JNZ group

	WRITE

// func intFloat512W8x4(args *intArgs)
// Two row tiles, 4 tokens. Z24 Z25 weights, Z26 Z27 one column of them as floats.
TEXT ·intFloat512W8x4(SB), 0, $576-8
	INTF_ENTER
	SUMS
	MOVL $0x80808080, AX
	VPBROADCASTD AX, Z28
	ZERO(512)

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
	LOAD
	VPXORD Z28, Z24, Z24
	VPXORD Z28, Z25, Z25
	COLUMN8(24)
	INTF_FMA((R8), Z29, Z26, Z27, Z0, Z1)
	INTF_FMA((R8)(DX*1), Z30, Z26, Z27, Z2, Z3)
	INTF_FMA((R8)(DX*2), Z29, Z26, Z27, Z4, Z5)
	INTF_FMA((R9), Z30, Z26, Z27, Z6, Z7)
	COLUMN8(16)
	INTF_FMA(4(R8), Z29, Z26, Z27, Z0, Z1)
	INTF_FMA(4(R8)(DX*1), Z30, Z26, Z27, Z2, Z3)
	INTF_FMA(4(R8)(DX*2), Z29, Z26, Z27, Z4, Z5)
	INTF_FMA(4(R9), Z30, Z26, Z27, Z6, Z7)
	COLUMN8(8)
	INTF_FMA(8(R8), Z29, Z26, Z27, Z8, Z9)
	INTF_FMA(8(R8)(DX*1), Z30, Z26, Z27, Z10, Z11)
	INTF_FMA(8(R8)(DX*2), Z29, Z26, Z27, Z12, Z13)
	INTF_FMA(8(R9), Z30, Z26, Z27, Z14, Z15)
	COLUMN8(0)
	INTF_FMA(12(R8), Z29, Z26, Z27, Z8, Z9)
	INTF_FMA(12(R8)(DX*1), Z30, Z26, Z27, Z10, Z11)
	INTF_FMA(12(R8)(DX*2), Z29, Z26, Z27, Z12, Z13)
	INTF_FMA(12(R9), Z30, Z26, Z27, Z14, Z15)
	ADDQ $16, R8
	ADDQ $16, R9
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

// func intFloat512W8x2(args *intArgs)
// Two row tiles, 2 tokens. Z24 Z25 weights, Z26 Z27 one column of them as floats.
TEXT ·intFloat512W8x2(SB), 0, $320-8
	INTF_ENTER
	SUMS
	MOVL $0x80808080, AX
	VPBROADCASTD AX, Z28
	ZERO(256)

group:
	INTF_GROUP
	CLEAR(Z0, Z1)
	CLEAR(Z2, Z3)
	CLEAR(Z4, Z5)
	CLEAR(Z6, Z7)
	PCALIGN $32

step:
	LOAD
	VPXORD Z28, Z24, Z24
	VPXORD Z28, Z25, Z25
	COLUMN8(24)
	INTF_FMA((R8), Z29, Z26, Z27, Z0, Z1)
	INTF_FMA((R8)(DX*1), Z30, Z26, Z27, Z2, Z3)
	COLUMN8(16)
	INTF_FMA(4(R8), Z29, Z26, Z27, Z0, Z1)
	INTF_FMA(4(R8)(DX*1), Z30, Z26, Z27, Z2, Z3)
	COLUMN8(8)
	INTF_FMA(8(R8), Z29, Z26, Z27, Z4, Z5)
	INTF_FMA(8(R8)(DX*1), Z30, Z26, Z27, Z6, Z7)
	COLUMN8(0)
	INTF_FMA(12(R8), Z29, Z26, Z27, Z4, Z5)
	INTF_FMA(12(R8)(DX*1), Z30, Z26, Z27, Z6, Z7)
	ADDQ $16, R8
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

// func intFloat512W8x1(args *intArgs)
// Two row tiles, 1 token. Z24 Z25 weights, Z26 Z27 one column of them as floats.
TEXT ·intFloat512W8x1(SB), 0, $192-8
	INTF_ENTER
	SUMS
	MOVL $0x80808080, AX
	VPBROADCASTD AX, Z28
	ZERO(128)

group:
	INTF_GROUP
	CLEAR(Z0, Z1)
	CLEAR(Z2, Z3)
	PCALIGN $32

step:
	LOAD
	VPXORD Z28, Z24, Z24
	VPXORD Z28, Z25, Z25
	COLUMN8(24)
	INTF_FMA((R8), Z29, Z26, Z27, Z0, Z1)
	COLUMN8(16)
	INTF_FMA(4(R8), Z29, Z26, Z27, Z0, Z1)
	COLUMN8(8)
	INTF_FMA(8(R8), Z29, Z26, Z27, Z2, Z3)
	COLUMN8(0)
	INTF_FMA(12(R8), Z29, Z26, Z27, Z2, Z3)
	ADDQ $16, R8
	DECQ BX
	JNZ step

	SCALES
	INTF_FLUSH(0(R15), Z2, Z24, Z0)
	INTF_FLUSH(64(R15), Z3, Z25, Z1)
	DECQ R13
	JNZ group

	WRITE

