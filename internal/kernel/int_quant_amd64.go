package kernel

import "math"

// The vector loops take multiples of 16 or 32; the rest is portable.

func intRange(x []float32) (lo, hi float32, abs uint32) {
	n := len(x) &^ 15
	if active < AVX2 || n == 0 {
		return intRangePortable(x)
	}
	var out [24]float32
	intRangeAVX2(&out, &x[0], n)
	lo, hi, abs = intRangePortable(x[n:])
	for i := range 8 {
		lo, hi = min(lo, out[i]), max(hi, out[8+i])
		abs = max(abs, math.Float32bits(out[16+i]))
	}
	return lo, hi, abs
}

func intQuantize(q []int8, x []float32, delta, z, top float32, off int32) {
	n := 0
	if active >= AVX2 && len(x) >= 16 {
		n = len(x) &^ 15
		intQuantizeAVX2(&q[0], &x[0], n, delta, z, top, off)
	}
	intQuantizePortable(q[n:], x[n:], delta, z, top, off)
}

func intSum(q []int8) int32 {
	n := len(q) &^ 31
	if active < AVX2 || n == 0 {
		return intSumPortable(q)
	}
	return intSumAVX2(&q[0], n) + intSumPortable(q[n:])
}
