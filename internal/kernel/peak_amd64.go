package kernel

import "unsafe"

// What the machine can do at most, for benchmarks to compare with. The
// accumulators hold whatever is in the registers: only the time counts.

func peakFMAavx512(n int)

func peakFMAavx2(n int)

//go:noescape
func peakRead(p unsafe.Pointer, n int)
