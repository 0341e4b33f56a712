#include "textflag.h"
#include "go_asm.h"
#include "int_planes512_amd64.h"

// Two row tiles of bit planes to bytes, for the kernels of 8 bits.
//
// Registers:
//   SI, DI  first tile's next step, distance to the second tile
//   R8, R9  where its bytes go, distance to the second tile's
//   BX steps left; Z28 what is added to each byte

#define INTP_FAR 4096
#define INTP_FETCH PREFETCHT0

#define UNPACK_ENTER \
	MOVQ         args+0(FP), R12;             \
	MOVQ         intUnpackArgs_src(R12), SI;  \
	MOVQ         intUnpackArgs_srcNext(R12), DI; \
	MOVQ         intUnpackArgs_dst(R12), R8;  \
	MOVQ         intUnpackArgs_dstNext(R12), R9; \
	MOVQ         intUnpackArgs_steps(R12), BX; \
	MOVL         intUnpackArgs_add(R12), AX;  \
	VPBROADCASTD AX, Z28

#define UNPACK_OP(at, acc) \
	VPADDB    Z28, Z26, Z26;         \
	VPADDB    Z28, Z27, Z27;         \
	VMOVDQU64 Z26, 16*at(R8);        \
	VMOVDQU64 Z27, 16*at(R8)(R9*1)

// func intUnpack512W2(args *intUnpackArgs)
TEXT ·intUnpack512W2(SB), NOSPLIT, $0-8
	UNPACK_ENTER
	INTP_MASKS2

step:
	INTP_AHEAD2((SI))
	INTP_AHEAD2((SI)(DI*1))
	INTP_STEP2(INTP_TWOPLANE, UNPACK_OP)
	ADDQ $64*2, SI
	ADDQ $512, R8
	DECQ BX
	JNZ step
	VZEROUPPER
	RET

// func intUnpack512W3(args *intUnpackArgs)
TEXT ·intUnpack512W3(SB), NOSPLIT, $0-8
	UNPACK_ENTER
	INTP_MASKS3

step:
	INTP_AHEAD3((SI))
	INTP_AHEAD3((SI)(DI*1))
	INTP_STEP3(INTP_TWOPAIR, UNPACK_OP)
	ADDQ $64*3, SI
	ADDQ $512, R8
	DECQ BX
	JNZ step
	VZEROUPPER
	RET

// func intUnpack512W5(args *intUnpackArgs)
TEXT ·intUnpack512W5(SB), NOSPLIT, $0-8
	UNPACK_ENTER
	INTP_MASKS5

step:
	INTP_AHEAD5((SI))
	INTP_AHEAD5((SI)(DI*1))
	INTP_STEP5(INTP_TWOPAIR, UNPACK_OP)
	ADDQ $64*5, SI
	ADDQ $512, R8
	DECQ BX
	JNZ step
	VZEROUPPER
	RET

// func intUnpack512W6(args *intUnpackArgs)
TEXT ·intUnpack512W6(SB), NOSPLIT, $0-8
	UNPACK_ENTER
	INTP_MASKS6

step:
	INTP_AHEAD6((SI))
	INTP_AHEAD6((SI)(DI*1))
	INTP_STEP6(INTP_TWOPAIR, UNPACK_OP)
	ADDQ $64*6, SI
	ADDQ $512, R8
	DECQ BX
	JNZ step
	VZEROUPPER
	RET

// func intUnpack512W7(args *intUnpackArgs)
TEXT ·intUnpack512W7(SB), NOSPLIT, $0-8
	UNPACK_ENTER
	INTP_MASKS7

step:
	INTP_AHEAD7((SI))
	INTP_AHEAD7((SI)(DI*1))
	INTP_STEP7(INTP_TWOTHREE, UNPACK_OP)
	ADDQ $64*7, SI
	ADDQ $512, R8
	DECQ BX
	JNZ step
	VZEROUPPER
	RET
