// What the routines for the softmax of a row share: see softmax.go.

// Constants of 2^y, each in 8 lanes. y plus the magic number is that plus n, the integer next to
// y, with n+128 in the lowest bits. Shifted to the exponent, that is the float32 2·2^n, which half
// of the polynomial is multiplied by: unlike an addition to the exponent, that leaves a NaN one.
#define EXP2_CONST(at, v) \
	DATA kvExp2<>+(at+0)(SB)/8, $(v<<32|v);  \
	DATA kvExp2<>+(at+8)(SB)/8, $(v<<32|v);  \
	DATA kvExp2<>+(at+16)(SB)/8, $(v<<32|v); \
	DATA kvExp2<>+(at+24)(SB)/8, $(v<<32|v)

EXP2_CONST(0, 0x4b400080)   // magic: 1.5·2²³ + 128
EXP2_CONST(32, 0x3b9d0172)  // C4/2
EXP2_CONST(64, 0x3ce4fe2a)  // C3/2
EXP2_CONST(96, 0x3df601bc)  // C2/2
EXP2_CONST(128, 0x3eb17096) // C1/2
EXP2_CONST(160, 0x3f000000) // 1/2
GLOBL kvExp2<>(SB), RODATA|NOPTR, $192

DATA kvLeast<>+0(SB)/4, $0x0d800000 // 2⁻¹⁰⁰
GLOBL kvLeast<>(SB), RODATA|NOPTR, $4

DATA kvIntMax<>+0(SB)/4, $0x467ffc00 // 16383
GLOBL kvIntMax<>(SB), RODATA|NOPTR, $4

// FOLD8 makes one number, the lowest of X0, of the lanes of Y0, in halves: their sum or the
// largest. FOLD16 does that with Z0. They use X1.
#define FOLD8(PS, SS) \
	VEXTRACTF128 $1, Y0, X1; \
	PS           X1, X0, X0; \
	VPERMILPD    $1, X0, X1; \
	PS           X1, X0, X0; \
	VMOVSHDUP    X0, X1;     \
	SS           X1, X0, X0

#define FOLD16(PS, SS) \
	VEXTRACTF64X4 $1, Z0, Y1; \
	PS            Y1, Y0, Y0; \
	FOLD8(PS, SS)
