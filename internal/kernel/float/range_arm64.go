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
	if cpu.Active() < cpu.NEON || n == 0 {
		return minMaxAbsGo(x)
	}
	lo, hi, abs = minMaxAbsGo(x[n:])
	var out [12]float32
	rangeNEON(&out, &x[0], n)
	for i := range 4 {
		lo, hi, abs = min(lo, out[i]), max(hi, out[4+i]), max(abs, math.Float32bits(out[8+i]))
	}
	return lo, hi, abs
}
