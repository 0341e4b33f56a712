// Bit planes in NEON: half a step of 32 columns of one row tile becomes bytes,
// eight columns of 16 rows at a time. See int_planes.go for the layout.
//
// INTNP_STEP<bits>_<half>(PAIRS, PAIR) goes through half a step at R1; PAIRS(PAIR,
// i) uses what is in V16…V19 and V20…V23 with elements i and i+1 of the tokens.

// INTNP_FIRST loads 16 bytes and takes their fields from bit n on, mask in V31.
// INTNP_MORE adds further bits, mask in V30: shifted right by n, INTNP_MOREL: left.
#define INTNP_FIRST0(a, at) \
	LDRQ(a, 1, at); \
	AND16B(a, a, 31)

#define INTNP_FIRST(a, at, n) \
	LDRQ(a, 1, at);   \
	USHR16B(a, a, n); \
	AND16B(a, a, 31)

#define INTNP_MORE0(a, at) \
	LDRQ(29, 1, at);    \
	AND16B(29, 29, 30); \
	ORR16B(a, a, 29)

#define INTNP_MORE(a, at, n) \
	LDRQ(29, 1, at);    \
	USHR16B(29, 29, n); \
	AND16B(29, 29, 30); \
	ORR16B(a, a, 29)

#define INTNP_MOREL(a, at, n) \
	LDRQ(29, 1, at);    \
	SHL16B(29, 29, n);  \
	AND16B(29, 29, 30); \
	ORR16B(a, a, 29)

// The same for the four registers of 16 rows.
#define INTNP_FIRSTS0(a, at) \
	INTNP_FIRST0(a, at);            \
	INTNP_FIRST0((a+1), (16+at)); \
	INTNP_FIRST0((a+2), (32+at)); \
	INTNP_FIRST0((a+3), (48+at))

#define INTNP_MORES0(a, at) \
	INTNP_MORE0(a, at);            \
	INTNP_MORE0((a+1), (16+at)); \
	INTNP_MORE0((a+2), (32+at)); \
	INTNP_MORE0((a+3), (48+at))

#define INTNP_FIRSTS(a, at, n) \
	INTNP_FIRST(a, at, n);            \
	INTNP_FIRST((a+1), (16+at), n); \
	INTNP_FIRST((a+2), (32+at), n); \
	INTNP_FIRST((a+3), (48+at), n)

#define INTNP_MORES(a, at, n) \
	INTNP_MORE(a, at, n);            \
	INTNP_MORE((a+1), (16+at), n); \
	INTNP_MORE((a+2), (32+at), n); \
	INTNP_MORE((a+3), (48+at), n)

#define INTNP_MORESL(a, at, n) \
	INTNP_MOREL(a, at, n);            \
	INTNP_MOREL((a+1), (16+at), n); \
	INTNP_MOREL((a+2), (32+at), n); \
	INTNP_MOREL((a+3), (48+at), n)

#define INTNP_STEP2_0(PAIRS, PAIR) \
	MOVI16B(31, 3); \
	INTNP_FIRSTS0(16, 0); \
	INTNP_FIRSTS(20, 0, 2); \
	PAIRS(PAIR, 0); \
	MOVI16B(31, 3); \
	INTNP_FIRSTS(16, 0, 4); \
	INTNP_FIRSTS(20, 0, 6); \
	PAIRS(PAIR, 2)

#define INTNP_STEP2_1(PAIRS, PAIR) \
	MOVI16B(31, 3); \
	INTNP_FIRSTS0(16, 64); \
	INTNP_FIRSTS(20, 64, 2); \
	PAIRS(PAIR, 0); \
	MOVI16B(31, 3); \
	INTNP_FIRSTS(16, 64, 4); \
	INTNP_FIRSTS(20, 64, 6); \
	PAIRS(PAIR, 2)

#define INTNP_STEP3_0(PAIRS, PAIR) \
	MOVI16B(31, 3); \
	INTNP_FIRSTS0(16, 0); \
	MOVI16B(30, 4); \
	INTNP_MORES0(16, 128); \
	INTNP_FIRSTS(20, 0, 2); \
	INTNP_MORES(20, 128, 2); \
	PAIRS(PAIR, 0); \
	MOVI16B(31, 3); \
	INTNP_FIRSTS(16, 0, 4); \
	MOVI16B(30, 4); \
	INTNP_MORES(16, 128, 4); \
	INTNP_FIRSTS(20, 0, 6); \
	INTNP_MORESL(20, 128, 2); \
	PAIRS(PAIR, 2)

#define INTNP_STEP3_1(PAIRS, PAIR) \
	MOVI16B(31, 3); \
	INTNP_FIRSTS0(16, 64); \
	MOVI16B(30, 4); \
	INTNP_MORES(16, 128, 1); \
	INTNP_FIRSTS(20, 64, 2); \
	INTNP_MORES(20, 128, 3); \
	PAIRS(PAIR, 0); \
	MOVI16B(31, 3); \
	INTNP_FIRSTS(16, 64, 4); \
	MOVI16B(30, 4); \
	INTNP_MORES(16, 128, 5); \
	INTNP_FIRSTS(20, 64, 6); \
	INTNP_MORESL(20, 128, 1); \
	PAIRS(PAIR, 2)

#define INTNP_STEP5_0(PAIRS, PAIR) \
	MOVI16B(31, 15); \
	INTNP_FIRSTS0(16, 0); \
	MOVI16B(30, 16); \
	INTNP_MORESL(16, 256, 2); \
	INTNP_FIRSTS(20, 0, 4); \
	INTNP_MORES0(20, 256); \
	PAIRS(PAIR, 0); \
	MOVI16B(31, 15); \
	INTNP_FIRSTS0(16, 64); \
	MOVI16B(30, 16); \
	INTNP_MORES(16, 256, 2); \
	INTNP_FIRSTS(20, 64, 4); \
	INTNP_MORESL(20, 256, 4); \
	PAIRS(PAIR, 2)

#define INTNP_STEP5_1(PAIRS, PAIR) \
	MOVI16B(31, 15); \
	INTNP_FIRSTS0(16, 128); \
	MOVI16B(30, 16); \
	INTNP_MORESL(16, 256, 1); \
	INTNP_FIRSTS(20, 128, 4); \
	INTNP_MORES(20, 256, 1); \
	PAIRS(PAIR, 0); \
	MOVI16B(31, 15); \
	INTNP_FIRSTS0(16, 192); \
	MOVI16B(30, 16); \
	INTNP_MORES(16, 256, 3); \
	INTNP_FIRSTS(20, 192, 4); \
	INTNP_MORESL(20, 256, 3); \
	PAIRS(PAIR, 2)

#define INTNP_STEP6_0(PAIRS, PAIR) \
	MOVI16B(31, 15); \
	INTNP_FIRSTS0(16, 0); \
	MOVI16B(30, 48); \
	INTNP_MORESL(16, 256, 4); \
	INTNP_FIRSTS(20, 0, 4); \
	INTNP_MORESL(20, 256, 2); \
	PAIRS(PAIR, 0); \
	MOVI16B(31, 15); \
	INTNP_FIRSTS0(16, 64); \
	MOVI16B(30, 48); \
	INTNP_MORES0(16, 256); \
	INTNP_FIRSTS(20, 64, 4); \
	INTNP_MORES(20, 256, 2); \
	PAIRS(PAIR, 2)

#define INTNP_STEP6_1(PAIRS, PAIR) \
	MOVI16B(31, 15); \
	INTNP_FIRSTS0(16, 128); \
	MOVI16B(30, 48); \
	INTNP_MORESL(16, 320, 4); \
	INTNP_FIRSTS(20, 128, 4); \
	INTNP_MORESL(20, 320, 2); \
	PAIRS(PAIR, 0); \
	MOVI16B(31, 15); \
	INTNP_FIRSTS0(16, 192); \
	MOVI16B(30, 48); \
	INTNP_MORES0(16, 320); \
	INTNP_FIRSTS(20, 192, 4); \
	INTNP_MORES(20, 320, 2); \
	PAIRS(PAIR, 2)

#define INTNP_STEP7_0(PAIRS, PAIR) \
	MOVI16B(31, 15); \
	INTNP_FIRSTS0(16, 0); \
	MOVI16B(30, 48); \
	INTNP_MORESL(16, 256, 4); \
	MOVI16B(30, 64); \
	INTNP_MORESL(16, 384, 4); \
	INTNP_FIRSTS(20, 0, 4); \
	MOVI16B(30, 48); \
	INTNP_MORESL(20, 256, 2); \
	MOVI16B(30, 64); \
	INTNP_MORESL(20, 384, 2); \
	PAIRS(PAIR, 0); \
	MOVI16B(31, 15); \
	INTNP_FIRSTS0(16, 64); \
	MOVI16B(30, 48); \
	INTNP_MORES0(16, 256); \
	MOVI16B(30, 64); \
	INTNP_MORES0(16, 384); \
	INTNP_FIRSTS(20, 64, 4); \
	MOVI16B(30, 48); \
	INTNP_MORES(20, 256, 2); \
	MOVI16B(30, 64); \
	INTNP_MORESL(20, 384, 6); \
	PAIRS(PAIR, 2)

#define INTNP_STEP7_1(PAIRS, PAIR) \
	MOVI16B(31, 15); \
	INTNP_FIRSTS0(16, 128); \
	MOVI16B(30, 48); \
	INTNP_MORESL(16, 320, 4); \
	MOVI16B(30, 64); \
	INTNP_MORESL(16, 384, 3); \
	INTNP_FIRSTS(20, 128, 4); \
	MOVI16B(30, 48); \
	INTNP_MORESL(20, 320, 2); \
	MOVI16B(30, 64); \
	INTNP_MORESL(20, 384, 1); \
	PAIRS(PAIR, 0); \
	MOVI16B(31, 15); \
	INTNP_FIRSTS0(16, 192); \
	MOVI16B(30, 48); \
	INTNP_MORES0(16, 320); \
	MOVI16B(30, 64); \
	INTNP_MORES(16, 384, 1); \
	INTNP_FIRSTS(20, 192, 4); \
	MOVI16B(30, 48); \
	INTNP_MORES(20, 320, 2); \
	MOVI16B(30, 64); \
	INTNP_MORESL(20, 384, 5); \
	PAIRS(PAIR, 2)
