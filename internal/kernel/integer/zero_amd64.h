// What the kernels of all tiers do with the zero points of weights, see zero.go. R12 points to
// the arguments; AX and CX are used.

// ZERO_BEGIN sets where the routine is in the zero points and in the tokens' group sums.
#define ZERO_BEGIN \
	MOVQ intArgs_shift(R12), AX;   \
	MOVQ AX, intArgs_shiftAt(R12); \
	MOVQ intArgs_fsum(R12), AX;    \
	MOVQ AX, intArgs_fsumAt(R12)

// ZERO_SUMS sets CX to the first token's sum over this group and AX to the distance between
// tokens, and moves on to the next group.
#define ZERO_SUMS \
	MOVQ intArgs_fsumAt(R12), CX;   \
	MOVQ intArgs_fsumNext(R12), AX; \
	ADDQ $4, intArgs_fsumAt(R12)

// ZERO_SHIFTS loads what this group's zero points are different from the middle by into s0 and
// s1, of the halves of one row tile or of two row tiles: the second are at an address from AX on.
// It does what ZERO_SUMS does, too.
#define ZERO_SHIFTS(second, s0, s1) \
	MOVQ    intArgs_shiftAt(R12), AX;   \
	VMOVUPS (AX), s0;                   \
	VMOVUPS second, s1;                 \
	ADDQ    intArgs_shiftNext(R12), AX; \
	MOVQ    AX, intArgs_shiftAt(R12);   \
	ZERO_SUMS

// ZERO_TAKE subtracts shift times the next token's sum from its products a0 and a1; sum, t0 and
// t1 are temporary.
#define ZERO_TAKE(sum, s0, s1, t0, t1, a0, a1) \
	VBROADCASTSS (CX), sum;   \
	ADDQ         AX, CX;      \
	VMULPS       sum, s0, t0; \
	VMULPS       sum, s1, t1; \
	VSUBPS       t0, a0, a0;  \
	VSUBPS       t1, a1, a1
