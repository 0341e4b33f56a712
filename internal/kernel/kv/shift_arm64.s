#include "textflag.h"
#include "neon_arm64.h"

// Adds a number to each of a vector.

// func kvShiftNEON(dst, x unsafe.Pointer, by float32, blocks int)
TEXT ·kvShiftNEON(SB), NOSPLIT, $0-32
	MOVD  dst+0(FP), R0
	MOVD  x+8(FP), R1
	FMOVS by+16(FP), F0
	MOVD  blocks+24(FP), R2
	DUP4S(0, 0, 0)
loop:
	LDRQ(1, 1, 0)
	LDRQ(2, 1, 16)
	LDRQ(3, 1, 32)
	LDRQ(4, 1, 48)
	FADD4S(1, 1, 0)
	FADD4S(2, 2, 0)
	FADD4S(3, 3, 0)
	FADD4S(4, 4, 0)
	STRQ(1, 0, 0)
	STRQ(2, 0, 16)
	STRQ(3, 0, 32)
	STRQ(4, 0, 48)
	ADD  $64, R1
	ADD  $64, R0
	SUBS $1, R2
	BNE  loop
	RET
