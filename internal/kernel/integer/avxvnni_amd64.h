// Common parts of the integer kernels for AVX-VNNI, which are those for AVX2
// with one instruction for the products of four columns. avx2_amd64.h comes
// before.

// AVXVNNI_DPBUSD is VPDPBUSD Y<x>, Y<w>, Y<a> with the VEX prefix, of which the
// assembler has only the EVEX form: the sums a += unsigned bytes w · signed bytes
// x. VEX.256.66.0F38.W0 50 /r: a in ModRM.reg, x in ModRM.rm, w in VEX.vvvv.
#define AVXVNNI_DPBUSD(x, w, a) \
	BYTE $0xc4;                               \
	BYTE $(0xe2 ^ (a>>3)<<7 ^ (x>>3)<<5);     \
	BYTE $((15-w)<<3 | 5);                    \
	BYTE $0x50;                               \
	BYTE $(0xc0 | (a&7)<<3 | (x&7))

// AVXVNNI_DOT adds four columns of one token to 16 rows: weights w0 and w1, sums
// a0 and a1 by their numbers.
#define AVXVNNI_DOT(x, w0, w1, a0, a1) \
	VPBROADCASTD x, Y14;        \
	AVXVNNI_DPBUSD(14, w0, a0); \
	AVXVNNI_DPBUSD(14, w1, a1)
