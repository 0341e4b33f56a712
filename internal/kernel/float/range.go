package float

import "math"

// notFinite are the bits of an infinite float32. Those of finite numbers (without the
// sign) are smaller, those of NaNs larger.
const notFinite = 0x7f800000

// minMaxAbsGo is the definition of [MinMaxAbs].
func minMaxAbsGo(x []float32) (lo, hi float32, abs uint32) {
	for _, v := range x {
		if v < lo {
			lo = v
		}
		if v > hi {
			hi = v
		}
		abs = max(abs, math.Float32bits(v)&0x7fffffff)
	}
	return lo, hi, abs
}
