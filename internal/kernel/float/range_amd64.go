package float

import (
	"math"

	"github.com/specquant/specquant/internal/kernel/cpu"
)

// MinMaxAbs is [minMaxAbsGo] on the active tier.
func MinMaxAbs(x []float32) (lo, hi float32, abs uint32) {
	n := len(x) &^ 15
	if cpu.Active() < cpu.AVX2 || n == 0 {
		return minMaxAbsGo(x)
	}
	var out [3]float32
	rangeAVX2(&out, &x[0], n)
	if n == len(x) {
		return out[0], out[1], math.Float32bits(out[2])
	}
	lo, hi, abs = minMaxAbsGo(x[n:])
	return min(lo, out[0]), max(hi, out[1]), max(abs, math.Float32bits(out[2]))
}
