package integer

import "github.com/specquant/specquant/internal/kernel/cpu"

// The vector loops take multiples of 16; the rest is portable.

func intQuantize(q []int8, x []float32, delta, z, top float32, off int32) {
	n := 0
	if cpu.Active() >= cpu.AVX2 && len(x) >= 16 {
		n = len(x) &^ 15
		// With a normal 1/delta and integers below 2^9 the product is within 2^-12 of
		// the quotient; greater ones are clamped either way.
		if cpu.Active() >= cpu.AVX512 && delta > 1e-30 && delta < 1e30 {
			intQuantizeAVX512(&q[0], &x[0], n, delta, 1/delta, z, top, off)
		} else {
			intQuantizeAVX2(&q[0], &x[0], n, delta, z, top, off)
		}
	}
	if n < len(x) {
		intQuantizePortable(q[n:], x[n:], delta, z, top, off)
	}
}

func intSum(q []int8) int32 {
	n := len(q) &^ 15
	if cpu.Active() < cpu.AVX2 || n == 0 {
		return intSumPortable(q)
	}
	return intSumAVX2(&q[0], n) + intSumPortable(q[n:])
}
