package integer

import "github.com/specquant/specquant/internal/kernel/cpu"

// The routines take whole blocks of 16 integers; the rest is done by the portable code.

// intQuantize is [intQuantizePortable] on the active tier.
func intQuantize(q []int8, x []float32, delta, z, top float32, off int32) {
	n := 0
	if cpu.Active() >= cpu.AVX2 && len(x) >= 16 {
		n = len(x) &^ 15
		// The routine for AVX-512 multiplies by 1/delta and divides only if the product is close to
		// the middle between two integers. That is right if 1/delta is a normal number, because
		// for results below 2⁹ the product is within 2⁻¹² of the quotient, and larger results are
		// clamped in both cases.
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

// intSum is [intSumPortable] on the active tier.
func intSum(q []int8) int32 {
	n := len(q) &^ 15
	if cpu.Active() < cpu.AVX2 || n == 0 {
		return intSumPortable(q)
	}
	return intSumAVX2(&q[0], n) + intSumPortable(q[n:])
}
