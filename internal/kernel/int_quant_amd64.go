package kernel

import "math"

// The vector loops take multiples of 16; the rest is portable.

func intRange(x []float32) (lo, hi float32, abs uint32) {
	n := len(x) &^ 15
	if active < AVX2 || n == 0 {
		return intRangePortable(x)
	}
	var out [3]float32
	intRangeAVX2(&out, &x[0], n)
	if n == len(x) {
		return out[0], out[1], math.Float32bits(out[2])
	}
	lo, hi, abs = intRangePortable(x[n:])
	return min(lo, out[0]), max(hi, out[1]), max(abs, math.Float32bits(out[2]))
}

func intQuantize(q []int8, x []float32, delta, z, top float32, off int32) {
	n := 0
	if active >= AVX2 && len(x) >= 16 {
		n = len(x) &^ 15
		// With a normal 1/delta and integers below 2^9 the product is within 2^-12 of
		// the quotient; greater ones are clamped either way.
		if active >= AVX512 && delta > 1e-30 && delta < 1e30 {
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
	if active < AVX2 || n == 0 {
		return intSumPortable(q)
	}
	return intSumAVX2(&q[0], n) + intSumPortable(q[n:])
}
