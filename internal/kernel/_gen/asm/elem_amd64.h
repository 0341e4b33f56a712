// Constants of elem.go, each in all 8 lanes of a register, and the exponential
// for AVX-512.

#define ELEM_CONST(at, v) \
	DATA elemConst<>+(at+0)(SB)/8, $(v<<32|v);  \
	DATA elemConst<>+(at+8)(SB)/8, $(v<<32|v);  \
	DATA elemConst<>+(at+16)(SB)/8, $(v<<32|v); \
	DATA elemConst<>+(at+24)(SB)/8, $(v<<32|v)

ELEM_CONST(0, 0x3fb8aa3b)   // log₂ e
ELEM_CONST(32, 0x4b400000)  // 1.5·2²³
ELEM_CONST(64, 0x3f317200)  // ln 2, high part
ELEM_CONST(96, 0x35bfbf00)  // ln 2, low part
ELEM_CONST(128, 0x3ab688be) // c6
ELEM_CONST(160, 0x3c0905f1) // c5
ELEM_CONST(192, 0x3d2aaa8c) // c4
ELEM_CONST(224, 0x3e2aaa6e) // c3
ELEM_CONST(256, 0x3f000000) // c2
ELEM_CONST(288, 0x3f800000) // 1
ELEM_CONST(320, 0xc2aea8f6) // -87.33
ELEM_CONST(352, 0x42b17218) // 88.72283
ELEM_CONST(384, 0x7f800000) // infinite
ELEM_CONST(416, 0x00800000) // 2⁻¹²⁶
GLOBL elemConst<>(SB), RODATA|NOPTR, $448

#define CONSTANTS512 \
	VBROADCASTSS elemConst<>+0(SB), Z16;   \
	VBROADCASTSS elemConst<>+32(SB), Z17;  \
	VBROADCASTSS elemConst<>+64(SB), Z18;  \
	VBROADCASTSS elemConst<>+96(SB), Z19;  \
	VBROADCASTSS elemConst<>+128(SB), Z20; \
	VBROADCASTSS elemConst<>+160(SB), Z21; \
	VBROADCASTSS elemConst<>+192(SB), Z22; \
	VBROADCASTSS elemConst<>+224(SB), Z23; \
	VBROADCASTSS elemConst<>+256(SB), Z24; \
	VBROADCASTSS elemConst<>+288(SB), Z25; \
	VBROADCASTSS elemConst<>+320(SB), Z26; \
	VBROADCASTSS elemConst<>+352(SB), Z27; \
	VBROADCASTSS elemConst<>+384(SB), Z28; \
	VPXORD       Z29, Z29, Z29

// EXP512 sets Z4 to exp(Z0); it uses Z1…Z5, K1 and K2.
#define EXP512 \
	VMULPS       Z16, Z0, Z1;     \
	VADDPS       Z17, Z1, Z1;     \
	VSUBPS       Z17, Z1, Z2;     \
	VMOVAPS      Z0, Z3;          \
	VFNMADD231PS Z18, Z2, Z3;     \
	VFNMADD231PS Z19, Z2, Z3;     \
	VMULPS       Z20, Z3, Z4;     \
	VADDPS       Z21, Z4, Z4;     \
	VMULPS       Z3, Z4, Z4;      \
	VADDPS       Z22, Z4, Z4;     \
	VMULPS       Z3, Z4, Z4;      \
	VADDPS       Z23, Z4, Z4;     \
	VMULPS       Z3, Z4, Z4;      \
	VADDPS       Z24, Z4, Z4;     \
	VMULPS       Z3, Z3, Z5;      \
	VMULPS       Z5, Z4, Z4;      \
	VADDPS       Z3, Z4, Z4;      \
	VADDPS       Z25, Z4, Z4;     \
	VPSLLD       $23, Z1, Z1;     \
	VPADDD       Z1, Z4, Z4;      \
	VCMPPS       $17, Z26, Z0, K1; \
	VCMPPS       $22, Z27, Z0, K2; \
	VMOVAPS      Z29, K1, Z4;     \
	VADDPS       Z28, Z0, K2, Z4
