#include "textflag.h"
#include "go_asm.h"
#include "neon_arm64.h"

// Attention over a cache of integers for NEON, see int.go. Bytes are read so that one of
// each four is in the lanes, widened, and multiplied with integers of 16 bits: four of a row
// in one register. The sums of row r are in V16+4r…V19+4r.

#define ROUND_ENTER \
	MOVD  u+0(FP), R0;     \
	MOVD  x+8(FP), R1;     \
	FMOVS inv+16(FP), F0;  \
	MOVD  n+24(FP), R2;    \
	DUP4S(0, 0, 0);        \
	ZERO16B(1)

#define ROUND8 \
	LDRQ(2, 1, 0);   \
	LDRQ(3, 1, 16);  \
	FMUL4S(2, 2, 0); \
	FMUL4S(3, 3, 0); \
	FCVTNS4S(2, 2);  \
	FCVTNS4S(3, 3);  \
	ADD4S(1, 1, 2);  \
	ADD4S(1, 1, 3)

#define ROUND_LEAVE \
	STRQ(6, 0, 0);   \
	ADD  $32, R1;    \
	ADD  $16, R0;    \
	SUBS $8, R2;     \
	BNE  loop;       \
	ADDV4S(1, 1);    \
	FMOVS F1, R3;    \
	MOVW R3, ret+32(FP); \
	RET

// QUAD adds the products of the 16 integers in V4 and V5 with element i of q to the sums.
#define QUAD(a, q, i) \
	SMLAL4S_I(a, 4, q, i);       \
	SMLAL2_4S_I((a+1), 4, q, i); \
	SMLAL4S_I((a+2), 5, q, i);   \
	SMLAL2_4S_I((a+3), 5, q, i)

#define QUADS4(i) \
	QUAD(16, 8, i);  \
	QUAD(20, 9, i);  \
	QUAD(24, 10, i); \
	QUAD(28, 11, i)

#define QUADS1(i) QUAD(16, 8, i)

// BYTES takes 16 bytes, LOW and HIGH their halves, PAIR the halves of 8.
#define BYTES(n, QUADS, i) \
	UXTL8H(4, n);   \
	UXTL2_8H(5, n); \
	QUADS(i)

#define LOW(n, QUADS, i) \
	AND16B(6, n, 7);   \
	BYTES(6, QUADS, i)

#define HIGH(n, QUADS, i) \
	USHR16B(6, n, 4);  \
	BYTES(6, QUADS, i)

#define PAIR(n, QUADS, i) \
	AND16B(6, n, 7);  \
	UXTL8H(4, 6);     \
	USHR16B(6, n, 4); \
	UXTL8H(5, 6);     \
	QUADS(i)

#define EACH(OP, QUADS) \
	OP(0, QUADS, 0); \
	OP(1, QUADS, 1); \
	OP(2, QUADS, 2); \
	OP(3, QUADS, 3)

#define ZERO4(a) \
	ZERO16B(a);     \
	ZERO16B((a+1)); \
	ZERO16B((a+2)); \
	ZERO16B((a+3))

#define ZERO16 \
	ZERO4(16); \
	ZERO4(20); \
	ZERO4(24); \
	ZERO4(28)

// A score kernel. Registers:
//   R0 arguments, R1 groups left, R2 steps left, R3 keys
//   R5 R12 R13 R14 next integers of the queries, R4 from row to row; R6 their sums
//   R7 R8 scales and minima; R9 scores, R10 from row to row, R11 current; V7 mask
#define SCORE_ENTER \
	MOVD a+0(FP), R0;                     \
	MOVD kvIntScoreArgs_keys(R0), R3;     \
	MOVD kvIntScoreArgs_qRow(R0), R4;     \
	MOVD kvIntScoreArgs_scale(R0), R7;    \
	MOVD kvIntScoreArgs_min(R0), R8;      \
	MOVD kvIntScoreArgs_dst(R0), R9;      \
	MOVD kvIntScoreArgs_dstRow(R0), R10;  \
	MOVD kvIntScoreArgs_groups(R0), R1

#define SCORE_GROUP \
	MOVI16B(7, 15);                      \
	MOVD kvIntScoreArgs_steps(R0), R2;   \
	MOVD kvIntScoreArgs_total(R0), R6;   \
	MOVD kvIntScoreArgs_q(R0), R5;       \
	ADD  R4, R5, R12;                    \
	ADD  R4, R12, R13;                   \
	ADD  R4, R13, R14;                   \
	MOVD R9, R11

#define QUERIES4(at) \
	LDRD(8, 5, at);   \
	LDRD(9, 12, at);  \
	LDRD(10, 13, at); \
	LDRD(11, 14, at)

#define SCORE_NEXT(bytes) \
	ADD  $64, R3;      \
	ADD  $bytes, R5;   \
	ADD  $bytes, R12;  \
	ADD  $bytes, R13;  \
	ADD  $bytes, R14;  \
	SUBS $1, R2;       \
	BNE  step

// SCALES sets V0…V3 to 16 scales and V4…V7 to the minima.
#define SCALES \
	LDRQ(8, 7, 0);    \
	LDRQ(9, 7, 16);   \
	LDRQ(10, 8, 0);   \
	LDRQ(11, 8, 16);  \
	FCVTL4S(0, 8);    \
	FCVTL2_4S(1, 8);  \
	FCVTL4S(2, 9);    \
	FCVTL2_4S(3, 9);  \
	FCVTL4S(4, 10);   \
	FCVTL2_4S(5, 10); \
	FCVTL4S(6, 11);   \
	FCVTL2_4S(7, 11); \
	ADD  $32, R7;     \
	ADD  $32, R8

#define SCORE(a, v, at) \
	SCVTF4S(a, a);        \
	FMUL4S(13, (4+v), 12); \
	FMUL4S(a, a, v);      \
	FADD4S(a, 13, a);     \
	STRQ(a, 11, at)

#define SCORES(a) \
	LD1R4S(12, 6);     \
	SCVTF4S(12, 12);   \
	SCORE(a, 0, 0);      \
	SCORE((a+1), 1, 16); \
	SCORE((a+2), 2, 32); \
	SCORE((a+3), 3, 48); \
	ADD  $4, R6;         \
	ADD  R10, R11

#define SCORE_LEAVE \
	ADD  $64, R9; \
	SUBS $1, R1;  \
	BNE  group;   \
	RET

// func kvScore4x16q8NEON(a *kvIntScoreArgs)
TEXT ·kvScore4x16q8NEON(SB), NOSPLIT, $0-8
	SCORE_ENTER
group:
	SCORE_GROUP
	ZERO16
step:
	LD4_16B(0, 3)
	QUERIES4(0)
	EACH(BYTES, QUADS4)
	SCORE_NEXT(8)
	SCALES
	SCORES(16)
	SCORES(20)
	SCORES(24)
	SCORES(28)
	SCORE_LEAVE

// func kvScore4x16q4NEON(a *kvIntScoreArgs)
TEXT ·kvScore4x16q4NEON(SB), NOSPLIT, $0-8
	SCORE_ENTER
group:
	SCORE_GROUP
	ZERO16
step:
	LD4_16B(0, 3)
	QUERIES4(0)
	EACH(LOW, QUADS4)
	QUERIES4(8)
	EACH(HIGH, QUADS4)
	SCORE_NEXT(16)
	SCALES
	SCORES(16)
	SCORES(20)
	SCORES(24)
	SCORES(28)
	SCORE_LEAVE

// func kvScore1x16q8NEON(a *kvIntScoreArgs)
TEXT ·kvScore1x16q8NEON(SB), NOSPLIT, $0-8
	SCORE_ENTER
group:
	SCORE_GROUP
	ZERO4(16)
step:
	LD4_16B(0, 3)
	LDRD(8, 5, 0)
	EACH(BYTES, QUADS1)
	SCORE_NEXT(8)
	SCALES
	SCORES(16)
	SCORE_LEAVE

// func kvScore1x16q4NEON(a *kvIntScoreArgs)
TEXT ·kvScore1x16q4NEON(SB), NOSPLIT, $0-8
	SCORE_ENTER
group:
	SCORE_GROUP
	ZERO4(16)
step:
	LD4_16B(0, 3)
	LDRD(8, 5, 0)
	EACH(LOW, QUADS1)
	LDRD(8, 5, 8)
	EACH(HIGH, QUADS1)
	SCORE_NEXT(16)
	SCALES
	SCORES(16)
	SCORE_LEAVE

// A combine kernel: 16 dimensions, with 4 bits 8 and 8 that are 16 apart. Registers:
//   R0 arguments, R1 fours left in the block, R15 beyond it, R2 next values, R3 to the next
//   R4…R7 weights of the rows, R8 from row to row; R9 sums, R10 from row to row, R11 current
//   R12 steps of the block, R13 from row to row, R14 current; V7 mask
#define COMBINE_ENTER \
	MOVD a+0(FP), R0;                       \
	MOVD kvIntCombineArgs_w(R0), R4;        \
	MOVD kvIntCombineArgs_wRow(R0), R8;     \
	ADD  R8, R4, R5;                        \
	ADD  R8, R5, R6;                        \
	ADD  R8, R6, R7;                        \
	MOVD kvIntCombineArgs_values(R0), R2;   \
	MOVD kvIntCombineArgs_next(R0), R3;     \
	MOVD kvIntCombineArgs_fours(R0), R15;   \
	MOVD kvIntCombineArgs_sums(R0), R9;     \
	MOVD kvIntCombineArgs_sumsRow(R0), R10; \
	MOVD kvIntCombineArgs_step(R0), R12;    \
	MOVD kvIntCombineArgs_stepRow(R0), R13; \
	MOVI16B(7, 15)

#define COMBINE_BLOCK \
	MOVD $16, R1;        \
	CMP  R1, R15;        \
	CSEL LT, R15, R1, R1; \
	SUB  R1, R15;        \
	MOVD R9, R11;        \
	MOVD R12, R14

#define WEIGHTS4 \
	LDRD(8, 4, 0);  \
	LDRD(9, 5, 0);  \
	LDRD(10, 6, 0); \
	LDRD(11, 7, 0)

#define COMBINE_NEXT \
	ADD  R3, R2;  \
	ADD  $8, R4;  \
	ADD  $8, R5;  \
	ADD  $8, R6;  \
	ADD  $8, R7;  \
	SUBS $1, R1;  \
	BNE  four

#define SUM(a, at) \
	SCVTF4S(a, a);    \
	FMUL4S(a, a, 12); \
	LDRQ(13, 11, at); \
	FADD4S(a, 13, a); \
	STRQ(a, 11, at)

#define SUMS(a, beyond) \
	LD1R4S(12, 14);            \
	SUM(a, 0);                 \
	SUM((a+1), 16);            \
	SUM((a+2), beyond);        \
	SUM((a+3), (beyond+16));   \
	ADD  R10, R11;             \
	ADD  R13, R14

#define COMBINE_LEAVE \
	ADD  $4, R12;    \
	CBNZ R15, block; \
	RET

// func kvCombine4x16q8NEON(a *kvIntCombineArgs)
TEXT ·kvCombine4x16q8NEON(SB), NOSPLIT, $0-8
	COMBINE_ENTER
block:
	COMBINE_BLOCK
	ZERO16
four:
	LD4_16B(0, 2)
	WEIGHTS4
	EACH(BYTES, QUADS4)
	COMBINE_NEXT
	SUMS(16, 32)
	SUMS(20, 32)
	SUMS(24, 32)
	SUMS(28, 32)
	COMBINE_LEAVE

// func kvCombine4x16q4NEON(a *kvIntCombineArgs)
TEXT ·kvCombine4x16q4NEON(SB), NOSPLIT, $0-8
	COMBINE_ENTER
block:
	COMBINE_BLOCK
	ZERO16
four:
	LD4_8B(0, 2)
	WEIGHTS4
	EACH(PAIR, QUADS4)
	COMBINE_NEXT
	SUMS(16, 64)
	SUMS(20, 64)
	SUMS(24, 64)
	SUMS(28, 64)
	COMBINE_LEAVE

// func kvCombine1x16q8NEON(a *kvIntCombineArgs)
TEXT ·kvCombine1x16q8NEON(SB), NOSPLIT, $0-8
	COMBINE_ENTER
block:
	COMBINE_BLOCK
	ZERO4(16)
four:
	LD4_16B(0, 2)
	LDRD(8, 4, 0)
	EACH(BYTES, QUADS1)
	COMBINE_NEXT
	SUMS(16, 32)
	COMBINE_LEAVE

// func kvCombine1x16q4NEON(a *kvIntCombineArgs)
TEXT ·kvCombine1x16q4NEON(SB), NOSPLIT, $0-8
	COMBINE_ENTER
block:
	COMBINE_BLOCK
	ZERO4(16)
four:
	LD4_8B(0, 2)
	LDRD(8, 4, 0)
	EACH(PAIR, QUADS1)
	COMBINE_NEXT
	SUMS(16, 64)
	COMBINE_LEAVE

#define LOAD4(a, at) \
	LDRQ(a, 2, at);            \
	LDRQ((a+1), 2, (at+16));   \
	LDRQ((a+2), 2, (at+32));   \
	LDRQ((a+3), 2, (at+48));   \
	FMAX4S(22, a, (a+1));      \
	FMAX4S(23, (a+2), (a+3));  \
	FMAX4S(22, 22, 23);        \
	FMAX4S(16, 16, 22)

#define ROUND2(a, at) \
	FMUL4S(a, a, 20);         \
	FMUL4S((a+1), (a+1), 20); \
	FCVTNS4S(a, a);           \
	FCVTNS4S((a+1), (a+1));   \
	XTN4H(22, a);             \
	XTN2_8H(22, (a+1));       \
	STRQ(22, 0, at)

// func kvIntWeightsNEON(dst, step, w unsafe.Pointer, blocks int)
// Blocks of 64 weights as 16-bit integers, and their steps.
TEXT ·kvIntWeightsNEON(SB), NOSPLIT, $0-32
	MOVD dst+0(FP), R0
	MOVD step+8(FP), R1
	MOVD w+16(FP), R2
	MOVD blocks+24(FP), R3
	MOVW $0x467ffc00, R4 // 16383
	DUP4S_R(17, 4)
	MOVW $0x0d800000, R4 // 2⁻¹⁰⁰
	DUP4S_R(18, 4)
block:
	ZERO16B(16)
	LOAD4(0, 0)
	LOAD4(4, 64)
	LOAD4(8, 128)
	LOAD4(12, 192)
	FMAXV4S(16, 16)
	DUP4S(16, 16, 0)
	FCMGE4S(19, 16, 18)
	FDIV4S(20, 17, 16)
	FDIV4S(21, 16, 17)
	AND16B(20, 20, 19)
	AND16B(21, 21, 19)
	STRS(21, 1, 0)
	ROUND2(0, 0)
	ROUND2(2, 16)
	ROUND2(4, 32)
	ROUND2(6, 48)
	ROUND2(8, 64)
	ROUND2(10, 80)
	ROUND2(12, 96)
	ROUND2(14, 112)
	ADD  $256, R2
	ADD  $128, R0
	ADD  $4, R1
	SUBS $1, R3
	BNE  block
	RET

// func kvIntRound8NEON(u, x unsafe.Pointer, inv float32, n int) int32
// Rounds n numbers times inv, a multiple of 16, and sums the integers up.
TEXT ·kvIntRound8NEON(SB), NOSPLIT, $0-36
	ROUND_ENTER
loop:
	ROUND8
	XTN4H(6, 2)
	XTN2_8H(6, 3)
	ROUND_LEAVE

// func kvIntRound4NEON(u, x unsafe.Pointer, inv float32, n int) int32
// The same for a cache of 4 bits: of eight, the even ones come first.
TEXT ·kvIntRound4NEON(SB), NOSPLIT, $0-36
	ROUND_ENTER
loop:
	ROUND8
	UZP1_4S(4, 2, 3)
	UZP2_4S(5, 2, 3)
	XTN4H(6, 4)
	XTN2_8H(6, 5)
	ROUND_LEAVE
