#include "textflag.h"
#include "elem_amd64.h"

// Element-wise operations for AVX-512, on whole blocks of 16 numbers: see
// elem.go, which defines each rounding.

// func expavx512(x unsafe.Pointer, blocks int)
TEXT ·expavx512(SB), NOSPLIT, $0-16
	MOVQ x+0(FP), DI
	MOVQ blocks+8(FP), CX
	CONSTANTS512
loop:
	VMOVUPS (DI), Z0
	EXP512
	VMOVUPS Z4, (DI)
	ADDQ    $64, DI
	DECQ    CX
	JNZ     loop
	VZEROUPPER
	RET

// func maxScaledavx512(x unsafe.Pointer, scale float32, blocks int) float32
TEXT ·maxScaledavx512(SB), NOSPLIT, $0-28
	MOVQ         x+0(FP), SI
	VBROADCASTSS scale+8(FP), Z1
	MOVQ         blocks+16(FP), CX
	VMULPS       (SI), Z1, Z0
loop:
	VMULPS (SI), Z1, Z2
	VMAXPS Z2, Z0, Z0
	ADDQ   $64, SI
	DECQ   CX
	JNZ    loop
	VEXTRACTF64X4 $1, Z0, Y1
	VMAXPS        Y1, Y0, Y0
	VEXTRACTF128  $1, Y0, X1
	VMAXPS        X1, X0, X0
	VPERMILPD     $1, X0, X1
	VMAXPS        X1, X0, X0
	VMOVSHDUP     X0, X1
	VMAXSS        X1, X0, X0
	VMOVSS        X0, ret+24(FP)
	VZEROUPPER
	RET

// func expSumavx512(x unsafe.Pointer, scale, top float32, lanes unsafe.Pointer, blocks int)
TEXT ·expSumavx512(SB), NOSPLIT, $0-32
	MOVQ         x+0(FP), DI
	VBROADCASTSS scale+8(FP), Z14
	VBROADCASTSS top+12(FP), Z15
	MOVQ         lanes+16(FP), DX
	MOVQ         blocks+24(FP), CX
	VMOVUPD      (DX), Z8
	VMOVUPD      64(DX), Z9
	CONSTANTS512
loop:
	VMULPS        (DI), Z14, Z0
	VSUBPS        Z15, Z0, Z0
	EXP512
	VMOVUPS       Z4, (DI)
	VEXTRACTF64X4 $1, Z4, Y6
	VCVTPS2PD     Y4, Z4
	VCVTPS2PD     Y6, Z6
	VADDPD        Z4, Z8, Z8
	VADDPD        Z6, Z9, Z9
	ADDQ          $64, DI
	DECQ          CX
	JNZ           loop
	VMOVUPD       Z8, (DX)
	VMOVUPD       Z9, 64(DX)
	VZEROUPPER
	RET

// func normalizeavx512(x unsafe.Pointer, inv float32, blocks int)
TEXT ·normalizeavx512(SB), NOSPLIT, $0-24
	MOVQ         x+0(FP), DI
	VBROADCASTSS inv+8(FP), Z1
	MOVQ         blocks+16(FP), CX
	VBROADCASTSS elemConst<>+416(SB), Z2
loop:
	VMULPS    (DI), Z1, Z0
	VCMPPS    $21, Z2, Z0, K1 // not less
	VMOVAPS.Z Z0, K1, Z0
	VMOVUPS   Z0, (DI)
	ADDQ      $64, DI
	DECQ      CX
	JNZ       loop
	VZEROUPPER
	RET

// func swigluavx512(gate, up unsafe.Pointer, blocks int)
TEXT ·swigluavx512(SB), NOSPLIT, $0-24
	MOVQ gate+0(FP), DI
	MOVQ up+8(FP), SI
	MOVQ blocks+16(FP), CX
	CONSTANTS512
loop:
	VMOVUPS (DI), Z6
	VSUBPS  Z6, Z29, Z0
	EXP512
	VADDPS  Z25, Z4, Z4
	VDIVPS  Z4, Z6, Z4
	VMULPS  (SI), Z4, Z4
	VMOVUPS Z4, (DI)
	ADDQ    $64, DI
	ADDQ    $64, SI
	DECQ    CX
	JNZ     loop
	VZEROUPPER
	RET

// func addavx512(x, y unsafe.Pointer, blocks int)
TEXT ·addavx512(SB), NOSPLIT, $0-24
	MOVQ x+0(FP), DI
	MOVQ y+8(FP), SI
	MOVQ blocks+16(FP), CX
loop:
	VMOVUPS (DI), Z0
	VADDPS  (SI), Z0, Z0
	VMOVUPS Z0, (DI)
	ADDQ    $64, DI
	ADDQ    $64, SI
	DECQ    CX
	JNZ     loop
	VZEROUPPER
	RET

// func mulScaledavx512(dst, x, weight unsafe.Pointer, scale float32, blocks int)
TEXT ·mulScaledavx512(SB), NOSPLIT, $0-40
	MOVQ         dst+0(FP), DI
	MOVQ         x+8(FP), SI
	MOVQ         weight+16(FP), DX
	VBROADCASTSS scale+24(FP), Z1
	MOVQ         blocks+32(FP), CX
loop:
	VMULPS  (SI), Z1, Z0
	VMULPS  (DX), Z0, Z0
	VMOVUPS Z0, (DI)
	ADDQ    $64, DI
	ADDQ    $64, SI
	ADDQ    $64, DX
	DECQ    CX
	JNZ     loop
	VZEROUPPER
	RET

// func ropeavx512(lo, hi, cos, sin unsafe.Pointer, blocks int)
TEXT ·ropeavx512(SB), NOSPLIT, $0-40
	MOVQ lo+0(FP), DI
	MOVQ hi+8(FP), SI
	MOVQ cos+16(FP), R8
	MOVQ sin+24(FP), R9
	MOVQ blocks+32(FP), CX
loop:
	VMOVUPS (DI), Z0
	VMOVUPS (SI), Z1
	VMOVUPS (R8), Z2
	VMOVUPS (R9), Z3
	VMULPS  Z2, Z0, Z4
	VMULPS  Z3, Z1, Z5
	VMULPS  Z2, Z1, Z6
	VMULPS  Z3, Z0, Z7
	VSUBPS  Z5, Z4, Z4
	VADDPS  Z7, Z6, Z6
	VMOVUPS Z4, (DI)
	VMOVUPS Z6, (SI)
	ADDQ    $64, DI
	ADDQ    $64, SI
	ADDQ    $64, R8
	ADDQ    $64, R9
	DECQ    CX
	JNZ     loop
	VZEROUPPER
	RET
