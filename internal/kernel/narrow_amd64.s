#include "textflag.h"

// Products of few rows of a with 16 rows of b, which are turned in registers
// instead of being packed:
//
//	for t < T, i < 16:
//	    s = Σ_p a[t][p]·wide(b[i][p]), p < 16·blocks ascending
//	    c[t][i] = s, or c[t][i] + s where update is not 0
//
// Strides are in bytes. AX, BX, DX, CX are rows 0, 4, 8, 12 of b, R8 ldb,
// R9 3·ldb; SI is a, R10 lda, R13 3·lda; DI is c, R11 ldc; R12 counts blocks.

#define ARGS \
	MOVQ blocks+0(FP), R12; \
	MOVQ a+8(FP), SI; \
	MOVQ lda+16(FP), R10; \
	MOVQ b+24(FP), AX; \
	MOVQ ldb+32(FP), R8; \
	MOVQ c+40(FP), DI; \
	MOVQ ldc+48(FP), R11; \
	LEAQ (R8)(R8*2), R9; \
	LEAQ (R10)(R10*2), R13; \
	LEAQ (AX)(R8*4), BX; \
	LEAQ (AX)(R8*8), DX; \
	LEAQ (BX)(R8*8), CX

#define LOADF32(mem, r) VMOVUPS mem, r
#define LOADF16(mem, r) VCVTPH2PS mem, r
#define LOADBF16(mem, r) VPMOVZXWD mem, r; VPSLLD $16, r, r

#define NEXT(bytes) \
	ADDQ $bytes, AX; \
	ADDQ $bytes, BX; \
	ADDQ $bytes, DX; \
	ADDQ $bytes, CX; \
	ADDQ $64, SI

// AVX-512: see transpose_amd64.s for the two steps of turning.
#define QUARTET(LOAD, p, u0, u1, u2, u3) \
	LOAD((p), Z16); \
	LOAD((p)(R8*1), Z17); \
	LOAD((p)(R8*2), Z18); \
	LOAD((p)(R9*1), Z19); \
	VUNPCKLPS Z17, Z16, Z20; \
	VUNPCKHPS Z17, Z16, Z21; \
	VUNPCKLPS Z19, Z18, Z22; \
	VUNPCKHPS Z19, Z18, Z23; \
	VUNPCKLPD Z22, Z20, u0; \
	VUNPCKHPD Z22, Z20, u1; \
	VUNPCKLPD Z23, Z21, u2; \
	VUNPCKHPD Z23, Z21, u3

#define COLUMNS(a, b, c, d) \
	VSHUFF32X4 $0x88, b, a, Z16; \
	VSHUFF32X4 $0x88, d, c, Z17; \
	VSHUFF32X4 $0xdd, b, a, Z18; \
	VSHUFF32X4 $0xdd, d, c, Z19; \
	VSHUFF32X4 $0x88, Z17, Z16, a; \
	VSHUFF32X4 $0x88, Z19, Z18, b; \
	VSHUFF32X4 $0xdd, Z17, Z16, c; \
	VSHUFF32X4 $0xdd, Z19, Z18, d

// Column j of the block is in Zj afterwards.
#define TURN16(LOAD) \
	QUARTET(LOAD, AX, Z0, Z1, Z2, Z3); \
	QUARTET(LOAD, BX, Z4, Z5, Z6, Z7); \
	QUARTET(LOAD, DX, Z8, Z9, Z10, Z11); \
	QUARTET(LOAD, CX, Z12, Z13, Z14, Z15); \
	COLUMNS(Z0, Z4, Z8, Z12); \
	COLUMNS(Z1, Z5, Z9, Z13); \
	COLUMNS(Z2, Z6, Z10, Z14); \
	COLUMNS(Z3, Z7, Z11, Z15)

#define TERM1(off, col) \
	VFMADD231PS.BCST off(SI), col, Z24
#define TERM2(off, col) \
	VFMADD231PS.BCST off(SI), col, Z24; \
	VFMADD231PS.BCST off(SI)(R10*1), col, Z25
#define TERM4(off, col) \
	VFMADD231PS.BCST off(SI), col, Z24; \
	VFMADD231PS.BCST off(SI)(R10*1), col, Z25; \
	VFMADD231PS.BCST off(SI)(R10*2), col, Z26; \
	VFMADD231PS.BCST off(SI)(R13*1), col, Z27

#define TERMS16(TERM) \
	TERM(0, Z0); \
	TERM(4, Z1); \
	TERM(8, Z2); \
	TERM(12, Z3); \
	TERM(16, Z4); \
	TERM(20, Z5); \
	TERM(24, Z6); \
	TERM(28, Z7); \
	TERM(32, Z8); \
	TERM(36, Z9); \
	TERM(40, Z10); \
	TERM(44, Z11); \
	TERM(48, Z12); \
	TERM(52, Z13); \
	TERM(56, Z14); \
	TERM(60, Z15)

// AVX2: a half block, eight columns of eight rows from p and q. Columns are in
// Y8…Y11, Y0…Y3 afterwards; Y12…Y15 are kept.
#define QUARTET8(LOAD, off, p, a, b, c, d, e, f, g, h) \
	LOAD(off(p), a); \
	LOAD(off(p)(R8*1), b); \
	LOAD(off(p)(R8*2), c); \
	LOAD(off(p)(R9*1), d); \
	VUNPCKLPS b, a, e; \
	VUNPCKHPS b, a, f; \
	VUNPCKLPS d, c, g; \
	VUNPCKHPS d, c, h; \
	VUNPCKLPD g, e, a; \
	VUNPCKHPD g, e, b; \
	VUNPCKLPD h, f, c; \
	VUNPCKHPD h, f, d

#define TURN8(LOAD, off, p, q) \
	QUARTET8(LOAD, off, p, Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7); \
	QUARTET8(LOAD, off, q, Y4, Y5, Y6, Y7, Y8, Y9, Y10, Y11); \
	VPERM2F128 $0x20, Y4, Y0, Y8; \
	VPERM2F128 $0x20, Y5, Y1, Y9; \
	VPERM2F128 $0x20, Y6, Y2, Y10; \
	VPERM2F128 $0x20, Y7, Y3, Y11; \
	VPERM2F128 $0x31, Y4, Y0, Y0; \
	VPERM2F128 $0x31, Y5, Y1, Y1; \
	VPERM2F128 $0x31, Y6, Y2, Y2; \
	VPERM2F128 $0x31, Y7, Y3, Y3

#define SLIMTERM1(off, col, s, t) \
	VBROADCASTSS off(SI), Y4; \
	VFMADD231PS Y4, col, s
#define SLIMTERM2(off, col, s, t) \
	VBROADCASTSS off(SI), Y4; \
	VBROADCASTSS off(SI)(R10*1), Y5; \
	VFMADD231PS Y4, col, s; \
	VFMADD231PS Y5, col, t

#define TERMS8A(TERM, s, t) \
	TERM(0, Y8, s, t); \
	TERM(4, Y9, s, t); \
	TERM(8, Y10, s, t); \
	TERM(12, Y11, s, t); \
	TERM(16, Y0, s, t); \
	TERM(20, Y1, s, t); \
	TERM(24, Y2, s, t); \
	TERM(28, Y3, s, t)

#define TERMS8B(TERM, s, t) \
	TERM(32, Y8, s, t); \
	TERM(36, Y9, s, t); \
	TERM(40, Y10, s, t); \
	TERM(44, Y11, s, t); \
	TERM(48, Y0, s, t); \
	TERM(52, Y1, s, t); \
	TERM(56, Y2, s, t); \
	TERM(60, Y3, s, t)

// func narrow1f32avx512(blocks int, a unsafe.Pointer, lda int, b unsafe.Pointer, ldb int, c unsafe.Pointer, ldc int, update int)
TEXT ·narrow1f32avx512(SB), NOSPLIT, $0-64
	ARGS
	VXORPS Z24, Z24, Z24
loop:
	TURN16(LOADF32)
	TERMS16(TERM1)
	NEXT(64)
	DECQ R12
	JNZ  loop
	MOVQ update+56(FP), R12
	TESTQ R12, R12
	JZ   set
	VADDPS (DI), Z24, Z24
set:
	VMOVUPS Z24, (DI)
	VZEROUPPER
	RET

// func narrow2f32avx512(blocks int, a unsafe.Pointer, lda int, b unsafe.Pointer, ldb int, c unsafe.Pointer, ldc int, update int)
TEXT ·narrow2f32avx512(SB), NOSPLIT, $0-64
	ARGS
	VXORPS Z24, Z24, Z24
	VXORPS Z25, Z25, Z25
loop:
	TURN16(LOADF32)
	TERMS16(TERM2)
	NEXT(64)
	DECQ R12
	JNZ  loop
	MOVQ update+56(FP), R12
	TESTQ R12, R12
	JZ   set
	VADDPS (DI), Z24, Z24
	VADDPS (DI)(R11*1), Z25, Z25
set:
	VMOVUPS Z24, (DI)
	VMOVUPS Z25, (DI)(R11*1)
	VZEROUPPER
	RET

// func narrow4f32avx512(blocks int, a unsafe.Pointer, lda int, b unsafe.Pointer, ldb int, c unsafe.Pointer, ldc int, update int)
TEXT ·narrow4f32avx512(SB), NOSPLIT, $0-64
	ARGS
	VXORPS Z24, Z24, Z24
	VXORPS Z25, Z25, Z25
	VXORPS Z26, Z26, Z26
	VXORPS Z27, Z27, Z27
loop:
	TURN16(LOADF32)
	TERMS16(TERM4)
	NEXT(64)
	DECQ R12
	JNZ  loop
	MOVQ update+56(FP), R12
	TESTQ R12, R12
	JZ   set
	VADDPS (DI), Z24, Z24
	VADDPS (DI)(R11*1), Z25, Z25
	VADDPS (DI)(R11*2), Z26, Z26
	LEAQ (DI)(R11*2), R13
	VADDPS (R13)(R11*1), Z27, Z27
set:
	VMOVUPS Z24, (DI)
	VMOVUPS Z25, (DI)(R11*1)
	VMOVUPS Z26, (DI)(R11*2)
	LEAQ (DI)(R11*2), R13
	VMOVUPS Z27, (R13)(R11*1)
	VZEROUPPER
	RET

// func narrow1f32avx2(blocks int, a unsafe.Pointer, lda int, b unsafe.Pointer, ldb int, c unsafe.Pointer, ldc int, update int)
TEXT ·narrow1f32avx2(SB), NOSPLIT, $0-64
	ARGS
	VXORPS Y12, Y12, Y12
	VXORPS Y13, Y13, Y13
	VXORPS Y14, Y14, Y14
	VXORPS Y15, Y15, Y15
loop:
	TURN8(LOADF32, 0, AX, BX)
	TERMS8A(SLIMTERM1, Y12, Y14)
	TURN8(LOADF32, 0, DX, CX)
	TERMS8A(SLIMTERM1, Y13, Y15)
	TURN8(LOADF32, 32, AX, BX)
	TERMS8B(SLIMTERM1, Y12, Y14)
	TURN8(LOADF32, 32, DX, CX)
	TERMS8B(SLIMTERM1, Y13, Y15)
	NEXT(64)
	DECQ R12
	JNZ  loop
	MOVQ update+56(FP), R12
	TESTQ R12, R12
	JZ   set
	VADDPS (DI), Y12, Y12
	VADDPS 32(DI), Y13, Y13
set:
	VMOVUPS Y12, (DI)
	VMOVUPS Y13, 32(DI)
	VZEROUPPER
	RET

// func narrow2f32avx2(blocks int, a unsafe.Pointer, lda int, b unsafe.Pointer, ldb int, c unsafe.Pointer, ldc int, update int)
TEXT ·narrow2f32avx2(SB), NOSPLIT, $0-64
	ARGS
	VXORPS Y12, Y12, Y12
	VXORPS Y13, Y13, Y13
	VXORPS Y14, Y14, Y14
	VXORPS Y15, Y15, Y15
loop:
	TURN8(LOADF32, 0, AX, BX)
	TERMS8A(SLIMTERM2, Y12, Y14)
	TURN8(LOADF32, 0, DX, CX)
	TERMS8A(SLIMTERM2, Y13, Y15)
	TURN8(LOADF32, 32, AX, BX)
	TERMS8B(SLIMTERM2, Y12, Y14)
	TURN8(LOADF32, 32, DX, CX)
	TERMS8B(SLIMTERM2, Y13, Y15)
	NEXT(64)
	DECQ R12
	JNZ  loop
	MOVQ update+56(FP), R12
	TESTQ R12, R12
	JZ   set
	VADDPS (DI), Y12, Y12
	VADDPS 32(DI), Y13, Y13
	VADDPS (DI)(R11*1), Y14, Y14
	VADDPS 32(DI)(R11*1), Y15, Y15
set:
	VMOVUPS Y12, (DI)
	VMOVUPS Y13, 32(DI)
	VMOVUPS Y14, (DI)(R11*1)
	VMOVUPS Y15, 32(DI)(R11*1)
	VZEROUPPER
	RET

// func narrow1f16avx512(blocks int, a unsafe.Pointer, lda int, b unsafe.Pointer, ldb int, c unsafe.Pointer, ldc int, update int)
TEXT ·narrow1f16avx512(SB), NOSPLIT, $0-64
	ARGS
	VXORPS Z24, Z24, Z24
loop:
	TURN16(LOADF16)
	TERMS16(TERM1)
	NEXT(32)
	DECQ R12
	JNZ  loop
	MOVQ update+56(FP), R12
	TESTQ R12, R12
	JZ   set
	VADDPS (DI), Z24, Z24
set:
	VMOVUPS Z24, (DI)
	VZEROUPPER
	RET

// func narrow2f16avx512(blocks int, a unsafe.Pointer, lda int, b unsafe.Pointer, ldb int, c unsafe.Pointer, ldc int, update int)
TEXT ·narrow2f16avx512(SB), NOSPLIT, $0-64
	ARGS
	VXORPS Z24, Z24, Z24
	VXORPS Z25, Z25, Z25
loop:
	TURN16(LOADF16)
	TERMS16(TERM2)
	NEXT(32)
	DECQ R12
	JNZ  loop
	MOVQ update+56(FP), R12
	TESTQ R12, R12
	JZ   set
	VADDPS (DI), Z24, Z24
	VADDPS (DI)(R11*1), Z25, Z25
set:
	VMOVUPS Z24, (DI)
	VMOVUPS Z25, (DI)(R11*1)
	VZEROUPPER
	RET

// func narrow4f16avx512(blocks int, a unsafe.Pointer, lda int, b unsafe.Pointer, ldb int, c unsafe.Pointer, ldc int, update int)
TEXT ·narrow4f16avx512(SB), NOSPLIT, $0-64
	ARGS
	VXORPS Z24, Z24, Z24
	VXORPS Z25, Z25, Z25
	VXORPS Z26, Z26, Z26
	VXORPS Z27, Z27, Z27
loop:
	TURN16(LOADF16)
	TERMS16(TERM4)
	NEXT(32)
	DECQ R12
	JNZ  loop
	MOVQ update+56(FP), R12
	TESTQ R12, R12
	JZ   set
	VADDPS (DI), Z24, Z24
	VADDPS (DI)(R11*1), Z25, Z25
	VADDPS (DI)(R11*2), Z26, Z26
	LEAQ (DI)(R11*2), R13
	VADDPS (R13)(R11*1), Z27, Z27
set:
	VMOVUPS Z24, (DI)
	VMOVUPS Z25, (DI)(R11*1)
	VMOVUPS Z26, (DI)(R11*2)
	LEAQ (DI)(R11*2), R13
	VMOVUPS Z27, (R13)(R11*1)
	VZEROUPPER
	RET

// func narrow1f16avx2(blocks int, a unsafe.Pointer, lda int, b unsafe.Pointer, ldb int, c unsafe.Pointer, ldc int, update int)
TEXT ·narrow1f16avx2(SB), NOSPLIT, $0-64
	ARGS
	VXORPS Y12, Y12, Y12
	VXORPS Y13, Y13, Y13
	VXORPS Y14, Y14, Y14
	VXORPS Y15, Y15, Y15
loop:
	TURN8(LOADF16, 0, AX, BX)
	TERMS8A(SLIMTERM1, Y12, Y14)
	TURN8(LOADF16, 0, DX, CX)
	TERMS8A(SLIMTERM1, Y13, Y15)
	TURN8(LOADF16, 16, AX, BX)
	TERMS8B(SLIMTERM1, Y12, Y14)
	TURN8(LOADF16, 16, DX, CX)
	TERMS8B(SLIMTERM1, Y13, Y15)
	NEXT(32)
	DECQ R12
	JNZ  loop
	MOVQ update+56(FP), R12
	TESTQ R12, R12
	JZ   set
	VADDPS (DI), Y12, Y12
	VADDPS 32(DI), Y13, Y13
set:
	VMOVUPS Y12, (DI)
	VMOVUPS Y13, 32(DI)
	VZEROUPPER
	RET

// func narrow2f16avx2(blocks int, a unsafe.Pointer, lda int, b unsafe.Pointer, ldb int, c unsafe.Pointer, ldc int, update int)
TEXT ·narrow2f16avx2(SB), NOSPLIT, $0-64
	ARGS
	VXORPS Y12, Y12, Y12
	VXORPS Y13, Y13, Y13
	VXORPS Y14, Y14, Y14
	VXORPS Y15, Y15, Y15
loop:
	TURN8(LOADF16, 0, AX, BX)
	TERMS8A(SLIMTERM2, Y12, Y14)
	TURN8(LOADF16, 0, DX, CX)
	TERMS8A(SLIMTERM2, Y13, Y15)
	TURN8(LOADF16, 16, AX, BX)
	TERMS8B(SLIMTERM2, Y12, Y14)
	TURN8(LOADF16, 16, DX, CX)
	TERMS8B(SLIMTERM2, Y13, Y15)
	NEXT(32)
	DECQ R12
	JNZ  loop
	MOVQ update+56(FP), R12
	TESTQ R12, R12
	JZ   set
	VADDPS (DI), Y12, Y12
	VADDPS 32(DI), Y13, Y13
	VADDPS (DI)(R11*1), Y14, Y14
	VADDPS 32(DI)(R11*1), Y15, Y15
set:
	VMOVUPS Y12, (DI)
	VMOVUPS Y13, 32(DI)
	VMOVUPS Y14, (DI)(R11*1)
	VMOVUPS Y15, 32(DI)(R11*1)
	VZEROUPPER
	RET

// func narrow1bf16avx512(blocks int, a unsafe.Pointer, lda int, b unsafe.Pointer, ldb int, c unsafe.Pointer, ldc int, update int)
TEXT ·narrow1bf16avx512(SB), NOSPLIT, $0-64
	ARGS
	VXORPS Z24, Z24, Z24
loop:
	TURN16(LOADBF16)
	TERMS16(TERM1)
	NEXT(32)
	DECQ R12
	JNZ  loop
	MOVQ update+56(FP), R12
	TESTQ R12, R12
	JZ   set
	VADDPS (DI), Z24, Z24
set:
	VMOVUPS Z24, (DI)
	VZEROUPPER
	RET

// func narrow2bf16avx512(blocks int, a unsafe.Pointer, lda int, b unsafe.Pointer, ldb int, c unsafe.Pointer, ldc int, update int)
TEXT ·narrow2bf16avx512(SB), NOSPLIT, $0-64
	ARGS
	VXORPS Z24, Z24, Z24
	VXORPS Z25, Z25, Z25
loop:
	TURN16(LOADBF16)
	TERMS16(TERM2)
	NEXT(32)
	DECQ R12
	JNZ  loop
	MOVQ update+56(FP), R12
	TESTQ R12, R12
	JZ   set
	VADDPS (DI), Z24, Z24
	VADDPS (DI)(R11*1), Z25, Z25
set:
	VMOVUPS Z24, (DI)
	VMOVUPS Z25, (DI)(R11*1)
	VZEROUPPER
	RET

// func narrow4bf16avx512(blocks int, a unsafe.Pointer, lda int, b unsafe.Pointer, ldb int, c unsafe.Pointer, ldc int, update int)
TEXT ·narrow4bf16avx512(SB), NOSPLIT, $0-64
	ARGS
	VXORPS Z24, Z24, Z24
	VXORPS Z25, Z25, Z25
	VXORPS Z26, Z26, Z26
	VXORPS Z27, Z27, Z27
loop:
	TURN16(LOADBF16)
	TERMS16(TERM4)
	NEXT(32)
	DECQ R12
	JNZ  loop
	MOVQ update+56(FP), R12
	TESTQ R12, R12
	JZ   set
	VADDPS (DI), Z24, Z24
	VADDPS (DI)(R11*1), Z25, Z25
	VADDPS (DI)(R11*2), Z26, Z26
	LEAQ (DI)(R11*2), R13
	VADDPS (R13)(R11*1), Z27, Z27
set:
	VMOVUPS Z24, (DI)
	VMOVUPS Z25, (DI)(R11*1)
	VMOVUPS Z26, (DI)(R11*2)
	LEAQ (DI)(R11*2), R13
	VMOVUPS Z27, (R13)(R11*1)
	VZEROUPPER
	RET

// func narrow1bf16avx2(blocks int, a unsafe.Pointer, lda int, b unsafe.Pointer, ldb int, c unsafe.Pointer, ldc int, update int)
TEXT ·narrow1bf16avx2(SB), NOSPLIT, $0-64
	ARGS
	VXORPS Y12, Y12, Y12
	VXORPS Y13, Y13, Y13
	VXORPS Y14, Y14, Y14
	VXORPS Y15, Y15, Y15
loop:
	TURN8(LOADBF16, 0, AX, BX)
	TERMS8A(SLIMTERM1, Y12, Y14)
	TURN8(LOADBF16, 0, DX, CX)
	TERMS8A(SLIMTERM1, Y13, Y15)
	TURN8(LOADBF16, 16, AX, BX)
	TERMS8B(SLIMTERM1, Y12, Y14)
	TURN8(LOADBF16, 16, DX, CX)
	TERMS8B(SLIMTERM1, Y13, Y15)
	NEXT(32)
	DECQ R12
	JNZ  loop
	MOVQ update+56(FP), R12
	TESTQ R12, R12
	JZ   set
	VADDPS (DI), Y12, Y12
	VADDPS 32(DI), Y13, Y13
set:
	VMOVUPS Y12, (DI)
	VMOVUPS Y13, 32(DI)
	VZEROUPPER
	RET

// func narrow2bf16avx2(blocks int, a unsafe.Pointer, lda int, b unsafe.Pointer, ldb int, c unsafe.Pointer, ldc int, update int)
TEXT ·narrow2bf16avx2(SB), NOSPLIT, $0-64
	ARGS
	VXORPS Y12, Y12, Y12
	VXORPS Y13, Y13, Y13
	VXORPS Y14, Y14, Y14
	VXORPS Y15, Y15, Y15
loop:
	TURN8(LOADBF16, 0, AX, BX)
	TERMS8A(SLIMTERM2, Y12, Y14)
	TURN8(LOADBF16, 0, DX, CX)
	TERMS8A(SLIMTERM2, Y13, Y15)
	TURN8(LOADBF16, 16, AX, BX)
	TERMS8B(SLIMTERM2, Y12, Y14)
	TURN8(LOADBF16, 16, DX, CX)
	TERMS8B(SLIMTERM2, Y13, Y15)
	NEXT(32)
	DECQ R12
	JNZ  loop
	MOVQ update+56(FP), R12
	TESTQ R12, R12
	JZ   set
	VADDPS (DI), Y12, Y12
	VADDPS 32(DI), Y13, Y13
	VADDPS (DI)(R11*1), Y14, Y14
	VADDPS 32(DI)(R11*1), Y15, Y15
set:
	VMOVUPS Y12, (DI)
	VMOVUPS Y13, 32(DI)
	VMOVUPS Y14, (DI)(R11*1)
	VMOVUPS Y15, 32(DI)(R11*1)
	VZEROUPPER
	RET
