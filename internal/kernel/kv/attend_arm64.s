#include "textflag.h"
#include "go_asm.h"
#include "neon_arm64.h"

// Attention over a float32 cache for NEON, see attend.go: as the kernels for AVX2, to the same bits.

// A score kernel. Registers:
//   R0 arguments, R1 groups left, R2 steps left, R3 keys, R4 bytes of a block
//   R5 next dimension of the queries
//   R9 scores, R10 from row to row, R11 current; V0…V15 sums
#define KV_SCORE_ENTER \
	MOVD a+0(FP), R0;                   \
	MOVD kvScoreArgs_keys(R0), R3;      \
	MOVD kvScoreArgs_blockBytes(R0), R4; \
	MOVD kvScoreArgs_dst(R0), R9;       \
	MOVD kvScoreArgs_dstRow(R0), R10;   \
	MOVD kvScoreArgs_groups(R0), R1

#define KV_SCORE_GROUP \
	MOVD kvScoreArgs_steps(R0), R2; \
	MOVD kvScoreArgs_q(R0), R5

#define ZERO4(a) \
	ZERO16B(a);     \
	ZERO16B((a+1)); \
	ZERO16B((a+2)); \
	ZERO16B((a+3))

// DIM adds a dimension of the keys in k…k+3 for one row, element i of q.
#define DIM(a, k, q, i) \
	FMLA4S_I(a, k, q, i);         \
	FMLA4S_I((a+1), (k+1), q, i); \
	FMLA4S_I((a+2), (k+2), q, i); \
	FMLA4S_I((a+3), (k+3), q, i)

#define DIM4(k, q) \
	DIM(0, k, q, 0); \
	DIM(4, k, q, 1); \
	DIM(8, k, q, 2); \
	DIM(12, k, q, 3)

#define NEXT(keys, queries) \
	ADD  $keys, R3;    \
	ADD  $queries, R5; \
	SUBS $1, R2;       \
	BNE  step

#define PLAIN(a) \
	STRQ(a, 11, 0);      \
	STRQ((a+1), 11, 16); \
	STRQ((a+2), 11, 32); \
	STRQ((a+3), 11, 48)

#define LEAVE4 \
	ADD  $64, R9; \
	SUBS $1, R1;  \
	BNE  group;   \
	RET

#define LEAVE1 \
	ADD  R4, R3;   \
	ADD  $128, R9; \
	SUBS $1, R1;   \
	BNE  group;    \
	RET

// func kvScore4x16f32NEON(a *kvScoreArgs)
TEXT ·kvScore4x16f32NEON(SB), NOSPLIT, $0-8
	KV_SCORE_ENTER
group:
	KV_SCORE_GROUP
	ZERO4(0)
	ZERO4(4)
	ZERO4(8)
	ZERO4(12)
step:
	LDRQ(16, 3, 0)
	LDRQ(17, 3, 16)
	LDRQ(18, 3, 32)
	LDRQ(19, 3, 48)
	LDRQ(28, 5, 0)
	DIM4(16, 28)
	NEXT(64, 16)
	MOVD R9, R11
	PLAIN(0)
	ADD R10, R11
	PLAIN(4)
	ADD R10, R11
	PLAIN(8)
	ADD R10, R11
	PLAIN(12)
	LEAVE4

// func kvScore1x32f32NEON(a *kvScoreArgs)
TEXT ·kvScore1x32f32NEON(SB), NOSPLIT, $0-8
	KV_SCORE_ENTER
group:
	KV_SCORE_GROUP
	ZERO4(0)
	ZERO4(4)
step:
	ADD  R4, R3, R12
	LDRQ(16, 3, 0)
	LDRQ(17, 3, 16)
	LDRQ(18, 3, 32)
	LDRQ(19, 3, 48)
	LDRQ(20, 12, 0)
	LDRQ(21, 12, 16)
	LDRQ(22, 12, 32)
	LDRQ(23, 12, 48)
	LDRS(28, 5, 0)
	DIM(0, 16, 28, 0)
	DIM(4, 20, 28, 0)
	NEXT(64, 4)
	MOVD R9, R11
	PLAIN(0)
	ADD  $64, R11
	PLAIN(4)
	LEAVE1

// A combine kernel: values of 4 rows of 8 + 8 dimensions, or of one row of 32.
// Registers:
//   R0 arguments, R1 values left, R2 next value, R3 from value to value
//   R4…R7 weights of the rows, R8 from row to row; R9 sums, R10 from row to row
#define KV_COMBINE_ENTER \
	MOVD a+0(FP), R0;                 \
	MOVD kvCombineArgs_w(R0), R4;     \
	MOVD kvCombineArgs_wRow(R0), R8;  \
	ADD  R8, R4, R5;                  \
	ADD  R8, R5, R6;                  \
	ADD  R8, R6, R7;                  \
	MOVD kvCombineArgs_values(R0), R2; \
	MOVD kvCombineArgs_next(R0), R3;  \
	MOVD kvCombineArgs_n(R0), R1;     \
	MOVD kvCombineArgs_sums(R0), R9;  \
	MOVD kvCombineArgs_sumsRow(R0), R10

#define ROW4(OP, a) \
	OP(a, 11, 0);      \
	OP((a+1), 11, 16); \
	OP((a+2), 11, 64); \
	OP((a+3), 11, 80); \
	ADD  R10, R11

#define ROWS4(OP) \
	MOVD R9, R11; \
	ROW4(OP, 0);  \
	ROW4(OP, 4);  \
	ROW4(OP, 8);  \
	ROW4(OP, 12)

#define ROW1(OP) \
	OP(0, 9, 0);  \
	OP(1, 9, 16); \
	OP(2, 9, 32); \
	OP(3, 9, 48); \
	OP(4, 9, 64); \
	OP(5, 9, 80); \
	OP(6, 9, 96); \
	OP(7, 9, 112)

#define ADD4ROWS \
	LDRS(28, 4, 0);     \
	LDRS(29, 5, 0);     \
	LDRS(30, 6, 0);     \
	LDRS(24, 7, 0);     \
	DIM(0, 16, 28, 0);  \
	DIM(4, 16, 29, 0);  \
	DIM(8, 16, 30, 0);  \
	DIM(12, 16, 24, 0); \
	ADD  $4, R4;        \
	ADD  $4, R5;        \
	ADD  $4, R6;        \
	ADD  $4, R7;        \
	ADD  R3, R2;        \
	SUBS $1, R1;        \
	BNE  value;         \
	ROWS4(STRQ);        \
	RET

#define ADD1ROW \
	LDRS(28, 4, 0);    \
	DIM(0, 16, 28, 0); \
	DIM(4, 20, 28, 0); \
	ADD  $4, R4;       \
	ADD  R3, R2;       \
	SUBS $1, R1;       \
	BNE  value;        \
	ROW1(STRQ);        \
	RET

// func kvCombine4x16f32NEON(a *kvCombineArgs)
TEXT ·kvCombine4x16f32NEON(SB), NOSPLIT, $0-8
	KV_COMBINE_ENTER
	ROWS4(LDRQ)
value:
	LDRQ(16, 2, 0)
	LDRQ(17, 2, 16)
	LDRQ(18, 2, 64)
	LDRQ(19, 2, 80)
	ADD4ROWS

// func kvCombine1x32f32NEON(a *kvCombineArgs)
TEXT ·kvCombine1x32f32NEON(SB), NOSPLIT, $0-8
	KV_COMBINE_ENTER
	ROW1(LDRQ)
value:
	LDRQ(16, 2, 0)
	LDRQ(17, 2, 16)
	LDRQ(18, 2, 32)
	LDRQ(19, 2, 48)
	LDRQ(20, 2, 64)
	LDRQ(21, 2, 80)
	LDRQ(22, 2, 96)
	LDRQ(23, 2, 112)
	ADD1ROW
