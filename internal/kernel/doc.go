// Package kernel is the folder of the loops that take most of the time of the program. It
// has no code of its own, except tests of all assembly and the command of the generator:
//
//	parallel    a pool of threads, and how work is shared among them
//	cpu         which instruction sets the CPU has, and which of them are in use; the highest
//	            speed of the machine, which kernels are compared with
//	shape       checks of matrix sizes, and small arithmetic on them
//	float       products of float32 and float64 matrices, 16-bit floats, element-wise
//	            operations of a block, vectors, transforms, rounding to grids
//	branch      what a branch adds to a product: projections on a few vectors, and products
//	            with coefficients of 16 or 8 bits
//	integer     products of integer weights of 2 to 8 bits with quantized or float tokens:
//	            here is the int8 product
//	kv          the cache of keys and values in 4, 8 or 32 bits, and attention over it
//	kerneltest  what the tests of these packages share
//
// A package imports only packages above it in this list. Every loop exists twice: in Go,
// which defines its results, and in assembly for the instruction sets where that is faster
// (the tiers of the package cpu). Tests compare the two.
//
// Words that all packages use: a kernel is such a loop, a routine its assembly for one tier
// and one shape. A token is a row of activations. Several numbers that a routine computes
// side by side, in the parts of a register, are lanes. A tile is the part of a result that a
// routine computes at once.
//
// The suffix _amd64 or _arm64 of a file is the architecture; other.go and _other are for all
// other architectures. stubs_* declare the assembly routines for Go; calls_*, blocks_* and
// gemm_sets_* choose among the variants of a routine. Files that begin with "Code generated"
// are written by the program in _gen from the lists of variants there (variants.go):
//
//	go generate ./internal/kernel
package kernel

//go:generate go run -C _gen .
