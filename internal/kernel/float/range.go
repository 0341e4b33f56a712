package float

import "math"

// minMaxAbsGo returns the range of x, which includes 0 and leaves out NaNs, and the
// largest |x| as the bits of a float32: bits of 0x7f800000 and above mean that an element
// is not finite.
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
