#include "textflag.h"

// func intQuantizeAVX2(q *int8, x *float32, n int, delta, z, top float32, off int32)
// q = clamp(RoundToEven(x/delta) + z, 0, top) - off; n is a positive multiple
// of 16.
TEXT ·intQuantizeAVX2(SB), NOSPLIT, $0-40
	MOVQ         q+0(FP), DI
	MOVQ         x+8(FP), SI
	MOVQ         n+16(FP), CX
	VBROADCASTSS delta+24(FP), Y8
	VBROADCASTSS z+28(FP), Y9
	VBROADCASTSS top+32(FP), Y10
	MOVL         off+36(FP), AX
	VMOVD        AX, X11
	VPBROADCASTD X11, Y11
	VXORPS       Y12, Y12, Y12

loop:
	VMOVUPS      (SI), Y0
	VMOVUPS      32(SI), Y1
	VDIVPS       Y8, Y0, Y0
	VDIVPS       Y8, Y1, Y1
	VROUNDPS     $8, Y0, Y0
	VROUNDPS     $8, Y1, Y1
	VADDPS       Y9, Y0, Y0
	VADDPS       Y9, Y1, Y1
	VMAXPS       Y12, Y0, Y0
	VMAXPS       Y12, Y1, Y1
	VMINPS       Y10, Y0, Y0
	VMINPS       Y10, Y1, Y1
	VCVTPS2DQ    Y0, Y0
	VCVTPS2DQ    Y1, Y1
	VPSUBD       Y11, Y0, Y0
	VPSUBD       Y11, Y1, Y1
	VPACKSSDW    Y1, Y0, Y0
	VPERMQ       $0xd8, Y0, Y0
	VEXTRACTI128 $1, Y0, X1
	VPACKSSWB    X1, X0, X0
	VMOVDQU      X0, (DI)
	ADDQ         $64, SI
	ADDQ         $16, DI
	SUBQ         $16, CX
	JNZ          loop
	VZEROUPPER
	RET

// func intQuantizeAVX512(q *int8, x *float32, n int, delta, inverse, z, top float32, off int32)
// As intQuantizeAVX2, inverse being 1/delta rounded: x·inverse rounds to the integer
// that x/delta does, unless it is within 2^-12 of the middle between two. Then, or
// where it is beyond all clamping or not a number, it divides.
TEXT ·intQuantizeAVX512(SB), NOSPLIT, $0-44
	MOVQ         q+0(FP), DI
	MOVQ         x+8(FP), SI
	MOVQ         n+16(FP), CX
	VBROADCASTSS delta+24(FP), Z8
	VBROADCASTSS inverse+28(FP), Z7
	VBROADCASTSS z+32(FP), Z9
	VBROADCASTSS top+36(FP), Z10
	MOVL         off+40(FP), AX
	VPBROADCASTD AX, Z11
	VPXORD       Z12, Z12, Z12
	MOVL         $0x3effe000, AX    // 0.5 − 2^-12
	VPBROADCASTD AX, Z13
	MOVL         $0x7fffffff, AX
	VPBROADCASTD AX, Z14

loop:
	VMOVUPS    (SI), Z0
	VMULPS     Z7, Z0, Z1
	VRNDSCALEPS $8, Z1, Z2
	VSUBPS     Z2, Z1, Z3
	VPANDD     Z14, Z3, Z3
	VCMPPS     $6, Z13, Z3, K1      // not less or equal
	KORTESTW   K1, K1
	JNZ        divide

rounded:
	VADDPS    Z9, Z2, Z2
	VMAXPS    Z12, Z2, Z2
	VMINPS    Z10, Z2, Z2
	VCVTPS2DQ Z2, Z2
	VPSUBD    Z11, Z2, Z2
	VPMOVDB   Z2, (DI)
	ADDQ      $64, SI
	ADDQ      $16, DI
	SUBQ      $16, CX
	JNZ       loop
	VZEROUPPER
	RET

divide:
	VDIVPS      Z8, Z0, Z1
	VRNDSCALEPS $8, Z1, Z2
	JMP         rounded

// func intSumAVX2(q *int8, n int) int32
// Sum of q; n is a positive multiple of 16.
TEXT ·intSumAVX2(SB), NOSPLIT, $0-20
	MOVQ     q+0(FP), SI
	MOVQ     n+8(FP), CX
	VPXOR    Y0, Y0, Y0
	VPCMPEQD Y2, Y2, Y2
	VPABSB   Y2, Y1         // bytes of 1
	VPSRLW   $15, Y2, Y2    // words of 1
	SUBQ     $32, CX
	JLT      half

loop:
	VMOVDQU    (SI), Y3
	VPMADDUBSW Y3, Y1, Y3
	VPMADDWD   Y2, Y3, Y3
	VPADDD     Y3, Y0, Y0
	ADDQ       $32, SI
	SUBQ       $32, CX
	JGE        loop

half:
	ADDQ       $32, CX
	JZ         sum
	VMOVDQU    (SI), X3     // the upper half is zero
	VPMADDUBSW Y3, Y1, Y3
	VPMADDWD   Y2, Y3, Y3
	VPADDD     Y3, Y0, Y0

sum:
	VEXTRACTI128 $1, Y0, X1
	VPADDD       X1, X0, X0
	VPSHUFD      $0x4e, X0, X1
	VPADDD       X1, X0, X0
	VPSHUFD      $0xb1, X0, X1
	VPADDD       X1, X0, X0
	VMOVD        X0, AX
	MOVL         AX, ret+16(FP)
	VZEROUPPER
	RET
