package float

import "math"

// F16ToF32 converts IEEE binary16 to float32; dst and src have the same length.
// Signalling NaNs become quiet ones, as processors do it.
func F16ToF32(dst []float32, src []uint16) {
	sameLen(len(dst), len(src))
	for i := f16ToF32Blocks(dst, src); i < len(src); i++ {
		dst[i] = f16ToF32(src[i])
	}
}

// F32ToF16 rounds to IEEE binary16, to the nearest number, half to even. What is too
// large becomes infinite, what is too small becomes subnormal or zero, and NaNs become
// quiet NaNs.
func F32ToF16(dst []uint16, src []float32) {
	sameLen(len(dst), len(src))
	for i := f32ToF16Blocks(dst, src); i < len(src); i++ {
		dst[i] = f32ToF16(src[i])
	}
}

// RoundF16 rounds each element of x to the nearest IEEE binary16 number: [F32ToF16], then
// [F16ToF32].
func RoundF16(x []float32) {
	for i := roundF16Blocks(x, x); i < len(x); i++ {
		x[i] = f16ToF32(f32ToF16(x[i]))
	}
}

// ToF16 is [F32ToF16] of one number. It takes no slices, which the calls of assembly
// routines would move to the heap.
func ToF16(f float32) uint16 { return f32ToF16(f) }

// FromF16 is [F16ToF32] of one number.
func FromF16(h uint16) float32 { return f16ToF32(h) }

// sameLen panics unless two vectors have the same length.
func sameLen(a, b int) {
	if a != b {
		panic("kernel: vectors differ in length")
	}
}

// f16ToF32 is the definition of [F16ToF32] for one number.
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

// f32ToF16 is the definition of [F32ToF16] for one number.
func f32ToF16(f float32) uint16 {
	b := math.Float32bits(f)
	sign := uint16(b>>16) & 0x8000
	b &= 0x7fffffff
	switch {
	case b > 0x7f800000:
		return sign | 0x7e00 | uint16(b>>13)&0x3ff
	case b >= 0x477ff000: // from 65520 on, halfway between the largest number and 2¹⁶
		return sign | 0x7c00
	case b >= 0x38800000: // from 2⁻¹⁴ on the result is a normal number
		b += 0xfff + b>>13&1
		return sign | uint16((b-112<<23)>>13)
	}
	// The result is subnormal, a multiple of 2⁻²⁴. Adding 0.5 rounds to such a multiple and
	// leaves its number in the lowest bits.
	v := math.Float32frombits(b) + 0.5
	return sign | uint16(math.Float32bits(v)-0x3f000000)
}
