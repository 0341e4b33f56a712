// Package kernel holds the loops that take the time: products of matrices,
// attention, rounding to grids, and the thread pool that they run on.
//
// Every loop exists twice: as Go that defines its result, and in assembly for the
// instruction sets where that is faster (see [Tier]). Tests hold the two against
// each other. Files are named by subject:
//
//	cpu         which instruction sets the CPU has, and which one is in use
//	pool        the threads, and how work is shared out among them
//	limits      the highest speed of the machine, to compare with
//	gemm        products of float32 and float64 matrices; narrow: few rows,
//	            left: small left factors, syrk: Gram matrices
//	half        IEEE binary16 and bfloat16: conversions, products with matrices
//	            stored in 16 bits, tiles with coefficients of the branch
//	int         products of integer weights of 2 to 8 bits with tokens of 8 bits or
//	            fewer, or with float tokens; planes: the layout in bit planes,
//	            group: tokens in groups of channels, zero: zero points
//	project     the first half of a branch: a few inner products of each token;
//	            stored: on a basis of 16-bit floats
//	byte        a branch in signed bytes: project and tiles
//	kv          attention over a cache of keys and values in 4, 8 or 32 bits
//	grid        rounding weights to their grids, and the errors of that
//	elem        element-wise operations of a block: exp, softmax, SwiGLU, RMSNorm, RoPE
//	vector      sums and multiples of vectors
//	hadamard    the Walsh-Hadamard transform
//	transpose   transpositions
//
// The suffix _amd64 or _arm64 is the architecture, _other stands for the rest.
// stubs_*.go declare the assembly routines; *_calls_*.go and *_sets_*.go choose
// among variants of one routine. Files that begin with "Code generated" are written
// by the program in _gen from its list of variants, variants.go there:
//
//	go generate ./internal/kernel
package kernel

//go:generate go run -C _gen .
