#include "textflag.h"
#include "go_asm.h"
#include "int_vnni_amd64.h"
#include "int_vnni_steps_amd64.h"

// The widest kernels, 12 tokens, for rows that are one group: where sums begin is
// computed in registers, and they need no place in memory.
//
// Registers, behind the sum:
//   Z24 Z25 scales, Z26 Z27 scales times shifts, Z28 zeros
//   SI DI R13 what is to be added, distance of tokens, of tiles
//   R8 R9 R15 scales, zero points and sums of the tokens
//   R10 DX R11 result, distance of tokens, of tiles; AX CX RowSum, distance of tiles

// WHOLE_ENTER asks for the lines of the result, so that writing them does not wait.
#define WHOLE_ENTER \
	INT_ENTER;                        \
	MOVQ intArgs_y(R12), AX;          \
	MOVQ intArgs_yTile(R12), CX;      \
	MOVQ $12, BX;                     \
ask:                                  \
	PREFETCHT0 (AX);                  \
	PREFETCHT0 (AX)(CX*1);            \
	ADDQ intArgs_yNext(R12), AX;      \
	DECQ BX;                          \
	JNZ  ask;                         \
	MOVQ intArgs_last(R12), BX;       \
	MOVQ intArgs_sumNext(R12), AX;    \
	MOVQ R15, CX

#define WHOLE_BEGINS(BEGIN) \
	BEGIN(Z0, Z1);   \
	BEGIN(Z2, Z3);   \
	BEGIN(Z4, Z5);   \
	BEGIN(Z6, Z7);   \
	BEGIN(Z8, Z9);   \
	BEGIN(Z10, Z11); \
	BEGIN(Z12, Z13); \
	BEGIN(Z14, Z15); \
	BEGIN(Z16, Z17); \
	BEGIN(Z18, Z19); \
	BEGIN(Z20, Z21); \
	BEGIN(Z22, Z23)

// WHOLE_WRITE computes sx·((0 − scale·shift·Σq) + scale·sum − zx·RowSum) plus what is
// to be added, in the order of INT_FLUSH and INT_LEAVE.
#define WHOLE_WRITE(t, a0, a1) \
	VCVTDQ2PS    a0, a0;                 \
	VCVTDQ2PS    a1, a1;                 \
	VMULPS       Z24, a0, a0;            \
	VMULPS       Z25, a1, a1;            \
	VMULPS.BCST  4*t(R15), Z26, Z30;     \
	VMULPS.BCST  4*t(R15), Z27, Z31;     \
	VSUBPS       Z30, Z28, Z30;          \
	VSUBPS       Z31, Z28, Z31;          \
	VADDPS       Z30, a0, a0;            \
	VADDPS       Z31, a1, a1;            \
	VPBROADCASTD 4*t(R9), Z29;           \
	VCVTDQ2PS    Z29, Z29;               \
	VMULPS       (AX), Z29, Z30;         \
	VMULPS       (AX)(CX*1), Z29, Z31;   \
	VSUBPS       Z30, a0, a0;            \
	VSUBPS       Z31, a1, a1;            \
	VMULPS.BCST  4*t(R8), a0, a0;        \
	VMULPS.BCST  4*t(R8), a1, a1;        \
	VADDPS       (SI), a0, a0;           \
	VADDPS       (SI)(R13*1), a1, a1;    \
	ADDQ         DI, SI;                 \
	VMOVUPS      a0, (R10);              \
	VMOVUPS      a1, (R10)(R11*1);       \
	ADDQ         DX, R10

#define WHOLE_LEAVE \
	MOVQ    intArgs_scaleNext(R12), AX; \
	VMOVUPS (R14), Z24;                 \
	VMOVUPS (R14)(AX*1), Z25;           \
	MOVQ    intArgs_shift(R12), AX;     \
	MOVQ    intArgs_shiftTile(R12), CX; \
	VMULPS  (AX), Z24, Z26;             \
	VMULPS  (AX)(CX*1), Z25, Z27;       \
	VPXORD  Z28, Z28, Z28;              \
	MOVQ    intArgs_rowSum(R12), AX;    \
	MOVQ    intArgs_rowNext(R12), CX;   \
	MOVQ    intArgs_sx(R12), R8;        \
	MOVQ    intArgs_zx(R12), R9;        \
	MOVQ    intArgs_fsum(R12), R15;     \
	MOVQ    intArgs_y(R12), R10;        \
	MOVQ    intArgs_yNext(R12), DX;     \
	MOVQ    intArgs_yTile(R12), R11;    \
	MOVQ    intArgs_add(R12), SI;       \
	MOVQ    intArgs_addNext(R12), DI;   \
	MOVQ    intArgs_addTile(R12), R13;  \
	WHOLE_WRITE(0, Z0, Z1);             \
	WHOLE_WRITE(1, Z2, Z3);             \
	WHOLE_WRITE(2, Z4, Z5);             \
	WHOLE_WRITE(3, Z6, Z7);             \
	WHOLE_WRITE(4, Z8, Z9);             \
	WHOLE_WRITE(5, Z10, Z11);           \
	WHOLE_WRITE(6, Z12, Z13);           \
	WHOLE_WRITE(7, Z14, Z15);           \
	WHOLE_WRITE(8, Z16, Z17);           \
	WHOLE_WRITE(9, Z18, Z19);           \
	WHOLE_WRITE(10, Z20, Z21);          \
	WHOLE_WRITE(11, Z22, Z23);          \
	VZEROUPPER;                         \
	RET

// func intVNNI4x12Whole(args *intArgs)
TEXT ·intVNNI4x12Whole(SB), NOSPLIT, $0-8
	WHOLE_ENTER
	WHOLE_BEGINS(INT_START4)
	PCALIGN $32

step:
	INT_STEP4_12
	DECQ BX
	JNZ  step

	WHOLE_LEAVE

// func intVNNI8x12Whole(args *intArgs)
TEXT ·intVNNI8x12Whole(SB), NOSPLIT, $0-8
	WHOLE_ENTER
	WHOLE_BEGINS(INT_START8)
	PCALIGN $32

step:
	INT_STEP8_12
	DECQ BX
	JNZ  step

	WHOLE_LEAVE
