// Common parts of the integer kernels for AVX2. A kernel computes one row tile
// (two registers of 8 rows) for a fixed number of tokens over all groups.
//
// Registers:
//   SI            next step; R8 R9 next column of tokens 0 and 3
//   DX            distance between tokens
//   R12 arguments, R13 groups left, R14 next scales, R15 next sum, BX steps left
//   Y0…Y7         sums, two for each token; Y8…Y11 weights; Y12…Y15 temporary
//   0(SP)         float sums, [token][16]

#include "zero_amd64.h"

#define INT2_ENTER \
	MOVQ args+0(FP), R12;           \
	MOVQ intArgs_w(R12), SI;        \
	MOVQ intArgs_q(R12), R8;        \
	MOVQ intArgs_qNext(R12), DX;    \
	LEAQ (DX)(DX*2), AX;            \
	LEAQ (R8)(AX*1), R9;            \
	MOVQ intArgs_groups(R12), R13;  \
	MOVQ intArgs_scale(R12), R14;   \
	MOVQ intArgs_sum(R12), R15

// INT2_BEGIN sets the float sums to 0, and where the routine is in the zero points.
#define INT2_BEGIN(bytes) \
	ZERO_BEGIN;                       \
	VPXOR   Y0, Y0, Y0;               \
	MOVQ    $bytes, CX;               \
begin:                            \
	VMOVDQU Y0, -32(SP)(CX*1);      \
	SUBQ    $32, CX;                \
	JNZ     begin

#define INT2_GROUP \
	MOVQ    intArgs_steps(R12), BX;   \
	CMPQ    R13, $1;                  \
	CMOVQEQ intArgs_last(R12), BX;    \
	MOVQ    intArgs_sumNext(R12), AX; \
	MOVQ    R15, CX;                  \
	ADDQ    $4, R15

// INT2_LOAD4 loads a step of 8 columns: low nibbles in Y10 and Y11, high ones
// in Y8 and Y9.
#define INT2_LOAD4 \
	VMOVDQU (SI), Y8;                     \
	VMOVDQU 32(SI), Y9;                   \
	VPAND   intNibbles<>(SB), Y8, Y10;    \
	VPAND   intNibbles<>(SB), Y9, Y11;    \
	VPSRLW  $4, Y8, Y8;                   \
	VPSRLW  $4, Y9, Y9;                   \
	VPAND   intNibbles<>(SB), Y8, Y8;     \
	VPAND   intNibbles<>(SB), Y9, Y9;     \
	ADDQ    $64, SI

// INT2_DOT4 adds a step of 8 columns of one token; lo and hi are its columns
// 0…3 and 4…7. Two products of 15·128 and the sum of two such pairs stay
// within 16 bits.
#define INT2_DOT4(lo, hi, a0, a1) \
	VPBROADCASTD lo, Y14;                 \
	VPMADDUBSW   Y14, Y10, Y12;           \
	VPMADDUBSW   Y14, Y11, Y15;           \
	VPBROADCASTD hi, Y14;                 \
	VPMADDUBSW   Y14, Y8, Y13;            \
	VPADDW       Y13, Y12, Y12;           \
	VPMADDUBSW   Y14, Y9, Y13;            \
	VPADDW       Y13, Y15, Y15;           \
	VPMADDWD     intOnes<>(SB), Y12, Y12; \
	VPMADDWD     intOnes<>(SB), Y15, Y15; \
	VPADDD       Y12, a0, a0;             \
	VPADDD       Y15, a1, a1

// INT2_DOT7 is INT2_DOT4 for weights of 7 bits, where only one pair of products
// stays within 16 bits; up to 6 bits two pairs do, 4·63·128 at most.
#define INT2_DOT7(lo, hi, a0, a1) \
	VPBROADCASTD lo, Y14;                 \
	VPMADDUBSW   Y14, Y10, Y12;           \
	VPMADDUBSW   Y14, Y11, Y15;           \
	VPMADDWD     intOnes<>(SB), Y12, Y12; \
	VPMADDWD     intOnes<>(SB), Y15, Y15; \
	VPADDD       Y12, a0, a0;             \
	VPADDD       Y15, a1, a1;             \
	VPBROADCASTD hi, Y14;                 \
	VPMADDUBSW   Y14, Y8, Y12;            \
	VPMADDUBSW   Y14, Y9, Y15;            \
	VPMADDWD     intOnes<>(SB), Y12, Y12; \
	VPMADDWD     intOnes<>(SB), Y15, Y15; \
	VPADDD       Y12, a0, a0;             \
	VPADDD       Y15, a1, a1

// INT2_DOT16 adds a step of 8 columns of one token, like INT2_DOT4, to sums of 16 bits, two in each 32: of
// its columns 0, 1, 4 and 5, and of the others. Up to 5 bits, of 16 columns, and begun as in multiples.go,
// they end as what fits.
#define INT2_DOT16(lo, hi, a0, a1) \
	VPBROADCASTD lo, Y14;       \
	VPMADDUBSW   Y14, Y10, Y12; \
	VPMADDUBSW   Y14, Y11, Y13; \
	VPADDW       Y12, a0, a0;   \
	VPADDW       Y13, a1, a1;   \
	VPBROADCASTD hi, Y15;       \
	VPMADDUBSW   Y15, Y8, Y12;  \
	VPMADDUBSW   Y15, Y9, Y13;  \
	VPADDW       Y12, a0, a0;   \
	VPADDW       Y13, a1, a1

// INT2_LOAD8 loads a step of 4 columns as 16-bit words: columns 0 and 2 in Y10
// and Y11, columns 1 and 3 in Y8 and Y9.
#define INT2_LOAD8 \
	VMOVDQU (SI), Y8;                  \
	VMOVDQU 32(SI), Y9;                \
	VPAND   intBytes<>(SB), Y8, Y10;   \
	VPAND   intBytes<>(SB), Y9, Y11;   \
	VPSRLW  $8, Y8, Y8;                \
	VPSRLW  $8, Y9, Y9;                \
	ADDQ    $64, SI

// INT2_DOT8 adds a step of 4 columns of one token, in words: pairs of 8-bit
// products would saturate.
#define INT2_DOT8(x, a0, a1) \
	VPBROADCASTD x, Y14;        \
	VPSLLW       $8, Y14, Y12;  \
	VPSRAW       $8, Y12, Y12;  \
	VPSRAW       $8, Y14, Y14;  \
	VPMADDWD     Y12, Y10, Y13; \
	VPMADDWD     Y12, Y11, Y15; \
	VPADDD       Y13, a0, a0;   \
	VPADDD       Y15, a1, a1;   \
	VPMADDWD     Y14, Y8, Y13;  \
	VPMADDWD     Y14, Y9, Y15;  \
	VPADDD       Y13, a0, a0;   \
	VPADDD       Y15, a1, a1

// INT2_FLUSH adds scale·product of one token to its float sums.
#define INT2_FLUSH(at, a0, a1) \
	VMULPS    (R14), a0, a0;     \
	VMULPS    32(R14), a1, a1;   \
	VADDPS    at(SP), a0, a0;    \
	VADDPS    32+at(SP), a1, a1; \
	VMOVUPS   a0, at(SP);        \
	VMOVUPS   a1, 32+at(SP)

// INT2_LEAVE writes sx·(sum − zx·RowSum) of the valid tokens and returns.
#define INT2_LEAVE \
	MOVQ         intArgs_rowSum(R12), AX; \
	VMOVUPS      (AX), Y2;                \
	VMOVUPS      32(AX), Y3;              \
	MOVQ         intArgs_sx(R12), R8;     \
	MOVQ         intArgs_zx(R12), R9;     \
	MOVQ         intArgs_y(R12), R10;     \
	MOVQ         intArgs_yNext(R12), DX;  \
	MOVQ         intArgs_tokens(R12), BX; \
	XORQ         CX, CX;                  \
	LEAQ         0(SP), AX;               \
write:                                    \
	VBROADCASTSS (R8)(CX*4), Y0;          \
	VPBROADCASTD (R9)(CX*4), Y1;          \
	VCVTDQ2PS    Y1, Y1;                  \
	VMULPS       Y2, Y1, Y4;              \
	VMULPS       Y3, Y1, Y5;              \
	VMOVUPS      (AX), Y6;                \
	VMOVUPS      32(AX), Y7;              \
	VSUBPS       Y4, Y6, Y6;              \
	VSUBPS       Y5, Y7, Y7;              \
	VMULPS       Y6, Y0, Y6;              \
	VMULPS       Y7, Y0, Y7;              \
	VMOVUPS      Y6, (R10);               \
	VMOVUPS      Y7, 32(R10);             \
	ADDQ         $64, AX;                 \
	ADDQ         DX, R10;                 \
	INCQ         CX;                      \
	CMPQ         CX, BX;                  \
	JLT          write;                   \
	VZEROUPPER;                           \
	RET

DATA intNibbles<>+0(SB)/8, $0x0f0f0f0f0f0f0f0f
DATA intNibbles<>+8(SB)/8, $0x0f0f0f0f0f0f0f0f
DATA intNibbles<>+16(SB)/8, $0x0f0f0f0f0f0f0f0f
DATA intNibbles<>+24(SB)/8, $0x0f0f0f0f0f0f0f0f
GLOBL intNibbles<>(SB), RODATA|NOPTR, $32

DATA intOnes<>+0(SB)/8, $0x0001000100010001
DATA intOnes<>+8(SB)/8, $0x0001000100010001
DATA intOnes<>+16(SB)/8, $0x0001000100010001
DATA intOnes<>+24(SB)/8, $0x0001000100010001
GLOBL intOnes<>(SB), RODATA|NOPTR, $32

DATA intBytes<>+0(SB)/8, $0x00ff00ff00ff00ff
DATA intBytes<>+8(SB)/8, $0x00ff00ff00ff00ff
DATA intBytes<>+16(SB)/8, $0x00ff00ff00ff00ff
DATA intBytes<>+24(SB)/8, $0x00ff00ff00ff00ff
GLOBL intBytes<>(SB), RODATA|NOPTR, $32
