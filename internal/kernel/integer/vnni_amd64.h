// Common parts of the integer kernels for AVX-512 VNNI. A kernel computes two
// row tiles (32 rows) for a fixed number of tokens over all groups.
//
// Registers:
//   SI, DI        first tile's next step, distance to the second tile
//   R8 R9 R10 R11 next column of tokens 0, 3, 6, 9; DX distance between tokens
//   R12 arguments, R13 groups left, R14 next scales, R15 next sum
//   BX steps left, then the float sums: [token][2][16], on a cache line
//   Z28 0x0f bytes, Z24…Z27 weights, Z29 Z30 tokens

#include "zero_amd64.h"

#define INT_ENTER \
	MOVQ         args+0(FP), R12;       \
	MOVQ         intArgs_w(R12), SI;    \
	MOVQ         intArgs_wNext(R12), DI; \
	MOVQ         intArgs_q(R12), R8;    \
	MOVQ         intArgs_qNext(R12), DX; \
	LEAQ         (DX)(DX*2), AX;        \
	LEAQ         (R8)(AX*1), R9;        \
	LEAQ         (R9)(AX*1), R10;       \
	LEAQ         (R10)(AX*1), R11;      \
	MOVQ         intArgs_groups(R12), R13; \
	MOVQ         intArgs_scale(R12), R14; \
	MOVQ         intArgs_sum(R12), R15; \
	MOVL         $0x0f0f0f0f, AX;       \
	VPBROADCASTD AX, Z28

#define INT_SUMS \
	LEAQ 63(SP), BX; \
	ANDQ $~63, BX

// INT_BEGIN asks for the lines of the result, so that writing them at the end does
// not wait, and sets the float sums to 0.
#define INT_BEGIN(bytes) \
	MOVQ      intArgs_y(R12), AX;     \
	MOVQ      intArgs_yTile(R12), CX; \
	MOVQ      intArgs_tokens(R12), BX; \
ask:                               \
	PREFETCHT0 (AX);                 \
	PREFETCHT0 (AX)(CX*1);           \
	ADDQ      intArgs_yNext(R12), AX; \
	DECQ      BX;                    \
	JNZ       ask;                   \
	ZERO_BEGIN;                      \
	INT_SUMS;                        \
	VPXORD    Z0, Z0, Z0;            \
	MOVQ      $bytes, CX;            \
begin:                             \
	VMOVDQU64 Z0, -64(BX)(CX*1);     \
	SUBQ      $64, CX;               \
	JNZ       begin

// INT_GROUP sets BX to the steps of this group, AX and CX for INT_START. The
// scales are read too rarely for the hardware prefetcher, so they are prefetched here.
#define INT_GROUP \
	MOVQ    intArgs_steps(R12), BX;   \
	CMPQ    R13, $1;                  \
	CMOVQEQ intArgs_last(R12), BX;    \
	MOVQ    intArgs_sumNext(R12), AX; \
	MOVQ    R15, CX;                  \
	ADDQ    $4, R15;                  \
	PREFETCHT0 512(R14)

// A pair of row tiles is read as two streams. In memory the second tile follows the
// first and the next pair follows the second, so that a stream must not be prefetched
// beyond its own tile: from there on the next pair is. INT_PAIRS sets CX to the address
// INT_AHEAD bytes ahead of the first stream, and AX to the number of steps left at which
// CX moves on to the next pair; INT_FETCH2 prefetches a line of both streams. R11 is
// free in kernels for less than 12 tokens.
#define INT_AHEAD 4096

#define INT_PAIRS \
	LEAQ    INT_AHEAD(SI), CX;      \
	LEAQ    (CX)(DI*1), R11;        \
	MOVQ    intArgs_steps(R12), AX; \
	IMULQ   R13, AX;                \
	CMPQ    AX, $(INT_AHEAD/64);    \
	CMOVQLT R11, CX;                \
	XORL    R11, R11;               \
	MOVL    $(INT_AHEAD/64), AX;    \
	CMPQ    R13, $1;                \
	CMOVQNE R11, AX

#define INT_FETCH2 \
	LEAQ    (CX)(DI*1), R11; \
	CMPQ    BX, AX;          \
	CMOVQEQ R11, CX;         \
	PREFETCHT0 (CX);        \
	PREFETCHT0 (CX)(DI*1);  \
	PREFETCHT1 (INT_FAR-INT_AHEAD)(CX);       \
	PREFETCHT1 (INT_FAR-INT_AHEAD)(CX)(DI*1); \
	ADDQ    $64, CX

// INT_START4 begins the sums of the next token with -8·Σq, INT_START8 with
// -128·Σq.
#define INT_START4(a0, a1) \
	VPBROADCASTD (CX), a0; \
	ADDQ         AX, CX;   \
	VMOVDQA64    a0, a1

#define INT_START8(a0, a1) \
	VPBROADCASTD (CX), a0;   \
	ADDQ         AX, CX;     \
	VPSLLD       $4, a0, a0; \
	VMOVDQA64    a0, a1

#define INT_CLEAR(a0, a1) \
	VPXORD a0, a0, a0; \
	VPXORD a1, a1, a1

#define INT_MERGE(h0, h1, a0, a1) \
	VPADDD h0, a0, a0; \
	VPADDD h1, a1, a1

// INT_DOT adds four columns of one token to both tiles.
#define INT_DOT(x, b, w0, w1, a0, a1) \
	VPBROADCASTD x, b;      \
	VPDPBUSD     b, w0, a0; \
	VPDPBUSD     b, w1, a1

// INT_LOAD4 loads a step of 8 columns: low nibbles in Z26 and Z27, high ones
// in Z24 and Z25.
#define INT_LOAD4 \
	VMOVDQU64 (SI), Z24;         \
	VMOVDQU64 (SI)(DI*1), Z25;   \
	VPANDD    Z28, Z24, Z26;     \
	VPANDD    Z28, Z25, Z27;     \
	VPSRLD    $4, Z24, Z24;      \
	VPSRLD    $4, Z25, Z25;      \
	VPANDD    Z28, Z24, Z24;     \
	VPANDD    Z28, Z25, Z25;     \
	ADDQ      $64, SI

// INT_SCALES loads the group's scales into Z24 and Z25.
#define INT_SCALES \
	INT_SUMS;                           \
	MOVQ    intArgs_scaleNext(R12), AX; \
	VMOVUPS (R14), Z24;                 \
	VMOVUPS (R14)(AX*1), Z25;           \
	ADDQ    $64, R14

// INT_TAKE is ZERO_TAKE for shifts in Z26 and Z27.
#define INT_TAKE(a0, a1) \
	VMULPS.BCST (CX), Z26, Z29; \
	VMULPS.BCST (CX), Z27, Z30; \
	ADDQ        AX, CX;         \
	VSUBPS      Z29, a0, a0;    \
	VSUBPS      Z30, a1, a1

// INT_LESS subtracts a token's sum that is times the shift already.
#define INT_LESS(a0, a1) \
	VSUBPS.BCST (CX), a0, a0; \
	VSUBPS.BCST (CX), a1, a1; \
	ADDQ        AX, CX

// INT_FLUSH adds scale·product of one token to its float sums.
#define INT_FLUSH(at, a0, a1) \
	VMULPS    Z24, a0, a0;        \
	VMULPS    Z25, a1, a1;        \
	VADDPS    at(BX), a0, a0;     \
	VADDPS    64+at(BX), a1, a1;  \
	VMOVUPS   a0, at(BX);         \
	VMOVUPS   a1, 64+at(BX)

// INT_LEAVE writes sx·(sum − zx·RowSum), plus what is to be added, of the valid
// tokens and returns.
#define INT_LEAVE \
	MOVQ         intArgs_rowSum(R12), AX;  \
	MOVQ         intArgs_rowNext(R12), CX; \
	VMOVUPS      (AX), Z2;                 \
	VMOVUPS      (AX)(CX*1), Z3;           \
	MOVQ         intArgs_sx(R12), R8;      \
	MOVQ         intArgs_zx(R12), R9;      \
	MOVQ         intArgs_y(R12), R10;      \
	MOVQ         intArgs_yNext(R12), DX;   \
	MOVQ         intArgs_yTile(R12), R11;  \
	MOVQ         intArgs_add(R12), SI;     \
	MOVQ         intArgs_addNext(R12), DI; \
	MOVQ         intArgs_addTile(R12), R13; \
	XORQ         CX, CX;                   \
	INT_SUMS;                              \
	MOVQ         intArgs_tokens(R12), AX;  \
write:                                     \
	VBROADCASTSS (R8)(CX*4), Z0;           \
	VPBROADCASTD (R9)(CX*4), Z1;           \
	VCVTDQ2PS    Z1, Z1;                   \
	VMULPS       Z2, Z1, Z4;               \
	VMULPS       Z3, Z1, Z5;               \
	VMOVUPS      (BX), Z6;                 \
	VMOVUPS      64(BX), Z7;               \
	VSUBPS       Z4, Z6, Z6;               \
	VSUBPS       Z5, Z7, Z7;               \
	VMULPS       Z6, Z0, Z6;               \
	VMULPS       Z7, Z0, Z7;               \
	VADDPS       (SI), Z6, Z6;             \
	VADDPS       (SI)(R13*1), Z7, Z7;      \
	ADDQ         DI, SI;                   \
	VMOVUPS      Z6, (R10);                \
	VMOVUPS      Z7, (R10)(R11*1);         \
	ADDQ         $128, BX;                 \
	ADDQ         DX, R10;                  \
	INCQ         CX;                       \
	CMPQ         CX, AX;                   \
	JLT          write;                    \
	VZEROUPPER;                            \
	RET

// The kernels for one token compute row tiles one after the other: memory feeds
// them best as a single stream. Their float sums are 16 values, in Z23.

#define INT_BEGIN4(a) \
	VPBROADCASTD (CX), a; \
	ADDQ         AX, CX

#define INT_BEGIN8(a) \
	VPBROADCASTD (CX), a;  \
	ADDQ         AX, CX;   \
	VPSLLD       $4, a, a

// INT_ONE sets the registers for one token: R9 and R11 are the next shifts and the distance to
// the next group's, R10 the next group sum as a float, DX whether that is times the shift, DI
// the bytes of a group's scales, 64 or 32.
#define INT_ONE \
	MOVQ intArgs_shift(R12), R9;      \
	MOVQ intArgs_shiftNext(R12), R11; \
	MOVQ intArgs_fsum(R12), R10;      \
	MOVQ intArgs_shifted(R12), DX;    \
	MOVQ intArgs_scaleNext(R12), DI

// INT_AHEAD1 is their distance of prefetching in bytes. Not PREFETCHNTA, although the
// weights are not read again before the next token: on Xeons, whose last-level cache may
// hold a whole model, lines that are fetched so never get there.
#define INT_AHEAD1 2048

// INT_FAR is the distance at which they ask for lines the first time, into the second-level
// cache: it has more requests to memory under way at once than the first.
#define INT_FAR 8192

// INT_WRITE1 writes sx·(sum − zx·RowSum) of the row tile; the sums are in Z23.
#define INT_WRITE1 \
	MOVQ         intArgs_rowSum(R12), AX; \
	VMOVUPS      (AX), Z2;                \
	MOVQ         intArgs_sx(R12), R8;     \
	VBROADCASTSS (R8), Z0;                \
	MOVQ         intArgs_zx(R12), R8;     \
	VPBROADCASTD (R8), Z1;                \
	MOVQ         intArgs_y(R12), R8;      \
	VCVTDQ2PS    Z1, Z1;                  \
	VMULPS       Z2, Z1, Z4;              \
	VSUBPS       Z4, Z23, Z23;            \
	VMULPS       Z23, Z0, Z23;            \
	VMOVUPS      Z23, (R8)

// INT_TILE1 begins a row tile: label tile.
#define INT_TILE1 \
	VPXORD Z23, Z23, Z23

// INT_TILES1 ends a row tile. It goes on with the next of intArgs_tiles, whose weights
// and scales follow in memory, or returns after the last.
#define INT_TILES1 \
	INT_WRITE1;                            \
	DECQ intArgs_tiles(R12);               \
	JZ   leave;                            \
	ADDQ $64, intArgs_rowSum(R12);         \
	ADDQ $64, intArgs_y(R12);              \
	MOVQ intArgs_q(R12), R8;               \
	MOVQ intArgs_sum(R12), R15;            \
	MOVQ intArgs_fsum(R12), R10;           \
	MOVQ intArgs_groups(R12), R13;         \
	JMP  tile;                             \
leave:                                     \
	VZEROUPPER;                            \
	RET
