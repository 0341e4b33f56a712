// Package float has the loops on floating-point numbers. Files are named by subject, and
// the one without a suffix defines the result in Go:
//
//	gemm        products of float32 and float64 matrices (gemm_portable.go is what a kernel
//	            computes); narrow: few rows, left: small left factors, syrk: Gram matrices
//	half        IEEE binary16 and bfloat16: conversions, and products with matrices that are
//	            stored in 16 bits
//	elem, gelu  element-wise operations of a block: exp, softmax, SwiGLU, GeGLU, RMSNorm, RoPE
//	vector      sums and multiples of vectors
//	range       the least, the largest and the largest absolute value
//	grid        rounding weights to their grids, and the errors of that
//	hadamard    the Walsh-Hadamard transform
//	transpose   transpositions
//
// Functions that take a pool share their work out among its threads; a nil pool is the
// calling thread alone. A name that ends with On is the same as the one without, on the
// threads of a pool.
package float
