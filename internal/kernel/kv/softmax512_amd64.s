#include "textflag.h"
#include "elem_amd64.h"
#include "attend_amd64.h"

// The softmax of a row of scores and the weights of its values, for AVX-512, in
// three passes over memory: Softmax and kvWeights, which define each rounding,
// take four and meet the ends of the row by themselves. K3 is what is of the
// row in its last block.

// EXPSUM sets Z4 to exp(scale·Z0-top).
#define EXPSUM \
	VMULPS Z14, Z0, Z0; \
	VSUBPS Z15, Z0, Z0; \
	EXP512

// EXPPAIR sets Z4 to exp(scale·Z0-top) and Z30 to exp(scale·Z10-top), as EXPSUM
// does, side by side.
#define EXPPAIR \
	VMULPS Z14, Z0, Z0; \
	VMULPS Z14, Z10, Z10; \
	VSUBPS Z15, Z0, Z0; \
	VSUBPS Z15, Z10, Z10; \
	VMULPS Z16, Z0, Z1; \
	VMULPS Z16, Z10, Z11; \
	VADDPS Z17, Z1, Z1; \
	VADDPS Z17, Z11, Z11; \
	VSUBPS Z17, Z1, Z2; \
	VSUBPS Z17, Z11, Z12; \
	VMOVAPS Z0, Z3; \
	VMOVAPS Z10, Z13; \
	VFNMADD231PS Z18, Z2, Z3; \
	VFNMADD231PS Z18, Z12, Z13; \
	VFNMADD231PS Z19, Z2, Z3; \
	VFNMADD231PS Z19, Z12, Z13; \
	VMULPS Z20, Z3, Z4; \
	VMULPS Z20, Z13, Z30; \
	VADDPS Z21, Z4, Z4; \
	VADDPS Z21, Z30, Z30; \
	VMULPS Z3, Z4, Z4; \
	VMULPS Z13, Z30, Z30; \
	VADDPS Z22, Z4, Z4; \
	VADDPS Z22, Z30, Z30; \
	VMULPS Z3, Z4, Z4; \
	VMULPS Z13, Z30, Z30; \
	VADDPS Z23, Z4, Z4; \
	VADDPS Z23, Z30, Z30; \
	VMULPS Z3, Z4, Z4; \
	VMULPS Z13, Z30, Z30; \
	VADDPS Z24, Z4, Z4; \
	VADDPS Z24, Z30, Z30; \
	VMULPS Z3, Z3, Z5; \
	VMULPS Z13, Z13, Z31; \
	VMULPS Z5, Z4, Z4; \
	VMULPS Z31, Z30, Z30; \
	VADDPS Z3, Z4, Z4; \
	VADDPS Z13, Z30, Z30; \
	VADDPS Z25, Z4, Z4; \
	VADDPS Z25, Z30, Z30; \
	VPSLLD $23, Z1, Z1; \
	VPSLLD $23, Z11, Z11; \
	VCMPPS $21, Z26, Z0, K1; \
	VCMPPS $21, Z26, Z10, K4; \
	VCMPPS $22, Z27, Z0, K2; \
	VCMPPS $22, Z27, Z10, K5; \
	VPADDD.Z Z1, Z4, K1, Z4; \
	VPADDD.Z Z11, Z30, K4, Z30; \
	VADDPS Z28, Z0, K2, Z4; \
	VADDPS Z28, Z10, K5, Z30

// SUM adds Z4 to the sums in float64, Z8 and Z9.
#define SUM \
	VEXTRACTF64X4 $1, Z4, Y6; \
	VCVTPS2PD     Y4, Z4;     \
	VCVTPS2PD     Y6, Z6;     \
	VADDPD        Z4, Z8, Z8; \
	VADDPD        Z6, Z9, Z9

// WEIGHTS sets Z2 to probabilities, Z3 and Z4 to the minima and scales.
#define WEIGHTS \
	VMULPS    (DI), Z14, Z2;  \
	VCMPPS    $21, Z1, Z2, K1; \
	VMOVAPS.Z Z2, K1, Z2;     \
	VCVTPH2PS (R9), Z3;       \
	VCVTPH2PS (R8), Z4

// func kvSoftmaxavx512(p unsafe.Pointer, n int, scale float32, vscale, vmin unsafe.Pointer) float32
TEXT ·kvSoftmaxavx512(SB), NOSPLIT, $0-44
	MOVQ p+0(FP), SI
	MOVQ n+8(FP), BX
	VBROADCASTSS scale+16(FP), Z14
	MOVQ vscale+24(FP), R8
	MOVQ vmin+32(FP), R9
	DECQ BX
	MOVQ BX, CX
	SHRQ $4, BX // blocks before the last
	ANDQ $15, CX
	MOVQ $2, DX
	SHLQ CX, DX
	DECQ DX
	KMOVW DX, K3

	MOVQ         BX, CX
	SHLQ         $6, CX
	VBROADCASTSS (SI), Z0
	VMOVUPS      (SI)(CX*1), K3, Z0
	MOVQ         SI, DI
	MOVQ         BX, CX
	TESTQ        CX, CX
	JZ           top
highest:
	VMAXPS (DI), Z0, Z0
	ADDQ   $64, DI
	DECQ   CX
	JNZ    highest
top:
	VEXTRACTF64X4 $1, Z0, Y1
	VMAXPS        Y1, Y0, Y0
	VEXTRACTF128  $1, Y0, X1
	VMAXPS        X1, X0, X0
	VPERMILPD     $1, X0, X1
	VMAXPS        X1, X0, X0
	VMOVSHDUP     X0, X1
	VMAXSS        X1, X0, X0
	VBROADCASTSS  X0, Z15
	VMULPS        Z14, Z15, Z15

	CONSTANTS512
	VPXORQ Z8, Z8, Z8
	VPXORQ Z9, Z9, Z9
	MOVQ   SI, DI
	MOVQ   BX, CX
	SUBQ   $2, CX
	JLT    odd
pair:
	VMOVUPS (DI), Z0
	VMOVUPS 64(DI), Z10
	EXPPAIR
	VMOVUPS Z4, (DI)
	VMOVUPS Z30, 64(DI)
	SUM
	VMOVAPS Z30, Z4
	SUM
	ADDQ    $128, DI
	SUBQ    $2, CX
	JGE     pair
odd:
	ADDQ   $2, CX
	JZ     lastexp
exp:
	VMOVUPS (DI), Z0
	EXPSUM
	VMOVUPS Z4, (DI)
	SUM
	ADDQ    $64, DI
	DECQ    CX
	JNZ     exp
lastexp:
	VMOVUPS.Z (DI), K3, Z0
	EXPSUM
	VMOVAPS.Z Z4, K3, Z4
	VMOVUPS   Z4, (DI)
	SUM

	VADDPD        Z9, Z8, Z8
	VEXTRACTF64X4 $1, Z8, Y9
	VADDPD        Y9, Y8, Y8
	VEXTRACTF128  $1, Y8, X9
	VADDPD        X9, X8, X8
	VPERMILPD     $1, X8, X9
	VADDSD        X9, X8, X8
	MOVQ          $0x3ff0000000000000, AX // 1
	VMOVQ         AX, X9
	VDIVSD        X8, X9, X8
	VCVTSD2SS     X8, X8, X8
	VBROADCASTSS  X8, Z14

	VBROADCASTSS kvLeast<>(SB), Z1
	VPXORQ       Z0, Z0, Z0
	MOVQ         SI, DI
	MOVQ         BX, CX
	TESTQ        CX, CX
	JZ           lastweights
weights:
	WEIGHTS
	VMULPS  Z3, Z2, Z3
	VADDPS  Z3, Z0, Z0
	VMULPS  Z4, Z2, Z4
	VMOVUPS Z4, (DI)
	ADDQ    $64, DI
	ADDQ    $32, R8
	ADDQ    $32, R9
	DECQ    CX
	JNZ     weights
lastweights:
	WEIGHTS
	VMULPS.Z Z3, Z2, K3, Z3
	VADDPS   Z3, Z0, Z0
	VMULPS.Z Z4, Z2, K3, Z4
	VMOVUPS  Z4, (DI)

	VEXTRACTF64X4 $1, Z0, Y1
	VADDPS        Y1, Y0, Y0
	VEXTRACTF128  $1, Y0, X1
	VADDPS        X1, X0, X0
	VPERMILPD     $1, X0, X1
	VADDPS        X1, X0, X0
	VMOVSHDUP     X0, X1
	VADDSS        X1, X0, X0
	VMOVSS        X0, ret+40(FP)
	VZEROUPPER
	RET

// func kvShiftavx512(dst, x unsafe.Pointer, by float32, blocks int)
TEXT ·kvShiftavx512(SB), NOSPLIT, $0-32
	MOVQ         dst+0(FP), DI
	MOVQ         x+8(FP), SI
	VBROADCASTSS by+16(FP), Z0
	MOVQ         blocks+24(FP), CX
loop:
	VADDPS  (SI), Z0, Z1
	VMOVUPS Z1, (DI)
	ADDQ    $64, SI
	ADDQ    $64, DI
	DECQ    CX
	JNZ     loop
	VZEROUPPER
	RET

// func kvShiftavx2(dst, x unsafe.Pointer, by float32, blocks int)
TEXT ·kvShiftavx2(SB), NOSPLIT, $0-32
	MOVQ         dst+0(FP), DI
	MOVQ         x+8(FP), SI
	VBROADCASTSS by+16(FP), Y0
	MOVQ         blocks+24(FP), CX
loop:
	VADDPS  (SI), Y0, Y1
	VADDPS  32(SI), Y0, Y2
	VMOVUPS Y1, (DI)
	VMOVUPS Y2, 32(DI)
	ADDQ    $64, SI
	ADDQ    $64, DI
	DECQ    CX
	JNZ     loop
	VZEROUPPER
	RET
