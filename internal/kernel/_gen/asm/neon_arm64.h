// NEON instructions by number, as ARM's manual writes them: destination first,
// registers d, n, m and t by their numbers, general ones too. Go's assembler has
// only some of them. The name gives the arrangement of the destination (_I: m is
// an element of a register), the comment the instruction.

#define SDOT4S_I(d, n, m, i) WORD $(0x4f80e000 | (i&1)<<21 | (i>>1)<<11 | m<<16 | n<<5 | d) // sdot d.4s, n.16b, m.4b[i]; int8 dot product with element i of m; FEAT_DotProd
#define SMULL8H(d, n, m) WORD $(0x0e20c000 | m<<16 | n<<5 | d) // smull d.8h, n.8b, m.8b
#define SMULL2_8H(d, n, m) WORD $(0x4e20c000 | m<<16 | n<<5 | d) // smull2 d.8h, n.16b, m.16b
#define SMLAL8H(d, n, m) WORD $(0x0e208000 | m<<16 | n<<5 | d) // smlal d.8h, n.8b, m.8b
#define SMLAL2_8H(d, n, m) WORD $(0x4e208000 | m<<16 | n<<5 | d) // smlal2 d.8h, n.16b, m.16b
#define ADDP8H(d, n, m) WORD $(0x4e60bc00 | m<<16 | n<<5 | d) // addp d.8h, n.8h, m.8h
#define ADDP4S(d, n, m) WORD $(0x4ea0bc00 | m<<16 | n<<5 | d) // addp d.4s, n.4s, m.4s
#define SADALP4S(d, n) WORD $(0x4e606800 | n<<5 | d) // sadalp d.4s, n.8h
#define SADALP8H(d, n) WORD $(0x4e206800 | n<<5 | d) // sadalp d.8h, n.16b
#define SADDLP4S(d, n) WORD $(0x4e602800 | n<<5 | d) // saddlp d.4s, n.8h
#define SADDLP8H(d, n) WORD $(0x4e202800 | n<<5 | d) // saddlp d.8h, n.16b
#define ADD4S(d, n, m) WORD $(0x4ea08400 | m<<16 | n<<5 | d) // add d.4s, n.4s, m.4s
#define SUB4S(d, n, m) WORD $(0x6ea08400 | m<<16 | n<<5 | d) // sub d.4s, n.4s, m.4s
#define ADD16B(d, n, m) WORD $(0x4e208400 | m<<16 | n<<5 | d) // add d.16b, n.16b, m.16b
#define SUB16B(d, n, m) WORD $(0x6e208400 | m<<16 | n<<5 | d) // sub d.16b, n.16b, m.16b
#define MLS4S(d, n, m) WORD $(0x6ea09400 | m<<16 | n<<5 | d) // mls d.4s, n.4s, m.4s; d - n·m
#define MLS16B(d, n, m) WORD $(0x6e209400 | m<<16 | n<<5 | d) // mls d.16b, n.16b, m.16b; d - n·m
#define UMAX4S(d, n, m) WORD $(0x6ea06400 | m<<16 | n<<5 | d) // umax d.4s, n.4s, m.4s
#define UMAXV4S(d, n) WORD $(0x6eb0a800 | n<<5 | d) // umaxv d, n.4s
#define ADDV4S(d, n) WORD $(0x4eb1b800 | n<<5 | d) // addv d, n.4s
#define AND16B(d, n, m) WORD $(0x4e201c00 | m<<16 | n<<5 | d) // and d.16b, n.16b, m.16b
#define BIC16B(d, n, m) WORD $(0x4e601c00 | m<<16 | n<<5 | d) // bic d.16b, n.16b, m.16b; n and not m
#define ORR16B(d, n, m) WORD $(0x4ea01c00 | m<<16 | n<<5 | d) // orr d.16b, n.16b, m.16b
#define ORN16B(d, n, m) WORD $(0x4ee01c00 | m<<16 | n<<5 | d) // orn d.16b, n.16b, m.16b; n or not m
#define EOR16B(d, n, m) WORD $(0x6e201c00 | m<<16 | n<<5 | d) // eor d.16b, n.16b, m.16b
#define BIT16B(d, n, m) WORD $(0x6ea01c00 | m<<16 | n<<5 | d) // bit d.16b, n.16b, m.16b; d becomes n where m has ones
#define MOVI16B(d, i) WORD $(0x4f00e400 | (i>>5)<<16 | (i&31)<<5 | d) // movi d.16b, #i
#define MVNI4S(d, i) WORD $(0x6f000400 | (i>>5)<<16 | (i&31)<<5 | d) // mvni d.4s, #i
#define DUP4S(d, n, i) WORD $(0x4e040400 | i<<19 | n<<5 | d) // dup d.4s, n.s[i]
#define DUP4S_R(d, r) WORD $(0x4e040c00 | r<<5 | d) // dup d.4s, wr; from a general register
#define USHR16B(d, n, i) WORD $(0x6f080400 | (8-i)<<16 | n<<5 | d) // ushr d.16b, n.16b, #i; i = 1…8
#define SHL16B(d, n, i) WORD $(0x4f085400 | i<<16 | n<<5 | d) // shl d.16b, n.16b, #i
#define SSHR4S(d, n, i) WORD $(0x4f200400 | (32-i)<<16 | n<<5 | d) // sshr d.4s, n.4s, #i; i = 1…32
#define SHL4S(d, n, i) WORD $(0x4f205400 | i<<16 | n<<5 | d) // shl d.4s, n.4s, #i
#define USHL4S(d, n, m) WORD $(0x6ea04400 | m<<16 | n<<5 | d) // ushl d.4s, n.4s, m.4s; to the right where m is negative
#define UXTL8H(d, n) WORD $(0x2f08a400 | n<<5 | d) // uxtl d.8h, n.8b
#define UXTL2_8H(d, n) WORD $(0x6f08a400 | n<<5 | d) // uxtl2 d.8h, n.16b
#define UXTL4S(d, n) WORD $(0x2f10a400 | n<<5 | d) // uxtl d.4s, n.4h
#define UXTL2_4S(d, n) WORD $(0x6f10a400 | n<<5 | d) // uxtl2 d.4s, n.8h
#define SXTL8H(d, n) WORD $(0x0f08a400 | n<<5 | d) // sxtl d.8h, n.8b
#define SXTL2_8H(d, n) WORD $(0x4f08a400 | n<<5 | d) // sxtl2 d.8h, n.16b
#define SXTL4S(d, n) WORD $(0x0f10a400 | n<<5 | d) // sxtl d.4s, n.4h
#define SXTL2_4S(d, n) WORD $(0x4f10a400 | n<<5 | d) // sxtl2 d.4s, n.8h
#define SHLL4S_16(d, n) WORD $(0x2e613800 | n<<5 | d) // shll d.4s, n.4h, #16
#define SHLL2_4S_16(d, n) WORD $(0x6e613800 | n<<5 | d) // shll2 d.4s, n.8h, #16
#define XTN4H(d, n) WORD $(0x0e612800 | n<<5 | d) // xtn d.4h, n.4s
#define XTN2_8H(d, n) WORD $(0x4e612800 | n<<5 | d) // xtn2 d.8h, n.4s
#define XTN8B(d, n) WORD $(0x0e212800 | n<<5 | d) // xtn d.8b, n.8h
#define XTN2_16B(d, n) WORD $(0x4e212800 | n<<5 | d) // xtn2 d.16b, n.8h
#define SCVTF4S(d, n) WORD $(0x4e21d800 | n<<5 | d) // scvtf d.4s, n.4s
#define FCVTNS4S(d, n) WORD $(0x4e21a800 | n<<5 | d) // fcvtns d.4s, n.4s; to nearest even
#define FRINTN4S(d, n) WORD $(0x4e218800 | n<<5 | d) // frintn d.4s, n.4s; to nearest even
#define FCVTL4S(d, n) WORD $(0x0e217800 | n<<5 | d) // fcvtl d.4s, n.4h
#define FCVTL2_4S(d, n) WORD $(0x4e217800 | n<<5 | d) // fcvtl2 d.4s, n.8h
#define FCVTN4H(d, n) WORD $(0x0e216800 | n<<5 | d) // fcvtn d.4h, n.4s
#define FCVTN2_8H(d, n) WORD $(0x4e216800 | n<<5 | d) // fcvtn2 d.8h, n.4s
#define FCVTL2D(d, n) WORD $(0x0e617800 | n<<5 | d) // fcvtl d.2d, n.2s
#define FCVTL2_2D(d, n) WORD $(0x4e617800 | n<<5 | d) // fcvtl2 d.2d, n.4s
#define FADD4S(d, n, m) WORD $(0x4e20d400 | m<<16 | n<<5 | d) // fadd d.4s, n.4s, m.4s
#define FSUB4S(d, n, m) WORD $(0x4ea0d400 | m<<16 | n<<5 | d) // fsub d.4s, n.4s, m.4s; n - m
#define FMUL4S(d, n, m) WORD $(0x6e20dc00 | m<<16 | n<<5 | d) // fmul d.4s, n.4s, m.4s
#define FDIV4S(d, n, m) WORD $(0x6e20fc00 | m<<16 | n<<5 | d) // fdiv d.4s, n.4s, m.4s; n / m
#define FMAX4S(d, n, m) WORD $(0x4e20f400 | m<<16 | n<<5 | d) // fmax d.4s, n.4s, m.4s
#define FMIN4S(d, n, m) WORD $(0x4ea0f400 | m<<16 | n<<5 | d) // fmin d.4s, n.4s, m.4s
#define FMAXV4S(d, n) WORD $(0x6e30f800 | n<<5 | d) // fmaxv d, n.4s
#define FMLA4S(d, n, m) WORD $(0x4e20cc00 | m<<16 | n<<5 | d) // fmla d.4s, n.4s, m.4s; d + n·m, fused
#define FMLS4S(d, n, m) WORD $(0x4ea0cc00 | m<<16 | n<<5 | d) // fmls d.4s, n.4s, m.4s; d - n·m, fused
#define FMLA4S_I(d, n, m, i) WORD $(0x4f801000 | (i&1)<<21 | (i>>1)<<11 | m<<16 | n<<5 | d) // fmla d.4s, n.4s, m.s[i]
#define FMLS4S_I(d, n, m, i) WORD $(0x4f805000 | (i&1)<<21 | (i>>1)<<11 | m<<16 | n<<5 | d) // fmls d.4s, n.4s, m.s[i]
#define SMLAL4S_I(d, n, m, i) WORD $(0x0f402000 | (i>>2)<<11 | (i>>1&1)<<21 | (i&1)<<20 | m<<16 | n<<5 | d) // smlal d.4s, n.4h, m.h[i]; m = 0…15
#define SMLAL2_4S_I(d, n, m, i) WORD $(0x4f402000 | (i>>2)<<11 | (i>>1&1)<<21 | (i&1)<<20 | m<<16 | n<<5 | d) // smlal2 d.4s, n.8h, m.h[i]; m = 0…15
#define UZP1_4S(d, n, m) WORD $(0x4e801800 | m<<16 | n<<5 | d) // uzp1 d.4s, n.4s, m.4s
#define TBL16B(d, n, m) WORD $(0x4e000000 | m<<16 | n<<5 | d) // tbl d.16b, {n.16b}, m.16b
#define UZP2_4S(d, n, m) WORD $(0x4e805800 | m<<16 | n<<5 | d) // uzp2 d.4s, n.4s, m.4s
#define LD4_16B(t, n) WORD $(0x4c400000 | n<<5 | t) // ld4 {t.16b…}, [xn]
#define LD4_8B(t, n) WORD $(0x0c400000 | n<<5 | t) // ld4 {t.8b…}, [xn]
#define FMUL4S_I(d, n, m, i) WORD $(0x4f809000 | (i&1)<<21 | (i>>1)<<11 | m<<16 | n<<5 | d) // fmul d.4s, n.4s, m.s[i]
#define FCMGT4S(d, n, m) WORD $(0x6ea0e400 | m<<16 | n<<5 | d) // fcmgt d.4s, n.4s, m.4s; n > m
#define FCMGE4S(d, n, m) WORD $(0x6e20e400 | m<<16 | n<<5 | d) // fcmge d.4s, n.4s, m.4s; n ≥ m
#define FNEG4S(d, n) WORD $(0x6ea0f800 | n<<5 | d) // fneg d.4s, n.4s
#define FABS4S(d, n) WORD $(0x4ea0f800 | n<<5 | d) // fabs d.4s, n.4s
#define FADD2D(d, n, m) WORD $(0x4e60d400 | m<<16 | n<<5 | d) // fadd d.2d, n.2d, m.2d
#define FSUB2D(d, n, m) WORD $(0x4ee0d400 | m<<16 | n<<5 | d) // fsub d.2d, n.2d, m.2d; n - m
#define FMLA2D(d, n, m) WORD $(0x4e60cc00 | m<<16 | n<<5 | d) // fmla d.2d, n.2d, m.2d
#define FMLA2D_I(d, n, m, i) WORD $(0x4fc01000 | i<<11 | m<<16 | n<<5 | d) // fmla d.2d, n.2d, m.d[i]
#define LDRQ(t, n, at) WORD $(0x3dc00000 | (at/16)<<10 | n<<5 | t) // ldr qt, [xn, #at]; at is a multiple of 16
#define LDRD(t, n, at) WORD $(0xfd400000 | (at/8)<<10 | n<<5 | t) // ldr dt, [xn, #at]; at is a multiple of 8
#define LDRS(t, n, at) WORD $(0xbd400000 | (at/4)<<10 | n<<5 | t) // ldr st, [xn, #at]; at is a multiple of 4
#define STRQ(t, n, at) WORD $(0x3d800000 | (at/16)<<10 | n<<5 | t) // str qt, [xn, #at]; at is a multiple of 16
#define STRD(t, n, at) WORD $(0xfd000000 | (at/8)<<10 | n<<5 | t) // str dt, [xn, #at]; at is a multiple of 8
#define STRS(t, n, at) WORD $(0xbd000000 | (at/4)<<10 | n<<5 | t) // str st, [xn, #at]; at is a multiple of 4
#define LD1R4S(t, n) WORD $(0x4d40c800 | n<<5 | t) // ld1r {d.4s}, [xn]

// MOV16B copies a register, ZERO16B clears one.
#define MOV16B(d, n) ORR16B(d, n, n)
#define ZERO16B(d) MOVI16B(d, 0)
