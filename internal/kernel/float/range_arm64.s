#include "textflag.h"
#include "neon_arm64.h"

// func rangeNEON(out *[12]float32, x *float32, n int)
// out: four minima and four maxima of x and zero, NaN apart, and four greatest
// |x|. n is a positive multiple of 16.
TEXT ·rangeNEON(SB), NOSPLIT, $0-24
	MOVD out+0(FP), R0
	MOVD x+8(FP), R1
	MOVD n+16(FP), R2
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

loop:
	LDRQ(16, 1, 0)
	LDRQ(17, 1, 16)
	LDRQ(18, 1, 32)
	LDRQ(19, 1, 48)
	FCMGT4S(20, 0, 16)
	BIT16B(0, 16, 20)
	FCMGT4S(21, 16, 4)
	BIT16B(4, 16, 21)
	FABS4S(22, 16)
	UMAX4S(8, 8, 22)
	FCMGT4S(20, 1, 17)
	BIT16B(1, 17, 20)
	FCMGT4S(21, 17, 5)
	BIT16B(5, 17, 21)
	FABS4S(22, 17)
	UMAX4S(9, 9, 22)
	FCMGT4S(20, 2, 18)
	BIT16B(2, 18, 20)
	FCMGT4S(21, 18, 6)
	BIT16B(6, 18, 21)
	FABS4S(22, 18)
	UMAX4S(10, 10, 22)
	FCMGT4S(20, 3, 19)
	BIT16B(3, 19, 20)
	FCMGT4S(21, 19, 7)
	BIT16B(7, 19, 21)
	FABS4S(22, 19)
	UMAX4S(11, 11, 22)
	ADD  $64, R1
	SUBS $16, R2
	BNE  loop

	FCMGT4S(20, 0, 1)
	BIT16B(0, 1, 20)
	FCMGT4S(21, 5, 4)
	BIT16B(4, 5, 21)
	UMAX4S(8, 8, 9)
	FCMGT4S(20, 2, 3)
	BIT16B(2, 3, 20)
	FCMGT4S(21, 7, 6)
	BIT16B(6, 7, 21)
	UMAX4S(10, 10, 11)
	FCMGT4S(20, 0, 2)
	BIT16B(0, 2, 20)
	FCMGT4S(21, 6, 4)
	BIT16B(4, 6, 21)
	UMAX4S(8, 8, 10)
	STRQ(0, 0, 0)
	STRQ(4, 0, 16)
	STRQ(8, 0, 32)
	RET
