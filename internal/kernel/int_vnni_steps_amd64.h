// The inner loops of the integer kernels for AVX-512 VNNI: a step of weights,
// 8 columns of 4 bits or 4 of 8, times as many tokens as the name's last number
// says. Token t is summed in Z(2t) and Z(2t+1); the narrow ones of 4 bits have
// the sums of high nibbles 8 registers above. See int_vnni_amd64.h for the rest.

#define INT_STEP4_12 \
	INT_LOAD4;                                      \
	INT_DOT((R8), Z29, Z26, Z27, Z0, Z1);           \
	INT_DOT((R8)(DX*1), Z30, Z26, Z27, Z2, Z3);     \
	INT_DOT((R8)(DX*2), Z29, Z26, Z27, Z4, Z5);     \
	INT_DOT((R9), Z30, Z26, Z27, Z6, Z7);           \
	INT_DOT((R9)(DX*1), Z29, Z26, Z27, Z8, Z9);     \
	INT_DOT((R9)(DX*2), Z30, Z26, Z27, Z10, Z11);   \
	INT_DOT((R10), Z29, Z26, Z27, Z12, Z13);        \
	INT_DOT((R10)(DX*1), Z30, Z26, Z27, Z14, Z15);  \
	INT_DOT((R10)(DX*2), Z29, Z26, Z27, Z16, Z17);  \
	INT_DOT((R11), Z30, Z26, Z27, Z18, Z19);        \
	INT_DOT((R11)(DX*1), Z29, Z26, Z27, Z20, Z21);  \
	INT_DOT((R11)(DX*2), Z30, Z26, Z27, Z22, Z23);  \
	INT_DOT(4(R8), Z29, Z24, Z25, Z0, Z1);          \
	INT_DOT(4(R8)(DX*1), Z30, Z24, Z25, Z2, Z3);    \
	INT_DOT(4(R8)(DX*2), Z29, Z24, Z25, Z4, Z5);    \
	INT_DOT(4(R9), Z30, Z24, Z25, Z6, Z7);          \
	INT_DOT(4(R9)(DX*1), Z29, Z24, Z25, Z8, Z9);    \
	INT_DOT(4(R9)(DX*2), Z30, Z24, Z25, Z10, Z11);  \
	INT_DOT(4(R10), Z29, Z24, Z25, Z12, Z13);       \
	INT_DOT(4(R10)(DX*1), Z30, Z24, Z25, Z14, Z15); \
	INT_DOT(4(R10)(DX*2), Z29, Z24, Z25, Z16, Z17); \
	INT_DOT(4(R11), Z30, Z24, Z25, Z18, Z19);       \
	INT_DOT(4(R11)(DX*1), Z29, Z24, Z25, Z20, Z21); \
	INT_DOT(4(R11)(DX*2), Z30, Z24, Z25, Z22, Z23); \
	ADDQ $8, R8;                                    \
	ADDQ $8, R9;                                    \
	ADDQ $8, R10;                                   \
	ADDQ $8, R11

#define INT_STEP4_8 \
	INT_LOAD4;                                      \
	INT_DOT((R8), Z29, Z26, Z27, Z0, Z1);           \
	INT_DOT((R8)(DX*1), Z30, Z26, Z27, Z2, Z3);     \
	INT_DOT((R8)(DX*2), Z29, Z26, Z27, Z4, Z5);     \
	INT_DOT((R9), Z30, Z26, Z27, Z6, Z7);           \
	INT_DOT((R9)(DX*1), Z29, Z26, Z27, Z8, Z9);     \
	INT_DOT((R9)(DX*2), Z30, Z26, Z27, Z10, Z11);   \
	INT_DOT((R10), Z29, Z26, Z27, Z12, Z13);        \
	INT_DOT((R10)(DX*1), Z30, Z26, Z27, Z14, Z15);  \
	INT_DOT(4(R8), Z29, Z24, Z25, Z0, Z1);          \
	INT_DOT(4(R8)(DX*1), Z30, Z24, Z25, Z2, Z3);    \
	INT_DOT(4(R8)(DX*2), Z29, Z24, Z25, Z4, Z5);    \
	INT_DOT(4(R9), Z30, Z24, Z25, Z6, Z7);          \
	INT_DOT(4(R9)(DX*1), Z29, Z24, Z25, Z8, Z9);    \
	INT_DOT(4(R9)(DX*2), Z30, Z24, Z25, Z10, Z11);  \
	INT_DOT(4(R10), Z29, Z24, Z25, Z12, Z13);       \
	INT_DOT(4(R10)(DX*1), Z30, Z24, Z25, Z14, Z15); \
	ADDQ $8, R8;                                    \
	ADDQ $8, R9;                                    \
	ADDQ $8, R10

#define INT_STEP4_4 \
	INT_LOAD4;                                     \
	INT_DOT((R8), Z29, Z26, Z27, Z0, Z1);          \
	INT_DOT((R8)(DX*1), Z30, Z26, Z27, Z2, Z3);    \
	INT_DOT((R8)(DX*2), Z29, Z26, Z27, Z4, Z5);    \
	INT_DOT((R9), Z30, Z26, Z27, Z6, Z7);          \
	INT_DOT(4(R8), Z29, Z24, Z25, Z8, Z9);         \
	INT_DOT(4(R8)(DX*1), Z30, Z24, Z25, Z10, Z11); \
	INT_DOT(4(R8)(DX*2), Z29, Z24, Z25, Z12, Z13); \
	INT_DOT(4(R9), Z30, Z24, Z25, Z14, Z15);       \
	ADDQ $8, R8;                                   \
	ADDQ $8, R9

#define INT_STEP4_2 \
	INT_LOAD4;                                     \
	INT_DOT((R8), Z29, Z26, Z27, Z0, Z1);          \
	INT_DOT((R8)(DX*1), Z30, Z26, Z27, Z2, Z3);    \
	INT_DOT(4(R8), Z29, Z24, Z25, Z8, Z9);         \
	INT_DOT(4(R8)(DX*1), Z30, Z24, Z25, Z10, Z11); \
	ADDQ $8, R8

#define INT_STEP8_12 \
	VMOVDQU64 (SI), Z24;                           \
	VMOVDQU64 (SI)(DI*1), Z25;                     \
	ADDQ $64, SI;                                  \
	INT_DOT((R8), Z29, Z24, Z25, Z0, Z1);          \
	INT_DOT((R8)(DX*1), Z30, Z24, Z25, Z2, Z3);    \
	INT_DOT((R8)(DX*2), Z29, Z24, Z25, Z4, Z5);    \
	INT_DOT((R9), Z30, Z24, Z25, Z6, Z7);          \
	INT_DOT((R9)(DX*1), Z29, Z24, Z25, Z8, Z9);    \
	INT_DOT((R9)(DX*2), Z30, Z24, Z25, Z10, Z11);  \
	INT_DOT((R10), Z29, Z24, Z25, Z12, Z13);       \
	INT_DOT((R10)(DX*1), Z30, Z24, Z25, Z14, Z15); \
	INT_DOT((R10)(DX*2), Z29, Z24, Z25, Z16, Z17); \
	INT_DOT((R11), Z30, Z24, Z25, Z18, Z19);       \
	INT_DOT((R11)(DX*1), Z29, Z24, Z25, Z20, Z21); \
	INT_DOT((R11)(DX*2), Z30, Z24, Z25, Z22, Z23); \
	ADDQ $4, R8;                                   \
	ADDQ $4, R9;                                   \
	ADDQ $4, R10;                                  \
	ADDQ $4, R11

#define INT_STEP8_8 \
	VMOVDQU64 (SI), Z24;                           \
	VMOVDQU64 (SI)(DI*1), Z25;                     \
	ADDQ $64, SI;                                  \
	INT_DOT((R8), Z29, Z24, Z25, Z0, Z1);          \
	INT_DOT((R8)(DX*1), Z30, Z24, Z25, Z2, Z3);    \
	INT_DOT((R8)(DX*2), Z29, Z24, Z25, Z4, Z5);    \
	INT_DOT((R9), Z30, Z24, Z25, Z6, Z7);          \
	INT_DOT((R9)(DX*1), Z29, Z24, Z25, Z8, Z9);    \
	INT_DOT((R9)(DX*2), Z30, Z24, Z25, Z10, Z11);  \
	INT_DOT((R10), Z29, Z24, Z25, Z12, Z13);       \
	INT_DOT((R10)(DX*1), Z30, Z24, Z25, Z14, Z15); \
	ADDQ $4, R8;                                   \
	ADDQ $4, R9;                                   \
	ADDQ $4, R10

#define INT_STEP8_4 \
	VMOVDQU64 (SI), Z24;                        \
	VMOVDQU64 (SI)(DI*1), Z25;                  \
	ADDQ $64, SI;                               \
	INT_DOT((R8), Z29, Z24, Z25, Z0, Z1);       \
	INT_DOT((R8)(DX*1), Z30, Z24, Z25, Z2, Z3); \
	INT_DOT((R8)(DX*2), Z29, Z24, Z25, Z4, Z5); \
	INT_DOT((R9), Z30, Z24, Z25, Z6, Z7);       \
	ADDQ $4, R8;                                \
	ADDQ $4, R9

#define INT_STEP8_2 \
	VMOVDQU64 (SI), Z24;                        \
	VMOVDQU64 (SI)(DI*1), Z25;                  \
	ADDQ $64, SI;                               \
	INT_DOT((R8), Z29, Z24, Z25, Z0, Z1);       \
	INT_DOT((R8)(DX*1), Z30, Z24, Z25, Z2, Z3); \
	ADDQ $4, R8
