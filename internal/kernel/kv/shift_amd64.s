#include "textflag.h"

// Adds a number to each of a vector.

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
