// Macros of the float kernels for AVX2.

#define CLEAR(a0, a1) \
	VXORPS a0, a0, a0; \
	VXORPS a1, a1, a1

// LOAD loads a step into Y8 and Y9 and makes its fields signed.
#define LOAD \
	PREFETCHT0 2048(SI);        \
	VPXOR      (SI), Y14, Y8;   \
	VPXOR      32(SI), Y14, Y9; \
	ADDQ       $64, SI

// COLUMN turns one column of the step into floats in Y10 and Y11: it shifts
// the field to the top and back with its sign.
#define COLUMN(left, right) \
	VPSLLD    $left, Y8, Y10;   \
	VPSLLD    $left, Y9, Y11;   \
	VPSRAD    $right, Y10, Y10; \
	VPSRAD    $right, Y11, Y11; \
	VCVTDQ2PS Y10, Y10;         \
	VCVTDQ2PS Y11, Y11

// WRITE writes the valid tokens and returns.
#define WRITE \
	MOVQ    intArgs_y(R12), R10;      \
	MOVQ    intArgs_yNext(R12), DX;   \
	MOVQ    intArgs_tokens(R12), BX;  \
write:                              \
	VMOVUPS (R15), Y0;                \
	VMOVUPS 32(R15), Y1;              \
	VMOVUPS Y0, (R10);                \
	VMOVUPS Y1, 32(R10);              \
	ADDQ    $64, R15;                 \
	ADDQ    DX, R10;                  \
	DECQ    BX;                       \
	JNZ     write;                    \
	VZEROUPPER;                       \
	RET

// BEGIN1 and BEGIN2 set the float sums to 0.
#define BEGIN1 \
	LEAQ    0(SP), R15;    \
	VXORPS  Y0, Y0, Y0;    \
	VMOVUPS Y0, (R15);     \
	VMOVUPS Y0, 32(R15)

#define BEGIN2 \
	BEGIN1;                \
	VMOVUPS Y0, 64(R15);   \
	VMOVUPS Y0, 96(R15)
