#include "textflag.h"
#include "go_asm.h"
#include "kv_amd64.h"

// Queries times keys for AVX-512: kernels of rows × positions. The sums of row r
// and block b are in Z(rows·b+r); Z16 holds the values of a half byte, Z17…Z20
// bytes of each block, Z21…Z24 their keys, Z28…Z30 are temporary.

#define ZERO4(a, b, c, d) \
	VPXORD a, a, a; \
	VPXORD b, b, b; \
	VPXORD c, c, c; \
	VPXORD d, d, d

#define ZERO16 \
	ZERO4(Z0, Z1, Z2, Z3);   \
	ZERO4(Z4, Z5, Z6, Z7);   \
	ZERO4(Z8, Z9, Z10, Z11); \
	ZERO4(Z12, Z13, Z14, Z15)

// Bytes of two or four blocks, and the keys of low and high halves.
#define BYTES2 \
	VPMOVZXBD (SI), Z17; \
	VPMOVZXBD (SI)(R8*1), Z18

#define BYTES4 \
	BYTES2;                    \
	VPMOVZXBD (SI)(R8*2), Z19; \
	VPMOVZXBD (SI)(R9*1), Z20

#define HALF2 \
	VPERMPS Z16, Z17, Z21; \
	VPERMPS Z16, Z18, Z22

#define HALF4 \
	HALF2;                 \
	VPERMPS Z16, Z19, Z23; \
	VPERMPS Z16, Z20, Z24

#define SHIFT2 \
	VPSRLD $4, Z17, Z17; \
	VPSRLD $4, Z18, Z18

#define SHIFT4 \
	SHIFT2;              \
	VPSRLD $4, Z19, Z19; \
	VPSRLD $4, Z20, Z20

#define CONVERT2 \
	VCVTDQ2PS Z17, Z21; \
	VCVTDQ2PS Z18, Z22

#define CONVERT4 \
	CONVERT2;           \
	VCVTDQ2PS Z19, Z23; \
	VCVTDQ2PS Z20, Z24

#define FLOATS2 \
	VMOVUPS (SI), Z21; \
	VMOVUPS (SI)(R8*1), Z22

#define FLOATS4 \
	FLOATS2;                 \
	VMOVUPS (SI)(R8*2), Z23; \
	VMOVUPS (SI)(R9*1), Z24

// One dimension, its queries at `at`.
#define ADD2(at, a, b) \
	VBROADCASTSS at(DI), Z25; \
	VFMADD231PS  Z21, Z25, a; \
	VFMADD231PS  Z22, Z25, b

#define ADD4(at, a, b, c, d) \
	ADD2(at, a, b);           \
	VFMADD231PS Z23, Z25, c; \
	VFMADD231PS Z24, Z25, d

#define DIM8(at) \
	ADD2(at+0, Z0, Z8);   \
	ADD2(at+4, Z1, Z9);   \
	ADD2(at+8, Z2, Z10);  \
	ADD2(at+12, Z3, Z11); \
	ADD2(at+16, Z4, Z12); \
	ADD2(at+20, Z5, Z13); \
	ADD2(at+24, Z6, Z14); \
	ADD2(at+28, Z7, Z15)

#define DIM4(at) \
	ADD4(at+0, Z0, Z4, Z8, Z12); \
	ADD4(at+4, Z1, Z5, Z9, Z13); \
	ADD4(at+8, Z2, Z6, Z10, Z14); \
	ADD4(at+12, Z3, Z7, Z11, Z15)

#define DIM2(at) \
	ADD4(at+0, Z0, Z2, Z4, Z6); \
	ADD4(at+4, Z1, Z3, Z5, Z7)

#define DIM1(at) \
	ADD4(at, Z0, Z1, Z2, Z3)

#define NEXT(keys, queries) \
	ADDQ $keys, SI;    \
	ADDQ $queries, DI; \
	DECQ CX

// Storing the sums, with scales and minima of block b or as they are.
#define SCALES(b) \
	MOVQ      BX, AX;          \
	VCVTPH2PS (32*b)(R10), Z28; \
	VCVTPH2PS (32*b)(R11), Z29

#define STORE(b, r, a) \
	VMULPS.BCST (4*r)(R13), Z29, Z30; \
	VFMADD231PS Z28, a, Z30;          \
	VMOVUPS     Z30, (64*b)(AX);      \
	ADDQ        R14, AX

#define STORE8(b, a0, a1, a2, a3, a4, a5, a6, a7) \
	SCALES(b);      \
	STORE(b, 0, a0); \
	STORE(b, 1, a1); \
	STORE(b, 2, a2); \
	STORE(b, 3, a3); \
	STORE(b, 4, a4); \
	STORE(b, 5, a5); \
	STORE(b, 6, a6); \
	STORE(b, 7, a7)

#define STORE4(b, a0, a1, a2, a3) \
	SCALES(b);      \
	STORE(b, 0, a0); \
	STORE(b, 1, a1); \
	STORE(b, 2, a2); \
	STORE(b, 3, a3)

#define STORE2(b, a0, a1) \
	SCALES(b);      \
	STORE(b, 0, a0); \
	STORE(b, 1, a1)

#define STORE1(b, a0) \
	SCALES(b);      \
	STORE(b, 0, a0)

#define PLAIN(a0, a1) \
	VMOVUPS a0, (AX);   \
	VMOVUPS a1, 64(AX); \
	ADDQ    R14, AX

#define PLAIN4(a0, a1, a2, a3) \
	VMOVUPS a2, 128(AX); \
	VMOVUPS a3, 192(AX); \
	PLAIN(a0, a1)

#define LEAVE8 \
	ADDQ R8, SI;   \
	ADDQ $64, R10; \
	ADDQ $64, R11; \
	ADDQ $128, BX; \
	DECQ R15

#define LEAVE4 \
	ADDQ R9, SI;    \
	ADDQ $128, R10; \
	ADDQ $128, R11; \
	ADDQ $256, BX;  \
	DECQ R15

#define ALL8 \
	STORE8(0, Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7);       \
	STORE8(1, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15); \
	LEAVE8

#define ALL4 \
	STORE4(0, Z0, Z1, Z2, Z3);     \
	STORE4(1, Z4, Z5, Z6, Z7);     \
	STORE4(2, Z8, Z9, Z10, Z11);   \
	STORE4(3, Z12, Z13, Z14, Z15); \
	LEAVE4

#define ALL2 \
	STORE2(0, Z0, Z1); \
	STORE2(1, Z2, Z3); \
	STORE2(2, Z4, Z5); \
	STORE2(3, Z6, Z7); \
	LEAVE4

#define ALL1 \
	STORE1(0, Z0); \
	STORE1(1, Z1); \
	STORE1(2, Z2); \
	STORE1(3, Z3); \
	LEAVE4

// func kvScore8x32q4avx512(a *kvScoreArgs)
TEXT ·kvScore8x32q4avx512(SB), NOSPLIT, $0-8
	KV_SCORE_ENTER
	VMOVUPS kvNibbles<>(SB), Z16
group:
	KV_SCORE_GROUP
	ZERO16
step:
	BYTES2
	HALF2
	DIM8(0)
	SHIFT2
	HALF2
	DIM8(32)
	NEXT(16, 64)
	JNZ step
	ALL8
	JNZ group
	VZEROUPPER
	RET

// func kvScore8x32q8avx512(a *kvScoreArgs)
TEXT ·kvScore8x32q8avx512(SB), NOSPLIT, $0-8
	KV_SCORE_ENTER
group:
	KV_SCORE_GROUP
	ZERO16
step:
	BYTES2
	CONVERT2
	DIM8(0)
	NEXT(16, 32)
	JNZ step
	ALL8
	JNZ group
	VZEROUPPER
	RET

// func kvScore8x32f32avx512(a *kvScoreArgs)
TEXT ·kvScore8x32f32avx512(SB), NOSPLIT, $0-8
	KV_SCORE_ENTER
group:
	KV_SCORE_GROUP
	ZERO16
step:
	FLOATS2
	DIM8(0)
	NEXT(64, 32)
	JNZ step
	MOVQ BX, AX
	PLAIN(Z0, Z8)
	PLAIN(Z1, Z9)
	PLAIN(Z2, Z10)
	PLAIN(Z3, Z11)
	PLAIN(Z4, Z12)
	PLAIN(Z5, Z13)
	PLAIN(Z6, Z14)
	PLAIN(Z7, Z15)
	LEAVE8
	JNZ group
	VZEROUPPER
	RET

// func kvScore4x64q4avx512(a *kvScoreArgs)
TEXT ·kvScore4x64q4avx512(SB), NOSPLIT, $0-8
	KV_SCORE_ENTER
	VMOVUPS kvNibbles<>(SB), Z16
group:
	KV_SCORE_GROUP
	ZERO16
step:
	BYTES4
	HALF4
	DIM4(0)
	SHIFT4
	HALF4
	DIM4(16)
	NEXT(16, 32)
	JNZ step
	ALL4
	JNZ group
	VZEROUPPER
	RET

// func kvScore4x64q8avx512(a *kvScoreArgs)
TEXT ·kvScore4x64q8avx512(SB), NOSPLIT, $0-8
	KV_SCORE_ENTER
group:
	KV_SCORE_GROUP
	ZERO16
step:
	BYTES4
	CONVERT4
	DIM4(0)
	NEXT(16, 16)
	JNZ step
	ALL4
	JNZ group
	VZEROUPPER
	RET

// func kvScore4x64f32avx512(a *kvScoreArgs)
TEXT ·kvScore4x64f32avx512(SB), NOSPLIT, $0-8
	KV_SCORE_ENTER
group:
	KV_SCORE_GROUP
	ZERO16
step:
	FLOATS4
	DIM4(0)
	NEXT(64, 16)
	JNZ step
	MOVQ BX, AX
	PLAIN4(Z0, Z4, Z8, Z12)
	PLAIN4(Z1, Z5, Z9, Z13)
	PLAIN4(Z2, Z6, Z10, Z14)
	PLAIN4(Z3, Z7, Z11, Z15)
	LEAVE4
	JNZ group
	VZEROUPPER
	RET

// func kvScore2x64q4avx512(a *kvScoreArgs)
TEXT ·kvScore2x64q4avx512(SB), NOSPLIT, $0-8
	KV_SCORE_ENTER
	VMOVUPS kvNibbles<>(SB), Z16
group:
	KV_SCORE_GROUP
	ZERO4(Z0, Z1, Z2, Z3)
	ZERO4(Z4, Z5, Z6, Z7)
step:
	BYTES4
	HALF4
	DIM2(0)
	SHIFT4
	HALF4
	DIM2(8)
	NEXT(16, 16)
	JNZ step
	ALL2
	JNZ group
	VZEROUPPER
	RET

// func kvScore2x64q8avx512(a *kvScoreArgs)
TEXT ·kvScore2x64q8avx512(SB), NOSPLIT, $0-8
	KV_SCORE_ENTER
group:
	KV_SCORE_GROUP
	ZERO4(Z0, Z1, Z2, Z3)
	ZERO4(Z4, Z5, Z6, Z7)
step:
	BYTES4
	CONVERT4
	DIM2(0)
	NEXT(16, 8)
	JNZ step
	ALL2
	JNZ group
	VZEROUPPER
	RET

// func kvScore2x64f32avx512(a *kvScoreArgs)
TEXT ·kvScore2x64f32avx512(SB), NOSPLIT, $0-8
	KV_SCORE_ENTER
group:
	KV_SCORE_GROUP
	ZERO4(Z0, Z1, Z2, Z3)
	ZERO4(Z4, Z5, Z6, Z7)
step:
	FLOATS4
	DIM2(0)
	NEXT(64, 8)
	JNZ step
	MOVQ BX, AX
	PLAIN4(Z0, Z2, Z4, Z6)
	PLAIN4(Z1, Z3, Z5, Z7)
	LEAVE4
	JNZ group
	VZEROUPPER
	RET

// func kvScore1x64q4avx512(a *kvScoreArgs)
TEXT ·kvScore1x64q4avx512(SB), NOSPLIT, $0-8
	KV_SCORE_ENTER
	VMOVUPS kvNibbles<>(SB), Z16
group:
	KV_SCORE_GROUP
	ZERO4(Z0, Z1, Z2, Z3)
step:
	BYTES4
	HALF4
	DIM1(0)
	SHIFT4
	HALF4
	DIM1(4)
	NEXT(16, 8)
	JNZ step
	ALL1
	JNZ group
	VZEROUPPER
	RET

// func kvScore1x64q8avx512(a *kvScoreArgs)
TEXT ·kvScore1x64q8avx512(SB), NOSPLIT, $0-8
	KV_SCORE_ENTER
group:
	KV_SCORE_GROUP
	ZERO4(Z0, Z1, Z2, Z3)
step:
	BYTES4
	CONVERT4
	DIM1(0)
	NEXT(16, 4)
	JNZ step
	ALL1
	JNZ group
	VZEROUPPER
	RET

// func kvScore1x64f32avx512(a *kvScoreArgs)
TEXT ·kvScore1x64f32avx512(SB), NOSPLIT, $0-8
	KV_SCORE_ENTER
group:
	KV_SCORE_GROUP
	ZERO4(Z0, Z1, Z2, Z3)
step:
	FLOATS4
	DIM1(0)
	NEXT(64, 4)
	JNZ step
	MOVQ BX, AX
	PLAIN4(Z0, Z1, Z2, Z3)
	LEAVE4
	JNZ group
	VZEROUPPER
	RET
