package kernel

// Loops that measure what the machine allows, for benchmarks to relate to.

// intPeakVNNI does n·24 register-only dot products of 64 byte pairs. It needs
// AVX512VNNI.
//
//go:noescape
func intPeakVNNI(n int)

// intReadAVX2 reads n bytes, a multiple of 256, in order. It needs AVX2.
//
//go:noescape
func intReadAVX2(p *byte, n int)
