#include "textflag.h"

// The Walsh-Hadamard transform: see hadamard.go. A stage is s·x + swap(x), s
// being +1 in the lower and -1 in the upper half of each pair: exact sums and
// differences, rounded once, like those of the portable code.

DATA signs<>+0(SB)/4, $1.0
DATA signs<>+4(SB)/4, $-1.0
DATA signs<>+8(SB)/4, $1.0
DATA signs<>+12(SB)/4, $-1.0
DATA signs<>+16(SB)/4, $1.0
DATA signs<>+20(SB)/4, $1.0
DATA signs<>+24(SB)/4, $-1.0
DATA signs<>+28(SB)/4, $-1.0
DATA signs<>+32(SB)/4, $1.0
DATA signs<>+36(SB)/4, $1.0
DATA signs<>+40(SB)/4, $1.0
DATA signs<>+44(SB)/4, $1.0
DATA signs<>+48(SB)/4, $-1.0
DATA signs<>+52(SB)/4, $-1.0
DATA signs<>+56(SB)/4, $-1.0
DATA signs<>+60(SB)/4, $-1.0
GLOBL signs<>(SB), RODATA|NOPTR, $64

// func hadamard16avx512(x unsafe.Pointer, scale float32, blocks int)
TEXT ·hadamard16avx512(SB), NOSPLIT, $0-24
	MOVQ x+0(FP), SI
	VBROADCASTSS scale+8(FP), Z4
	MOVQ blocks+16(FP), CX
	VBROADCASTF32X4 signs<>+0(SB), Z5
	VBROADCASTF32X4 signs<>+16(SB), Z6
	VBROADCASTF64X4 signs<>+32(SB), Z7
	VSHUFF32X4 $0x50, Z7, Z7, Z8 // lanes 0 0 1 1: + for 8, - for 8
loop:
	VMULPS (SI), Z4, Z0
	VPERMILPS $0xb1, Z0, Z1
	VFMADD231PS Z5, Z0, Z1
	VPERMILPS $0x4e, Z1, Z0
	VFMADD231PS Z6, Z1, Z0
	VSHUFF32X4 $0xb1, Z0, Z0, Z1
	VFMADD231PS Z7, Z0, Z1
	VSHUFF32X4 $0x4e, Z1, Z1, Z0
	VFMADD231PS Z8, Z1, Z0
	VMOVUPS Z0, (SI)
	ADDQ $64, SI
	DECQ CX
	JNZ  loop
	VZEROUPPER
	RET

// func hadamard16avx2(x unsafe.Pointer, scale float32, blocks int)
TEXT ·hadamard16avx2(SB), NOSPLIT, $0-24
	MOVQ x+0(FP), SI
	VBROADCASTSS scale+8(FP), Y4
	MOVQ blocks+16(FP), CX
	VBROADCASTF128 signs<>+0(SB), Y5
	VBROADCASTF128 signs<>+16(SB), Y6
	VMOVUPS signs<>+32(SB), Y7
loop:
	VMULPS (SI), Y4, Y0
	VMULPS 32(SI), Y4, Y2
	VPERMILPS $0xb1, Y0, Y1
	VPERMILPS $0xb1, Y2, Y3
	VFMADD231PS Y5, Y0, Y1
	VFMADD231PS Y5, Y2, Y3
	VPERMILPS $0x4e, Y1, Y0
	VPERMILPS $0x4e, Y3, Y2
	VFMADD231PS Y6, Y1, Y0
	VFMADD231PS Y6, Y3, Y2
	VPERM2F128 $1, Y0, Y0, Y1
	VPERM2F128 $1, Y2, Y2, Y3
	VFMADD231PS Y7, Y0, Y1
	VFMADD231PS Y7, Y2, Y3
	VADDPS Y3, Y1, Y0
	VSUBPS Y3, Y1, Y2
	VMOVUPS Y0, (SI)
	VMOVUPS Y2, 32(SI)
	ADDQ $64, SI
	DECQ CX
	JNZ  loop
	VZEROUPPER
	RET

// func hadamard2avx512(x unsafe.Pointer, h, groups int)
TEXT ·hadamard2avx512(SB), NOSPLIT, $0-24
	MOVQ x+0(FP), SI
	MOVQ h+8(FP), R8
	MOVQ groups+16(FP), CX
	SHLQ $2, R8
	LEAQ (R8)(R8*2), R9
group:
	MOVQ R8, DX
inner:
	VMOVUPS (SI), Z0
	VMOVUPS (SI)(R8*1), Z1
	VADDPS Z1, Z0, Z2
	VSUBPS Z1, Z0, Z3
	VMOVUPS Z2, (SI)
	VMOVUPS Z3, (SI)(R8*1)
	ADDQ $64, SI
	SUBQ $64, DX
	JNZ  inner
	ADDQ R8, SI
	DECQ CX
	JNZ  group
	VZEROUPPER
	RET

// func hadamard4avx512(x unsafe.Pointer, h, groups int)
TEXT ·hadamard4avx512(SB), NOSPLIT, $0-24
	MOVQ x+0(FP), SI
	MOVQ h+8(FP), R8
	MOVQ groups+16(FP), CX
	SHLQ $2, R8
	LEAQ (R8)(R8*2), R9
group:
	MOVQ R8, DX
inner:
	VMOVUPS (SI), Z0
	VMOVUPS (SI)(R8*1), Z1
	VMOVUPS (SI)(R8*2), Z2
	VMOVUPS (SI)(R9*1), Z3
	VADDPS Z1, Z0, Z4
	VSUBPS Z1, Z0, Z5
	VADDPS Z3, Z2, Z6
	VSUBPS Z3, Z2, Z7
	VADDPS Z6, Z4, Z0
	VADDPS Z7, Z5, Z1
	VSUBPS Z6, Z4, Z2
	VSUBPS Z7, Z5, Z3
	VMOVUPS Z0, (SI)
	VMOVUPS Z1, (SI)(R8*1)
	VMOVUPS Z2, (SI)(R8*2)
	VMOVUPS Z3, (SI)(R9*1)
	ADDQ $64, SI
	SUBQ $64, DX
	JNZ  inner
	ADDQ R9, SI
	DECQ CX
	JNZ  group
	VZEROUPPER
	RET

// func hadamard2avx2(x unsafe.Pointer, h, groups int)
TEXT ·hadamard2avx2(SB), NOSPLIT, $0-24
	MOVQ x+0(FP), SI
	MOVQ h+8(FP), R8
	MOVQ groups+16(FP), CX
	SHLQ $2, R8
	LEAQ (R8)(R8*2), R9
group:
	MOVQ R8, DX
inner:
	VMOVUPS (SI), Y0
	VMOVUPS (SI)(R8*1), Y1
	VADDPS Y1, Y0, Y2
	VSUBPS Y1, Y0, Y3
	VMOVUPS Y2, (SI)
	VMOVUPS Y3, (SI)(R8*1)
	ADDQ $32, SI
	SUBQ $32, DX
	JNZ  inner
	ADDQ R8, SI
	DECQ CX
	JNZ  group
	VZEROUPPER
	RET

// func hadamard4avx2(x unsafe.Pointer, h, groups int)
TEXT ·hadamard4avx2(SB), NOSPLIT, $0-24
	MOVQ x+0(FP), SI
	MOVQ h+8(FP), R8
	MOVQ groups+16(FP), CX
	SHLQ $2, R8
	LEAQ (R8)(R8*2), R9
group:
	MOVQ R8, DX
inner:
	VMOVUPS (SI), Y0
	VMOVUPS (SI)(R8*1), Y1
	VMOVUPS (SI)(R8*2), Y2
	VMOVUPS (SI)(R9*1), Y3
	VADDPS Y1, Y0, Y4
	VSUBPS Y1, Y0, Y5
	VADDPS Y3, Y2, Y6
	VSUBPS Y3, Y2, Y7
	VADDPS Y6, Y4, Y0
	VADDPS Y7, Y5, Y1
	VSUBPS Y6, Y4, Y2
	VSUBPS Y7, Y5, Y3
	VMOVUPS Y0, (SI)
	VMOVUPS Y1, (SI)(R8*1)
	VMOVUPS Y2, (SI)(R8*2)
	VMOVUPS Y3, (SI)(R9*1)
	ADDQ $32, SI
	SUBQ $32, DX
	JNZ  inner
	ADDQ R9, SI
	DECQ CX
	JNZ  group
	VZEROUPPER
	RET

// func scale16avx512(x unsafe.Pointer, scale float32, blocks int)
TEXT ·scale16avx512(SB), NOSPLIT, $0-24
	MOVQ x+0(FP), SI
	VBROADCASTSS scale+8(FP), Z4
	MOVQ blocks+16(FP), CX
loop:
	VMULPS (SI), Z4, Z0
	VMOVUPS Z0, (SI)
	ADDQ $64, SI
	DECQ CX
	JNZ  loop
	VZEROUPPER
	RET

// func scale16avx2(x unsafe.Pointer, scale float32, blocks int)
TEXT ·scale16avx2(SB), NOSPLIT, $0-24
	MOVQ x+0(FP), SI
	VBROADCASTSS scale+8(FP), Y4
	MOVQ blocks+16(FP), CX
loop:
	VMULPS (SI), Y4, Y0
	VMULPS 32(SI), Y4, Y1
	VMOVUPS Y0, (SI)
	VMOVUPS Y1, 32(SI)
	ADDQ $64, SI
	DECQ CX
	JNZ  loop
	VZEROUPPER
	RET
