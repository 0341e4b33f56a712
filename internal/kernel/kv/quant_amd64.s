#include "textflag.h"

// Quantization of keys and values on their way into the cache: see quant.go.

#define ENTER \
	MOVQ         q+0(FP), DI;         \
	MOVQ         x+8(FP), SI;         \
	MOVQ         blocks+16(FP), CX;   \
	VBROADCASTSS minimum+24(FP), Y8;  \
	VBROADCASTSS inv+28(FP), Y9;      \
	VBROADCASTSS top+32(FP), Y10;     \
	VXORPS       Y12, Y12, Y12

// ROUND16 sets X0 to 16 integers, one a byte.
#define ROUND16 \
	VMOVUPS      (SI), Y0;      \
	VMOVUPS      32(SI), Y1;    \
	VSUBPS       Y8, Y0, Y0;    \
	VSUBPS       Y8, Y1, Y1;    \
	VMULPS       Y9, Y0, Y0;    \
	VMULPS       Y9, Y1, Y1;    \
	VROUNDPS     $8, Y0, Y0;    \
	VROUNDPS     $8, Y1, Y1;    \
	VMAXPS       Y12, Y0, Y0;   \
	VMAXPS       Y12, Y1, Y1;   \
	VMINPS       Y10, Y0, Y0;   \
	VMINPS       Y10, Y1, Y1;   \
	VCVTPS2DQ    Y0, Y0;        \
	VCVTPS2DQ    Y1, Y1;        \
	VPACKUSDW    Y1, Y0, Y0;    \
	VPERMQ       $0xd8, Y0, Y0; \
	VEXTRACTI128 $1, Y0, X1;    \
	VPACKUSWB    X1, X0, X0;    \
	ADDQ         $64, SI

// func kvRangeAVX2(out *[3]float32, x *float32, blocks int)
TEXT ·kvRangeAVX2(SB), NOSPLIT, $0-24
	MOVQ     out+0(FP), DI
	MOVQ     x+8(FP), SI
	MOVQ     blocks+16(FP), CX
	VPCMPEQD Y8, Y8, Y8
	VPSRLD   $1, Y8, Y8 // all but the sign
	VMOVUPS  (SI), Y0
	VMOVUPS  32(SI), Y3
	VMOVAPS  Y0, Y1
	VMOVAPS  Y3, Y4
	VPXOR    Y2, Y2, Y2
loop:
	VMOVUPS (SI), Y5
	VMOVUPS 32(SI), Y6
	VMINPS  Y5, Y0, Y0
	VMAXPS  Y5, Y1, Y1
	VMINPS  Y6, Y3, Y3
	VMAXPS  Y6, Y4, Y4
	VANDPS  Y8, Y5, Y5
	VANDPS  Y8, Y6, Y6
	VPMAXUD Y5, Y2, Y2
	VPMAXUD Y6, Y2, Y2
	ADDQ    $64, SI
	DECQ    CX
	JNZ     loop

	VMINPS       Y3, Y0, Y0
	VMAXPS       Y4, Y1, Y1
	VEXTRACTF128 $1, Y0, X3
	VEXTRACTF128 $1, Y1, X4
	VEXTRACTI128 $1, Y2, X5
	VMINPS       X3, X0, X0
	VMAXPS       X4, X1, X1
	VPMAXUD      X5, X2, X2
	VPERMILPD    $1, X0, X3
	VPERMILPD    $1, X1, X4
	VPSHUFD      $0x4e, X2, X5
	VMINPS       X3, X0, X0
	VMAXPS       X4, X1, X1
	VPMAXUD      X5, X2, X2
	VMOVSHDUP    X0, X3
	VMOVSHDUP    X1, X4
	VMOVSHDUP    X2, X5
	VMINPS       X3, X0, X0
	VMAXPS       X4, X1, X1
	VPMAXUD      X5, X2, X2
	VMOVSS       X0, (DI)
	VMOVSS       X1, 4(DI)
	VMOVD        X2, 8(DI)
	VZEROUPPER
	RET

// func kvRound8AVX2(q *byte, x *float32, blocks int, minimum, inv, top float32)
TEXT ·kvRound8AVX2(SB), NOSPLIT, $0-36
	ENTER
loop:
	ROUND16
	VMOVDQU X0, (DI)
	ADDQ    $16, DI
	DECQ    CX
	JNZ     loop
	VZEROUPPER
	RET

// func kvRound4AVX2(q *byte, x *float32, blocks int, minimum, inv, top float32)
TEXT ·kvRound4AVX2(SB), NOSPLIT, $0-36
	ENTER
	MOVL         $0x10011001, AX // bytes 1 and 16
	VMOVD        AX, X11
	VPBROADCASTD X11, X11
loop:
	ROUND16
	VPMADDUBSW X11, X0, X0
	VPACKUSWB  X0, X0, X0
	VMOVQ      X0, (DI)
	ADDQ       $8, DI
	DECQ       CX
	JNZ        loop
	VZEROUPPER
	RET

// func kvPutAVX512(keys, values, key, value *byte, blocks, lane int)
// 16 bytes of a key become the first four of every 64 bytes of keys; 16 bytes of a value
// byte `lane` of every four of values.
TEXT ·kvPutAVX512(SB), NOSPLIT, $0-48
	MOVQ  keys+0(FP), DI
	MOVQ  values+8(FP), SI
	MOVQ  key+16(FP), R8
	MOVQ  value+24(FP), R9
	MOVQ  blocks+32(FP), DX
	MOVQ  lane+40(FP), CX
	MOVQ  $0x1111111111111111, AX
	SHLQ  CX, AX
	KMOVQ AX, K1
	SHLQ  $3, CX
	VMOVQ CX, X2
loop:
	VMOVDQU   (R8), X0
	VPMOVZXBD (R9), Z1
	VPSLLD    X2, Z1, Z1
	VMOVD     X0, (DI)
	VPEXTRD   $1, X0, 64(DI)
	VPEXTRD   $2, X0, 128(DI)
	VPEXTRD   $3, X0, 192(DI)
	VMOVDQU8  Z1, K1, (SI)
	ADDQ      $256, DI
	ADDQ      $64, SI
	ADDQ      $16, R8
	ADDQ      $16, R9
	DECQ      DX
	JNZ       loop
	VZEROUPPER
	RET
