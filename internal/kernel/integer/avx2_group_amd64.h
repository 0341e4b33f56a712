// Common parts of the kernels for AVX2 and AVX-VNNI for tokens in groups of
// channels, see group.go. The sums of the weights' group follow the float
// sums on the stack.

#define INT2G_COUNT \
	MOVQ    intArgs_parts(R12), AX;     \
	CMPQ    R13, $1;                    \
	CMOVQEQ intArgs_lastParts(R12), AX; \
	MOVQ    AX, intArgs_left(R12)

// INT2G_GROUP begins a group whose sums of bytes follow as many of float sums.
#define INT2G_GROUP(bytes) \
	VPXOR   Y0, Y0, Y0;               \
	MOVQ    $bytes, CX;               \
clear:                                \
	VMOVDQU Y0, (bytes-32)(SP)(CX*1); \
	SUBQ    $32, CX;                  \
	JNZ     clear;                    \
	INT2G_COUNT

// INT2G_PART sets BX to the steps of this part, AX and CX for INT2_START.
#define INT2G_PART \
	MOVQ    intArgs_steps(R12), BX;   \
	CMPQ    intArgs_total(R12), $1;   \
	CMOVQEQ intArgs_last(R12), BX;    \
	MOVQ    intArgs_sumNext(R12), AX; \
	MOVQ    R15, CX

// INT2G_SCALES sets AX and CX for INT2G_SCALE.
#define INT2G_SCALES \
	MOVQ intArgs_sumNext(R12), AX; \
	MOVQ R15, CX;                  \
	ADDQ $8, R15

#define INT2G_SCALE(at, a0, a1) \
	VBROADCASTSS 4(CX), Y12;          \
	ADDQ         AX, CX;              \
	VCVTDQ2PS    a0, a0;              \
	VCVTDQ2PS    a1, a1;              \
	VMULPS       Y12, a0, a0;         \
	VMULPS       Y12, a1, a1;         \
	VADDPS       at(SP), a0, a0;      \
	VADDPS       (32+at)(SP), a1, a1; \
	VMOVUPS      a0, at(SP);          \
	VMOVUPS      a1, (32+at)(SP)

// INT2G_LOAD8 loads a step of 4 columns.
#define INT2G_LOAD8 \
	VMOVDQU (SI), Y8;   \
	VMOVDQU 32(SI), Y9; \
	ADDQ    $64, SI

// INT2G_DOT8 adds a step of 4 columns of one token: two products of 255·15 stay
// within 16 bits.
#define INT2G_DOT8(x, a0, a1) \
	VPBROADCASTD x, Y14;                  \
	VPMADDUBSW   Y14, Y8, Y12;            \
	VPMADDUBSW   Y14, Y9, Y13;            \
	VPMADDWD     intOnes<>(SB), Y12, Y12; \
	VPMADDWD     intOnes<>(SB), Y13, Y13; \
	VPADDD       Y12, a0, a0;             \
	VPADDD       Y13, a1, a1
