#include "textflag.h"

// Tiles of 16 rows of signed bytes times T tokens:
//
//	for t < T, lane < 16:
//	    s = Σ_p c[p][lane]·z[t][p], p < n ascending
//	    y[t][lane] = s, or y[t][lane] + s where update is not 0
//
// z has rows of n. CX is n, AX c, SI z, R10 4·n, R13 12·n, BX z of token 4, DI y,
// R11 ldy, R12 update.

#define ARGS \
	MOVQ n+0(FP), CX;       \
	MOVQ c+8(FP), AX;       \
	MOVQ z+16(FP), SI;      \
	MOVQ y+24(FP), DI;      \
	MOVQ ldy+32(FP), R11;   \
	MOVQ update+40(FP), R12; \
	LEAQ (CX*4), R10;       \
	LEAQ (R10)(R10*2), R13; \
	LEAQ (SI)(R10*4), BX

// CODES makes 16 codes floats.
#define CODES(c, w) \
	VPMOVSXBD c, w; \
	VCVTDQ2PS w, w

#define FOUR(p, w, a0, a1, a2, a3) \
	VFMADD231PS.BCST (p), w, a0;        \
	VFMADD231PS.BCST (p)(R10*1), w, a1; \
	VFMADD231PS.BCST (p)(R10*2), w, a2; \
	VFMADD231PS.BCST (p)(R13*1), w, a3

#define CLEAR4(a0, a1, a2, a3) \
	VXORPS a0, a0, a0; \
	VXORPS a1, a1, a1; \
	VXORPS a2, a2, a2; \
	VXORPS a3, a3, a3

// ADD adds a to the next token, SET writes it there.
#define ADD(a) \
	VADDPS  (DI), a, a; \
	VMOVUPS a, (DI);    \
	ADDQ    R11, DI

#define SET(a) \
	VMOVUPS a, (DI); \
	ADDQ    R11, DI

// func byteTile1avx512(n int, c, z, y unsafe.Pointer, ldy int, update int)
TEXT ·byteTile1avx512(SB), NOSPLIT, $0-48
	ARGS
	VXORPS Z0, Z0, Z0
loop:
	CODES((AX), Z16)
	VFMADD231PS.BCST (SI), Z16, Z0
	ADDQ $16, AX
	ADDQ $4, SI
	DECQ CX
	JNZ  loop
	TESTQ R12, R12
	JZ   set
	VADDPS (DI), Z0, Z0
set:
	VMOVUPS Z0, (DI)
	VZEROUPPER
	RET

// func byteTile4avx512(n int, c, z, y unsafe.Pointer, ldy int, update int)
TEXT ·byteTile4avx512(SB), NOSPLIT, $0-48
	ARGS
	CLEAR4(Z0, Z1, Z2, Z3)
loop:
	CODES((AX), Z16)
	FOUR(SI, Z16, Z0, Z1, Z2, Z3)
	ADDQ $16, AX
	ADDQ $4, SI
	DECQ CX
	JNZ  loop
	TESTQ R12, R12
	JZ   set
	ADD(Z0)
	ADD(Z1)
	ADD(Z2)
	ADD(Z3)
	VZEROUPPER
	RET
set:
	SET(Z0)
	SET(Z1)
	SET(Z2)
	SET(Z3)
	VZEROUPPER
	RET

// func byteTile8avx512(n int, c, z, y unsafe.Pointer, ldy int, update int)
TEXT ·byteTile8avx512(SB), NOSPLIT, $0-48
	ARGS
	CLEAR4(Z0, Z1, Z2, Z3)
	CLEAR4(Z4, Z5, Z6, Z7)
loop:
	CODES((AX), Z16)
	FOUR(SI, Z16, Z0, Z1, Z2, Z3)
	FOUR(BX, Z16, Z4, Z5, Z6, Z7)
	ADDQ $16, AX
	ADDQ $4, SI
	ADDQ $4, BX
	DECQ CX
	JNZ  loop
	TESTQ R12, R12
	JZ   set
	ADD(Z0)
	ADD(Z1)
	ADD(Z2)
	ADD(Z3)
	ADD(Z4)
	ADD(Z5)
	ADD(Z6)
	ADD(Z7)
	VZEROUPPER
	RET
set:
	SET(Z0)
	SET(Z1)
	SET(Z2)
	SET(Z3)
	SET(Z4)
	SET(Z5)
	SET(Z6)
	SET(Z7)
	VZEROUPPER
	RET

// PAIR takes one token's value times both tiles, Z24 and Z25.
#define PAIR(z, b, a0, a1) \
	VBROADCASTSS z, b;       \
	VFMADD231PS  b, Z24, a0; \
	VFMADD231PS  b, Z25, a1

// func bytePair12avx512(n int, c, z, y unsafe.Pointer)
// Two tiles, one behind the other, times 12 tokens: y[t][tile][lane] is set.
TEXT ·bytePair12avx512(SB), NOSPLIT, $0-32
	MOVQ n+0(FP), CX
	MOVQ c+8(FP), AX
	MOVQ z+16(FP), SI
	MOVQ y+24(FP), DI
	LEAQ (CX*4), R10
	LEAQ (R10)(R10*2), R13
	LEAQ (SI)(R10*4), BX
	LEAQ (BX)(R10*4), DX
	MOVQ CX, R8
	SHLQ $4, R8
	ADDQ AX, R8
	CLEAR4(Z0, Z1, Z2, Z3)
	CLEAR4(Z4, Z5, Z6, Z7)
	CLEAR4(Z8, Z9, Z10, Z11)
	CLEAR4(Z12, Z13, Z14, Z15)
	CLEAR4(Z16, Z17, Z18, Z19)
	CLEAR4(Z20, Z21, Z22, Z23)
loop:
	CODES((AX), Z24)
	CODES((R8), Z25)
	PAIR((SI), Z26, Z0, Z1)
	PAIR((SI)(R10*1), Z27, Z2, Z3)
	PAIR((SI)(R10*2), Z28, Z4, Z5)
	PAIR((SI)(R13*1), Z29, Z6, Z7)
	PAIR((BX), Z26, Z8, Z9)
	PAIR((BX)(R10*1), Z27, Z10, Z11)
	PAIR((BX)(R10*2), Z28, Z12, Z13)
	PAIR((BX)(R13*1), Z29, Z14, Z15)
	PAIR((DX), Z26, Z16, Z17)
	PAIR((DX)(R10*1), Z27, Z18, Z19)
	PAIR((DX)(R10*2), Z28, Z20, Z21)
	PAIR((DX)(R13*1), Z29, Z22, Z23)
	ADDQ $16, AX
	ADDQ $16, R8
	ADDQ $4, SI
	ADDQ $4, BX
	ADDQ $4, DX
	DECQ CX
	JNZ  loop
	VMOVUPS Z0, 0(DI)
	VMOVUPS Z1, 64(DI)
	VMOVUPS Z2, 128(DI)
	VMOVUPS Z3, 192(DI)
	VMOVUPS Z4, 256(DI)
	VMOVUPS Z5, 320(DI)
	VMOVUPS Z6, 384(DI)
	VMOVUPS Z7, 448(DI)
	VMOVUPS Z8, 512(DI)
	VMOVUPS Z9, 576(DI)
	VMOVUPS Z10, 640(DI)
	VMOVUPS Z11, 704(DI)
	VMOVUPS Z12, 768(DI)
	VMOVUPS Z13, 832(DI)
	VMOVUPS Z14, 896(DI)
	VMOVUPS Z15, 960(DI)
	VMOVUPS Z16, 1024(DI)
	VMOVUPS Z17, 1088(DI)
	VMOVUPS Z18, 1152(DI)
	VMOVUPS Z19, 1216(DI)
	VMOVUPS Z20, 1280(DI)
	VMOVUPS Z21, 1344(DI)
	VMOVUPS Z22, 1408(DI)
	VMOVUPS Z23, 1472(DI)
	VZEROUPPER
	RET

// func byteTiles4avx512(n int, c, z, y unsafe.Pointer)
// Four tiles, one behind the other, times one token, added to y: four sums that
// don't wait for each other. AX, R8, R9, R10 are the tiles.
TEXT ·byteTiles4avx512(SB), NOSPLIT, $0-32
	MOVQ n+0(FP), CX
	MOVQ c+8(FP), AX
	MOVQ z+16(FP), SI
	MOVQ y+24(FP), DI
	MOVQ CX, DX
	SHLQ $4, DX
	LEAQ (AX)(DX*1), R8
	LEAQ (R8)(DX*1), R9
	LEAQ (R9)(DX*1), R10
	CLEAR4(Z0, Z1, Z2, Z3)
	XORQ DX, DX
loop:
	VBROADCASTSS (SI), Z20
	CODES((AX)(DX*1), Z16)
	CODES((R8)(DX*1), Z17)
	CODES((R9)(DX*1), Z18)
	CODES((R10)(DX*1), Z19)
	VFMADD231PS Z20, Z16, Z0
	VFMADD231PS Z20, Z17, Z1
	VFMADD231PS Z20, Z18, Z2
	VFMADD231PS Z20, Z19, Z3
	ADDQ $16, DX
	ADDQ $4, SI
	DECQ CX
	JNZ  loop
	VADDPS (DI), Z0, Z0
	VADDPS 64(DI), Z1, Z1
	VADDPS 128(DI), Z2, Z2
	VADDPS 192(DI), Z3, Z3
	VMOVUPS Z0, (DI)
	VMOVUPS Z1, 64(DI)
	VMOVUPS Z2, 128(DI)
	VMOVUPS Z3, 192(DI)
	VZEROUPPER
	RET

// The same in two halves of 8 rows.

#define ADD2(a, b) \
	VADDPS  (DI), a, a;   \
	VADDPS  32(DI), b, b; \
	VMOVUPS a, (DI);      \
	VMOVUPS b, 32(DI);    \
	ADDQ    R11, DI

#define SET2(a, b) \
	VMOVUPS a, (DI);   \
	VMOVUPS b, 32(DI); \
	ADDQ    R11, DI

#define PAIR2(z, v, a0, a1) \
	VBROADCASTSS z, v;       \
	VFMADD231PS  v, Y12, a0; \
	VFMADD231PS  v, Y13, a1

// func byteTile1avx2(n int, c, z, y unsafe.Pointer, ldy int, update int)
TEXT ·byteTile1avx2(SB), NOSPLIT, $0-48
	ARGS
	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
loop:
	CODES((AX), Y12)
	CODES(8(AX), Y13)
	PAIR2((SI), Y14, Y0, Y1)
	ADDQ $16, AX
	ADDQ $4, SI
	DECQ CX
	JNZ  loop
	TESTQ R12, R12
	JZ   set
	ADD2(Y0, Y1)
	VZEROUPPER
	RET
set:
	SET2(Y0, Y1)
	VZEROUPPER
	RET

// func byteTile4avx2(n int, c, z, y unsafe.Pointer, ldy int, update int)
TEXT ·byteTile4avx2(SB), NOSPLIT, $0-48
	ARGS
	CLEAR4(Y0, Y1, Y2, Y3)
	CLEAR4(Y4, Y5, Y6, Y7)
loop:
	CODES((AX), Y12)
	CODES(8(AX), Y13)
	PAIR2((SI), Y14, Y0, Y1)
	PAIR2((SI)(R10*1), Y15, Y2, Y3)
	PAIR2((SI)(R10*2), Y14, Y4, Y5)
	PAIR2((SI)(R13*1), Y15, Y6, Y7)
	ADDQ $16, AX
	ADDQ $4, SI
	DECQ CX
	JNZ  loop
	TESTQ R12, R12
	JZ   set
	ADD2(Y0, Y1)
	ADD2(Y2, Y3)
	ADD2(Y4, Y5)
	ADD2(Y6, Y7)
	VZEROUPPER
	RET
set:
	SET2(Y0, Y1)
	SET2(Y2, Y3)
	SET2(Y4, Y5)
	SET2(Y6, Y7)
	VZEROUPPER
	RET
