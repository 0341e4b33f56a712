// Package float has the loops on floating-point numbers. Files are named by subject. The
// file without a suffix has the Go code that defines the results:
//
//	gemm           products of dense matrices in float32 and float64: how they are cut into jobs
//	gemm_portable  the innermost loop in Go; the assembly is gemm32_*, gemm64_*
//	gemm_pack      copies of the operands in the order in which that loop reads them
//	gemm_narrow    products with at most four rows
//	gemm_left      products of small matrices with many blocks
//	signed         products with matrices of ±1, by sums of four rows
//	gemm_syrk      Gram matrices xᵀ·x
//	half           IEEE binary16 and bfloat16: conversions
//	half_matrix    products with matrices that are stored in 16 bits
//	elem, gelu     element-wise operations of a block: exp, softmax, SwiGLU, GeGLU, RMSNorm, RoPE
//	vector         sums and multiples of vectors
//	range          the smallest, the largest and the largest absolute value
//	grid           rounding weights to grids of integers, and the errors of that
//	hadamard       the Walsh-Hadamard transform
//	transpose      transpositions
//
// The functions that choose among a routine's variants for the active tier are generated:
// blocks_* for vectors, gemm_sets_* for products of matrices.
//
// Functions that take a pool share their work among its threads; with a nil pool the
// calling thread does it alone. A function whose name ends with On does what the one
// without On does, on the threads of a pool.
package float
