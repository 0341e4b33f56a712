#include "textflag.h"
#include "go_asm.h"

// Where the sums of one row tile begin if its weights have zero points: less
// scale·shift times the group sums of four tokens, or one.
//
// Registers:
//   SI next scales, R9 next shifts, R10 distance of those; R8 next sum of token
//   0, R11 of token 3, DX distance between tokens; CX groups left

#define START_ENTER \
	MOVQ args+0(FP), R12;                \
	MOVQ intStartArgs_scale(R12), SI;    \
	MOVQ intStartArgs_shift(R12), R9;    \
	MOVQ intStartArgs_shiftNext(R12), R10; \
	MOVQ intStartArgs_sum(R12), R8;      \
	MOVQ intStartArgs_sumNext(R12), DX;  \
	LEAQ (DX)(DX*2), AX;                 \
	LEAQ (R8)(AX*1), R11;                \
	MOVQ intStartArgs_groups(R12), CX;   \
	MOVQ intStartArgs_y(R12), DI;        \
	MOVQ intStartArgs_yNext(R12), BX

// func intStart512x4(args *intStartArgs)
TEXT ·intStart512x4(SB), NOSPLIT, $0-8
	START_ENTER
	VPXORD Z0, Z0, Z0
	VPXORD Z1, Z1, Z1
	VPXORD Z2, Z2, Z2
	VPXORD Z3, Z3, Z3

group:
	VMOVUPS     (SI), Z4
	VMULPS      (R9), Z4, Z4
	VMULPS.BCST (R8), Z4, Z5
	VMULPS.BCST (R8)(DX*1), Z4, Z6
	VMULPS.BCST (R8)(DX*2), Z4, Z7
	VMULPS.BCST (R11), Z4, Z8
	VSUBPS      Z5, Z0, Z0
	VSUBPS      Z6, Z1, Z1
	VSUBPS      Z7, Z2, Z2
	VSUBPS      Z8, Z3, Z3
	ADDQ        $64, SI
	ADDQ        R10, R9
	ADDQ        $4, R8
	ADDQ        $4, R11
	DECQ        CX
	JNZ         group

	VMOVUPS Z0, (DI)
	VMOVUPS Z1, (DI)(BX*1)
	LEAQ    (DI)(BX*2), DI
	VMOVUPS Z2, (DI)
	VMOVUPS Z3, (DI)(BX*1)
	VZEROUPPER
	RET

// func intStart512x1(args *intStartArgs)
TEXT ·intStart512x1(SB), NOSPLIT, $0-8
	START_ENTER
	VPXORD Z0, Z0, Z0

group:
	VMOVUPS     (SI), Z4
	VMULPS      (R9), Z4, Z4
	VMULPS.BCST (R8), Z4, Z5
	VSUBPS      Z5, Z0, Z0
	ADDQ        $64, SI
	ADDQ        R10, R9
	ADDQ        $4, R8
	DECQ        CX
	JNZ         group

	VMOVUPS Z0, (DI)
	VZEROUPPER
	RET

#define START_TOKEN(sum, a0, a1) \
	VBROADCASTSS sum, Y10;      \
	VMULPS       Y10, Y8, Y11;  \
	VMULPS       Y10, Y9, Y12;  \
	VSUBPS       Y11, a0, a0;   \
	VSUBPS       Y12, a1, a1

// func intStartAVX2x4(args *intStartArgs)
TEXT ·intStartAVX2x4(SB), NOSPLIT, $0-8
	START_ENTER
	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
	VXORPS Y2, Y2, Y2
	VXORPS Y3, Y3, Y3
	VXORPS Y4, Y4, Y4
	VXORPS Y5, Y5, Y5
	VXORPS Y6, Y6, Y6
	VXORPS Y7, Y7, Y7

group:
	VMOVUPS (SI), Y8
	VMOVUPS 32(SI), Y9
	VMULPS  (R9), Y8, Y8
	VMULPS  32(R9), Y9, Y9
	START_TOKEN((R8), Y0, Y1)
	START_TOKEN((R8)(DX*1), Y2, Y3)
	START_TOKEN((R8)(DX*2), Y4, Y5)
	START_TOKEN((R11), Y6, Y7)
	ADDQ    $64, SI
	ADDQ    R10, R9
	ADDQ    $4, R8
	ADDQ    $4, R11
	DECQ    CX
	JNZ     group

	VMOVUPS Y0, (DI)
	VMOVUPS Y1, 32(DI)
	VMOVUPS Y2, (DI)(BX*1)
	VMOVUPS Y3, 32(DI)(BX*1)
	LEAQ    (DI)(BX*2), DI
	VMOVUPS Y4, (DI)
	VMOVUPS Y5, 32(DI)
	VMOVUPS Y6, (DI)(BX*1)
	VMOVUPS Y7, 32(DI)(BX*1)
	VZEROUPPER
	RET

// func intStartAVX2x1(args *intStartArgs)
TEXT ·intStartAVX2x1(SB), NOSPLIT, $0-8
	START_ENTER
	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1

group:
	VMOVUPS (SI), Y8
	VMOVUPS 32(SI), Y9
	VMULPS  (R9), Y8, Y8
	VMULPS  32(R9), Y9, Y9
	START_TOKEN((R8), Y0, Y1)
	ADDQ    $64, SI
	ADDQ    R10, R9
	ADDQ    $4, R8
	DECQ    CX
	JNZ     group

	VMOVUPS Y0, (DI)
	VMOVUPS Y1, 32(DI)
	VZEROUPPER
	RET
