// Bit planes in AVX-512: a step of 32 columns becomes bytes, four columns of 16
// rows at a time. See int_planes.go for the layout.
//
// INTP_STEP<bits>(COLS, OP) goes through a step: COLS is INTP_ONE<kind> for the
// row tile at SI, its bytes to Z26, or INTP_TWO<kind> for that DI further as
// well, to Z27. OP(at, acc) uses them: at is the first column, and acc one of
// four sums, for kernels with but one token.
//
// Registers: Z24 Z25 temporary; Z20, Z22, Z21 masks of the low plane's bits, the
// low two planes' bits, all bits.

// INTP_PLANE: a plane alone, at a block's place, its field shifted right.
#define INTP_PLANE(at, n, B, D) \
	VPSRLD $n, at B, D;   \
	VPANDD Z20, D, D

// INTP_PAIR: the plane at at2, shifted by OP2, above the one at at. The ternary
// logic is a choice of bits by the mask.
#define INTP_PAIR(at, n, at2, OP2, n2, B, D, T) \
	VPSRLD     $n, at B, D;        \
	OP2        $n2, at2 B, T;      \
	VPTERNLOGD $0xe4, Z20, T, D;   \
	VPANDD     Z21, D, D

// INTP_THREE: three planes.
#define INTP_THREE(at, n, at2, OP2, n2, at3, OP3, n3, B, D, T) \
	VPSRLD     $n, at B, D;        \
	OP2        $n2, at2 B, T;      \
	VPTERNLOGD $0xe4, Z20, T, D;   \
	OP3        $n3, at3 B, T;      \
	VPTERNLOGD $0xe4, Z22, T, D;   \
	VPANDD     Z21, D, D

#define INTP_ONEPLANE(at, n) INTP_PLANE(at, n, (SI), Z26)
#define INTP_TWOPLANE(at, n) \
	INTP_PLANE(at, n, (SI), Z26); \
	INTP_PLANE(at, n, (SI)(DI*1), Z27)

#define INTP_ONEPAIR(at, n, at2, OP2, n2) INTP_PAIR(at, n, at2, OP2, n2, (SI), Z26, Z24)
#define INTP_TWOPAIR(at, n, at2, OP2, n2) \
	INTP_PAIR(at, n, at2, OP2, n2, (SI), Z26, Z24); \
	INTP_PAIR(at, n, at2, OP2, n2, (SI)(DI*1), Z27, Z25)

#define INTP_ONETHREE(at, n, at2, OP2, n2, at3, OP3, n3) \
	INTP_THREE(at, n, at2, OP2, n2, at3, OP3, n3, (SI), Z26, Z24)
#define INTP_TWOTHREE(at, n, at2, OP2, n2, at3, OP3, n3) \
	INTP_THREE(at, n, at2, OP2, n2, at3, OP3, n3, (SI), Z26, Z24); \
	INTP_THREE(at, n, at2, OP2, n2, at3, OP3, n3, (SI)(DI*1), Z27, Z25)

#define INTP_MASK(m, z) \
	MOVL         $m, AX; \
	VPBROADCASTD AX, z

#define INTP_MASKS2 INTP_MASK(0x03030303, Z20)
#define INTP_MASKS3 \
	INTP_MASK(0x03030303, Z20); \
	INTP_MASK(0x07070707, Z21)
#define INTP_MASKS5 \
	INTP_MASK(0x0f0f0f0f, Z20); \
	INTP_MASK(0x1f1f1f1f, Z21)
#define INTP_MASKS6 \
	INTP_MASK(0x0f0f0f0f, Z20); \
	INTP_MASK(0x3f3f3f3f, Z21)
#define INTP_MASKS7 \
	INTP_MASK(0x0f0f0f0f, Z20); \
	INTP_MASK(0x3f3f3f3f, Z22); \
	INTP_MASK(0x7f7f7f7f, Z21)

#define INTP_STEP2(COLS, OP) \
	COLS(0, 0); \
	OP(0, Z0); \
	COLS(0, 2); \
	OP(4, Z1); \
	COLS(0, 4); \
	OP(8, Z2); \
	COLS(0, 6); \
	OP(12, Z3); \
	COLS(64, 0); \
	OP(16, Z0); \
	COLS(64, 2); \
	OP(20, Z1); \
	COLS(64, 4); \
	OP(24, Z2); \
	COLS(64, 6); \
	OP(28, Z3)

#define INTP_STEP3(COLS, OP) \
	COLS(0, 0, 128, VPSRLD, 0); \
	OP(0, Z0); \
	COLS(0, 2, 128, VPSRLD, 2); \
	OP(4, Z1); \
	COLS(0, 4, 128, VPSRLD, 4); \
	OP(8, Z2); \
	COLS(0, 6, 128, VPSLLD, 2); \
	OP(12, Z3); \
	COLS(64, 0, 128, VPSRLD, 1); \
	OP(16, Z0); \
	COLS(64, 2, 128, VPSRLD, 3); \
	OP(20, Z1); \
	COLS(64, 4, 128, VPSRLD, 5); \
	OP(24, Z2); \
	COLS(64, 6, 128, VPSLLD, 1); \
	OP(28, Z3)

#define INTP_STEP5(COLS, OP) \
	COLS(0, 0, 256, VPSLLD, 2); \
	OP(0, Z0); \
	COLS(0, 4, 256, VPSRLD, 0); \
	OP(4, Z1); \
	COLS(64, 0, 256, VPSRLD, 2); \
	OP(8, Z2); \
	COLS(64, 4, 256, VPSLLD, 4); \
	OP(12, Z3); \
	COLS(128, 0, 256, VPSLLD, 1); \
	OP(16, Z0); \
	COLS(128, 4, 256, VPSRLD, 1); \
	OP(20, Z1); \
	COLS(192, 0, 256, VPSRLD, 3); \
	OP(24, Z2); \
	COLS(192, 4, 256, VPSLLD, 3); \
	OP(28, Z3)

#define INTP_STEP6(COLS, OP) \
	COLS(0, 0, 256, VPSLLD, 4); \
	OP(0, Z0); \
	COLS(0, 4, 256, VPSLLD, 2); \
	OP(4, Z1); \
	COLS(64, 0, 256, VPSRLD, 0); \
	OP(8, Z2); \
	COLS(64, 4, 256, VPSRLD, 2); \
	OP(12, Z3); \
	COLS(128, 0, 320, VPSLLD, 4); \
	OP(16, Z0); \
	COLS(128, 4, 320, VPSLLD, 2); \
	OP(20, Z1); \
	COLS(192, 0, 320, VPSRLD, 0); \
	OP(24, Z2); \
	COLS(192, 4, 320, VPSRLD, 2); \
	OP(28, Z3)

#define INTP_STEP7(COLS, OP) \
	COLS(0, 0, 256, VPSLLD, 4, 384, VPSLLD, 4); \
	OP(0, Z0); \
	COLS(0, 4, 256, VPSLLD, 2, 384, VPSLLD, 2); \
	OP(4, Z1); \
	COLS(64, 0, 256, VPSRLD, 0, 384, VPSRLD, 0); \
	OP(8, Z2); \
	COLS(64, 4, 256, VPSRLD, 2, 384, VPSLLD, 6); \
	OP(12, Z3); \
	COLS(128, 0, 320, VPSLLD, 4, 384, VPSLLD, 3); \
	OP(16, Z0); \
	COLS(128, 4, 320, VPSLLD, 2, 384, VPSLLD, 1); \
	OP(20, Z1); \
	COLS(192, 0, 320, VPSRLD, 0, 384, VPSRLD, 1); \
	OP(24, Z2); \
	COLS(192, 4, 320, VPSRLD, 2, 384, VPSLLD, 5); \
	OP(28, Z3)

#define INTP_AHEAD2(B) \
	INTP_FETCH 0+INTP_FAR B; \
	INTP_FETCH 64+INTP_FAR B

#define INTP_AHEAD3(B) \
	INTP_FETCH 0+INTP_FAR B; \
	INTP_FETCH 64+INTP_FAR B; \
	INTP_FETCH 128+INTP_FAR B

#define INTP_AHEAD5(B) \
	INTP_FETCH 0+INTP_FAR B; \
	INTP_FETCH 64+INTP_FAR B; \
	INTP_FETCH 128+INTP_FAR B; \
	INTP_FETCH 192+INTP_FAR B; \
	INTP_FETCH 256+INTP_FAR B

#define INTP_AHEAD6(B) \
	INTP_FETCH 0+INTP_FAR B; \
	INTP_FETCH 64+INTP_FAR B; \
	INTP_FETCH 128+INTP_FAR B; \
	INTP_FETCH 192+INTP_FAR B; \
	INTP_FETCH 256+INTP_FAR B; \
	INTP_FETCH 320+INTP_FAR B

#define INTP_AHEAD7(B) \
	INTP_FETCH 0+INTP_FAR B; \
	INTP_FETCH 64+INTP_FAR B; \
	INTP_FETCH 128+INTP_FAR B; \
	INTP_FETCH 192+INTP_FAR B; \
	INTP_FETCH 256+INTP_FAR B; \
	INTP_FETCH 320+INTP_FAR B; \
	INTP_FETCH 384+INTP_FAR B
