package kv

import "math"

// Range returns the smallest and the largest element of x, which is not empty. If it is a
// zero, it is +0. If an element is NaN, both are NaN.
func Range(x []float32) (lo, hi float32) {
	if n := len(x) &^ 15; n > 0 {
		if l, h, abs, ok := kvRangeBlocks(x[:n]); ok && abs < 0x7f800000 {
			lo, hi := kvRange(x[n:], l, h)
			return lo, hi
		}
	}
	return kvRange(x[1:], x[0], x[0])
}

// kvRange extends the range lo…hi by the elements of x.
func kvRange(x []float32, lo, hi float32) (float32, float32) {
	for _, v := range x {
		lo, hi = min(lo, v), max(hi, v)
	}
	return lo + 0, hi + 0 // of two zeros, the positive
}

// Round sets dst to the integers clamp(RoundToEven((x−minimum)·inv), 0, 2^bits−1): one in
// each byte for 8 bits; two for 4 bits, the one with the even index in the low half. inv is
// positive. A NaN becomes any integer.
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

// kvTop returns the largest integer of so many bits.
func kvTop(bits int) float32 { return float32(int32(1)<<bits - 1) }
