#include "textflag.h"
#include "go_asm.h"
#include "kv_amd64.h"

// Weights times values for AVX-512: kernels of rows × dimensions, which add to
// the sums. Vector v of row r is in Z(rows·v+r); Z16 holds the values of a half
// byte, Z17…Z20 the vectors of a value.

#define NIBBLES(at, lo, hi) \
	VPMOVZXBD at(SI), hi;   \
	VPERMPS   Z16, hi, lo;  \
	VPSRLD    $4, hi, hi;   \
	VPERMPS   Z16, hi, hi

#define BYTES(at, a, b) \
	VPMOVZXBD at(SI), a;    \
	VPMOVZXBD at+16(SI), b; \
	VCVTDQ2PS a, a;         \
	VCVTDQ2PS b, b

#define FLOATS(at, a, b) \
	VMOVUPS at(SI), a; \
	VMOVUPS at+64(SI), b

// Rows of the sums in and out.
#define LOAD2(a, b) \
	VMOVUPS (AX), a;   \
	VMOVUPS 64(AX), b; \
	ADDQ    R13, AX

#define SAVE2(a, b) \
	VMOVUPS a, (AX);   \
	VMOVUPS b, 64(AX); \
	ADDQ    R13, AX

#define ADD2(w, a, b) \
	VBROADCASTSS w, Z21;      \
	VFMADD231PS  Z17, Z21, a; \
	VFMADD231PS  Z18, Z21, b

#define LOAD2ROWS \
	MOVQ DI, AX;   \
	LOAD2(Z0, Z2); \
	LOAD2(Z1, Z3)

#define LOAD4ROWS \
	MOVQ DI, AX;   \
	LOAD2(Z0, Z4); \
	LOAD2(Z1, Z5); \
	LOAD2(Z2, Z6); \
	LOAD2(Z3, Z7)

#define LOAD8ROWS \
	MOVQ DI, AX;    \
	LOAD2(Z0, Z8);  \
	LOAD2(Z1, Z9);  \
	LOAD2(Z2, Z10); \
	LOAD2(Z3, Z11); \
	LOAD2(Z4, Z12); \
	LOAD2(Z5, Z13); \
	LOAD2(Z6, Z14); \
	LOAD2(Z7, Z15)

#define SAVE2ROWS \
	MOVQ DI, AX;   \
	SAVE2(Z0, Z2); \
	SAVE2(Z1, Z3)

#define SAVE4ROWS \
	MOVQ DI, AX;   \
	SAVE2(Z0, Z4); \
	SAVE2(Z1, Z5); \
	SAVE2(Z2, Z6); \
	SAVE2(Z3, Z7)

#define SAVE8ROWS \
	MOVQ DI, AX;    \
	SAVE2(Z0, Z8);  \
	SAVE2(Z1, Z9);  \
	SAVE2(Z2, Z10); \
	SAVE2(Z3, Z11); \
	SAVE2(Z4, Z12); \
	SAVE2(Z5, Z13); \
	SAVE2(Z6, Z14); \
	SAVE2(Z7, Z15)

#define ADD2ROWS \
	ADD2((BX), Z0, Z2); \
	ADD2((BX)(R14*1), Z1, Z3)

#define ADD4ROWS \
	ADD2((BX), Z0, Z4);        \
	ADD2((BX)(R14*1), Z1, Z5); \
	ADD2((BX)(R14*2), Z2, Z6); \
	ADD2((R10), Z3, Z7)

#define ADD8ROWS \
	ADD2((BX), Z0, Z8);          \
	ADD2((BX)(R14*1), Z1, Z9);   \
	ADD2((BX)(R14*2), Z2, Z10);  \
	ADD2((R10), Z3, Z11);        \
	ADD2((BX)(R14*4), Z4, Z12);  \
	ADD2((R10)(R14*2), Z5, Z13); \
	ADD2((R11), Z6, Z14);        \
	ADD2((R11)(R14*1), Z7, Z15)

#define ADD1ROW \
	VBROADCASTSS (BX), Z21;       \
	VFMADD231PS  Z17, Z21, Z0;    \
	VFMADD231PS  Z18, Z21, Z1

#define ADD1ROW64 \
	ADD1ROW;                   \
	VFMADD231PS Z19, Z21, Z2;  \
	VFMADD231PS Z20, Z21, Z3

#define LOAD64 \
	VMOVUPS (DI), Z0;    \
	VMOVUPS 64(DI), Z1;  \
	VMOVUPS 128(DI), Z2; \
	VMOVUPS 192(DI), Z3

#define SAVE64 \
	VMOVUPS Z0, (DI);    \
	VMOVUPS Z1, 64(DI);  \
	VMOVUPS Z2, 128(DI); \
	VMOVUPS Z3, 192(DI)

// func kvCombine8x32q4avx512(a *kvCombineArgs)
TEXT ·kvCombine8x32q4avx512(SB), NOSPLIT, $0-8
	KV_COMBINE_ENTER
	VMOVUPS kvNibbles<>(SB), Z16
	LOAD8ROWS
value:
	NIBBLES(0, Z17, Z18)
	ADD8ROWS
	KV_COMBINE_NEXT
	JNZ value
	SAVE8ROWS
	VZEROUPPER
	RET

// func kvCombine8x32q8avx512(a *kvCombineArgs)
TEXT ·kvCombine8x32q8avx512(SB), NOSPLIT, $0-8
	KV_COMBINE_ENTER
	LOAD8ROWS
value:
	BYTES(0, Z17, Z18)
	ADD8ROWS
	KV_COMBINE_NEXT
	JNZ value
	SAVE8ROWS
	VZEROUPPER
	RET

// func kvCombine8x32f32avx512(a *kvCombineArgs)
TEXT ·kvCombine8x32f32avx512(SB), NOSPLIT, $0-8
	KV_COMBINE_ENTER
	LOAD8ROWS
value:
	FLOATS(0, Z17, Z18)
	ADD8ROWS
	KV_COMBINE_NEXT
	JNZ value
	SAVE8ROWS
	VZEROUPPER
	RET

// func kvCombine4x32q4avx512(a *kvCombineArgs)
TEXT ·kvCombine4x32q4avx512(SB), NOSPLIT, $0-8
	KV_COMBINE_ENTER
	VMOVUPS kvNibbles<>(SB), Z16
	LOAD4ROWS
value:
	NIBBLES(0, Z17, Z18)
	ADD4ROWS
	KV_COMBINE_NEXT
	JNZ value
	SAVE4ROWS
	VZEROUPPER
	RET

// func kvCombine4x32q8avx512(a *kvCombineArgs)
TEXT ·kvCombine4x32q8avx512(SB), NOSPLIT, $0-8
	KV_COMBINE_ENTER
	LOAD4ROWS
value:
	BYTES(0, Z17, Z18)
	ADD4ROWS
	KV_COMBINE_NEXT
	JNZ value
	SAVE4ROWS
	VZEROUPPER
	RET

// func kvCombine4x32f32avx512(a *kvCombineArgs)
TEXT ·kvCombine4x32f32avx512(SB), NOSPLIT, $0-8
	KV_COMBINE_ENTER
	LOAD4ROWS
value:
	FLOATS(0, Z17, Z18)
	ADD4ROWS
	KV_COMBINE_NEXT
	JNZ value
	SAVE4ROWS
	VZEROUPPER
	RET

// func kvCombine2x32q4avx512(a *kvCombineArgs)
TEXT ·kvCombine2x32q4avx512(SB), NOSPLIT, $0-8
	KV_COMBINE_ENTER
	VMOVUPS kvNibbles<>(SB), Z16
	LOAD2ROWS
value:
	NIBBLES(0, Z17, Z18)
	ADD2ROWS
	KV_COMBINE_NEXT
	JNZ value
	SAVE2ROWS
	VZEROUPPER
	RET

// func kvCombine2x32q8avx512(a *kvCombineArgs)
TEXT ·kvCombine2x32q8avx512(SB), NOSPLIT, $0-8
	KV_COMBINE_ENTER
	LOAD2ROWS
value:
	BYTES(0, Z17, Z18)
	ADD2ROWS
	KV_COMBINE_NEXT
	JNZ value
	SAVE2ROWS
	VZEROUPPER
	RET

// func kvCombine2x32f32avx512(a *kvCombineArgs)
TEXT ·kvCombine2x32f32avx512(SB), NOSPLIT, $0-8
	KV_COMBINE_ENTER
	LOAD2ROWS
value:
	FLOATS(0, Z17, Z18)
	ADD2ROWS
	KV_COMBINE_NEXT
	JNZ value
	SAVE2ROWS
	VZEROUPPER
	RET

// func kvCombine1x64q4avx512(a *kvCombineArgs)
TEXT ·kvCombine1x64q4avx512(SB), NOSPLIT, $0-8
	KV_COMBINE_ENTER
	VMOVUPS kvNibbles<>(SB), Z16
	LOAD64
value:
	NIBBLES(0, Z17, Z18)
	NIBBLES(16, Z19, Z20)
	ADD1ROW64
	KV_COMBINE_NEXT
	JNZ value
	SAVE64
	VZEROUPPER
	RET

// func kvCombine1x64q8avx512(a *kvCombineArgs)
TEXT ·kvCombine1x64q8avx512(SB), NOSPLIT, $0-8
	KV_COMBINE_ENTER
	LOAD64
value:
	BYTES(0, Z17, Z18)
	BYTES(32, Z19, Z20)
	ADD1ROW64
	KV_COMBINE_NEXT
	JNZ value
	SAVE64
	VZEROUPPER
	RET

// func kvCombine1x64f32avx512(a *kvCombineArgs)
TEXT ·kvCombine1x64f32avx512(SB), NOSPLIT, $0-8
	KV_COMBINE_ENTER
	LOAD64
value:
	FLOATS(0, Z17, Z18)
	FLOATS(128, Z19, Z20)
	ADD1ROW64
	KV_COMBINE_NEXT
	JNZ value
	SAVE64
	VZEROUPPER
	RET

// func kvCombine1x32q4avx512(a *kvCombineArgs)
TEXT ·kvCombine1x32q4avx512(SB), NOSPLIT, $0-8
	KV_COMBINE_ENTER
	VMOVUPS kvNibbles<>(SB), Z16
	VMOVUPS (DI), Z0
	VMOVUPS 64(DI), Z1
value:
	NIBBLES(0, Z17, Z18)
	ADD1ROW
	KV_COMBINE_NEXT
	JNZ value
	VMOVUPS Z0, (DI)
	VMOVUPS Z1, 64(DI)
	VZEROUPPER
	RET

// func kvCombine1x32q8avx512(a *kvCombineArgs)
TEXT ·kvCombine1x32q8avx512(SB), NOSPLIT, $0-8
	KV_COMBINE_ENTER
	VMOVUPS (DI), Z0
	VMOVUPS 64(DI), Z1
value:
	BYTES(0, Z17, Z18)
	ADD1ROW
	KV_COMBINE_NEXT
	JNZ value
	VMOVUPS Z0, (DI)
	VMOVUPS Z1, 64(DI)
	VZEROUPPER
	RET

// func kvCombine1x32f32avx512(a *kvCombineArgs)
TEXT ·kvCombine1x32f32avx512(SB), NOSPLIT, $0-8
	KV_COMBINE_ENTER
	VMOVUPS (DI), Z0
	VMOVUPS 64(DI), Z1
value:
	FLOATS(0, Z17, Z18)
	ADD1ROW
	KV_COMBINE_NEXT
	JNZ value
	VMOVUPS Z0, (DI)
	VMOVUPS Z1, 64(DI)
	VZEROUPPER
	RET

// func kvWeightsavx512(p, scale, minimum, lanes unsafe.Pointer, blocks int)
TEXT ·kvWeightsavx512(SB), NOSPLIT, $0-40
	MOVQ         p+0(FP), DI
	MOVQ         scale+8(FP), SI
	MOVQ         minimum+16(FP), DX
	MOVQ         lanes+24(FP), BX
	MOVQ         blocks+32(FP), CX
	VMOVUPS      (BX), Z0
	VBROADCASTSS kvLeast<>(SB), Z1
loop:
	VMOVUPS   (DI), Z2
	VCMPPS    $21, Z1, Z2, K1 // not less
	VMOVAPS.Z Z2, K1, Z2
	VCVTPH2PS (DX), Z3
	VCVTPH2PS (SI), Z4
	VMULPS    Z3, Z2, Z3
	VADDPS    Z3, Z0, Z0
	VMULPS    Z4, Z2, Z4
	VMOVUPS   Z4, (DI)
	ADDQ      $64, DI
	ADDQ      $32, SI
	ADDQ      $32, DX
	DECQ      CX
	JNZ       loop
	VMOVUPS   Z0, (BX)
	VZEROUPPER
	RET
