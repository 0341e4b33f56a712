// Parts of the attention kernels that both tiers share.

// The values 0…15, and the mask of a low half.
DATA kvNibbles<>+0(SB)/8, $0x3f80000000000000
DATA kvNibbles<>+8(SB)/8, $0x4040000040000000
DATA kvNibbles<>+16(SB)/8, $0x40a0000040800000
DATA kvNibbles<>+24(SB)/8, $0x40e0000040c00000
DATA kvNibbles<>+32(SB)/8, $0x4110000041000000
DATA kvNibbles<>+40(SB)/8, $0x4130000041200000
DATA kvNibbles<>+48(SB)/8, $0x4150000041400000
DATA kvNibbles<>+56(SB)/8, $0x4170000041600000
GLOBL kvNibbles<>(SB), RODATA|NOPTR, $64

DATA kvLow<>+0(SB)/4, $15
GLOBL kvLow<>(SB), RODATA|NOPTR, $4

// A score kernel. Registers:
//   R12 arguments, R15 groups left, CX steps left
//   SI            next step of block 0; R8 bytes of a block, R9 three times that
//   DI            next dimension of the queries; R13 their sums
//   R10 R11       scales and minima; BX scores, R14 from row to row, AX current
#define KV_SCORE_ENTER \
	MOVQ a+0(FP), R12;                   \
	MOVQ kvScoreArgs_keys(R12), SI;      \
	MOVQ kvScoreArgs_blockBytes(R12), R8; \
	LEAQ (R8)(R8*2), R9;                 \
	MOVQ kvScoreArgs_scale(R12), R10;    \
	MOVQ kvScoreArgs_min(R12), R11;      \
	MOVQ kvScoreArgs_total(R12), R13;    \
	MOVQ kvScoreArgs_dst(R12), BX;       \
	MOVQ kvScoreArgs_dstRow(R12), R14;   \
	MOVQ kvScoreArgs_groups(R12), R15

#define KV_SCORE_GROUP \
	MOVQ kvScoreArgs_steps(R12), CX; \
	MOVQ kvScoreArgs_q(R12), DI

// A combine kernel. Registers:
//   BX            weight of row 0; R14 from row to row
//   R10 R11       weights of rows 3 and 6
//   SI            next value; R9 from value to value; CX values left
//   DI            sums; R13 from row to row, AX current
#define KV_COMBINE_ENTER \
	MOVQ a+0(FP), R12;                 \
	MOVQ kvCombineArgs_w(R12), BX;     \
	MOVQ kvCombineArgs_wRow(R12), R14; \
	LEAQ (R14)(R14*2), R10;            \
	LEAQ (BX)(R10*2), R11;             \
	ADDQ BX, R10;                      \
	MOVQ kvCombineArgs_values(R12), SI; \
	MOVQ kvCombineArgs_next(R12), R9;  \
	MOVQ kvCombineArgs_n(R12), CX;     \
	MOVQ kvCombineArgs_sums(R12), DI;  \
	MOVQ kvCombineArgs_sumsRow(R12), R13

#define KV_COMBINE_NEXT \
	ADDQ R9, SI;  \
	ADDQ $4, BX;  \
	ADDQ $4, R10; \
	ADDQ $4, R11; \
	DECQ CX

DATA kvLeast<>+0(SB)/4, $0x0d800000 // 2⁻¹⁰⁰
GLOBL kvLeast<>(SB), RODATA|NOPTR, $4
