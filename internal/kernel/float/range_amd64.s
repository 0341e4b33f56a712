#include "textflag.h"

// func rangeAVX2(out *[3]float32, x *float32, n int)
// out: minimum and maximum of x and zero, greatest |x|. n is a positive multiple
// of 16. MIN and MAX return their second source for a NaN, here the
// bound so far.
TEXT ·rangeAVX2(SB), NOSPLIT, $0-24
	MOVQ     out+0(FP), DI
	MOVQ     x+8(FP), SI
	MOVQ     n+16(FP), CX
	VXORPS   Y0, Y0, Y0
	VXORPS   Y1, Y1, Y1
	VXORPS   Y2, Y2, Y2
	VXORPS   Y3, Y3, Y3
	VXORPS   Y4, Y4, Y4
	VXORPS   Y5, Y5, Y5
	VPCMPEQD Y8, Y8, Y8
	VPSRLD   $1, Y8, Y8

loop:
	VMOVUPS (SI), Y6
	VMOVUPS 32(SI), Y7
	VMINPS  Y0, Y6, Y0
	VMINPS  Y1, Y7, Y1
	VMAXPS  Y2, Y6, Y2
	VMAXPS  Y3, Y7, Y3
	VPAND   Y8, Y6, Y6
	VPAND   Y8, Y7, Y7
	VPMAXUD Y6, Y4, Y4
	VPMAXUD Y7, Y5, Y5
	ADDQ    $64, SI
	SUBQ    $16, CX
	JNZ     loop

	VMINPS  Y1, Y0, Y0
	VMAXPS  Y3, Y2, Y2
	VPMAXUD Y5, Y4, Y4

	VEXTRACTF128 $1, Y0, X1
	VEXTRACTF128 $1, Y2, X3
	VEXTRACTF128 $1, Y4, X5
	VMINPS       X1, X0, X0
	VMAXPS       X3, X2, X2
	VPMAXUD      X5, X4, X4
	VPSHUFD      $0x4e, X0, X1
	VPSHUFD      $0x4e, X2, X3
	VPSHUFD      $0x4e, X4, X5
	VMINPS       X1, X0, X0
	VMAXPS       X3, X2, X2
	VPMAXUD      X5, X4, X4
	VPSHUFD      $0xb1, X0, X1
	VPSHUFD      $0xb1, X2, X3
	VPSHUFD      $0xb1, X4, X5
	VMINPS       X1, X0, X0
	VMAXPS       X3, X2, X2
	VPMAXUD      X5, X4, X4
	VMOVSS       X0, (DI)
	VMOVSS       X2, 4(DI)
	VMOVSS       X4, 8(DI)
	VZEROUPPER
	RET
