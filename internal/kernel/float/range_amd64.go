package float

import (
	"math"

	"github.com/specquant/specquant/internal/kernel/cpu"
)

// MinMaxAbs returns the smallest and the largest number of x and zero, NaNs left out, and
// the largest |x| as the bits of a float32, NaNs included: bits from 0x7f800000 on mean
// that an element is infinite or NaN.
func MinMaxAbs(x []float32) (lo, hi float32, abs uint32) {
	n := len(x) &^ 15
	if cpu.Active() < cpu.AVX2 || n == 0 {
		return minMaxAbsGo(x)
	}
	var out [3]float32
	if cpu.Active() >= cpu.AVX512 {
		if rangeAVX512(&out, &x[0], n); out[2] != 0 {
			return minMaxAbsGo(x)
		}
		out[2] = max(-out[0], out[1])
	} else {
		rangeAVX2(&out, &x[0], n)
	}
	if n == len(x) {
		return out[0], out[1], math.Float32bits(out[2])
	}
	lo, hi, abs = minMaxAbsGo(x[n:])
	return min(lo, out[0]), max(hi, out[1]), max(abs, math.Float32bits(out[2]))
}
