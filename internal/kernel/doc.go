// Package kernel is the folder of the loops that take the time. It has no code of its
// own, only the checks of all assembly and the generator's command:
//
//	parallel    the threads, and how work is shared out among them
//	cpu         which instruction sets the CPU has, and which one is in use; the highest
//	            speed of the machine, to compare with
//	shape       checks of matrix sizes, and small arithmetic on them
//	float       products of float32 and float64 matrices, 16-bit floats, element-wise
//	            operations of a block, vectors, transforms, rounding to grids
//	branch      what a branch adds to a product: projections on a few vectors, and tiles of
//	            coefficients in 16 or 8 bits
//	integer     products of integer weights of 2 to 8 bits with quantized or float tokens
//	kv          attention over a cache of keys and values in 4, 8 or 32 bits
//	kerneltest  what the tests of these packages share
//
// A package imports only packages above it in this list. Every loop exists twice: as Go
// that defines its result, and in assembly for the instruction sets where that is faster
// (see the package cpu). Tests hold the two against each other.
//
// The suffix _amd64 or _arm64 of a file is the architecture, other.go and _other stand
// for the rest. stubs_*.go declare the assembly routines; calls_*.go and *_sets_*.go
// choose among variants of one routine. Files that begin with "Code generated" are
// written by the program in _gen from its list of variants, variants.go there:
//
//	go generate ./internal/kernel
package kernel

//go:generate go run -C _gen .
