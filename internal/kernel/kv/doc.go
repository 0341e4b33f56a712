// Package kv is the cache of keys and values, in integers of 4 or 8 bits or in float32, and
// attention over it.
//
//	cache     the memory, and putting the keys and values of positions into it
//	pages     a cache of pages, which several texts may share
//	schedule  how attention is cut into jobs for the threads of a pool
//	attend    attention: scores, softmax and weighted sums of values, defined in Go
//	int       the same where the cache holds integers, with products of integers
//	softmax   the softmax of a row there, and its weights as integers
//	quant     the range and the rounding of what is put into the cache
//	dispatch  the calls of the assembly routines, and their choice by the active tier
//
// calls_* and blocks_*, which are generated, choose among the variants of a routine. The
// routines are in score512 and combine512 (AVX-512), int512 and softmax512 (AVX-512 VNNI), amx
// (AMX), avx2, int256 and softmax256 (AVX2), attend, int and softmax (NEON), shift (all).
package kv
