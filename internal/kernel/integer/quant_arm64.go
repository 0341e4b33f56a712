package integer

import "github.com/specquant/specquant/internal/kernel/cpu"

// The vector loops take multiples of 16; the rest is portable.

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

func intSum(q []int8) int32 {
	n := len(q) &^ 15
	if cpu.Active() < cpu.NEON || n == 0 {
		return intSumPortable(q)
	}
	return intSumNEON(&q[0], n) + intSumPortable(q[n:])
}
