#include "textflag.h"
#include "elem_amd64.h"

// Element-wise operations for AVX2, on whole blocks of 16 numbers: see elem.go,
// which defines each rounding.

// EXP256 sets Y4 to exp(Y0); it uses Y1…Y5.
#define EXP256 \
	VMULPS       elemConst<>+0(SB), Y0, Y1;        \
	VADDPS       elemConst<>+32(SB), Y1, Y1;       \
	VSUBPS       elemConst<>+32(SB), Y1, Y2;       \
	VMOVAPS      Y0, Y3;                           \
	VFNMADD231PS elemConst<>+64(SB), Y2, Y3;       \
	VFNMADD231PS elemConst<>+96(SB), Y2, Y3;       \
	VMULPS       elemConst<>+128(SB), Y3, Y4;      \
	VADDPS       elemConst<>+160(SB), Y4, Y4;      \
	VMULPS       Y3, Y4, Y4;                       \
	VADDPS       elemConst<>+192(SB), Y4, Y4;      \
	VMULPS       Y3, Y4, Y4;                       \
	VADDPS       elemConst<>+224(SB), Y4, Y4;      \
	VMULPS       Y3, Y4, Y4;                       \
	VADDPS       elemConst<>+256(SB), Y4, Y4;      \
	VMULPS       Y3, Y3, Y5;                       \
	VMULPS       Y5, Y4, Y4;                       \
	VADDPS       Y3, Y4, Y4;                       \
	VADDPS       elemConst<>+288(SB), Y4, Y4;      \
	VPSLLD       $23, Y1, Y1;                      \
	VPADDD       Y1, Y4, Y4;                       \
	VCMPPS       $17, elemConst<>+320(SB), Y0, Y1; \
	VANDNPS      Y4, Y1, Y4;                       \
	VCMPPS       $22, elemConst<>+352(SB), Y0, Y2; \
	VADDPS       elemConst<>+384(SB), Y0, Y5;      \
	VBLENDVPS    Y2, Y5, Y4, Y4

// func expavx2(x unsafe.Pointer, blocks int)
TEXT ·expavx2(SB), NOSPLIT, $0-16
	MOVQ x+0(FP), DI
	MOVQ blocks+8(FP), CX
	ADDQ CX, CX
loop:
	VMOVUPS (DI), Y0
	EXP256
	VMOVUPS Y4, (DI)
	ADDQ    $32, DI
	DECQ    CX
	JNZ     loop
	VZEROUPPER
	RET

// func maxScaledavx2(x unsafe.Pointer, scale float32, blocks int) float32
TEXT ·maxScaledavx2(SB), NOSPLIT, $0-28
	MOVQ         x+0(FP), SI
	VBROADCASTSS scale+8(FP), Y1
	MOVQ         blocks+16(FP), CX
	VMULPS       (SI), Y1, Y0
	VMOVAPS      Y0, Y4
loop:
	VMULPS (SI), Y1, Y2
	VMULPS 32(SI), Y1, Y3
	VMAXPS Y2, Y0, Y0
	VMAXPS Y3, Y4, Y4
	ADDQ   $64, SI
	DECQ   CX
	JNZ    loop
	VMAXPS        Y4, Y0, Y0
	VEXTRACTF128  $1, Y0, X1
	VMAXPS        X1, X0, X0
	VPERMILPD     $1, X0, X1
	VMAXPS        X1, X0, X0
	VMOVSHDUP     X0, X1
	VMAXSS        X1, X0, X0
	VMOVSS        X0, ret+24(FP)
	VZEROUPPER
	RET

// func expSumavx2(x unsafe.Pointer, scale, top float32, lanes unsafe.Pointer, blocks int)
TEXT ·expSumavx2(SB), NOSPLIT, $0-32
	MOVQ         x+0(FP), DI
	VBROADCASTSS scale+8(FP), Y14
	VBROADCASTSS top+12(FP), Y15
	MOVQ         lanes+16(FP), DX
	MOVQ         blocks+24(FP), CX
	VMOVUPD      (DX), Y8
	VMOVUPD      32(DX), Y9
	VMOVUPD      64(DX), Y10
	VMOVUPD      96(DX), Y11
loop:
	VMULPS       (DI), Y14, Y0
	VSUBPS       Y15, Y0, Y0
	EXP256
	VMOVUPS      Y4, (DI)
	VEXTRACTF128 $1, Y4, X6
	VCVTPS2PD    X4, Y4
	VCVTPS2PD    X6, Y6
	VADDPD       Y4, Y8, Y8
	VADDPD       Y6, Y9, Y9
	VMULPS       32(DI), Y14, Y0
	VSUBPS       Y15, Y0, Y0
	EXP256
	VMOVUPS      Y4, 32(DI)
	VEXTRACTF128 $1, Y4, X6
	VCVTPS2PD    X4, Y4
	VCVTPS2PD    X6, Y6
	VADDPD       Y4, Y10, Y10
	VADDPD       Y6, Y11, Y11
	ADDQ         $64, DI
	DECQ         CX
	JNZ          loop
	VMOVUPD      Y8, (DX)
	VMOVUPD      Y9, 32(DX)
	VMOVUPD      Y10, 64(DX)
	VMOVUPD      Y11, 96(DX)
	VZEROUPPER
	RET

// func normalizeavx2(x unsafe.Pointer, inv float32, blocks int)
TEXT ·normalizeavx2(SB), NOSPLIT, $0-24
	MOVQ         x+0(FP), DI
	VBROADCASTSS inv+8(FP), Y1
	MOVQ         blocks+16(FP), CX
	ADDQ         CX, CX
	VMOVUPS      elemConst<>+416(SB), Y2
loop:
	VMULPS  (DI), Y1, Y0
	VCMPPS  $21, Y2, Y0, Y3 // not less
	VANDPS  Y3, Y0, Y0
	VMOVUPS Y0, (DI)
	ADDQ    $32, DI
	DECQ    CX
	JNZ     loop
	VZEROUPPER
	RET

// func swigluavx2(gate, up unsafe.Pointer, blocks int)
TEXT ·swigluavx2(SB), NOSPLIT, $0-24
	MOVQ  gate+0(FP), DI
	MOVQ  up+8(FP), SI
	MOVQ  blocks+16(FP), CX
	ADDQ  CX, CX
	VPXOR Y7, Y7, Y7
loop:
	VMOVUPS (DI), Y6
	VSUBPS  Y6, Y7, Y0
	EXP256
	VADDPS  elemConst<>+288(SB), Y4, Y4
	VDIVPS  Y4, Y6, Y4
	VMULPS  (SI), Y4, Y4
	VMOVUPS Y4, (DI)
	ADDQ    $32, DI
	ADDQ    $32, SI
	DECQ    CX
	JNZ     loop
	VZEROUPPER
	RET

// func addavx2(x, y unsafe.Pointer, blocks int)
TEXT ·addavx2(SB), NOSPLIT, $0-24
	MOVQ x+0(FP), DI
	MOVQ y+8(FP), SI
	MOVQ blocks+16(FP), CX
loop:
	VMOVUPS (DI), Y0
	VMOVUPS 32(DI), Y1
	VADDPS  (SI), Y0, Y0
	VADDPS  32(SI), Y1, Y1
	VMOVUPS Y0, (DI)
	VMOVUPS Y1, 32(DI)
	ADDQ    $64, DI
	ADDQ    $64, SI
	DECQ    CX
	JNZ     loop
	VZEROUPPER
	RET

// func mulScaledavx2(dst, x, weight unsafe.Pointer, scale float32, blocks int)
TEXT ·mulScaledavx2(SB), NOSPLIT, $0-40
	MOVQ         dst+0(FP), DI
	MOVQ         x+8(FP), SI
	MOVQ         weight+16(FP), DX
	VBROADCASTSS scale+24(FP), Y1
	MOVQ         blocks+32(FP), CX
	ADDQ         CX, CX
loop:
	VMULPS  (SI), Y1, Y0
	VMULPS  (DX), Y0, Y0
	VMOVUPS Y0, (DI)
	ADDQ    $32, DI
	ADDQ    $32, SI
	ADDQ    $32, DX
	DECQ    CX
	JNZ     loop
	VZEROUPPER
	RET

// func ropeavx2(lo, hi, cos, sin unsafe.Pointer, blocks int)
TEXT ·ropeavx2(SB), NOSPLIT, $0-40
	MOVQ lo+0(FP), DI
	MOVQ hi+8(FP), SI
	MOVQ cos+16(FP), R8
	MOVQ sin+24(FP), R9
	MOVQ blocks+32(FP), CX
	ADDQ CX, CX
loop:
	VMOVUPS (DI), Y0
	VMOVUPS (SI), Y1
	VMOVUPS (R8), Y2
	VMOVUPS (R9), Y3
	VMULPS  Y2, Y0, Y4
	VMULPS  Y3, Y1, Y5
	VMULPS  Y2, Y1, Y6
	VMULPS  Y3, Y0, Y7
	VSUBPS  Y5, Y4, Y4
	VADDPS  Y7, Y6, Y6
	VMOVUPS Y4, (DI)
	VMOVUPS Y6, (SI)
	ADDQ    $32, DI
	ADDQ    $32, SI
	ADDQ    $32, R8
	ADDQ    $32, R9
	DECQ    CX
	JNZ     loop
	VZEROUPPER
	RET
