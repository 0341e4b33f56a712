package float

import "math"

// F16ToF32 widens IEEE binary16; dst and src have the same length. Signalling
// NaNs become quiet, as the processor does it.
func F16ToF32(dst []float32, src []uint16) {
	sameLen(len(dst), len(src))
	for i := f16ToF32Blocks(dst, src); i < len(src); i++ {
		dst[i] = f16ToF32(src[i])
	}
}

// F32ToF16 rounds to IEEE binary16, to nearest even: what is too large becomes
// infinite, what is small subnormal or zero, a NaN a quiet NaN.
func F32ToF16(dst []uint16, src []float32) {
	sameLen(len(dst), len(src))
	for i := f32ToF16Blocks(dst, src); i < len(src); i++ {
		dst[i] = f32ToF16(src[i])
	}
}

// RoundF16 rounds each element to the nearest IEEE binary16 value, in place, as
// [F32ToF16] and [F16ToF32] in turn.
func RoundF16(x []float32) {
	for i := roundF16Blocks(x); i < len(x); i++ {
		x[i] = f16ToF32(f32ToF16(x[i]))
	}
}

// ToF16 is [F32ToF16] of one number and FromF16 is [F16ToF32]. They take no slices,
// which the assembly routines would move to the heap.
func ToF16(f float32) uint16   { return f32ToF16(f) }
func FromF16(h uint16) float32 { return f16ToF32(h) }

func sameLen(a, b int) {
	if a != b {
		panic("kernel: vectors differ in length")
	}
}

// The portable definitions, one number each.

func f16ToF32(h uint16) float32 {
	sign := uint32(h&0x8000) << 16
	exp := uint32(h>>10) & 31
	frac := uint32(h & 0x3ff)
	switch {
	case exp == 31 && frac != 0:
		return math.Float32frombits(sign | 0x7fc00000 | frac<<13)
	case exp == 31:
		return math.Float32frombits(sign | 0x7f800000)
	case exp == 0:
		v := float32(frac) * 0x1p-24 // exact: subnormals are multiples of 2⁻²⁴
		return math.Float32frombits(sign | math.Float32bits(v))
	}
	return math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
}

func f32ToF16(f float32) uint16 {
	b := math.Float32bits(f)
	sign := uint16(b>>16) & 0x8000
	b &= 0x7fffffff
	switch {
	case b > 0x7f800000:
		return sign | 0x7e00 | uint16(b>>13)&0x3ff
	case b >= 0x477ff000: // 65520, halfway from the largest value to 2¹⁶, and beyond
		return sign | 0x7c00
	case b >= 0x38800000: // 2⁻¹⁴: normal
		b += 0xfff + b>>13&1
		return sign | uint16((b-112<<23)>>13)
	}
	// Subnormal: adding 0.5 makes the float unit round to a multiple of 2⁻²⁴,
	// and leaves that multiple in the lowest bits.
	v := math.Float32frombits(b) + 0.5
	return sign | uint16(math.Float32bits(v)-0x3f000000)
}
