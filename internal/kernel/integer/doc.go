// Package integer multiplies weights in integers of 2 to 8 bits with tokens in integers of
// 8 bits or fewer, or in floats.
//
//	matrix      the weights: layout, packing, scales
//	act         the tokens and how they are quantized (quant_*: the loops)
//	mul         the product, its definition, and how it is split among threads
//	gated       two products, gate and up, of which the results meet in the cache
//	portable    the product in Go, which defines the bits
//	float       products with float tokens
//	levels      weights that are indices of 4 bits into a table of levels
//	multiples   weights whose groups' scales are small multiples of their row's
//	planes      weights of 2, 3, 5, 6 and 7 bits in bit planes (unpack*: to bytes)
//	group       tokens in groups of channels with a scale each
//	scale       scales of weights in 32 or 16 bits
//	zero        zero points of weights
//	project     quantization of tokens together with the first half of a branch
//	gram        second moments of tokens, as products of integers
//	dispatch_*  which kernel multiplies a tile, by architecture
//
// Assembly: amx* for AMX, vnni* for AVX-512 VNNI, avxvnni* for AVX-VNNI, avx2* for AVX2, dot* and neon*
// for arm64 with and without the int8 dot product, float* for float tokens.
package integer
