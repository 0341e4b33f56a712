#include "textflag.h"
#include "go_asm.h"
#include "kv_amd64.h"

// Attention for AVX2: as the kernels for AVX-512, with half as much in each
// register, and to the same bits. Y15 masks low halves of bytes.

#define HALVES(from, lo, hi) \
	VPMOVZXBD from, hi;    \
	VPAND     Y15, hi, lo; \
	VPSRLD    $4, hi, hi;  \
	VCVTDQ2PS lo, lo;      \
	VCVTDQ2PS hi, hi

#define BYTES(from, a) \
	VPMOVZXBD from, a; \
	VCVTDQ2PS a, a

#define ZERO4(a, b, c, d) \
	VXORPS a, a, a; \
	VXORPS b, b, b; \
	VXORPS c, c, c; \
	VXORPS d, d, d

// Scores of 4 rows and 16 positions: half b of row r in Y(4b+r).
#define DIM(at, a, b, u, v) \
	VBROADCASTSS at(DI), Y14; \
	VFMADD231PS  a, Y14, u;   \
	VFMADD231PS  b, Y14, v

#define DIM4(at, a, b) \
	DIM(at+0, a, b, Y0, Y4); \
	DIM(at+4, a, b, Y1, Y5); \
	DIM(at+8, a, b, Y2, Y6); \
	DIM(at+12, a, b, Y3, Y7)

#define NEXT(keys, queries) \
	ADDQ $keys, SI;    \
	ADDQ $queries, DI; \
	DECQ CX

#define SCALES(b) \
	MOVQ      BX, AX;          \
	VCVTPH2PS (16*b)(R10), Y8; \
	VCVTPH2PS (16*b)(R11), Y9

#define STORE(b, r, a) \
	VBROADCASTSS (4*r)(R13), Y10; \
	VMULPS       Y9, Y10, Y10;    \
	VFMADD231PS  Y8, a, Y10;      \
	VMOVUPS      Y10, (32*b)(AX); \
	ADDQ         R14, AX

#define ALL4 \
	SCALES(0);       \
	STORE(0, 0, Y0); \
	STORE(0, 1, Y1); \
	STORE(0, 2, Y2); \
	STORE(0, 3, Y3); \
	SCALES(1);       \
	STORE(1, 0, Y4); \
	STORE(1, 1, Y5); \
	STORE(1, 2, Y6); \
	STORE(1, 3, Y7); \
	LEAVE4

#define LEAVE4 \
	ADDQ $32, R10; \
	ADDQ $32, R11; \
	ADDQ $64, BX;  \
	DECQ R15

#define ALL1 \
	SCALES(0);       \
	STORE(0, 0, Y0); \
	SCALES(1);       \
	STORE(1, 0, Y1); \
	SCALES(2);       \
	STORE(2, 0, Y2); \
	SCALES(3);       \
	STORE(3, 0, Y3); \
	LEAVE1

#define LEAVE1 \
	ADDQ R8, SI;   \
	ADDQ $64, R10; \
	ADDQ $64, R11; \
	ADDQ $128, BX; \
	DECQ R15

#define PLAIN(a, b) \
	VMOVUPS a, (AX);   \
	VMOVUPS b, 32(AX); \
	ADDQ    R14, AX

#define DIM1(at, a, b, c, d) \
	DIM(at, a, b, Y0, Y1);  \
	VFMADD231PS c, Y14, Y2; \
	VFMADD231PS d, Y14, Y3

// func kvScore4x16q4avx2(a *kvScoreArgs)
TEXT ·kvScore4x16q4avx2(SB), NOSPLIT, $0-8
	KV_SCORE_ENTER
	VPBROADCASTD kvLow<>(SB), Y15
group:
	KV_SCORE_GROUP
	ZERO4(Y0, Y1, Y2, Y3)
	ZERO4(Y4, Y5, Y6, Y7)
step:
	HALVES((SI), Y8, Y10)
	HALVES(8(SI), Y9, Y11)
	DIM4(0, Y8, Y9)
	DIM4(16, Y10, Y11)
	NEXT(16, 32)
	JNZ step
	ALL4
	JNZ group
	VZEROUPPER
	RET

// func kvScore4x16q8avx2(a *kvScoreArgs)
TEXT ·kvScore4x16q8avx2(SB), NOSPLIT, $0-8
	KV_SCORE_ENTER
group:
	KV_SCORE_GROUP
	ZERO4(Y0, Y1, Y2, Y3)
	ZERO4(Y4, Y5, Y6, Y7)
step:
	BYTES((SI), Y8)
	BYTES(8(SI), Y9)
	DIM4(0, Y8, Y9)
	NEXT(16, 16)
	JNZ step
	ALL4
	JNZ group
	VZEROUPPER
	RET

// func kvScore4x16f32avx2(a *kvScoreArgs)
TEXT ·kvScore4x16f32avx2(SB), NOSPLIT, $0-8
	KV_SCORE_ENTER
group:
	KV_SCORE_GROUP
	ZERO4(Y0, Y1, Y2, Y3)
	ZERO4(Y4, Y5, Y6, Y7)
step:
	VMOVUPS (SI), Y8
	VMOVUPS 32(SI), Y9
	DIM4(0, Y8, Y9)
	NEXT(64, 16)
	JNZ step
	MOVQ BX, AX
	PLAIN(Y0, Y4)
	PLAIN(Y1, Y5)
	PLAIN(Y2, Y6)
	PLAIN(Y3, Y7)
	LEAVE4
	JNZ group
	VZEROUPPER
	RET

// func kvScore1x32q4avx2(a *kvScoreArgs)
TEXT ·kvScore1x32q4avx2(SB), NOSPLIT, $0-8
	KV_SCORE_ENTER
	VPBROADCASTD kvLow<>(SB), Y15
group:
	KV_SCORE_GROUP
	ZERO4(Y0, Y1, Y2, Y3)
step:
	HALVES((SI), Y4, Y8)
	HALVES(8(SI), Y5, Y9)
	HALVES((SI)(R8*1), Y6, Y10)
	HALVES(8(SI)(R8*1), Y7, Y11)
	DIM1(0, Y4, Y5, Y6, Y7)
	DIM1(4, Y8, Y9, Y10, Y11)
	NEXT(16, 8)
	JNZ step
	ALL1
	JNZ group
	VZEROUPPER
	RET

// func kvScore1x32q8avx2(a *kvScoreArgs)
TEXT ·kvScore1x32q8avx2(SB), NOSPLIT, $0-8
	KV_SCORE_ENTER
group:
	KV_SCORE_GROUP
	ZERO4(Y0, Y1, Y2, Y3)
step:
	BYTES((SI), Y4)
	BYTES(8(SI), Y5)
	BYTES((SI)(R8*1), Y6)
	BYTES(8(SI)(R8*1), Y7)
	DIM1(0, Y4, Y5, Y6, Y7)
	NEXT(16, 4)
	JNZ step
	ALL1
	JNZ group
	VZEROUPPER
	RET

// func kvScore1x32f32avx2(a *kvScoreArgs)
TEXT ·kvScore1x32f32avx2(SB), NOSPLIT, $0-8
	KV_SCORE_ENTER
group:
	KV_SCORE_GROUP
	ZERO4(Y0, Y1, Y2, Y3)
step:
	VMOVUPS (SI), Y4
	VMOVUPS 32(SI), Y5
	VMOVUPS (SI)(R8*1), Y6
	VMOVUPS 32(SI)(R8*1), Y7
	DIM1(0, Y4, Y5, Y6, Y7)
	NEXT(64, 4)
	JNZ step
	VMOVUPS Y0, (BX)
	VMOVUPS Y1, 32(BX)
	VMOVUPS Y2, 64(BX)
	VMOVUPS Y3, 96(BX)
	LEAVE1
	JNZ group
	VZEROUPPER
	RET

// Values: 4 rows of 8 + 8 dimensions, Y(4v+r), or one row of 32.
#define LOAD2(a, b) \
	VMOVUPS (AX), a;   \
	VMOVUPS 64(AX), b; \
	ADDQ    R13, AX

#define SAVE2(a, b) \
	VMOVUPS a, (AX);   \
	VMOVUPS b, 64(AX); \
	ADDQ    R13, AX

#define LOAD4ROWS \
	MOVQ DI, AX;   \
	LOAD2(Y0, Y4); \
	LOAD2(Y1, Y5); \
	LOAD2(Y2, Y6); \
	LOAD2(Y3, Y7)

#define SAVE4ROWS \
	MOVQ DI, AX;   \
	SAVE2(Y0, Y4); \
	SAVE2(Y1, Y5); \
	SAVE2(Y2, Y6); \
	SAVE2(Y3, Y7)

#define ADD2(w, a, b) \
	VBROADCASTSS w, Y14;      \
	VFMADD231PS  Y8, Y14, a;  \
	VFMADD231PS  Y9, Y14, b

#define ADD4ROWS \
	ADD2((BX), Y0, Y4);        \
	ADD2((BX)(R14*1), Y1, Y5); \
	ADD2((BX)(R14*2), Y2, Y6); \
	ADD2((R10), Y3, Y7)

#define LOAD1ROW \
	VMOVUPS (DI), Y0;   \
	VMOVUPS 32(DI), Y1; \
	VMOVUPS 64(DI), Y2; \
	VMOVUPS 96(DI), Y3

#define SAVE1ROW \
	VMOVUPS Y0, (DI);   \
	VMOVUPS Y1, 32(DI); \
	VMOVUPS Y2, 64(DI); \
	VMOVUPS Y3, 96(DI)

#define ADD1ROW \
	VBROADCASTSS (BX), Y14;    \
	VFMADD231PS  Y8, Y14, Y0;  \
	VFMADD231PS  Y9, Y14, Y1;  \
	VFMADD231PS  Y10, Y14, Y2; \
	VFMADD231PS  Y11, Y14, Y3

// func kvCombine4x16q4avx2(a *kvCombineArgs)
TEXT ·kvCombine4x16q4avx2(SB), NOSPLIT, $0-8
	KV_COMBINE_ENTER
	VPBROADCASTD kvLow<>(SB), Y15
	LOAD4ROWS
value:
	HALVES((SI), Y8, Y9)
	ADD4ROWS
	KV_COMBINE_NEXT
	JNZ value
	SAVE4ROWS
	VZEROUPPER
	RET

// func kvCombine4x16q8avx2(a *kvCombineArgs)
TEXT ·kvCombine4x16q8avx2(SB), NOSPLIT, $0-8
	KV_COMBINE_ENTER
	LOAD4ROWS
value:
	BYTES((SI), Y8)
	BYTES(16(SI), Y9)
	ADD4ROWS
	KV_COMBINE_NEXT
	JNZ value
	SAVE4ROWS
	VZEROUPPER
	RET

// func kvCombine4x16f32avx2(a *kvCombineArgs)
TEXT ·kvCombine4x16f32avx2(SB), NOSPLIT, $0-8
	KV_COMBINE_ENTER
	LOAD4ROWS
value:
	VMOVUPS (SI), Y8
	VMOVUPS 64(SI), Y9
	ADD4ROWS
	KV_COMBINE_NEXT
	JNZ value
	SAVE4ROWS
	VZEROUPPER
	RET

// func kvCombine1x32q4avx2(a *kvCombineArgs)
TEXT ·kvCombine1x32q4avx2(SB), NOSPLIT, $0-8
	KV_COMBINE_ENTER
	VPBROADCASTD kvLow<>(SB), Y15
	LOAD1ROW
value:
	HALVES((SI), Y8, Y10)
	HALVES(8(SI), Y9, Y11)
	ADD1ROW
	KV_COMBINE_NEXT
	JNZ value
	SAVE1ROW
	VZEROUPPER
	RET

// func kvCombine1x32q8avx2(a *kvCombineArgs)
TEXT ·kvCombine1x32q8avx2(SB), NOSPLIT, $0-8
	KV_COMBINE_ENTER
	LOAD1ROW
value:
	BYTES((SI), Y8)
	BYTES(8(SI), Y9)
	BYTES(16(SI), Y10)
	BYTES(24(SI), Y11)
	ADD1ROW
	KV_COMBINE_NEXT
	JNZ value
	SAVE1ROW
	VZEROUPPER
	RET

// func kvCombine1x32f32avx2(a *kvCombineArgs)
TEXT ·kvCombine1x32f32avx2(SB), NOSPLIT, $0-8
	KV_COMBINE_ENTER
	LOAD1ROW
value:
	VMOVUPS (SI), Y8
	VMOVUPS 32(SI), Y9
	VMOVUPS 64(SI), Y10
	VMOVUPS 96(SI), Y11
	ADD1ROW
	KV_COMBINE_NEXT
	JNZ value
	SAVE1ROW
	VZEROUPPER
	RET

// func kvWeightsavx2(p, scale, minimum, lanes unsafe.Pointer, blocks int)
TEXT ·kvWeightsavx2(SB), NOSPLIT, $0-40
	MOVQ         p+0(FP), DI
	MOVQ         scale+8(FP), SI
	MOVQ         minimum+16(FP), DX
	MOVQ         lanes+24(FP), BX
	MOVQ         blocks+32(FP), CX
	VMOVUPS      (BX), Y0
	VMOVUPS      32(BX), Y1
	VBROADCASTSS kvLeast<>(SB), Y2

#define WEIGHTS(at, lanes) \
	VMOVUPS   (2*at)(DI), Y3;   \
	VCMPPS    $21, Y2, Y3, Y4;  \
	VANDPS    Y4, Y3, Y3;       \
	VCVTPH2PS at(DX), Y4;       \
	VCVTPH2PS at(SI), Y5;       \
	VMULPS    Y4, Y3, Y4;       \
	VADDPS    Y4, lanes, lanes; \
	VMULPS    Y5, Y3, Y5;       \
	VMOVUPS   Y5, (2*at)(DI)
loop:
	WEIGHTS(0, Y0)
	WEIGHTS(16, Y1)
	ADDQ    $64, DI
	ADDQ    $32, SI
	ADDQ    $32, DX
	DECQ    CX
	JNZ     loop
	VMOVUPS Y0, (BX)
	VMOVUPS Y1, 32(BX)
	VZEROUPPER
	RET
