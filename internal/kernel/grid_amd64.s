#include "textflag.h"

// Loops over grids on whole blocks of 16 numbers; the rest is left to Go. Products
// and sums are apart, as Go has them: fused they would round otherwise.

DATA gridmagic<>+0(SB)/4, $0x4b400000 // 3·2²²
GLOBL gridmagic<>(SB), RODATA|NOPTR, $4

// The grid in AX: Z8 scale, Z9 shift, Z10 lo, Z11 hi, Z12 the magic number.
#define GRID512 \
	VBROADCASTSS 0(AX), Z8; \
	VBROADCASTSS 4(AX), Z9; \
	VBROADCASTSS 8(AX), Z10; \
	VBROADCASTSS 12(AX), Z11; \
	VBROADCASTSS gridmagic<>(SB), Z12

// v becomes its level.
#define LEVEL512(v) \
	VMAXPS Z10, v, v; \
	VMINPS Z11, v, v; \
	VADDPS Z12, v, v; \
	VSUBPS Z12, v, v

// The weights at SI: their squared errors in Z2.
#define ERROR512 \
	VMOVUPS (SI), Z1; \
	VMULPS Z7, Z1, Z2; \
	VADDPS Z9, Z2, Z2; \
	LEVEL512(Z2); \
	VSUBPS Z9, Z2, Z2; \
	VMULPS Z8, Z2, Z2; \
	VSUBPS Z2, Z1, Z2; \
	VMULPS Z2, Z2, Z2

// func gridErroravx512(w, d unsafe.Pointer, by *GridStep, inv float32, lanes *[gridLanes]float32, blocks int)
TEXT ·gridErroravx512(SB), NOSPLIT, $0-48
	MOVQ w+0(FP), SI
	MOVQ d+8(FP), DX
	MOVQ by+16(FP), AX
	VBROADCASTSS inv+24(FP), Z7
	MOVQ lanes+32(FP), DI
	MOVQ blocks+40(FP), CX
	GRID512
	VMOVUPS (DI), Z0
	TESTQ DX, DX
	JZ   plain
weighed:
	ERROR512
	VMULPS (DX), Z2, Z2
	VADDPS Z2, Z0, Z0
	ADDQ $64, SI
	ADDQ $64, DX
	DECQ CX
	JNZ  weighed
	JMP  done
plain:
	ERROR512
	VADDPS Z2, Z0, Z0
	ADDQ $64, SI
	DECQ CX
	JNZ  plain
done:
	VMOVUPS Z0, (DI)
	VZEROUPPER
	RET

// func gridRoundavx512(q unsafe.Pointer, w unsafe.Pointer, by *GridStep, blocks int)
TEXT ·gridRoundavx512(SB), NOSPLIT, $0-32
	MOVQ q+0(FP), DI
	MOVQ w+8(FP), SI
	MOVQ by+16(FP), AX
	MOVQ blocks+24(FP), CX
	GRID512
loop:
	VMOVUPS (SI), Z1
	VDIVPS Z8, Z1, Z1
	VADDPS Z9, Z1, Z1
	LEVEL512(Z1)
	VCVTPS2DQ Z1, Z1
	VPMOVDB Z1, (DI)
	ADDQ $64, SI
	ADDQ $16, DI
	DECQ CX
	JNZ  loop
	VZEROUPPER
	RET

// func gridValuesavx512(dst, q unsafe.Pointer, by *GridStep, blocks int)
TEXT ·gridValuesavx512(SB), NOSPLIT, $0-32
	MOVQ dst+0(FP), DI
	MOVQ q+8(FP), SI
	MOVQ by+16(FP), AX
	MOVQ blocks+24(FP), CX
	GRID512
loop:
	VPMOVSXBD (SI), Z1
	VCVTDQ2PS Z1, Z1
	VSUBPS Z9, Z1, Z1
	VMULPS Z8, Z1, Z1
	VMOVUPS Z1, (DI)
	ADDQ $16, SI
	ADDQ $64, DI
	DECQ CX
	JNZ  loop
	VZEROUPPER
	RET

// func gridRoundEachavx512(q, e, w, scale, shift unsafe.Pointer, by *GridStep, share float32, blocks int)
TEXT ·gridRoundEachavx512(SB), NOSPLIT, $0-64
	MOVQ q+0(FP), DI
	MOVQ e+8(FP), DX
	MOVQ w+16(FP), SI
	MOVQ scale+24(FP), R8
	MOVQ shift+32(FP), R9
	MOVQ by+40(FP), AX
	MOVQ blocks+56(FP), CX
	GRID512
	VBROADCASTSS share+48(FP), Z7
loop:
	VMOVUPS (SI), Z1
	VMOVUPS (R8), Z8
	VMOVUPS (R9), Z9
	VDIVPS Z8, Z1, Z2
	VADDPS Z9, Z2, Z2
	LEVEL512(Z2)
	VCVTPS2DQ Z2, Z3
	VPMOVDB Z3, (DI)
	VSUBPS Z9, Z2, Z2
	VMULPS Z8, Z2, Z2
	VSUBPS Z1, Z2, Z2
	VMULPS Z7, Z2, Z2
	VMOVUPS Z2, (DX)
	ADDQ $64, SI
	ADDQ $64, R8
	ADDQ $64, R9
	ADDQ $64, DX
	ADDQ $16, DI
	DECQ CX
	JNZ  loop
	VZEROUPPER
	RET

// func rangeavx512(x unsafe.Pointer, lanes *[3][gridLanes]float32, blocks int)
TEXT ·rangeavx512(SB), NOSPLIT, $0-24
	MOVQ x+0(FP), SI
	MOVQ lanes+8(FP), DI
	MOVQ blocks+16(FP), CX
	VXORPS Z0, Z0, Z0
	VXORPS Z1, Z1, Z1
	VXORPS Z2, Z2, Z2
loop:
	VMOVUPS (SI), Z3
	VMINPS Z3, Z0, Z0
	VMAXPS Z3, Z1, Z1
	VSUBPS Z3, Z3, Z3
	VADDPS Z3, Z2, Z2
	ADDQ $64, SI
	DECQ CX
	JNZ  loop
	VMOVUPS Z0, (DI)
	VMOVUPS Z1, 64(DI)
	VMOVUPS Z2, 128(DI)
	VZEROUPPER
	RET

// The grid in AX: Y8 scale, Y9 shift, Y10 lo, Y11 hi, Y12 the magic number.
#define GRID256 \
	VBROADCASTSS 0(AX), Y8; \
	VBROADCASTSS 4(AX), Y9; \
	VBROADCASTSS 8(AX), Y10; \
	VBROADCASTSS 12(AX), Y11; \
	VBROADCASTSS gridmagic<>(SB), Y12

#define LEVEL256(v) \
	VMAXPS Y10, v, v; \
	VMINPS Y11, v, v; \
	VADDPS Y12, v, v; \
	VSUBPS Y12, v, v

// w becomes the weights at at(SI), e their squared errors.
#define ERROR256(at, w, e) \
	VMOVUPS at(SI), w; \
	VMULPS Y7, w, e; \
	VADDPS Y9, e, e; \
	LEVEL256(e); \
	VSUBPS Y9, e, e; \
	VMULPS Y8, e, e; \
	VSUBPS e, w, e; \
	VMULPS e, e, e

// The numbers of a and b as 16 bytes at DI; both are lost.
#define BYTES256(a, b, xa, xb) \
	VCVTPS2DQ a, a; \
	VCVTPS2DQ b, b; \
	VPACKSSDW b, a, a; \
	VPERMQ $0xd8, a, a; \
	VEXTRACTI128 $1, a, xb; \
	VPACKSSWB xb, xa, xa; \
	VMOVDQU xa, (DI)

// func gridErroravx2(w, d unsafe.Pointer, by *GridStep, inv float32, lanes *[gridLanes]float32, blocks int)
TEXT ·gridErroravx2(SB), NOSPLIT, $0-48
	MOVQ w+0(FP), SI
	MOVQ d+8(FP), DX
	MOVQ by+16(FP), AX
	VBROADCASTSS inv+24(FP), Y7
	MOVQ lanes+32(FP), DI
	MOVQ blocks+40(FP), CX
	GRID256
	VMOVUPS (DI), Y0
	VMOVUPS 32(DI), Y1
	TESTQ DX, DX
	JZ   plain
weighed:
	ERROR256(0, Y2, Y3)
	ERROR256(32, Y4, Y5)
	VMULPS (DX), Y3, Y3
	VMULPS 32(DX), Y5, Y5
	VADDPS Y3, Y0, Y0
	VADDPS Y5, Y1, Y1
	ADDQ $64, SI
	ADDQ $64, DX
	DECQ CX
	JNZ  weighed
	JMP  done
plain:
	ERROR256(0, Y2, Y3)
	ERROR256(32, Y4, Y5)
	VADDPS Y3, Y0, Y0
	VADDPS Y5, Y1, Y1
	ADDQ $64, SI
	DECQ CX
	JNZ  plain
done:
	VMOVUPS Y0, (DI)
	VMOVUPS Y1, 32(DI)
	VZEROUPPER
	RET

// func gridRoundavx2(q unsafe.Pointer, w unsafe.Pointer, by *GridStep, blocks int)
TEXT ·gridRoundavx2(SB), NOSPLIT, $0-32
	MOVQ q+0(FP), DI
	MOVQ w+8(FP), SI
	MOVQ by+16(FP), AX
	MOVQ blocks+24(FP), CX
	GRID256
loop:
	VMOVUPS (SI), Y1
	VMOVUPS 32(SI), Y2
	VDIVPS Y8, Y1, Y1
	VDIVPS Y8, Y2, Y2
	VADDPS Y9, Y1, Y1
	VADDPS Y9, Y2, Y2
	LEVEL256(Y1)
	LEVEL256(Y2)
	BYTES256(Y1, Y2, X1, X2)
	ADDQ $64, SI
	ADDQ $16, DI
	DECQ CX
	JNZ  loop
	VZEROUPPER
	RET

// func gridValuesavx2(dst, q unsafe.Pointer, by *GridStep, blocks int)
TEXT ·gridValuesavx2(SB), NOSPLIT, $0-32
	MOVQ dst+0(FP), DI
	MOVQ q+8(FP), SI
	MOVQ by+16(FP), AX
	MOVQ blocks+24(FP), CX
	GRID256
loop:
	VPMOVSXBD (SI), Y1
	VPMOVSXBD 8(SI), Y2
	VCVTDQ2PS Y1, Y1
	VCVTDQ2PS Y2, Y2
	VSUBPS Y9, Y1, Y1
	VSUBPS Y9, Y2, Y2
	VMULPS Y8, Y1, Y1
	VMULPS Y8, Y2, Y2
	VMOVUPS Y1, (DI)
	VMOVUPS Y2, 32(DI)
	ADDQ $16, SI
	ADDQ $64, DI
	DECQ CX
	JNZ  loop
	VZEROUPPER
	RET

// One half of gridRoundEachavx2: levels in z, added errors at DX.
#define EACH256(at, z) \
	VMOVUPS at(SI), Y1; \
	VMOVUPS at(R8), Y8; \
	VMOVUPS at(R9), Y9; \
	VDIVPS Y8, Y1, z; \
	VADDPS Y9, z, z; \
	LEVEL256(z); \
	VSUBPS Y9, z, Y2; \
	VMULPS Y8, Y2, Y2; \
	VSUBPS Y1, Y2, Y2; \
	VMULPS Y7, Y2, Y2; \
	VMOVUPS Y2, at(DX)

// func gridRoundEachavx2(q, e, w, scale, shift unsafe.Pointer, by *GridStep, share float32, blocks int)
TEXT ·gridRoundEachavx2(SB), NOSPLIT, $0-64
	MOVQ q+0(FP), DI
	MOVQ e+8(FP), DX
	MOVQ w+16(FP), SI
	MOVQ scale+24(FP), R8
	MOVQ shift+32(FP), R9
	MOVQ by+40(FP), AX
	MOVQ blocks+56(FP), CX
	GRID256
	VBROADCASTSS share+48(FP), Y7
loop:
	EACH256(0, Y3)
	EACH256(32, Y4)
	BYTES256(Y3, Y4, X3, X4)
	ADDQ $64, SI
	ADDQ $64, R8
	ADDQ $64, R9
	ADDQ $64, DX
	ADDQ $16, DI
	DECQ CX
	JNZ  loop
	VZEROUPPER
	RET

// func rangeavx2(x unsafe.Pointer, lanes *[3][gridLanes]float32, blocks int)
TEXT ·rangeavx2(SB), NOSPLIT, $0-24
	MOVQ x+0(FP), SI
	MOVQ lanes+8(FP), DI
	MOVQ blocks+16(FP), CX
	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
	VXORPS Y2, Y2, Y2
	VXORPS Y4, Y4, Y4
	VXORPS Y5, Y5, Y5
loop:
	VMOVUPS (SI), Y3
	VMOVUPS 32(SI), Y6
	VMINPS Y3, Y0, Y0
	VMAXPS Y3, Y1, Y1
	VMINPS Y6, Y4, Y4
	VMAXPS Y6, Y5, Y5
	VSUBPS Y3, Y3, Y3
	VADDPS Y3, Y2, Y2
	VSUBPS Y6, Y6, Y6
	VADDPS Y6, Y2, Y2
	ADDQ $64, SI
	DECQ CX
	JNZ  loop
	VMOVUPS Y0, (DI)
	VMOVUPS Y4, 32(DI)
	VMOVUPS Y1, 64(DI)
	VMOVUPS Y5, 96(DI)
	VMOVUPS Y2, 128(DI)
	VZEROUPPER
	RET

// func gridTurnavx512(q, e, gradient, change, scale, shift unsafe.Pointer, by *GridStep, h float32, blocks int) int
TEXT ·gridTurnavx512(SB), NOSPLIT, $0-80
	MOVQ q+0(FP), DI
	MOVQ e+8(FP), DX
	MOVQ gradient+16(FP), SI
	MOVQ change+24(FP), BX
	MOVQ scale+32(FP), R8
	MOVQ shift+40(FP), R9
	MOVQ by+48(FP), AX
	MOVQ blocks+64(FP), CX
	GRID512
	VBROADCASTSS h+56(FP), Z7
	XORL R10, R10
loop:
	VMOVUPS (R8), Z8
	VMOVUPS (R9), Z9
	VPMOVSXBD (DI), Z0
	VCVTDQ2PS Z0, Z1
	VSUBPS Z9, Z1, Z1
	VMULPS Z8, Z1, Z1        // now
	VMOVUPS (SI), Z2
	VDIVPS Z7, Z2, Z2
	VADDPS Z2, Z1, Z2        // best
	VDIVPS Z8, Z2, Z3
	VADDPS Z9, Z3, Z3
	LEVEL512(Z3)
	VSUBPS Z9, Z3, Z4
	VMULPS Z8, Z4, Z4        // to
	VSUBPS Z4, Z2, Z5
	VSUBPS Z1, Z2, Z6
	VPSLLD $1, Z5, Z5        // of floats without sign the order is that of integers
	VPSLLD $1, Z6, Z6
	VPCMPUD $1, Z6, Z5, K1   // |best−to| < |best−now|
	VSUBPS.Z Z4, Z1, K1, Z1
	VMOVUPS Z1, (BX)
	VADDPS (DX), Z1, K1, Z5
	VMOVUPS Z5, K1, (DX)
	VCVTPS2DQ Z3, K1, Z0
	VPMOVDB Z0, (DI)
	KMOVW K1, R11
	ORL  R11, R10
	ADDQ $16, DI
	ADDQ $64, DX
	ADDQ $64, SI
	ADDQ $64, BX
	ADDQ $64, R8
	ADDQ $64, R9
	DECQ CX
	JNZ  loop
	MOVQ R10, ret+72(FP)
	VZEROUPPER
	RET

// One half of gridTurnavx2: the codes, or their best values, in z.
#define TURN256(at, qat, z) \
	VMOVUPS at(R8), Y8; \
	VMOVUPS at(R9), Y9; \
	VPMOVSXBD qat(DI), Y0; \
	VCVTDQ2PS Y0, Y0; \
	VSUBPS Y9, Y0, Y1; \
	VMULPS Y8, Y1, Y1; \
	VMOVUPS at(SI), Y2; \
	VDIVPS Y7, Y2, Y2; \
	VADDPS Y2, Y1, Y2; \
	VDIVPS Y8, Y2, Y3; \
	VADDPS Y9, Y3, Y3; \
	LEVEL256(Y3); \
	VSUBPS Y9, Y3, Y4; \
	VMULPS Y8, Y4, Y4; \
	VSUBPS Y4, Y2, Y5; \
	VSUBPS Y1, Y2, Y6; \
	VPSLLD $1, Y5, Y5; \
	VPSLLD $1, Y6, Y6; \
	VPSRLD $1, Y5, Y5; \
	VPSRLD $1, Y6, Y6; \
	VPCMPGTD Y5, Y6, Y5; \
	VBLENDVPS Y5, Y3, Y0, z; \
	VSUBPS Y4, Y1, Y1; \
	VANDPS Y5, Y1, Y1; \
	VMOVUPS Y1, at(BX); \
	VADDPS at(DX), Y1, Y1; \
	VMOVUPS at(DX), Y6; \
	VBLENDVPS Y5, Y1, Y6, Y6; \
	VMOVUPS Y6, at(DX); \
	VMOVMSKPS Y5, R11; \
	ORL  R11, R10

// func gridTurnavx2(q, e, gradient, change, scale, shift unsafe.Pointer, by *GridStep, h float32, blocks int) int
TEXT ·gridTurnavx2(SB), NOSPLIT, $0-80
	MOVQ q+0(FP), DI
	MOVQ e+8(FP), DX
	MOVQ gradient+16(FP), SI
	MOVQ change+24(FP), BX
	MOVQ scale+32(FP), R8
	MOVQ shift+40(FP), R9
	MOVQ by+48(FP), AX
	MOVQ blocks+64(FP), CX
	GRID256
	VBROADCASTSS h+56(FP), Y7
	XORL R10, R10
loop:
	TURN256(0, 0, Y13)
	TURN256(32, 8, Y14)
	BYTES256(Y13, Y14, X13, X14)
	ADDQ $16, DI
	ADDQ $64, DX
	ADDQ $64, SI
	ADDQ $64, BX
	ADDQ $64, R8
	ADDQ $64, R9
	DECQ CX
	JNZ  loop
	MOVQ R10, ret+72(FP)
	VZEROUPPER
	RET
