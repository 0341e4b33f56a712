// Common parts of the integer kernels for AVX-VNNI, which are those for AVX2
// with one instruction for the products of four columns. int_avx2_amd64.h and
// int_planes256_amd64.h come before.
//
// Kernels for few tokens sum columns lo and hi of a pair apart: one chain of sums
// would wait for itself.

// AVXVNNI_DPBUSD is VPDPBUSD Y<x>, Y<w>, Y<a> with the VEX prefix, of which the
// assembler has only the EVEX form: the sums a += unsigned bytes w · signed bytes
// x. VEX.256.66.0F38.W0 50 /r: a in ModRM.reg, x in ModRM.rm, w in VEX.vvvv.
#define AVXVNNI_DPBUSD(x, w, a) \
	BYTE $0xc4;                               \
	BYTE $(0xe2 ^ (a>>3)<<7 ^ (x>>3)<<5);     \
	BYTE $((15-w)<<3 | 5);                    \
	BYTE $0x50;                               \
	BYTE $(0xc0 | (a&7)<<3 | (x&7))

// AVXVNNI_DOT adds four columns of one token to 16 rows: weights w0 and w1, sums
// a0 and a1 by their numbers.
#define AVXVNNI_DOT(x, w0, w1, a0, a1) \
	VPBROADCASTD x, Y14;        \
	AVXVNNI_DPBUSD(14, w0, a0); \
	AVXVNNI_DPBUSD(14, w1, a1)

// AVXVNNI_DOTS<tokens> adds columns lo and hi on, weights in Y10 Y11 and Y8 Y9.
#define AVXVNNI_DOTS1(lo, hi) \
	AVXVNNI_DOT(lo(R8), 10, 11, 0, 1); \
	AVXVNNI_DOT(hi(R8), 8, 9, 2, 3)

#define AVXVNNI_DOTS2(lo, hi) \
	AVXVNNI_DOT(lo(R8), 10, 11, 0, 1);         \
	AVXVNNI_DOT(lo(R8)(DX*1), 10, 11, 2, 3);   \
	AVXVNNI_DOT(hi(R8), 8, 9, 4, 5);           \
	AVXVNNI_DOT(hi(R8)(DX*1), 8, 9, 6, 7)

#define AVXVNNI_DOTS4(lo, hi) \
	AVXVNNI_DOT(lo(R8), 10, 11, 0, 1);         \
	AVXVNNI_DOT(lo(R8)(DX*1), 10, 11, 2, 3);   \
	AVXVNNI_DOT(lo(R8)(DX*2), 10, 11, 4, 5);   \
	AVXVNNI_DOT(lo(R9), 10, 11, 6, 7);         \
	AVXVNNI_DOT(hi(R8), 8, 9, 0, 1);           \
	AVXVNNI_DOT(hi(R8)(DX*1), 8, 9, 2, 3);     \
	AVXVNNI_DOT(hi(R8)(DX*2), 8, 9, 4, 5);     \
	AVXVNNI_DOT(hi(R9), 8, 9, 6, 7)

// AVXVNNI_STEP4 and AVXVNNI_STEP8 are INT2P_STEP for a step of 4 and two steps
// of 8 bits: eight columns.
#define AVXVNNI_STEP4(OP) \
	VMOVDQU (SI), Y8;                  \
	VMOVDQU 32(SI), Y9;                \
	VPAND   Y15, Y8, Y10; \
	VPAND   Y15, Y9, Y11; \
	VPSRLW  $4, Y8, Y8;                \
	VPSRLW  $4, Y9, Y9;                \
	VPAND   Y15, Y8, Y8;  \
	VPAND   Y15, Y9, Y9;  \
	OP(0, 4)

#define AVXVNNI_STEP8(OP) \
	VMOVDQU (SI), Y10;   \
	VMOVDQU 32(SI), Y11; \
	VMOVDQU 64(SI), Y8;  \
	VMOVDQU 96(SI), Y9;  \
	OP(0, 4)

#define AVXVNNI_AHEAD4 PREFETCHT0 2048(SI)

#define AVXVNNI_AHEAD8 \
	PREFETCHT0 2048(SI); \
	PREFETCHT0 2112(SI)

#define AVXVNNI_STARTS1(START) \
	START(Y0, Y1);       \
	VPXOR Y2, Y2, Y2;    \
	VPXOR Y3, Y3, Y3

#define AVXVNNI_STARTS2(START) \
	START(Y0, Y1);       \
	START(Y2, Y3);       \
	VPXOR Y4, Y4, Y4;    \
	VPXOR Y5, Y5, Y5;    \
	VPXOR Y6, Y6, Y6;    \
	VPXOR Y7, Y7, Y7

#define AVXVNNI_STARTS4(START) \
	START(Y0, Y1); \
	START(Y2, Y3); \
	START(Y4, Y5); \
	START(Y6, Y7)

#define AVXVNNI_MERGE1 \
	VPADDD Y2, Y0, Y0; \
	VPADDD Y3, Y1, Y1

#define AVXVNNI_MERGE2 \
	VPADDD Y4, Y0, Y0; \
	VPADDD Y5, Y1, Y1; \
	VPADDD Y6, Y2, Y2; \
	VPADDD Y7, Y3, Y3

#define AVXVNNI_MERGE4

#define AVXVNNI_FLUSHES1 \
	AVXVNNI_MERGE1; \
	INT2_FLUSH(0, Y0, Y1)

#define AVXVNNI_FLUSHES2 \
	AVXVNNI_MERGE2;        \
	INT2_FLUSH(0, Y0, Y1); \
	INT2_FLUSH(64, Y2, Y3)

#define AVXVNNI_FLUSHES4 \
	INT2_FLUSH(0, Y0, Y1);   \
	INT2_FLUSH(64, Y2, Y3);  \
	INT2_FLUSH(128, Y4, Y5); \
	INT2_FLUSH(192, Y6, Y7)

// AVXVNNI_NEXT goes on by bytes of weights and cols columns.
#define AVXVNNI_NEXT(bytes, cols) \
	ADDQ $bytes, SI; \
	ADDQ $cols, R8;  \
	ADDQ $cols, R9

// AVXVNNI_STEPS are BX steps of 4 bits or planes.
#define AVXVNNI_STEPS(AHEAD, STEP, DOTS, bytes, cols) \
	VMOVDQU intNibbles<>(SB), Y15; \
	PCALIGN $32;               \
step:                        \
	AHEAD;                     \
	STEP(DOTS);                \
	AVXVNNI_NEXT(bytes, cols); \
	DECQ BX;                   \
	JNZ  step

// AVXVNNI_STEPS8 are BX steps of 8 bits, in pairs. ODD is for a last one.
#define AVXVNNI_STEPS8(DOTS, ODD) \
	SUBQ $2, BX;          \
	JLT  odd;             \
	PCALIGN $32;          \
step:                   \
	AVXVNNI_AHEAD8;       \
	AVXVNNI_STEP8(DOTS);  \
	AVXVNNI_NEXT(128, 8); \
	SUBQ $2, BX;          \
	JGE  step;            \
odd:                    \
	ADDQ $2, BX;          \
	JZ   sums;            \
	VMOVDQU (SI), Y10;    \
	VMOVDQU 32(SI), Y11;  \
	ODD;                  \
	AVXVNNI_NEXT(64, 4);  \
sums:

#define AVXVNNI_ODD1 \
	AVXVNNI_DOT((R8), 10, 11, 0, 1)

#define AVXVNNI_ODD2 \
	AVXVNNI_ODD1; \
	AVXVNNI_DOT((R8)(DX*1), 10, 11, 2, 3)

#define AVXVNNI_ODD4 \
	AVXVNNI_ODD2;                            \
	AVXVNNI_DOT((R8)(DX*2), 10, 11, 4, 5);   \
	AVXVNNI_DOT((R9), 10, 11, 6, 7)

// AVXVNNI_KERNEL is a kernel from its entry on, with some bytes of float sums.
#define AVXVNNI_KERNEL(sums, STARTS, START, STEPS, FLUSHES) \
	INT2_ENTER;       \
	INT2_BEGIN(sums); \
group:              \
	INT2_GROUP;       \
	STARTS(START);    \
	STEPS;            \
	FLUSHES;          \
	ADDQ $64, R14;    \
	DECQ R13;         \
	JNZ  group;       \
	INT2_LEAVE
