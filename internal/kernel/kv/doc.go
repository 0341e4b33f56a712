// Package kv is the cache of keys and values in 4, 8 or 32 bits, and attention over it.
//
//	cache     the memory, and putting positions into it
//	pages     a cache of pages that several texts may share
//	attend    attention: scores, softmax, weighted sums of values, in Go
//	int       scores and sums of values in integers, where the cache holds them
//	quant     the range and the rounding of what is put into the cache
//	softmax   the softmax that takes the values' scales along
//
// dispatch_* call the assembly: score*, combine*, softmax*, int*, avx2* and attend*.
package kv
