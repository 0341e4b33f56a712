// Bodies of the register kernels, for both element types and both tiers. The
// including file defines
//
//	SHIFT        log2 of the element size
//	SIZE         the element size
//	BCAST, FMA, ADD, SUB, ZERO  the instructions of the type
//
// Registers: CX terms left, AX/BX/DX rows 0/4/8 of a, R8 lda, R9 3·lda,
// SI b, R10 ldb, DI c, R11 ldc (all in bytes), R12 what to do to c.

#define ARGS \
	MOVQ kc+0(FP), CX; \
	MOVQ a+8(FP), AX; \
	MOVQ lda+16(FP), R8; \
	MOVQ b+24(FP), SI; \
	MOVQ ldb+32(FP), R10; \
	MOVQ c+40(FP), DI; \
	MOVQ ldc+48(FP), R11; \
	MOVQ update+56(FP), R12; \
	SHLQ $SHIFT, R8; \
	SHLQ $SHIFT, R10; \
	SHLQ $SHIFT, R11; \
	LEAQ (R8)(R8*2), R9; \
	LEAQ (AX)(R8*4), BX; \
	LEAQ (AX)(R8*8), DX

// One term of one row: a broadcast, two multiply-adds.
#define ROW(mem, t, b0, b1, c0, c1) \
	BCAST mem, t; \
	FMA b0, t, c0; \
	FMA b1, t, c1

// The end of a row of the tile: c + sum, c - sum, or the sum.
#define ADDROW(half, c0, c1) \
	ADD (DI), c0, c0; \
	ADD half(DI), c1, c1; \
	VMOVUPS c0, (DI); \
	VMOVUPS c1, half(DI); \
	ADDQ R11, DI

#define SUBROW(half, t, c0, c1) \
	VMOVUPS (DI), t; \
	SUB c0, t, c0; \
	VMOVUPS half(DI), t; \
	SUB c1, t, c1; \
	VMOVUPS c0, (DI); \
	VMOVUPS c1, half(DI); \
	ADDQ R11, DI

#define SETROW(half, c0, c1) \
	VMOVUPS c0, (DI); \
	VMOVUPS c1, half(DI); \
	ADDQ R11, DI

// The loop over terms, four at a time and the rest one by one. STEP(off) does
// the term at byte offset off of the rows of a and moves b on.
#define LOOP(STEP) \
	SUBQ $4, CX; \
	JLT  rest; \
four: \
	STEP(0*SIZE); \
	STEP(1*SIZE); \
	STEP(2*SIZE); \
	STEP(3*SIZE); \
	ADDQ $(4*SIZE), AX; \
	ADDQ $(4*SIZE), BX; \
	ADDQ $(4*SIZE), DX; \
	SUBQ $4, CX; \
	JGE  four; \
rest: \
	ADDQ $4, CX; \
	JZ   store; \
one: \
	STEP(0*SIZE); \
	ADDQ $SIZE, AX; \
	ADDQ $SIZE, BX; \
	ADDQ $SIZE, DX; \
	DECQ CX; \
	JNZ  one; \
store: \
	CMPQ R12, $1; \
	JLT  set; \
	JGT  subtract

// AVX-512: tiles of h rows × two vectors in Z0…Z23, b in Z24 and Z25.

#define WIDESTEP12(off) \
	VMOVUPS (SI), Z24; \
	VMOVUPS 64(SI), Z25; \
	ROW(off(AX), Z26, Z24, Z25, Z0, Z1); \
	ROW(off(AX)(R8*1), Z27, Z24, Z25, Z2, Z3); \
	ROW(off(AX)(R8*2), Z28, Z24, Z25, Z4, Z5); \
	ROW(off(AX)(R9*1), Z29, Z24, Z25, Z6, Z7); \
	ROW(off(BX), Z26, Z24, Z25, Z8, Z9); \
	ROW(off(BX)(R8*1), Z27, Z24, Z25, Z10, Z11); \
	ROW(off(BX)(R8*2), Z28, Z24, Z25, Z12, Z13); \
	ROW(off(BX)(R9*1), Z29, Z24, Z25, Z14, Z15); \
	ROW(off(DX), Z26, Z24, Z25, Z16, Z17); \
	ROW(off(DX)(R8*1), Z27, Z24, Z25, Z18, Z19); \
	ROW(off(DX)(R8*2), Z28, Z24, Z25, Z20, Z21); \
	ROW(off(DX)(R9*1), Z29, Z24, Z25, Z22, Z23); \
	ADDQ R10, SI

#define WIDETILE12 \
	ZERO(Z0); \
	ZERO(Z1); \
	ZERO(Z2); \
	ZERO(Z3); \
	ZERO(Z4); \
	ZERO(Z5); \
	ZERO(Z6); \
	ZERO(Z7); \
	ZERO(Z8); \
	ZERO(Z9); \
	ZERO(Z10); \
	ZERO(Z11); \
	ZERO(Z12); \
	ZERO(Z13); \
	ZERO(Z14); \
	ZERO(Z15); \
	ZERO(Z16); \
	ZERO(Z17); \
	ZERO(Z18); \
	ZERO(Z19); \
	ZERO(Z20); \
	ZERO(Z21); \
	ZERO(Z22); \
	ZERO(Z23); \
	LOOP(WIDESTEP12); \
	ADDROW(64, Z0, Z1); \
	ADDROW(64, Z2, Z3); \
	ADDROW(64, Z4, Z5); \
	ADDROW(64, Z6, Z7); \
	ADDROW(64, Z8, Z9); \
	ADDROW(64, Z10, Z11); \
	ADDROW(64, Z12, Z13); \
	ADDROW(64, Z14, Z15); \
	ADDROW(64, Z16, Z17); \
	ADDROW(64, Z18, Z19); \
	ADDROW(64, Z20, Z21); \
	ADDROW(64, Z22, Z23); \
	VZEROUPPER; \
	RET; \
subtract: \
	SUBROW(64, Z24, Z0, Z1); \
	SUBROW(64, Z24, Z2, Z3); \
	SUBROW(64, Z24, Z4, Z5); \
	SUBROW(64, Z24, Z6, Z7); \
	SUBROW(64, Z24, Z8, Z9); \
	SUBROW(64, Z24, Z10, Z11); \
	SUBROW(64, Z24, Z12, Z13); \
	SUBROW(64, Z24, Z14, Z15); \
	SUBROW(64, Z24, Z16, Z17); \
	SUBROW(64, Z24, Z18, Z19); \
	SUBROW(64, Z24, Z20, Z21); \
	SUBROW(64, Z24, Z22, Z23); \
	VZEROUPPER; \
	RET; \
set: \
	SETROW(64, Z0, Z1); \
	SETROW(64, Z2, Z3); \
	SETROW(64, Z4, Z5); \
	SETROW(64, Z6, Z7); \
	SETROW(64, Z8, Z9); \
	SETROW(64, Z10, Z11); \
	SETROW(64, Z12, Z13); \
	SETROW(64, Z14, Z15); \
	SETROW(64, Z16, Z17); \
	SETROW(64, Z18, Z19); \
	SETROW(64, Z20, Z21); \
	SETROW(64, Z22, Z23); \
	VZEROUPPER; \
	RET

#define WIDESTEP8(off) \
	VMOVUPS (SI), Z24; \
	VMOVUPS 64(SI), Z25; \
	ROW(off(AX), Z26, Z24, Z25, Z0, Z1); \
	ROW(off(AX)(R8*1), Z27, Z24, Z25, Z2, Z3); \
	ROW(off(AX)(R8*2), Z28, Z24, Z25, Z4, Z5); \
	ROW(off(AX)(R9*1), Z29, Z24, Z25, Z6, Z7); \
	ROW(off(BX), Z26, Z24, Z25, Z8, Z9); \
	ROW(off(BX)(R8*1), Z27, Z24, Z25, Z10, Z11); \
	ROW(off(BX)(R8*2), Z28, Z24, Z25, Z12, Z13); \
	ROW(off(BX)(R9*1), Z29, Z24, Z25, Z14, Z15); \
	ADDQ R10, SI

#define WIDETILE8 \
	ZERO(Z0); \
	ZERO(Z1); \
	ZERO(Z2); \
	ZERO(Z3); \
	ZERO(Z4); \
	ZERO(Z5); \
	ZERO(Z6); \
	ZERO(Z7); \
	ZERO(Z8); \
	ZERO(Z9); \
	ZERO(Z10); \
	ZERO(Z11); \
	ZERO(Z12); \
	ZERO(Z13); \
	ZERO(Z14); \
	ZERO(Z15); \
	LOOP(WIDESTEP8); \
	ADDROW(64, Z0, Z1); \
	ADDROW(64, Z2, Z3); \
	ADDROW(64, Z4, Z5); \
	ADDROW(64, Z6, Z7); \
	ADDROW(64, Z8, Z9); \
	ADDROW(64, Z10, Z11); \
	ADDROW(64, Z12, Z13); \
	ADDROW(64, Z14, Z15); \
	VZEROUPPER; \
	RET; \
subtract: \
	SUBROW(64, Z24, Z0, Z1); \
	SUBROW(64, Z24, Z2, Z3); \
	SUBROW(64, Z24, Z4, Z5); \
	SUBROW(64, Z24, Z6, Z7); \
	SUBROW(64, Z24, Z8, Z9); \
	SUBROW(64, Z24, Z10, Z11); \
	SUBROW(64, Z24, Z12, Z13); \
	SUBROW(64, Z24, Z14, Z15); \
	VZEROUPPER; \
	RET; \
set: \
	SETROW(64, Z0, Z1); \
	SETROW(64, Z2, Z3); \
	SETROW(64, Z4, Z5); \
	SETROW(64, Z6, Z7); \
	SETROW(64, Z8, Z9); \
	SETROW(64, Z10, Z11); \
	SETROW(64, Z12, Z13); \
	SETROW(64, Z14, Z15); \
	VZEROUPPER; \
	RET

#define WIDESTEP4(off) \
	VMOVUPS (SI), Z24; \
	VMOVUPS 64(SI), Z25; \
	ROW(off(AX), Z26, Z24, Z25, Z0, Z1); \
	ROW(off(AX)(R8*1), Z27, Z24, Z25, Z2, Z3); \
	ROW(off(AX)(R8*2), Z28, Z24, Z25, Z4, Z5); \
	ROW(off(AX)(R9*1), Z29, Z24, Z25, Z6, Z7); \
	ADDQ R10, SI

#define WIDETILE4 \
	ZERO(Z0); \
	ZERO(Z1); \
	ZERO(Z2); \
	ZERO(Z3); \
	ZERO(Z4); \
	ZERO(Z5); \
	ZERO(Z6); \
	ZERO(Z7); \
	LOOP(WIDESTEP4); \
	ADDROW(64, Z0, Z1); \
	ADDROW(64, Z2, Z3); \
	ADDROW(64, Z4, Z5); \
	ADDROW(64, Z6, Z7); \
	VZEROUPPER; \
	RET; \
subtract: \
	SUBROW(64, Z24, Z0, Z1); \
	SUBROW(64, Z24, Z2, Z3); \
	SUBROW(64, Z24, Z4, Z5); \
	SUBROW(64, Z24, Z6, Z7); \
	VZEROUPPER; \
	RET; \
set: \
	SETROW(64, Z0, Z1); \
	SETROW(64, Z2, Z3); \
	SETROW(64, Z4, Z5); \
	SETROW(64, Z6, Z7); \
	VZEROUPPER; \
	RET

#define WIDESTEP2(off) \
	VMOVUPS (SI), Z24; \
	VMOVUPS 64(SI), Z25; \
	ROW(off(AX), Z26, Z24, Z25, Z0, Z1); \
	ROW(off(AX)(R8*1), Z27, Z24, Z25, Z2, Z3); \
	ADDQ R10, SI

#define WIDETILE2 \
	ZERO(Z0); \
	ZERO(Z1); \
	ZERO(Z2); \
	ZERO(Z3); \
	LOOP(WIDESTEP2); \
	ADDROW(64, Z0, Z1); \
	ADDROW(64, Z2, Z3); \
	VZEROUPPER; \
	RET; \
subtract: \
	SUBROW(64, Z24, Z0, Z1); \
	SUBROW(64, Z24, Z2, Z3); \
	VZEROUPPER; \
	RET; \
set: \
	SETROW(64, Z0, Z1); \
	SETROW(64, Z2, Z3); \
	VZEROUPPER; \
	RET

#define WIDESTEP1(off) \
	VMOVUPS (SI), Z24; \
	VMOVUPS 64(SI), Z25; \
	ROW(off(AX), Z26, Z24, Z25, Z0, Z1); \
	ADDQ R10, SI

#define WIDETILE1 \
	ZERO(Z0); \
	ZERO(Z1); \
	LOOP(WIDESTEP1); \
	ADDROW(64, Z0, Z1); \
	VZEROUPPER; \
	RET; \
subtract: \
	SUBROW(64, Z24, Z0, Z1); \
	VZEROUPPER; \
	RET; \
set: \
	SETROW(64, Z0, Z1); \
	VZEROUPPER; \
	RET

// AVX2: tiles of h rows × two vectors in Y0…Y11, b in Y12 and Y13.

#define SLIMSTEP6(off) \
	VMOVUPS (SI), Y12; \
	VMOVUPS 32(SI), Y13; \
	ROW(off(AX), Y14, Y12, Y13, Y0, Y1); \
	ROW(off(AX)(R8*1), Y15, Y12, Y13, Y2, Y3); \
	ROW(off(AX)(R8*2), Y14, Y12, Y13, Y4, Y5); \
	ROW(off(AX)(R9*1), Y15, Y12, Y13, Y6, Y7); \
	ROW(off(BX), Y14, Y12, Y13, Y8, Y9); \
	ROW(off(BX)(R8*1), Y15, Y12, Y13, Y10, Y11); \
	ADDQ R10, SI

#define SLIMTILE6 \
	ZERO(Y0); \
	ZERO(Y1); \
	ZERO(Y2); \
	ZERO(Y3); \
	ZERO(Y4); \
	ZERO(Y5); \
	ZERO(Y6); \
	ZERO(Y7); \
	ZERO(Y8); \
	ZERO(Y9); \
	ZERO(Y10); \
	ZERO(Y11); \
	LOOP(SLIMSTEP6); \
	ADDROW(32, Y0, Y1); \
	ADDROW(32, Y2, Y3); \
	ADDROW(32, Y4, Y5); \
	ADDROW(32, Y6, Y7); \
	ADDROW(32, Y8, Y9); \
	ADDROW(32, Y10, Y11); \
	VZEROUPPER; \
	RET; \
subtract: \
	SUBROW(32, Y12, Y0, Y1); \
	SUBROW(32, Y12, Y2, Y3); \
	SUBROW(32, Y12, Y4, Y5); \
	SUBROW(32, Y12, Y6, Y7); \
	SUBROW(32, Y12, Y8, Y9); \
	SUBROW(32, Y12, Y10, Y11); \
	VZEROUPPER; \
	RET; \
set: \
	SETROW(32, Y0, Y1); \
	SETROW(32, Y2, Y3); \
	SETROW(32, Y4, Y5); \
	SETROW(32, Y6, Y7); \
	SETROW(32, Y8, Y9); \
	SETROW(32, Y10, Y11); \
	VZEROUPPER; \
	RET

#define SLIMSTEP4(off) \
	VMOVUPS (SI), Y12; \
	VMOVUPS 32(SI), Y13; \
	ROW(off(AX), Y14, Y12, Y13, Y0, Y1); \
	ROW(off(AX)(R8*1), Y15, Y12, Y13, Y2, Y3); \
	ROW(off(AX)(R8*2), Y14, Y12, Y13, Y4, Y5); \
	ROW(off(AX)(R9*1), Y15, Y12, Y13, Y6, Y7); \
	ADDQ R10, SI

#define SLIMTILE4 \
	ZERO(Y0); \
	ZERO(Y1); \
	ZERO(Y2); \
	ZERO(Y3); \
	ZERO(Y4); \
	ZERO(Y5); \
	ZERO(Y6); \
	ZERO(Y7); \
	LOOP(SLIMSTEP4); \
	ADDROW(32, Y0, Y1); \
	ADDROW(32, Y2, Y3); \
	ADDROW(32, Y4, Y5); \
	ADDROW(32, Y6, Y7); \
	VZEROUPPER; \
	RET; \
subtract: \
	SUBROW(32, Y12, Y0, Y1); \
	SUBROW(32, Y12, Y2, Y3); \
	SUBROW(32, Y12, Y4, Y5); \
	SUBROW(32, Y12, Y6, Y7); \
	VZEROUPPER; \
	RET; \
set: \
	SETROW(32, Y0, Y1); \
	SETROW(32, Y2, Y3); \
	SETROW(32, Y4, Y5); \
	SETROW(32, Y6, Y7); \
	VZEROUPPER; \
	RET

#define SLIMSTEP2(off) \
	VMOVUPS (SI), Y12; \
	VMOVUPS 32(SI), Y13; \
	ROW(off(AX), Y14, Y12, Y13, Y0, Y1); \
	ROW(off(AX)(R8*1), Y15, Y12, Y13, Y2, Y3); \
	ADDQ R10, SI

#define SLIMTILE2 \
	ZERO(Y0); \
	ZERO(Y1); \
	ZERO(Y2); \
	ZERO(Y3); \
	LOOP(SLIMSTEP2); \
	ADDROW(32, Y0, Y1); \
	ADDROW(32, Y2, Y3); \
	VZEROUPPER; \
	RET; \
subtract: \
	SUBROW(32, Y12, Y0, Y1); \
	SUBROW(32, Y12, Y2, Y3); \
	VZEROUPPER; \
	RET; \
set: \
	SETROW(32, Y0, Y1); \
	SETROW(32, Y2, Y3); \
	VZEROUPPER; \
	RET

#define SLIMSTEP1(off) \
	VMOVUPS (SI), Y12; \
	VMOVUPS 32(SI), Y13; \
	ROW(off(AX), Y14, Y12, Y13, Y0, Y1); \
	ADDQ R10, SI

#define SLIMTILE1 \
	ZERO(Y0); \
	ZERO(Y1); \
	LOOP(SLIMSTEP1); \
	ADDROW(32, Y0, Y1); \
	VZEROUPPER; \
	RET; \
subtract: \
	SUBROW(32, Y12, Y0, Y1); \
	VZEROUPPER; \
	RET; \
set: \
	SETROW(32, Y0, Y1); \
	VZEROUPPER; \
	RET
