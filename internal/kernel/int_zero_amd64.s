#include "textflag.h"
#include "go_asm.h"

// Where the sums of one row tile begin if its weights have zero points: less
// scale·shift times the group sums of four tokens, or one; or those of two row
// tiles for 12 tokens.
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

// START_TOKENS takes scale·shift of both tiles, Z24 and Z25, times the sums of
// three tokens off.
#define START_TOKENS(p, a0, b0, a1, b1, a2, b2) \
	VBROADCASTSS (p), Z26;       \
	VBROADCASTSS (p)(DX*1), Z27; \
	VBROADCASTSS (p)(DX*2), Z28; \
	VMULPS       Z26, Z24, Z29;  \
	VMULPS       Z26, Z25, Z30;  \
	VSUBPS       Z29, a0, a0;    \
	VSUBPS       Z30, b0, b0;    \
	VMULPS       Z27, Z24, Z29;  \
	VMULPS       Z27, Z25, Z30;  \
	VSUBPS       Z29, a1, a1;    \
	VSUBPS       Z30, b1, b1;    \
	VMULPS       Z28, Z24, Z29;  \
	VMULPS       Z28, Z25, Z30;  \
	VSUBPS       Z29, a2, a2;    \
	VSUBPS       Z30, b2, b2;    \
	ADDQ         $4, p

// func intStart512x12(args *intStartArgs)
TEXT ·intStart512x12(SB), NOSPLIT, $0-8
	START_ENTER
	MOVQ intStartArgs_scaleTile(R12), R13
	MOVQ intStartArgs_shiftTile(R12), R14
	ADDQ SI, R13
	ADDQ R9, R14
	LEAQ (DX)(DX*2), AX
	LEAQ (R11)(AX*1), R12
	LEAQ (R12)(AX*1), BX
	VPXORD Z0, Z0, Z0
	VPXORD Z1, Z1, Z1
	VPXORD Z2, Z2, Z2
	VPXORD Z3, Z3, Z3
	VPXORD Z4, Z4, Z4
	VPXORD Z5, Z5, Z5
	VPXORD Z6, Z6, Z6
	VPXORD Z7, Z7, Z7
	VPXORD Z8, Z8, Z8
	VPXORD Z9, Z9, Z9
	VPXORD Z10, Z10, Z10
	VPXORD Z11, Z11, Z11
	VPXORD Z12, Z12, Z12
	VPXORD Z13, Z13, Z13
	VPXORD Z14, Z14, Z14
	VPXORD Z15, Z15, Z15
	VPXORD Z16, Z16, Z16
	VPXORD Z17, Z17, Z17
	VPXORD Z18, Z18, Z18
	VPXORD Z19, Z19, Z19
	VPXORD Z20, Z20, Z20
	VPXORD Z21, Z21, Z21
	VPXORD Z22, Z22, Z22
	VPXORD Z23, Z23, Z23

group:
	VMOVUPS (SI), Z24
	VMULPS  (R9), Z24, Z24
	VMOVUPS (R13), Z25
	VMULPS  (R14), Z25, Z25
	START_TOKENS(R8, Z0, Z1, Z2, Z3, Z4, Z5)
	START_TOKENS(R11, Z6, Z7, Z8, Z9, Z10, Z11)
	START_TOKENS(R12, Z12, Z13, Z14, Z15, Z16, Z17)
	START_TOKENS(BX, Z18, Z19, Z20, Z21, Z22, Z23)
	ADDQ    $64, SI
	ADDQ    $64, R13
	ADDQ    R10, R9
	ADDQ    R10, R14
	DECQ    CX
	JNZ     group

	VMOVUPS Z0, 0(DI)
	VMOVUPS Z1, 64(DI)
	VMOVUPS Z2, 128(DI)
	VMOVUPS Z3, 192(DI)
	VMOVUPS Z4, 256(DI)
	VMOVUPS Z5, 320(DI)
	VMOVUPS Z6, 384(DI)
	VMOVUPS Z7, 448(DI)
	VMOVUPS Z8, 512(DI)
	VMOVUPS Z9, 576(DI)
	VMOVUPS Z10, 640(DI)
	VMOVUPS Z11, 704(DI)
	VMOVUPS Z12, 768(DI)
	VMOVUPS Z13, 832(DI)
	VMOVUPS Z14, 896(DI)
	VMOVUPS Z15, 960(DI)
	VMOVUPS Z16, 1024(DI)
	VMOVUPS Z17, 1088(DI)
	VMOVUPS Z18, 1152(DI)
	VMOVUPS Z19, 1216(DI)
	VMOVUPS Z20, 1280(DI)
	VMOVUPS Z21, 1344(DI)
	VMOVUPS Z22, 1408(DI)
	VMOVUPS Z23, 1472(DI)
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
