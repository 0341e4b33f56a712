#include "textflag.h"
#include "go_asm.h"
#include "neon_arm64.h"

// Integer weights × float tokens, to the bits of the kernels for AVX2: two chains
// of fused sums, columns 0…3 and 4…7 of a step of 4 bits, 0 1 and 2 3 of one of 8.
//
// R0 arguments, R1 next step, R2 R3 next column of tokens 0 and 1, R7 groups left,
// R8 next scales, R10 R11 float sums, R14 steps left; V0…V7 and V16…V23 the chains
// of the tokens, V8…V11 weights, V12…V15 a column of them, V24…V27 tokens.

#define INTF_ENTER \
	MOVD args+0(FP), R0;         \
	MOVD intArgs_w(R0), R1;      \
	MOVD intArgs_q(R0), R2;      \
	MOVD intArgs_qNext(R0), R3;  \
	ADD  R2, R3;                 \
	MOVD intArgs_groups(R0), R7; \
	MOVD intArgs_scale(R0), R8;  \
	MOVD intArgs_start(R0), R10

#define INTF_GROUP \
	MOVD intArgs_steps(R0), R14; \
	MOVD intArgs_last(R0), R11;  \
	CMP  $1, R7;                 \
	CSEL EQ, R11, R14, R14

#define INTF_CLEAR(a) \
	ZERO16B(a);     \
	ZERO16B((a+1)); \
	ZERO16B((a+2)); \
	ZERO16B((a+3))

// INTF_LOAD makes the fields of a step signed: their top bit is turned over.
#define INTF_LOAD \
	LDRQ(8, 1, 0);      \
	LDRQ(9, 1, 16);     \
	LDRQ(10, 1, 32);    \
	LDRQ(11, 1, 48);    \
	EOR16B(8, 8, 31);   \
	EOR16B(9, 9, 31);   \
	EOR16B(10, 10, 31); \
	EOR16B(11, 11, 31); \
	ADD  $64, R1

// INTF_COLUMN is a column as floats: its field shifted to the top and back.
#define INTF_COLUMN(left, right) \
	SHL4S(12, 8, left);    \
	SHL4S(13, 9, left);    \
	SHL4S(14, 10, left);   \
	SHL4S(15, 11, left);   \
	SSHR4S(12, 12, right); \
	SSHR4S(13, 13, right); \
	SSHR4S(14, 14, right); \
	SSHR4S(15, 15, right); \
	SCVTF4S(12, 12);       \
	SCVTF4S(13, 13);       \
	SCVTF4S(14, 14);       \
	SCVTF4S(15, 15)

#define INTF_FMA(a, x, i) \
	FMLA4S_I(a, 12, x, i);     \
	FMLA4S_I((a+1), 13, x, i); \
	FMLA4S_I((a+2), 14, x, i); \
	FMLA4S_I((a+3), 15, x, i)

// INTF_FLUSH adds scale·(both chains) to the sums at R10.
#define INTF_FLUSH1(at, s, a, b) \
	FADD4S(a, a, b);  \
	FMUL4S(a, a, s);  \
	LDRQ(8, 10, at);  \
	FADD4S(8, 8, a);  \
	STRQ(8, 10, at)

#define INTF_FLUSH(at, a, b) \
	INTF_FLUSH1(at, 12, a, b);                   \
	INTF_FLUSH1((16+at), 13, (a+1), (b+1)); \
	INTF_FLUSH1((32+at), 14, (a+2), (b+2)); \
	INTF_FLUSH1((48+at), 15, (a+3), (b+3))

#define INTF_SCALES \
	LDRQ(12, 8, 0);  \
	LDRQ(13, 8, 16); \
	LDRQ(14, 8, 32); \
	LDRQ(15, 8, 48); \
	ADD  $64, R8

// func intFloatNEON4x1(args *intArgs)
// The sums begin and end at args.start.
TEXT ·intFloatNEON4x1(SB), NOSPLIT, $0-8
	INTF_ENTER
	MOVI16B(31, 0x88)
group:
	INTF_GROUP
	INTF_CLEAR(0)
	INTF_CLEAR(4)
step:
	PRFM 1024(R1), PLDL1KEEP
	INTF_LOAD
	LDRQ(24, 2, 0)
	LDRQ(25, 2, 16)
	INTF_COLUMN(28, 28)
	INTF_FMA(0, 24, 0)
	INTF_COLUMN(20, 28)
	INTF_FMA(0, 24, 1)
	INTF_COLUMN(12, 28)
	INTF_FMA(0, 24, 2)
	INTF_COLUMN(4, 28)
	INTF_FMA(0, 24, 3)
	INTF_COLUMN(24, 28)
	INTF_FMA(4, 25, 0)
	INTF_COLUMN(16, 28)
	INTF_FMA(4, 25, 1)
	INTF_COLUMN(8, 28)
	INTF_FMA(4, 25, 2)
	INTF_COLUMN(0, 28)
	INTF_FMA(4, 25, 3)
	ADD  $32, R2
	ADD  $32, R3
	SUBS $1, R14
	BNE  step
	INTF_SCALES
	INTF_FLUSH(0, 0, 4)
	SUBS $1, R7
	BNE  group
	RET

// func intFloatNEON4x2(args *intArgs)
// The sums begin and end at args.start.
TEXT ·intFloatNEON4x2(SB), NOSPLIT, $0-8
	INTF_ENTER
	MOVI16B(31, 0x88)
group:
	INTF_GROUP
	INTF_CLEAR(0)
	INTF_CLEAR(4)
	INTF_CLEAR(16)
	INTF_CLEAR(20)
step:
	PRFM 1024(R1), PLDL1KEEP
	INTF_LOAD
	LDRQ(24, 2, 0)
	LDRQ(25, 2, 16)
	LDRQ(26, 3, 0)
	LDRQ(27, 3, 16)
	INTF_COLUMN(28, 28)
	INTF_FMA(0, 24, 0)
	INTF_FMA(16, 26, 0)
	INTF_COLUMN(20, 28)
	INTF_FMA(0, 24, 1)
	INTF_FMA(16, 26, 1)
	INTF_COLUMN(12, 28)
	INTF_FMA(0, 24, 2)
	INTF_FMA(16, 26, 2)
	INTF_COLUMN(4, 28)
	INTF_FMA(0, 24, 3)
	INTF_FMA(16, 26, 3)
	INTF_COLUMN(24, 28)
	INTF_FMA(4, 25, 0)
	INTF_FMA(20, 27, 0)
	INTF_COLUMN(16, 28)
	INTF_FMA(4, 25, 1)
	INTF_FMA(20, 27, 1)
	INTF_COLUMN(8, 28)
	INTF_FMA(4, 25, 2)
	INTF_FMA(20, 27, 2)
	INTF_COLUMN(0, 28)
	INTF_FMA(4, 25, 3)
	INTF_FMA(20, 27, 3)
	ADD  $32, R2
	ADD  $32, R3
	SUBS $1, R14
	BNE  step
	INTF_SCALES
	INTF_FLUSH(0, 0, 4)
	INTF_FLUSH(64, 16, 20)
	SUBS $1, R7
	BNE  group
	RET

// func intFloatNEON8x1(args *intArgs)
// The sums begin and end at args.start.
TEXT ·intFloatNEON8x1(SB), NOSPLIT, $0-8
	INTF_ENTER
	MOVI16B(31, 0x80)
group:
	INTF_GROUP
	INTF_CLEAR(0)
	INTF_CLEAR(4)
step:
	PRFM 1024(R1), PLDL1KEEP
	INTF_LOAD
	LDRQ(24, 2, 0)
	INTF_COLUMN(24, 24)
	INTF_FMA(0, 24, 0)
	INTF_COLUMN(16, 24)
	INTF_FMA(0, 24, 1)
	INTF_COLUMN(8, 24)
	INTF_FMA(4, 24, 2)
	INTF_COLUMN(0, 24)
	INTF_FMA(4, 24, 3)
	ADD  $16, R2
	ADD  $16, R3
	SUBS $1, R14
	BNE  step
	INTF_SCALES
	INTF_FLUSH(0, 0, 4)
	SUBS $1, R7
	BNE  group
	RET

// func intFloatNEON8x2(args *intArgs)
// The sums begin and end at args.start.
TEXT ·intFloatNEON8x2(SB), NOSPLIT, $0-8
	INTF_ENTER
	MOVI16B(31, 0x80)
group:
	INTF_GROUP
	INTF_CLEAR(0)
	INTF_CLEAR(4)
	INTF_CLEAR(16)
	INTF_CLEAR(20)
step:
	PRFM 1024(R1), PLDL1KEEP
	INTF_LOAD
	LDRQ(24, 2, 0)
	LDRQ(26, 3, 0)
	INTF_COLUMN(24, 24)
	INTF_FMA(0, 24, 0)
	INTF_FMA(16, 26, 0)
	INTF_COLUMN(16, 24)
	INTF_FMA(0, 24, 1)
	INTF_FMA(16, 26, 1)
	INTF_COLUMN(8, 24)
	INTF_FMA(4, 24, 2)
	INTF_FMA(20, 26, 2)
	INTF_COLUMN(0, 24)
	INTF_FMA(4, 24, 3)
	INTF_FMA(20, 26, 3)
	ADD  $16, R2
	ADD  $16, R3
	SUBS $1, R14
	BNE  step
	INTF_SCALES
	INTF_FLUSH(0, 0, 4)
	INTF_FLUSH(64, 16, 20)
	SUBS $1, R7
	BNE  group
	RET
