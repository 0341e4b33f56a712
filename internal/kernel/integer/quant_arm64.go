package integer

import "github.com/specquant/specquant/internal/kernel/cpu"

// The routines take whole blocks of 16 integers; the rest is done by the portable code.

// intQuantize is [intQuantizePortable] on the active tier.
func intQuantize(q []int8, x []float32, delta, z, top float32, off int32) {
	n := 0
	if cpu.Active() >= cpu.NEON && len(x) >= 16 {
		n = len(x) &^ 15
		intQuantizeNEON(&q[0], &x[0], n, delta, z, top, off)
	}
	if n < len(x) {
		intQuantizePortable(q[n:], x[n:], delta, z, top, off)
	}
}

// intSum is [intSumPortable] on the active tier.
func intSum(q []int8) int32 {
	n := len(q) &^ 15
	if cpu.Active() < cpu.NEON || n == 0 {
		return intSumPortable(q)
	}
	return intSumNEON(&q[0], n) + intSumPortable(q[n:])
}
