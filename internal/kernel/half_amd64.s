#include "textflag.h"

// Conversions of whole vectors; the rest of a slice is left to Go. Each takes
// blocks of 16 (AVX-512) or 8 (AVX2) numbers, at least one.

#define ARGS \
	MOVQ dst+0(FP), DI; \
	MOVQ src+8(FP), SI; \
	MOVQ blocks+16(FP), CX

// func f16tof32avx512(dst, src unsafe.Pointer, blocks int)
TEXT ·f16tof32avx512(SB), NOSPLIT, $0-24
	ARGS
loop:
	VCVTPH2PS (SI), Z0
	VMOVUPS Z0, (DI)
	ADDQ $32, SI
	ADDQ $64, DI
	DECQ CX
	JNZ  loop
	VZEROUPPER
	RET

// func f16tof32avx2(dst, src unsafe.Pointer, blocks int)
TEXT ·f16tof32avx2(SB), NOSPLIT, $0-24
	ARGS
loop:
	VCVTPH2PS (SI), Y0
	VMOVUPS Y0, (DI)
	ADDQ $16, SI
	ADDQ $32, DI
	DECQ CX
	JNZ  loop
	VZEROUPPER
	RET

// func f32tof16avx512(dst, src unsafe.Pointer, blocks int)
TEXT ·f32tof16avx512(SB), NOSPLIT, $0-24
	ARGS
loop:
	VMOVUPS (SI), Z0
	VCVTPS2PH $0, Z0, (DI)
	ADDQ $64, SI
	ADDQ $32, DI
	DECQ CX
	JNZ  loop
	VZEROUPPER
	RET

// func f32tof16avx2(dst, src unsafe.Pointer, blocks int)
TEXT ·f32tof16avx2(SB), NOSPLIT, $0-24
	ARGS
loop:
	VMOVUPS (SI), Y0
	VCVTPS2PH $0, Y0, (DI)
	ADDQ $32, SI
	ADDQ $16, DI
	DECQ CX
	JNZ  loop
	VZEROUPPER
	RET

// func roundf16avx512(dst, src unsafe.Pointer, blocks int)
TEXT ·roundf16avx512(SB), NOSPLIT, $0-24
	ARGS
loop:
	VMOVUPS (SI), Z0
	VCVTPS2PH $0, Z0, Y0
	VCVTPH2PS Y0, Z0
	VMOVUPS Z0, (DI)
	ADDQ $64, SI
	ADDQ $64, DI
	DECQ CX
	JNZ  loop
	VZEROUPPER
	RET

// func roundf16avx2(dst, src unsafe.Pointer, blocks int)
TEXT ·roundf16avx2(SB), NOSPLIT, $0-24
	ARGS
loop:
	VMOVUPS (SI), Y0
	VCVTPS2PH $0, Y0, X0
	VCVTPH2PS X0, Y0
	VMOVUPS Y0, (DI)
	ADDQ $32, SI
	ADDQ $32, DI
	DECQ CX
	JNZ  loop
	VZEROUPPER
	RET

// func bf16tof32avx512(dst, src unsafe.Pointer, blocks int)
TEXT ·bf16tof32avx512(SB), NOSPLIT, $0-24
	ARGS
loop:
	VPMOVZXWD (SI), Z0
	VPSLLD $16, Z0, Z0
	VMOVUPS Z0, (DI)
	ADDQ $32, SI
	ADDQ $64, DI
	DECQ CX
	JNZ  loop
	VZEROUPPER
	RET

// func bf16tof32avx2(dst, src unsafe.Pointer, blocks int)
TEXT ·bf16tof32avx2(SB), NOSPLIT, $0-24
	ARGS
loop:
	VPMOVZXWD (SI), Y0
	VPSLLD $16, Y0, Y0
	VMOVUPS Y0, (DI)
	ADDQ $16, SI
	ADDQ $32, DI
	DECQ CX
	JNZ  loop
	VZEROUPPER
	RET

// func f32tobf16avx512(dst, src unsafe.Pointer, blocks int)
TEXT ·f32tobf16avx512(SB), NOSPLIT, $0-24
	ARGS
	MOVL $1, AX
	VPBROADCASTD AX, Z4
	MOVL $0x7fff, AX
	VPBROADCASTD AX, Z5
	MOVL $0x40, AX
	VPBROADCASTD AX, Z6
loop:
	VMOVUPS (SI), Z0
	VPSRLD $16, Z0, Z1
	VPANDD Z4, Z1, Z2
	VPADDD Z5, Z2, Z2
	VPADDD Z0, Z2, Z2
	VPSRLD $16, Z2, Z2
	VCMPPS $3, Z0, Z0, K1
	VPORD Z6, Z1, K1, Z2
	VPMOVDW Z2, (DI)
	ADDQ $64, SI
	ADDQ $32, DI
	DECQ CX
	JNZ  loop
	VZEROUPPER
	RET

// func f32tobf16avx2(dst, src unsafe.Pointer, blocks int)
TEXT ·f32tobf16avx2(SB), NOSPLIT, $0-24
	ARGS
	MOVL $1, AX
	MOVQ AX, X4
	VPBROADCASTD X4, Y4
	MOVL $0x7fff, AX
	MOVQ AX, X5
	VPBROADCASTD X5, Y5
	MOVL $0x40, AX
	MOVQ AX, X6
	VPBROADCASTD X6, Y6
loop:
	VMOVUPS (SI), Y0
	VPSRLD $16, Y0, Y1
	VPAND Y4, Y1, Y2
	VPADDD Y5, Y2, Y2
	VPADDD Y0, Y2, Y2
	VPSRLD $16, Y2, Y2
	VCMPPS $3, Y0, Y0, Y3
	VPOR Y6, Y1, Y1
	VBLENDVPS Y3, Y1, Y2, Y2
	VEXTRACTI128 $1, Y2, X3
	VPACKUSDW X3, X2, X2
	VMOVDQU X2, (DI)
	ADDQ $32, SI
	ADDQ $16, DI
	DECQ CX
	JNZ  loop
	VZEROUPPER
	RET
