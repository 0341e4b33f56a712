#include "textflag.h"
#include "go_asm.h"
#include "neon_arm64.h"
#include "int_arm64.h"
#include "int_planes_arm64.h"

// Bit planes to bytes as the kernels for 8 bits take them: the stored values moved
// by what makes their offset 128.

// UNPACK_STORE writes eight columns of 16 rows and goes on.
#define UNPACK_ADD(a) \
	ADD16B(a, a, 24);         \
	ADD16B((a+1), (a+1), 24); \
	ADD16B((a+2), (a+2), 24); \
	ADD16B((a+3), (a+3), 24)

#define UNPACK_STORE(PAIR, i) \
	UNPACK_ADD(16);   \
	UNPACK_ADD(20);   \
	STRQ(16, 2, 0);   \
	STRQ(17, 2, 16);  \
	STRQ(18, 2, 32);  \
	STRQ(19, 2, 48);  \
	STRQ(20, 2, 64);  \
	STRQ(21, 2, 80);  \
	STRQ(22, 2, 96);  \
	STRQ(23, 2, 112); \
	ADD  $128, R2

#define UNPACK(STEP0, STEP1, bytes) \
	MOVD dst+0(FP), R2;    \
	MOVD src+8(FP), R1;    \
	MOVD steps+16(FP), R3; \
	MOVD add+24(FP), R4;   \
	DUP4S_R(24, 4);        \
step:                    \
	STEP0(UNPACK_STORE, 0); \
	STEP1(UNPACK_STORE, 0); \
	ADD  $bytes, R1;       \
	SUBS $1, R3;           \
	BNE  step;             \
	RET

// func intUnpackNEON2(dst, src unsafe.Pointer, steps, add int)
TEXT ·intUnpackNEON2(SB), NOSPLIT, $0-32
	UNPACK(INTNP_STEP2_0, INTNP_STEP2_1, 128)

// func intUnpackNEON3(dst, src unsafe.Pointer, steps, add int)
TEXT ·intUnpackNEON3(SB), NOSPLIT, $0-32
	UNPACK(INTNP_STEP3_0, INTNP_STEP3_1, 192)

// func intUnpackNEON5(dst, src unsafe.Pointer, steps, add int)
TEXT ·intUnpackNEON5(SB), NOSPLIT, $0-32
	UNPACK(INTNP_STEP5_0, INTNP_STEP5_1, 320)

// func intUnpackNEON6(dst, src unsafe.Pointer, steps, add int)
TEXT ·intUnpackNEON6(SB), NOSPLIT, $0-32
	UNPACK(INTNP_STEP6_0, INTNP_STEP6_1, 384)

// func intUnpackNEON7(dst, src unsafe.Pointer, steps, add int)
TEXT ·intUnpackNEON7(SB), NOSPLIT, $0-32
	UNPACK(INTNP_STEP7_0, INTNP_STEP7_1, 448)
