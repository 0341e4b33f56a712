// Macros of the float kernels for AVX-512.

// SUMS points R15 at the float sums, on a cache line.
#define SUMS \
	LEAQ 63(SP), R15; \
	ANDQ $~63, R15

// BEGIN sets the float sums to 0.
#define BEGIN(bytes) \
	VPXORD  Z31, Z31, Z31;          \
	MOVQ    $bytes, CX;             \
begin:                            \
	VMOVUPS Z31, -64(R15)(CX*1);    \
	SUBQ    $64, CX;                \
	JNZ     begin

#define CLEAR(a0, a1) \
	VPXORD a0, a0, a0; \
	VPXORD a1, a1, a1

// LOAD loads a step of both tiles into Z24 and Z25.
#define LOAD \
	PREFETCHT0 4096(SI);         \
	PREFETCHT0 4096(SI)(DI*1);   \
	VMOVDQU64  (SI), Z24;        \
	VMOVDQU64  (SI)(DI*1), Z25;  \
	ADDQ       $64, SI

// COLUMN4 and COLUMN8 turn one column of the step into floats in Z26 and Z27.
#define COLUMN4(right) \
	VPSRLD  $right, Z24, Z26; \
	VPSRLD  $right, Z25, Z27; \
	VPERMPS Z28, Z26, Z26;    \
	VPERMPS Z28, Z27, Z27

#define COLUMN8(left) \
	VPSLLD    $left, Z24, Z26; \
	VPSLLD    $left, Z25, Z27; \
	VPSRAD    $24, Z26, Z26;   \
	VPSRAD    $24, Z27, Z27;   \
	VCVTDQ2PS Z26, Z26;        \
	VCVTDQ2PS Z27, Z27

#define SCALES \
	MOVQ       intArgs_scaleNext(R12), AX; \
	VMOVUPS    (R14), Z24;                 \
	VMOVUPS    (R14)(AX*1), Z25;           \
	PREFETCHT0 512(R14);                   \
	PREFETCHT0 512(R14)(AX*1);             \
	ADDQ       $64, R14

// WRITE writes the valid tokens and returns.
#define WRITE \
	MOVQ    intArgs_y(R12), R10;      \
	MOVQ    intArgs_yNext(R12), DX;   \
	MOVQ    intArgs_yTile(R12), R11;  \
	MOVQ    intArgs_tokens(R12), BX;  \
write:                              \
	VMOVUPS (R15), Z0;                \
	VMOVUPS 64(R15), Z1;              \
	VMOVUPS Z0, (R10);                \
	VMOVUPS Z1, (R10)(R11*1);         \
	ADDQ    $128, R15;                \
	ADDQ    DX, R10;                  \
	DECQ    BX;                       \
	JNZ     write;                    \
	VZEROUPPER;                       \
	RET
