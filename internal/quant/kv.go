package quant

import (
	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/kv"
)

// KV is the format of one head's key or value vector in the quantized cache:
// asymmetric, one 16-bit scale and one 16-bit minimum per token and head,
// x ≈ min + scale·q with q in [0, 2^bits−1]. Four-bit values are packed two a
// byte, even index low.
type KV struct {
	Bits    int // 4 or 8
	HeadDim int // even
}

// Bytes is the packed size of the codes of one vector.
func (f KV) Bytes() int { return f.HeadDim * f.Bits / 8 }

// Quantize packs x [head_dim] into dst and returns the scale and the minimum,
// both exact 16-bit floats.
func (f KV) Quantize(dst []byte, x []float32) (scale, minimum float32) {
	s, m := f.QuantizeHalf(dst, x)
	return float.FromF16(s), float.FromF16(m)
}

// QuantizeHalf is [KV.Quantize] with scale and minimum as 16-bit floats.
func (f KV) QuantizeHalf(dst []byte, x []float32) (scale, minimum uint16) {
	lo, hi := kv.Range(x[:f.HeadDim])
	// A 16-bit minimum reaches no further; finite inputs must give finite outputs.
	lo, hi = max(lo, -65504), min(hi, 65504)
	top := float32(int(1)<<f.Bits - 1)
	step := (hi - lo) / top
	if scale = float.ToF16(step); scale == 0 || step <= 0 {
		scale = 1 // the smallest that is positive
	}
	minimum = float.ToF16(lo)
	kv.Round(dst, x[:f.HeadDim], f.Bits, float.FromF16(minimum), 1/float.FromF16(scale))
	return scale, minimum
}

// Dequantize unpacks a vector and decodes it.
func (f KV) Dequantize(dst []float32, src []byte, scale, minimum float32) {
	if f.Bits == 4 {
		for i, b := range src[:f.HeadDim/2] {
			dst[2*i] = minimum + float32(scale*float32(b&15))
			dst[2*i+1] = minimum + float32(scale*float32(b>>4))
		}
		return
	}
	for i, b := range src[:f.HeadDim] {
		dst[i] = minimum + float32(scale*float32(b))
	}
}

// Emulate replaces x by its value after a round trip through the cache.
func (f KV) Emulate(x []float32, scratch []byte) {
	scale, minimum := f.Quantize(scratch, x)
	f.Dequantize(x, scratch, scale, minimum)
}
