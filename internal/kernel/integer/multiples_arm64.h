// Common parts of the kernels for NEON for weights whose groups' scales are multiples of
// their row's, see multiples.go. Besides the registers of tiles_arm64.h R15 is the next
// multiples, R19 the shifts for INTNM_TIMES, and R10 the integer sums of the row
// [token][16], which become the float sums at its end.

// INTNM_ENTER is for after INTN_ENTER.
#define INTNM_ENTER(shifts) \
	MOVD intArgs_multiples(R0), R15;     \
	MOVD intArgs_multipleGroups(R0), R7; \
	MOVD $shifts, R19

// INTNM_STEPS sets R14 to the steps of this group.
#define INTNM_STEPS \
	MOVD intArgs_steps(R0), R14; \
	MOVD intArgs_last(R0), R11;  \
	CMP  $1, R7;                 \
	CSEL EQ, R11, R14, R14

// INTNM_SUMS sets R11 and R12 to where the tokens' sums over this group are.
#define INTNM_SUMS \
	MOVD intArgs_sumNext(R0), R11; \
	MOVD R9, R12;                  \
	ADD  $4, R9

// INTNM_TIMES sets the 32-bit lanes of V16…V19 to the multiples of the rows for the next
// group, negative: each is packed, less one, in so many bits, and -(x+1) is not x.
// V24 and V25 are temporary.
#define INTNM_TIMES(bits) \
	MOVD (R15), R11;         \
	ADD  $(2*bits), R15;     \
	LDRQ(24, 19, 0);         \
	MVNI4S(25, (1<<bits-1)); \
	DUP4S_R(16, 11);         \
	LSR  $(4*bits), R11;     \
	DUP4S_R(17, 11);         \
	LSR  $(4*bits), R11;     \
	DUP4S_R(18, 11);         \
	LSR  $(4*bits), R11;     \
	DUP4S_R(19, 11);         \
	USHL4S(16, 16, 24);      \
	USHL4S(17, 17, 24);      \
	USHL4S(18, 18, 24);      \
	USHL4S(19, 19, 24);      \
	ORN16B(16, 25, 16);      \
	ORN16B(17, 25, 17);      \
	ORN16B(18, 25, 18);      \
	ORN16B(19, 25, 19)

// INTNM_ADD adds a token's sums of the group times the multiples to those of the row.
#define INTNM_ADD(at, a) \
	LDRQ(20, 10, at);       \
	LDRQ(21, 10, (16+at));  \
	LDRQ(22, 10, (32+at));  \
	LDRQ(23, 10, (48+at));  \
	MLS4S(20, a, 16);       \
	MLS4S(21, (a+1), 17);   \
	MLS4S(22, (a+2), 18);   \
	MLS4S(23, (a+3), 19);   \
	STRQ(20, 10, at);       \
	STRQ(21, 10, (16+at));  \
	STRQ(22, 10, (32+at));  \
	STRQ(23, 10, (48+at))

// INTNM_SCALE sets a token's float sums to scale·sum. V20 is 0: where the product is -0, the
// sum, which begins with 0, is not.
#define INTNM_SCALE1(at, s, a) \
	FMUL4S(a, a, s);  \
	FADD4S(a, a, 20); \
	STRQ(a, 10, at)

#define INTNM_SCALE(at, a) \
	INTN_FLOATS(a);                  \
	INTNM_SCALE1(at, 16, a);         \
	INTNM_SCALE1((16+at), 17, (a+1)); \
	INTNM_SCALE1((32+at), 18, (a+2)); \
	INTNM_SCALE1((48+at), 19, (a+3))
