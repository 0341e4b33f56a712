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
