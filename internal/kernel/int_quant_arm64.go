package kernel

import "math"

// The vector loops take multiples of 16; the rest is portable.

func intRange(x []float32) (lo, hi float32, abs uint32) {
	n := len(x) &^ 15
	if active < NEON || n == 0 {
		return intRangePortable(x)
	}
	lo, hi, abs = intRangePortable(x[n:])
	var out [12]float32
	intRangeNEON(&out, &x[0], n)
	for i := range 4 {
		lo, hi, abs = min(lo, out[i]), max(hi, out[4+i]), max(abs, math.Float32bits(out[8+i]))
	}
	return lo, hi, abs
}

func intQuantize(q []int8, x []float32, delta, z, top float32, off int32) {
	n := 0
	if active >= NEON && len(x) >= 16 {
		n = len(x) &^ 15
		intQuantizeNEON(&q[0], &x[0], n, delta, z, top, off)
	}
	if n < len(x) {
		intQuantizePortable(q[n:], x[n:], delta, z, top, off)
	}
}

func intSum(q []int8) int32 {
	n := len(q) &^ 15
	if active < NEON || n == 0 {
		return intSumPortable(q)
	}
	return intSumNEON(&q[0], n) + intSumPortable(q[n:])
}
