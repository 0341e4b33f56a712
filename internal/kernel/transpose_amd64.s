#include "textflag.h"

// Transpositions, with widening on the way: the source has rows of float32,
// binary16 or bfloat16, the destination columns of float32.
//
//	for j < 16·blocks (or 8·blocks), i < 16 (or 8):
//	    dst[j·ldd + i] = wide(src[i·lds + j])
//
// Strides are in bytes. AX, BX, DX, CX are rows 0, 4, 8, 12 of the source,
// R8 lds, R9 3·lds; DI is the destination, R11 ldd, R13 3·ldd; R12 counts blocks.

#define ARGS \
	MOVQ dst+0(FP), DI; \
	MOVQ ldd+8(FP), R11; \
	MOVQ src+16(FP), AX; \
	MOVQ lds+24(FP), R8; \
	MOVQ blocks+32(FP), R12; \
	LEAQ (R8)(R8*2), R9; \
	LEAQ (AX)(R8*4), BX; \
	LEAQ (AX)(R8*8), DX; \
	LEAQ (BX)(R8*8), CX; \
	LEAQ (R11)(R11*2), R13

// Four rows from p become u0…u3: in 128-bit lane l, u(q) holds column 4·l+q of
// the four rows.
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

// Columns q, 4+q, 8+q, 12+q from the u(q) of the four quartets.
#define COLUMNS(a, b, c, d) \
	VSHUFF32X4 $0x88, b, a, Z16; \
	VSHUFF32X4 $0x88, d, c, Z17; \
	VSHUFF32X4 $0xdd, b, a, Z18; \
	VSHUFF32X4 $0xdd, d, c, Z19; \
	VSHUFF32X4 $0x88, Z17, Z16, Z20; \
	VSHUFF32X4 $0x88, Z19, Z18, Z21; \
	VSHUFF32X4 $0xdd, Z17, Z16, Z22; \
	VSHUFF32X4 $0xdd, Z19, Z18, Z23; \
	VMOVUPS Z20, (DI); \
	VMOVUPS Z21, (DI)(R11*4); \
	VMOVUPS Z22, (DI)(R11*8); \
	VMOVUPS Z23, (DI)(R13*4); \
	ADDQ R11, DI

#define BLOCK16(LOAD, bytes) \
	QUARTET(LOAD, AX, Z0, Z1, Z2, Z3); \
	QUARTET(LOAD, BX, Z4, Z5, Z6, Z7); \
	QUARTET(LOAD, DX, Z8, Z9, Z10, Z11); \
	QUARTET(LOAD, CX, Z12, Z13, Z14, Z15); \
	COLUMNS(Z0, Z4, Z8, Z12); \
	COLUMNS(Z1, Z5, Z9, Z13); \
	COLUMNS(Z2, Z6, Z10, Z14); \
	COLUMNS(Z3, Z7, Z11, Z15); \
	LEAQ (DI)(R13*4), DI; \
	ADDQ $bytes, AX; \
	ADDQ $bytes, BX; \
	ADDQ $bytes, DX; \
	ADDQ $bytes, CX

#define LOADF32(mem, r) VMOVUPS mem, r
#define LOADF16(mem, r) VCVTPH2PS mem, r
#define LOADBF16(mem, r) VPMOVZXWD mem, r; VPSLLD $16, r, r

// Eight rows, eight columns.
#define BLOCK8(LOAD, bytes) \
	LOAD((AX), Y0); \
	LOAD((AX)(R8*1), Y1); \
	LOAD((AX)(R8*2), Y2); \
	LOAD((AX)(R9*1), Y3); \
	LOAD((BX), Y4); \
	LOAD((BX)(R8*1), Y5); \
	LOAD((BX)(R8*2), Y6); \
	LOAD((BX)(R9*1), Y7); \
	VUNPCKLPS Y1, Y0, Y8; \
	VUNPCKHPS Y1, Y0, Y9; \
	VUNPCKLPS Y3, Y2, Y10; \
	VUNPCKHPS Y3, Y2, Y11; \
	VUNPCKLPS Y5, Y4, Y12; \
	VUNPCKHPS Y5, Y4, Y13; \
	VUNPCKLPS Y7, Y6, Y14; \
	VUNPCKHPS Y7, Y6, Y15; \
	VUNPCKLPD Y10, Y8, Y0; \
	VUNPCKHPD Y10, Y8, Y1; \
	VUNPCKLPD Y11, Y9, Y2; \
	VUNPCKHPD Y11, Y9, Y3; \
	VUNPCKLPD Y14, Y12, Y4; \
	VUNPCKHPD Y14, Y12, Y5; \
	VUNPCKLPD Y15, Y13, Y6; \
	VUNPCKHPD Y15, Y13, Y7; \
	VPERM2F128 $0x20, Y4, Y0, Y8; \
	VPERM2F128 $0x20, Y5, Y1, Y9; \
	VPERM2F128 $0x20, Y6, Y2, Y10; \
	VPERM2F128 $0x20, Y7, Y3, Y11; \
	VPERM2F128 $0x31, Y4, Y0, Y12; \
	VPERM2F128 $0x31, Y5, Y1, Y13; \
	VPERM2F128 $0x31, Y6, Y2, Y14; \
	VPERM2F128 $0x31, Y7, Y3, Y15; \
	LEAQ (DI)(R11*4), SI; \
	VMOVUPS Y8, (DI); \
	VMOVUPS Y9, (DI)(R11*1); \
	VMOVUPS Y10, (DI)(R11*2); \
	VMOVUPS Y11, (DI)(R13*1); \
	VMOVUPS Y12, (SI); \
	VMOVUPS Y13, (SI)(R11*1); \
	VMOVUPS Y14, (SI)(R11*2); \
	VMOVUPS Y15, (SI)(R13*1); \
	LEAQ (DI)(R11*8), DI; \
	ADDQ $bytes, AX; \
	ADDQ $bytes, BX

// func transpose16f32avx512(dst unsafe.Pointer, ldd int, src unsafe.Pointer, lds, blocks int)
TEXT ·transpose16f32avx512(SB), NOSPLIT, $0-40
	ARGS
loop:
	BLOCK16(LOADF32, 64)
	DECQ R12
	JNZ  loop
	VZEROUPPER
	RET

// func transpose16f16avx512(dst unsafe.Pointer, ldd int, src unsafe.Pointer, lds, blocks int)
TEXT ·transpose16f16avx512(SB), NOSPLIT, $0-40
	ARGS
loop:
	BLOCK16(LOADF16, 32)
	DECQ R12
	JNZ  loop
	VZEROUPPER
	RET

// func transpose16bf16avx512(dst unsafe.Pointer, ldd int, src unsafe.Pointer, lds, blocks int)
TEXT ·transpose16bf16avx512(SB), NOSPLIT, $0-40
	ARGS
loop:
	BLOCK16(LOADBF16, 32)
	DECQ R12
	JNZ  loop
	VZEROUPPER
	RET

// func transpose8f32avx2(dst unsafe.Pointer, ldd int, src unsafe.Pointer, lds, blocks int)
TEXT ·transpose8f32avx2(SB), NOSPLIT, $0-40
	ARGS
loop:
	BLOCK8(LOADF32, 32)
	DECQ R12
	JNZ  loop
	VZEROUPPER
	RET

// func transpose8f16avx2(dst unsafe.Pointer, ldd int, src unsafe.Pointer, lds, blocks int)
TEXT ·transpose8f16avx2(SB), NOSPLIT, $0-40
	ARGS
loop:
	BLOCK8(LOADF16, 16)
	DECQ R12
	JNZ  loop
	VZEROUPPER
	RET

// func transpose8bf16avx2(dst unsafe.Pointer, ldd int, src unsafe.Pointer, lds, blocks int)
TEXT ·transpose8bf16avx2(SB), NOSPLIT, $0-40
	ARGS
loop:
	BLOCK8(LOADBF16, 16)
	DECQ R12
	JNZ  loop
	VZEROUPPER
	RET

// Four rows, four columns of float64.
#define BLOCK4D \
	VMOVUPD (AX), Y0; \
	VMOVUPD (AX)(R8*1), Y1; \
	VMOVUPD (AX)(R8*2), Y2; \
	VMOVUPD (AX)(R9*1), Y3; \
	VUNPCKLPD Y1, Y0, Y4; \
	VUNPCKHPD Y1, Y0, Y5; \
	VUNPCKLPD Y3, Y2, Y6; \
	VUNPCKHPD Y3, Y2, Y7; \
	VPERM2F128 $0x20, Y6, Y4, Y8; \
	VPERM2F128 $0x20, Y7, Y5, Y9; \
	VPERM2F128 $0x31, Y6, Y4, Y10; \
	VPERM2F128 $0x31, Y7, Y5, Y11; \
	VMOVUPD Y8, (DI); \
	VMOVUPD Y9, (DI)(R11*1); \
	VMOVUPD Y10, (DI)(R11*2); \
	VMOVUPD Y11, (DI)(R13*1); \
	LEAQ (DI)(R11*4), DI; \
	ADDQ $32, AX

// func transpose4f64avx2(dst unsafe.Pointer, ldd int, src unsafe.Pointer, lds, blocks int)
TEXT ·transpose4f64avx2(SB), NOSPLIT, $0-40
	ARGS
loop:
	BLOCK4D
	DECQ R12
	JNZ  loop
	VZEROUPPER
	RET
