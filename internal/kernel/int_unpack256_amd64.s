#include "textflag.h"
#include "go_asm.h"
#include "int_planes256_amd64.h"

// func intUnpackAVX2W…(args *intUnpackArgs)
// One row tile of bit planes to bytes, for the kernels of 8 bits. SI next step,
// R8 where its bytes go, BX steps left, Y7 what is added to each byte.

#define UNPACK_ENTER \
	MOVQ         args+0(FP), R12;             \
	MOVQ         intUnpackArgs_src(R12), SI;  \
	MOVQ         intUnpackArgs_dst(R12), R8;  \
	MOVQ         intUnpackArgs_steps(R12), BX; \
	VPBROADCASTD intUnpackArgs_add(R12), Y7

#define UNPACK_OP(lo, hi) \
	VPADDB  Y7, Y10, Y10;     \
	VPADDB  Y7, Y11, Y11;     \
	VPADDB  Y7, Y8, Y8;       \
	VPADDB  Y7, Y9, Y9;       \
	VMOVDQU Y10, 16*lo(R8);   \
	VMOVDQU Y11, 32+16*lo(R8); \
	VMOVDQU Y8, 16*hi(R8);    \
	VMOVDQU Y9, 32+16*hi(R8)

// func intUnpackAVX2W2(args *intUnpackArgs)
TEXT ·intUnpackAVX2W2(SB), NOSPLIT, $0-8
	UNPACK_ENTER

step:
	INT2P_AHEAD2
	INT2P_STEP2(UNPACK_OP)
	ADDQ $64*2, SI
	ADDQ $512, R8
	DECQ BX
	JNZ step
	VZEROUPPER
	RET

// func intUnpackAVX2W3(args *intUnpackArgs)
TEXT ·intUnpackAVX2W3(SB), NOSPLIT, $0-8
	UNPACK_ENTER

step:
	INT2P_AHEAD3
	INT2P_STEP3(UNPACK_OP)
	ADDQ $64*3, SI
	ADDQ $512, R8
	DECQ BX
	JNZ step
	VZEROUPPER
	RET

// func intUnpackAVX2W5(args *intUnpackArgs)
TEXT ·intUnpackAVX2W5(SB), NOSPLIT, $0-8
	UNPACK_ENTER

step:
	INT2P_AHEAD5
	INT2P_STEP5(UNPACK_OP)
	ADDQ $64*5, SI
	ADDQ $512, R8
	DECQ BX
	JNZ step
	VZEROUPPER
	RET

// func intUnpackAVX2W6(args *intUnpackArgs)
TEXT ·intUnpackAVX2W6(SB), NOSPLIT, $0-8
	UNPACK_ENTER

step:
	INT2P_AHEAD6
	INT2P_STEP6(UNPACK_OP)
	ADDQ $64*6, SI
	ADDQ $512, R8
	DECQ BX
	JNZ step
	VZEROUPPER
	RET

// func intUnpackAVX2W7(args *intUnpackArgs)
TEXT ·intUnpackAVX2W7(SB), NOSPLIT, $0-8
	UNPACK_ENTER

step:
	INT2P_AHEAD7
	INT2P_STEP7(UNPACK_OP)
	ADDQ $64*7, SI
	ADDQ $512, R8
	DECQ BX
	JNZ step
	VZEROUPPER
	RET
