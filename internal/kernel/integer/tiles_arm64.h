// Common parts of the integer kernels for NEON. A kernel computes one row tile
// (16 rows, four registers) for a fixed number of tokens over all groups.
//
// Registers:
//   R0 arguments, R1 next step, R2…R5 next column of tokens 0…3, R6 distance
//   between tokens, R7 groups left, R8 next scales, R9 next sum, R10 float sums
//   [token][16] on the stack, R14 steps left, R11…R13 R15 temporary
//   V0…V15   sums, four for each token; kernels for few tokens have further four
//            for the second half of the columns, which would wait for the first
//   V16…V19  weights of the first four columns of a pair, V20…V23 of the others
//   V24…V27  tokens, V28…V31 temporary

#define INTN_ENTER \
	MOVD args+0(FP), R0;        \
	MOVD intArgs_w(R0), R1;     \
	MOVD intArgs_q(R0), R2;     \
	MOVD intArgs_qNext(R0), R6; \
	ADD  R6, R2, R3;            \
	ADD  R6, R3, R4;            \
	ADD  R6, R4, R5;            \
	MOVD intArgs_groups(R0), R7; \
	MOVD intArgs_scale(R0), R8; \
	MOVD intArgs_sum(R0), R9

// INTN_ZEROS is where the routine is in the zero points: see INTN_UNSHIFT.
#define INTN_ZEROS \
	MOVD intArgs_shift(R0), R11;   \
	MOVD R11, intArgs_shiftAt(R0); \
	MOVD intArgs_fsum(R0), R11;    \
	MOVD R11, intArgs_fsumAt(R0)

// INTN_BEGIN sets the float sums of some tokens to 0.
#define INTN_BEGIN(tokens) \
	INTN_ZEROS;                  \
	ZERO16B(0);                  \
	MOVD R10, R12;               \
	MOVD $tokens, R13;           \
begin:                         \
	STRQ(0, 12, 0);              \
	STRQ(0, 12, 16);             \
	STRQ(0, 12, 32);             \
	STRQ(0, 12, 48);             \
	ADD  $64, R12;               \
	SUBS $1, R13;                \
	BNE  begin

// INTN_GROUP sets R14 to the steps of this group, R11 and R12 for INTN_START.
#define INTN_GROUP \
	MOVD intArgs_steps(R0), R14;   \
	MOVD intArgs_last(R0), R11;    \
	CMP  $1, R7;                   \
	CSEL EQ, R11, R14, R14;        \
	MOVD intArgs_sumNext(R0), R11; \
	MOVD R9, R12;                  \
	ADD  $4, R9

#define INTN_CLEAR(a) \
	ZERO16B(a);     \
	ZERO16B((a+1)); \
	ZERO16B((a+2)); \
	ZERO16B((a+3))

// INTN_MERGE adds the second sums of a token to the first.
#define INTN_MERGE(a, b) \
	ADD4S(a, a, b);             \
	ADD4S((a+1), (a+1), (b+1)); \
	ADD4S((a+2), (a+2), (b+2)); \
	ADD4S((a+3), (a+3), (b+3))

// DOT_PAIR, NEON_PAIR6 and NEON_PAIR8 add the products of eight columns, elements i
// and i+1 of the token in x: of the first four to the sums a…a+3, of the others to
// b…b+3. With FEAT_DotProd:
#define DOT_PAIR(i, x, a, b) \
	SDOT4S_I(a, 16, x, i);         \
	SDOT4S_I((a+1), 17, x, i);     \
	SDOT4S_I((a+2), 18, x, i);     \
	SDOT4S_I((a+3), 19, x, i);     \
	SDOT4S_I(b, 20, x, (i+1));     \
	SDOT4S_I((b+1), 21, x, (i+1)); \
	SDOT4S_I((b+2), 22, x, (i+1)); \
	SDOT4S_I((b+3), 23, x, (i+1))

// Without it, up to 6 bits: the sum of four products, 4·63·128 at most, stays
// within 16 bits. The sums b are left alone.
#define NEON_FOUR6(w, v, a) \
	SMULL8H(28, w, 29);    \
	SMULL2_8H(31, w, 29);  \
	SMLAL8H(28, v, 30);    \
	SMLAL2_8H(31, v, 30);  \
	ADDP8H(28, 28, 31);    \
	SADALP4S(a, 28)

#define NEON_PAIR6(i, x, a, b) \
	DUP4S(29, x, i);           \
	DUP4S(30, x, (i+1));       \
	NEON_FOUR6(16, 20, a);     \
	NEON_FOUR6(17, 21, (a+1)); \
	NEON_FOUR6(18, 22, (a+2)); \
	NEON_FOUR6(19, 23, (a+3))

// Up to 8 bits, signed: one product does.
#define NEON_TWO8(w, x, a) \
	SMULL8H(28, w, x);   \
	SMULL2_8H(31, w, x); \
	SADDLP4S(28, 28);    \
	SADDLP4S(31, 31);    \
	ADDP4S(28, 28, 31);  \
	ADD4S(a, a, 28)

#define NEON_PAIR8(i, x, a, b) \
	DUP4S(29, x, i);          \
	DUP4S(30, x, (i+1));      \
	NEON_TWO8(16, 29, a);     \
	NEON_TWO8(17, 29, (a+1)); \
	NEON_TWO8(18, 29, (a+2)); \
	NEON_TWO8(19, 29, (a+3)); \
	NEON_TWO8(20, 30, a);     \
	NEON_TWO8(21, 30, (a+1)); \
	NEON_TWO8(22, 30, (a+2)); \
	NEON_TWO8(23, 30, (a+3))

// INTN_NEXT goes on by bytes of weights and cols columns.
#define INTN_NEXT(bytes, cols) \
	ADD $bytes, R1; \
	ADD $cols, R2;  \
	ADD $cols, R3;  \
	ADD $cols, R4;  \
	ADD $cols, R5

#define INTN_LOAD(a, at) \
	LDRQ(a, 1, at);          \
	LDRQ((a+1), 1, (16+at)); \
	LDRQ((a+2), 1, (32+at)); \
	LDRQ((a+3), 1, (48+at))

#define INTN_NIBBLES(a, b) \
	USHR16B(b, a, 4); \
	AND16B(a, a, 31)

#define INTN_SIGNED(a) \
	EOR16B(a, a, 31);         \
	EOR16B((a+1), (a+1), 31); \
	EOR16B((a+2), (a+2), 31); \
	EOR16B((a+3), (a+3), 31)

// INTN_SCALES loads the group's scales.
#define INTN_SCALES \
	LDRQ(16, 8, 0);  \
	LDRQ(17, 8, 16); \
	LDRQ(18, 8, 32); \
	LDRQ(19, 8, 48); \
	ADD $64, R8

// INTN_FLOATS makes a token's products floats.
#define INTN_FLOATS(a) \
	SCVTF4S(a, a);         \
	SCVTF4S((a+1), (a+1)); \
	SCVTF4S((a+2), (a+2)); \
	SCVTF4S((a+3), (a+3))

// INTN_SHIFTS loads what zero points are different from the middle by into V8…V11 or V20…V23,
// from register s on, and sets R12 and R11 for INTN_UNSHIFT, which subtracts that times the
// token's sum; V24 and V25 are temporary.
#define INTN_SHIFTS(s) \
	MOVD intArgs_shiftAt(R0), R11;   \
	LDRQ(s, 11, 0);                  \
	LDRQ((s+1), 11, 16);             \
	LDRQ((s+2), 11, 32);             \
	LDRQ((s+3), 11, 48);             \
	MOVD intArgs_shiftNext(R0), R12; \
	ADD  R12, R11;                   \
	MOVD R11, intArgs_shiftAt(R0);   \
	MOVD intArgs_fsumAt(R0), R12;    \
	ADD  $4, R12, R11;               \
	MOVD R11, intArgs_fsumAt(R0);    \
	MOVD intArgs_fsumNext(R0), R11

#define INTN_UNSHIFT1(s, a) \
	FMUL4S(25, s, 24); \
	FSUB4S(a, a, 25)

#define INTN_UNSHIFT(s, a) \
	LD1R4S(24, 12);                \
	ADD R11, R12;                  \
	INTN_UNSHIFT1(s, a);           \
	INTN_UNSHIFT1((s+1), (a+1));   \
	INTN_UNSHIFT1((s+2), (a+2));   \
	INTN_UNSHIFT1((s+3), (a+3))

// INTN_FLUSH adds scale·product of one token to its float sums.
#define INTN_FLUSH1(at, s, a) \
	LDRQ(20, 10, at);  \
	FMUL4S(a, a, s);   \
	FADD4S(20, 20, a); \
	STRQ(20, 10, at)

#define INTN_FLUSH(at, a) \
	INTN_FLUSH1(at, 16, a);            \
	INTN_FLUSH1((16+at), 17, (a+1)); \
	INTN_FLUSH1((32+at), 18, (a+2)); \
	INTN_FLUSH1((48+at), 19, (a+3))

// INTN_LEAVE writes sx·(sum − zx·RowSum) of the valid tokens and returns.
#define INTN_LEAVE1(at, r) \
	LDRQ(6, 10, at);  \
	FMUL4S(7, r, 5);  \
	FSUB4S(6, 6, 7);  \
	FMUL4S(6, 6, 4);  \
	STRQ(6, 11, at)

#define INTN_LEAVE \
	MOVD intArgs_rowSum(R0), R11; \
	LDRQ(0, 11, 0);               \
	LDRQ(1, 11, 16);              \
	LDRQ(2, 11, 32);              \
	LDRQ(3, 11, 48);              \
	MOVD intArgs_sx(R0), R2;      \
	MOVD intArgs_zx(R0), R3;      \
	MOVD intArgs_y(R0), R11;      \
	MOVD intArgs_yNext(R0), R12;  \
	MOVD intArgs_tokens(R0), R13; \
write:                          \
	LD1R4S(4, 2);                 \
	LD1R4S(5, 3);                 \
	SCVTF4S(5, 5);                \
	INTN_LEAVE1(0, 0);            \
	INTN_LEAVE1(16, 1);           \
	INTN_LEAVE1(32, 2);           \
	INTN_LEAVE1(48, 3);           \
	ADD  $4, R2;                  \
	ADD  $4, R3;                  \
	ADD  $64, R10;                \
	ADD  R12, R11;                \
	SUBS $1, R13;                 \
	BNE  write;                   \
	RET
