// Parts of the attention kernels that both tiers share.

// A score kernel. Registers:
//   R12 arguments, R15 groups left, CX steps left
//   SI            next step of block 0; R8 bytes of a block, R9 three times that
//   DI            next dimension of the queries
//   BX            scores, R14 from row to row, AX current
#define KV_SCORE_ENTER \
	MOVQ a+0(FP), R12;                   \
	MOVQ kvScoreArgs_keys(R12), SI;      \
	MOVQ kvScoreArgs_blockBytes(R12), R8; \
	LEAQ (R8)(R8*2), R9;                 \
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

DATA kvLowBytes<>+0(SB)/4, $0x0f0f0f0f
GLOBL kvLowBytes<>(SB), RODATA|NOPTR, $4

DATA kvLowWords<>+0(SB)/4, $0x000f000f
GLOBL kvLowWords<>(SB), RODATA|NOPTR, $4

DATA kvLowSeven<>+0(SB)/4, $127
GLOBL kvLowSeven<>(SB), RODATA|NOPTR, $4

// A score kernel of integers. Registers:
//   R12 arguments, R15 groups left, CX steps left
//   SI            next step of block 0; R8 bytes of a block, R9 three times that
//   DI            next integers of query 0, DX from row to row, R10 and R11 queries 3 and 6
//   R10 R11       after the steps scales and minima, R13 sums of the queries
//   BX            scores, R14 from row to row, AX current
#define KV_INT_SCORE_ENTER \
	MOVQ a+0(FP), R12;                      \
	MOVQ kvIntScoreArgs_keys(R12), SI;      \
	MOVQ kvIntScoreArgs_blockBytes(R12), R8; \
	LEAQ (R8)(R8*2), R9;                    \
	MOVQ kvIntScoreArgs_qRow(R12), DX;      \
	MOVQ kvIntScoreArgs_total(R12), R13;    \
	MOVQ kvIntScoreArgs_dst(R12), BX;       \
	MOVQ kvIntScoreArgs_dstRow(R12), R14;   \
	MOVQ kvIntScoreArgs_groups(R12), R15

#define KV_INT_SCORE_GROUP \
	MOVQ kvIntScoreArgs_steps(R12), CX; \
	MOVQ kvIntScoreArgs_q(R12), DI;     \
	LEAQ (DX)(DX*2), R10;               \
	LEAQ (DI)(R10*2), R11;              \
	ADDQ DI, R10

#define KV_INT_SCORE_SCALES \
	MOVQ kvIntScoreArgs_scale(R12), R10; \
	MOVQ kvIntScoreArgs_min(R12), R11

// A combine kernel of integers. Registers:
//   BX            weights of row 0; R14 from row to row; R10 those of row 3
//   SI            next four positions of the values; R9 to the next
//   CX            fours left in the block, R15 beyond it
//   DI            sums; R13 from row to row, AX current
//   R11           step of the block of row 0; R8 from row to row, DX current
#define KV_INT_COMBINE_ENTER \
	MOVQ a+0(FP), R12;                       \
	MOVQ kvIntCombineArgs_w(R12), BX;        \
	MOVQ kvIntCombineArgs_wRow(R12), R14;    \
	LEAQ (R14)(R14*2), R10;                  \
	ADDQ BX, R10;                            \
	MOVQ kvIntCombineArgs_values(R12), SI;   \
	MOVQ kvIntCombineArgs_next(R12), R9;     \
	MOVQ kvIntCombineArgs_fours(R12), R15;   \
	MOVQ kvIntCombineArgs_sums(R12), DI;     \
	MOVQ kvIntCombineArgs_sumsRow(R12), R13; \
	MOVQ kvIntCombineArgs_step(R12), R11;    \
	MOVQ kvIntCombineArgs_stepRow(R12), R8

#define KV_INT_COMBINE_BLOCK \
	MOVQ    $16, CX;  \
	CMPQ    R15, CX;  \
	CMOVQLT R15, CX;  \
	SUBQ    CX, R15

#define KV_INT_COMBINE_NEXT(bytes) \
	ADDQ R9, SI;      \
	ADDQ $bytes, BX;  \
	ADDQ $bytes, R10; \
	DECQ CX
