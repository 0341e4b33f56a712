package ggml

import (
	"encoding/binary"
	"math"
)

// Types whose four bits are an index into a table of 16 levels. A block's q are the indices.
//
//	IQ4_NL  32 weights: d, qs[16]
//	IQ4_XS  256 weights in groups of 32: d, high bits of the scales, low bits[4], qs[128]
//	MXFP4   32 weights: an 8-bit exponent, qs[16]; OCP microscaling format, E2M1
//	NVFP4   64 weights in groups of 16: four unsigned E4M3 scales, qs[32]

// iq4Values are the levels of IQ4_NL and IQ4_XS, closer together near zero.
var iq4Values = [16]int8{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}

// fp4Values are twice the values of a 4-bit float with two bits of exponent and one of
// mantissa. Negative zero becomes 0.
var fp4Values = [16]int8{0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12}

func decodeIQ4_NL(b *Block, src []byte) {
	b.Scale[0], b.Min[0] = half(src), 0
	indices(b.Q[:32], src[2:18])
}

// indices reads two indices from each byte of src: first the low halves of all bytes, then the
// high halves.
func indices(q []int8, src []byte) {
	for i, v := range src {
		q[i], q[i+len(src)] = int8(v&15), int8(v>>4)
	}
}

func decodeIQ4_XS(b *Block, src []byte) {
	d, high, low := half(src), binary.LittleEndian.Uint16(src[2:]), src[4:8]
	for g := range 8 {
		s := low[g/2]>>(g%2*4)&15 | byte(high>>(2*g)&3)<<4
		b.Scale[g], b.Min[g] = d*float32(int8(s)-32), 0
		indices(b.Q[32*g:][:32], src[8+16*g:][:16])
	}
}

func decodeMXFP4(b *Block, src []byte) {
	// The scale is half of 2^(e−127), because the values are doubled; subnormal for the
	// smallest two exponents.
	bits := uint32(src[0]-1) << 23
	if src[0] < 2 {
		bits = 0x00200000 << src[0]
	}
	b.Scale[0], b.Min[0] = math.Float32frombits(bits), 0
	indices(b.Q[:32], src[1:17])
}

func decodeNVFP4(b *Block, src []byte) {
	for g, s := range src[:4] {
		e, m := int(s>>3&15), float64(s&7)
		v := math.Ldexp(1+m/8, e-7)
		switch {
		case s == 0 || s == 0x7f: // 0x7f is E4M3's NaN, which ggml treats as 0
			v = 0
		case e == 0:
			v = math.Ldexp(m, -9)
		}
		b.Scale[g], b.Min[g] = float32(v/2), 0
		indices(b.Q[16*g:][:16], src[4+8*g:][:8])
	}
}
