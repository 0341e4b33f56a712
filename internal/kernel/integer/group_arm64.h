// Common parts of the kernels for NEON for tokens in groups of channels, see
// group.go. The sums of the weights' group follow the float sums on the stack.

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

// INTNG_SCALES sets R11 and R12 for INTNG_SCALE, INTNG_NEXT goes on with the next
// part of the group: label part.
#define INTNG_SCALES \
	MOVD intArgs_sumNext(R0), R11; \
	ADD  $4, R9, R12

#define INTNG_NEXT \
	ADD  $8, R9;                   \
	MOVD intArgs_total(R0), R11;   \
	SUB  $1, R11;                  \
	MOVD R11, intArgs_total(R0);   \
	MOVD intArgs_left(R0), R11;    \
	SUBS $1, R11;                  \
	MOVD R11, intArgs_left(R0);    \
	BNE  part
