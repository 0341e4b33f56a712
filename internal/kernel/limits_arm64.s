#include "textflag.h"
#include "neon_arm64.h"

// What the machine can do at most: loops that do nothing else. The sums hold
// whatever is in the registers: only the time counts.

// func intDotPeak(n int)
// n·24 dot products of 16 pairs of bytes.
TEXT ·intDotPeak(SB), NOSPLIT, $0-8
	MOVD n+0(FP), R0
loop:
	SDOT4S_I(0, 24, 28, 0)
	SDOT4S_I(1, 25, 28, 1)
	SDOT4S_I(2, 26, 28, 2)
	SDOT4S_I(3, 27, 28, 3)
	SDOT4S_I(4, 24, 28, 0)
	SDOT4S_I(5, 25, 28, 1)
	SDOT4S_I(6, 26, 28, 2)
	SDOT4S_I(7, 27, 28, 3)
	SDOT4S_I(8, 24, 28, 0)
	SDOT4S_I(9, 25, 28, 1)
	SDOT4S_I(10, 26, 28, 2)
	SDOT4S_I(11, 27, 28, 3)
	SDOT4S_I(12, 24, 28, 0)
	SDOT4S_I(13, 25, 28, 1)
	SDOT4S_I(14, 26, 28, 2)
	SDOT4S_I(15, 27, 28, 3)
	SDOT4S_I(16, 24, 28, 0)
	SDOT4S_I(17, 25, 28, 1)
	SDOT4S_I(18, 26, 28, 2)
	SDOT4S_I(19, 27, 28, 3)
	SDOT4S_I(20, 24, 28, 0)
	SDOT4S_I(21, 25, 28, 1)
	SDOT4S_I(22, 26, 28, 2)
	SDOT4S_I(23, 27, 28, 3)
	SUBS $1, R0
	BNE  loop
	RET

// func peakFMANEON(n int)
// n·24 multiply-adds of 4 floats.
TEXT ·peakFMANEON(SB), NOSPLIT, $0-8
	MOVD n+0(FP), R0
	ZERO16B(0)
	ZERO16B(1)
	ZERO16B(2)
	ZERO16B(3)
	ZERO16B(4)
	ZERO16B(5)
	ZERO16B(6)
	ZERO16B(7)
	ZERO16B(8)
	ZERO16B(9)
	ZERO16B(10)
	ZERO16B(11)
	ZERO16B(12)
	ZERO16B(13)
	ZERO16B(14)
	ZERO16B(15)
	ZERO16B(16)
	ZERO16B(17)
	ZERO16B(18)
	ZERO16B(19)
	ZERO16B(20)
	ZERO16B(21)
	ZERO16B(22)
	ZERO16B(23)
	ZERO16B(24)
	ZERO16B(25)
	ZERO16B(26)
	ZERO16B(27)
	ZERO16B(28)
loop:
	FMLA4S(0, 24, 28)
	FMLA4S(1, 25, 28)
	FMLA4S(2, 26, 28)
	FMLA4S(3, 27, 28)
	FMLA4S(4, 24, 28)
	FMLA4S(5, 25, 28)
	FMLA4S(6, 26, 28)
	FMLA4S(7, 27, 28)
	FMLA4S(8, 24, 28)
	FMLA4S(9, 25, 28)
	FMLA4S(10, 26, 28)
	FMLA4S(11, 27, 28)
	FMLA4S(12, 24, 28)
	FMLA4S(13, 25, 28)
	FMLA4S(14, 26, 28)
	FMLA4S(15, 27, 28)
	FMLA4S(16, 24, 28)
	FMLA4S(17, 25, 28)
	FMLA4S(18, 26, 28)
	FMLA4S(19, 27, 28)
	FMLA4S(20, 24, 28)
	FMLA4S(21, 25, 28)
	FMLA4S(22, 26, 28)
	FMLA4S(23, 27, 28)
	SUBS $1, R0
	BNE  loop
	RET

// func intReadNEON(p *byte, n int)
// Reads n bytes, a multiple of 256 and not 0, in order.
TEXT ·intReadNEON(SB), NOSPLIT, $0-16
	MOVD p+0(FP), R0
	MOVD n+8(FP), R1
loop:
	PRFM 2048(R0), PLDL1KEEP
	PRFM 2112(R0), PLDL1KEEP
	PRFM 2176(R0), PLDL1KEEP
	PRFM 2240(R0), PLDL1KEEP
	LDRQ(0, 0, 0)
	LDRQ(1, 0, 16)
	LDRQ(2, 0, 32)
	LDRQ(3, 0, 48)
	LDRQ(4, 0, 64)
	LDRQ(5, 0, 80)
	LDRQ(6, 0, 96)
	LDRQ(7, 0, 112)
	LDRQ(8, 0, 128)
	LDRQ(9, 0, 144)
	LDRQ(10, 0, 160)
	LDRQ(11, 0, 176)
	LDRQ(12, 0, 192)
	LDRQ(13, 0, 208)
	LDRQ(14, 0, 224)
	LDRQ(15, 0, 240)
	ADD  $256, R0
	SUBS $256, R1
	BNE  loop
	RET
