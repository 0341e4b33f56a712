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

// RANGE512 takes 16 numbers at off: minimum, maximum, and the sum of 0·x, which is NaN if
// one of them is not finite.
#define RANGE512(off, lo, hi, sum) \
	VMOVUPS     off(SI), Z12;   \
	VMINPS      lo, Z12, lo;    \
	VMAXPS      hi, Z12, hi;    \
	VFMADD231PS Z13, Z12, sum

// func rangeAVX512(out *[3]float32, x *float32, n int)
// As rangeAVX2, but out[2] is not 0 if an element is not finite, and 0 otherwise.
TEXT ·rangeAVX512(SB), NOSPLIT, $0-24
	MOVQ   out+0(FP), DI
	MOVQ   x+8(FP), SI
	MOVQ   n+16(FP), CX
	VXORPS X0, X0, X0
	VXORPS X1, X1, X1
	VXORPS X2, X2, X2
	VXORPS X3, X3, X3
	VXORPS X4, X4, X4
	VXORPS X5, X5, X5
	VXORPS X6, X6, X6
	VXORPS X7, X7, X7
	VXORPS X8, X8, X8
	VXORPS X9, X9, X9
	VXORPS X10, X10, X10
	VXORPS X11, X11, X11
	VXORPS X13, X13, X13
	SUBQ   $64, CX
	JLT    rest

loop:
	RANGE512(0, Z0, Z4, Z8)
	RANGE512(64, Z1, Z5, Z9)
	RANGE512(128, Z2, Z6, Z10)
	RANGE512(192, Z3, Z7, Z11)
	ADDQ $256, SI
	SUBQ $64, CX
	JGE  loop

rest:
	ADDQ $64, CX
	JZ   done

one:
	RANGE512(0, Z0, Z4, Z8)
	ADDQ $64, SI
	SUBQ $16, CX
	JNZ  one

done:
	VMINPS Z1, Z0, Z0
	VMINPS Z3, Z2, Z2
	VMAXPS Z5, Z4, Z4
	VMAXPS Z7, Z6, Z6
	VADDPS Z9, Z8, Z8
	VADDPS Z11, Z10, Z10
	VMINPS Z2, Z0, Z0
	VMAXPS Z6, Z4, Z4
	VADDPS Z10, Z8, Z8
	VCMPPS $3, Z8, Z8, K1 // not a number

	VEXTRACTF64X4 $1, Z0, Y1
	VEXTRACTF64X4 $1, Z4, Y5
	VMINPS        Y1, Y0, Y0
	VMAXPS        Y5, Y4, Y4
	VEXTRACTF128  $1, Y0, X1
	VEXTRACTF128  $1, Y4, X5
	VMINPS        X1, X0, X0
	VMAXPS        X5, X4, X4
	VPSHUFD       $0x4e, X0, X1
	VPSHUFD       $0x4e, X4, X5
	VMINPS        X1, X0, X0
	VMAXPS        X5, X4, X4
	VPSHUFD       $0xb1, X0, X1
	VPSHUFD       $0xb1, X4, X5
	VMINPS        X1, X0, X0
	VMAXPS        X5, X4, X4
	KMOVW         K1, AX
	VMOVSS        X0, (DI)
	VMOVSS        X4, 4(DI)
	MOVL          AX, 8(DI)
	VZEROUPPER
	RET
