#include "textflag.h"
#include "go_asm.h"
#include "neon_arm64.h"
#include "int_arm64.h"

// Weights of 4 and 8 bits × tokens in groups of channels, see int_group.go. The
// sums of the weights' group are behind the float sums on the stack.

// INTNG_GROUP begins a group whose sums follow the float sums of some tokens, and
// counts its parts.
#define INTNG_GROUP(tokens) \
	ZERO16B(0);                      \
	ADD  $(64*tokens), R10, R11;     \
	MOVD $(4*tokens), R12;           \
clear:                             \
	STRQ(0, 11, 0);                  \
	ADD  $16, R11;                   \
	SUBS $1, R12;                    \
	BNE  clear;                      \
	MOVD intArgs_parts(R0), R11;     \
	MOVD intArgs_lastParts(R0), R12; \
	CMP  $1, R7;                     \
	CSEL EQ, R12, R11, R11;          \
	MOVD R11, intArgs_left(R0)

// INTNG_PART sets R14 to the steps of this part, R11 and R12 for INTN_START.
#define INTNG_PART \
	MOVD intArgs_steps(R0), R14;   \
	MOVD intArgs_last(R0), R11;    \
	MOVD intArgs_total(R0), R12;   \
	CMP  $1, R12;                  \
	CSEL EQ, R11, R14, R14;        \
	MOVD intArgs_sumNext(R0), R11; \
	MOVD R9, R12

#define INTNG_SCALE1(at, a) \
	SCVTF4S(a, a);     \
	LDRQ(17, 10, at);  \
	FMUL4S(a, a, 16);  \
	FADD4S(17, 17, a); \
	STRQ(17, 10, at)

// INTNG_SCALE adds a token's scale times its sums to those of the group.
#define INTNG_SCALE(at, a) \
	LD1R4S(16, 12);                \
	ADD R11, R12;                  \
	INTNG_SCALE1(at, a);           \
	INTNG_SCALE1((16+at), (a+1));  \
	INTNG_SCALE1((32+at), (a+2));  \
	INTNG_SCALE1((48+at), (a+3))

#define INTNG_SCALES1 INTNG_SCALE(64, 0)

#define INTNG_SCALES2 \
	INTNG_SCALE(128, 0); \
	INTNG_SCALE(192, 4)

#define INTNG_SCALES4 \
	INTNG_SCALE(256, 0); \
	INTNG_SCALE(320, 4); \
	INTNG_SCALE(384, 8); \
	INTNG_SCALE(448, 12)

#define INTNG_NEXT(SCALES) \
	MOVD intArgs_sumNext(R0), R11; \
	ADD  $4, R9, R12;              \
	SCALES;                        \
	ADD  $8, R9;                   \
	MOVD intArgs_total(R0), R11;   \
	SUB  $1, R11;                  \
	MOVD R11, intArgs_total(R0);   \
	MOVD intArgs_left(R0), R11;    \
	SUBS $1, R11;                  \
	MOVD R11, intArgs_left(R0);    \
	BNE  part

#define INTNG_FLUSH1(at, from, s) \
	LDRQ(0, 10, from); \
	LDRQ(1, 10, at);   \
	FMUL4S(0, 0, s);   \
	FADD4S(1, 1, 0);   \
	STRQ(1, 10, at)

// INTNG_FLUSH adds scale·sum of one token to its float sums.
#define INTNG_FLUSH(at, from) \
	INTNG_FLUSH1(at, from, 16);             \
	INTNG_FLUSH1((16+at), (16+from), 17); \
	INTNG_FLUSH1((32+at), (32+from), 18); \
	INTNG_FLUSH1((48+at), (48+from), 19)

#define INTNG_FLUSHES1 INTNG_FLUSH(0, 64)

#define INTNG_FLUSHES2 \
	INTNG_FLUSH(0, 128); \
	INTNG_FLUSH(64, 192)

#define INTNG_FLUSHES4 \
	INTNG_FLUSH(0, 256);   \
	INTNG_FLUSH(64, 320);  \
	INTNG_FLUSH(128, 384); \
	INTNG_FLUSH(192, 448)

// INTNG_KERNEL is a kernel from its entry on; R10 is set.
#define INTNG_KERNEL(tokens, BEGIN, START, STEPS, MERGE, SCALES, FLUSHES) \
	INTN_ENTER;          \
	INTN_BEGIN(tokens);  \
group:                 \
	INTNG_GROUP(tokens); \
part:                  \
	INTNG_PART;          \
	BEGIN(START);        \
	STEPS;               \
	MERGE;               \
	INTNG_NEXT(SCALES);  \
	INTN_SCALES;         \
	FLUSHES;             \
	SUBS $1, R7;         \
	BNE  group;          \
	INTN_LEAVE

// func intDotGroup4x4(args *intArgs)
TEXT ·intDotGroup4x4(SB), 0, $512-8
	MOVD $sums-512(SP), R10
	INTNG_KERNEL(4, INTN_BEGIN4, INTN_START4, INTN_STEPS4(INTN_TOKENS4, INTN_PAIRS4, DOT_PAIR), INTN_MERGE4, INTNG_SCALES4, INTNG_FLUSHES4)

// func intDotGroup4x2(args *intArgs)
TEXT ·intDotGroup4x2(SB), 0, $256-8
	MOVD $sums-256(SP), R10
	INTNG_KERNEL(2, INTN_BEGIN2, INTN_START4, INTN_STEPS4(INTN_TOKENS2, INTN_PAIRS2, DOT_PAIR), INTN_MERGE2, INTNG_SCALES2, INTNG_FLUSHES2)

// func intDotGroup4x1(args *intArgs)
TEXT ·intDotGroup4x1(SB), 0, $128-8
	MOVD $sums-128(SP), R10
	INTNG_KERNEL(1, INTN_BEGIN1, INTN_START4, INTN_STEPS4(INTN_TOKENS1, INTN_PAIRS1, DOT_PAIR), INTN_MERGE1, INTNG_SCALES1, INTNG_FLUSHES1)

// func intDotGroup8x4(args *intArgs)
TEXT ·intDotGroup8x4(SB), 0, $512-8
	MOVD $sums-512(SP), R10
	INTNG_KERNEL(4, INTN_BEGIN4, INTN_START8, INTN_STEPS8(INTN_TOKENS4, INTN_PAIRS4, DOT_PAIR), INTN_MERGE4, INTNG_SCALES4, INTNG_FLUSHES4)

// func intDotGroup8x2(args *intArgs)
TEXT ·intDotGroup8x2(SB), 0, $256-8
	MOVD $sums-256(SP), R10
	INTNG_KERNEL(2, INTN_BEGIN2, INTN_START8, INTN_STEPS8(INTN_TOKENS2, INTN_PAIRS2, DOT_PAIR), INTN_MERGE2, INTNG_SCALES2, INTNG_FLUSHES2)

// func intDotGroup8x1(args *intArgs)
TEXT ·intDotGroup8x1(SB), 0, $128-8
	MOVD $sums-128(SP), R10
	INTNG_KERNEL(1, INTN_BEGIN1, INTN_START8, INTN_STEPS8(INTN_TOKENS1, INTN_PAIRS1, DOT_PAIR), INTN_MERGE1, INTNG_SCALES1, INTNG_FLUSHES1)

// func intNEONGroup4x4(args *intArgs)
TEXT ·intNEONGroup4x4(SB), 0, $512-8
	MOVD $sums-512(SP), R10
	INTNG_KERNEL(4, INTN_BEGIN4, INTN_START4, INTN_STEPS4(INTN_TOKENS4, INTN_PAIRS4, NEON_PAIR6), INTN_MERGE4, INTNG_SCALES4, INTNG_FLUSHES4)

// func intNEONGroup4x2(args *intArgs)
TEXT ·intNEONGroup4x2(SB), 0, $256-8
	MOVD $sums-256(SP), R10
	INTNG_KERNEL(2, INTN_BEGIN2, INTN_START4, INTN_STEPS4(INTN_TOKENS2, INTN_PAIRS2, NEON_PAIR6), INTN_MERGE2, INTNG_SCALES2, INTNG_FLUSHES2)

// func intNEONGroup4x1(args *intArgs)
TEXT ·intNEONGroup4x1(SB), 0, $128-8
	MOVD $sums-128(SP), R10
	INTNG_KERNEL(1, INTN_BEGIN1, INTN_START4, INTN_STEPS4(INTN_TOKENS1, INTN_PAIRS1, NEON_PAIR6), INTN_MERGE1, INTNG_SCALES1, INTNG_FLUSHES1)

// func intNEONGroup8x4(args *intArgs)
TEXT ·intNEONGroup8x4(SB), 0, $512-8
	MOVD $sums-512(SP), R10
	INTNG_KERNEL(4, INTN_BEGIN4, INTN_START8, INTN_STEPS8(INTN_TOKENS4, INTN_PAIRS4, NEON_PAIR8), INTN_MERGE4, INTNG_SCALES4, INTNG_FLUSHES4)

// func intNEONGroup8x2(args *intArgs)
TEXT ·intNEONGroup8x2(SB), 0, $256-8
	MOVD $sums-256(SP), R10
	INTNG_KERNEL(2, INTN_BEGIN2, INTN_START8, INTN_STEPS8(INTN_TOKENS2, INTN_PAIRS2, NEON_PAIR8), INTN_MERGE2, INTNG_SCALES2, INTNG_FLUSHES2)

// func intNEONGroup8x1(args *intArgs)
TEXT ·intNEONGroup8x1(SB), 0, $128-8
	MOVD $sums-128(SP), R10
	INTNG_KERNEL(1, INTN_BEGIN1, INTN_START8, INTN_STEPS8(INTN_TOKENS1, INTN_PAIRS1, NEON_PAIR8), INTN_MERGE1, INTNG_SCALES1, INTNG_FLUSHES1)
