// Constants of elem.go, each in all 8 lanes of a register, and the exponential.

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
