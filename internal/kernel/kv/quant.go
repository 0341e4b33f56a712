package kv

import "math"

// Range is the range of x, which is not empty, a zero in it being +0. Where an
// element is NaN both are.
func Range(x []float32) (lo, hi float32) {
	if n := len(x) &^ 15; n > 0 {
		if l, h, abs, ok := kvRangeBlocks(x[:n]); ok && abs < 0x7f800000 {
			lo, hi := kvRange(x[n:], l, h)
			return lo, hi
		}
	}
	return kvRange(x[1:], x[0], x[0])
}

func kvRange(x []float32, lo, hi float32) (float32, float32) {
	for _, v := range x {
		lo, hi = min(lo, v), max(hi, v)
	}
	return lo + 0, hi + 0 // of two zeros, the positive
}

// Round writes clamp(RoundToEven((x−minimum)·inv), 0, 2^bits−1), one a byte
// for 8 bits, or two for 4, even index low; inv > 0. What a NaN becomes is not
// defined.
func Round(dst []byte, x []float32, bits int, minimum, inv float32) {
	top := kvTop(bits)
	round := func(v float32) byte {
		return byte(min(max(float32(math.RoundToEven(float64(float32(v-minimum)*inv))), 0), top))
	}
	n := kvRoundBlocks(dst, x, bits, minimum, inv, top)
	if bits == 4 {
		for i := n; i < len(x); i += 2 {
			dst[i/2] = round(x[i]) | round(x[i+1])<<4
		}
		return
	}
	for i := n; i < len(x); i++ {
		dst[i] = round(x[i])
	}
}

// kvTop is the largest integer of a grid.
func kvTop(bits int) float32 { return float32(int32(1)<<bits - 1) }
