package grad

import "github.com/specquant/specquant/internal/quant"

// QuantizeKV replaces keys or values [tokens × kv_heads·head_dim] by what the cache returns
// (quant.KV): an asymmetric grid for each token and head, with a scale s and a minimum m of
// 16 bits,
//
//	q = round((x − m)/s)   y = m + s·clamp(q, 0, N)   s = (max − min)/N   m = min
//
// In the backward pass rounding, also that of s and m, is treated as the identity:
//
//	0 ≤ q ≤ N:  dy/dx = 1   dy/ds = q − (x − m)/s   dy/dm = 0
//	q < 0:      dy/dx = 0   dy/ds = 0               dy/dm = 1
//	q > N:      dy/dx = 0   dy/ds = N               dy/dm = 1
//
// s and m pass their gradients to the smallest and the largest element.
func (t *Tape) QuantizeKV(x *Var, f quant.KV) *Var {
	if f.Bits == 16 {
		return x
	}
	demand(f.Bits >= 2 && f.Bits <= 8 && f.HeadDim > 0 && x.Cols%f.HeadDim == 0, "%s in KV cache of %d bits, heads of %d", x.shape(), f.Bits, f.HeadDim)
	heads := x.Cols / f.HeadDim
	y := t.value(x.Rows, x.Cols, x)
	scale, minimum := t.keep(x.Rows*heads), t.keep(x.Rows*heads)
	t.rows(x.Rows, 4*x.Cols, func(r int) {
		packed := make([]byte, f.HeadDim)
		for h := range heads {
			s, m := f.Quantize(packed, x.row(r)[h*f.HeadDim:][:f.HeadDim])
			f.Dequantize(y.row(r)[h*f.HeadDim:][:f.HeadDim], packed, s, m)
			scale[r*heads+h], minimum[r*heads+h] = s, m
		}
	})
	t.record(y, func() {
		g := t.gradient(x)
		t.rows(x.Rows*heads, 4*f.HeadDim, func(i int) {
			o := i * f.HeadDim
			kvGradient(g[o:][:f.HeadDim], x.Data[o:][:f.HeadDim], y.Grad[o:][:f.HeadDim], scale[i], minimum[i], top(f.Bits))
		})
	})
	return y
}

// kvGradient adds to dx the gradient of one head's vector x for the gradient dy of the
// result.
func kvGradient(dx, x, dy []float32, s, m, top float32) {
	var gs, gm float64
	inv := 1 / s
	for i, v := range x {
		d := dy[i]
		switch q := quant.RoundEven((v - m) * inv); {
		case q < 0:
			gm += float64(d)
		case q > top:
			gm += float64(d)
			gs += float64(d * top)
		default:
			gs += float64(d * (q - (v-m)/s))
			dx[i] += d
		}
	}
	lo, hi := extremes(x)
	if x[lo] < -largestScale || x[hi] > largestScale || s <= smallestScale {
		return // the range is at its limits and does not depend on x
	}
	dx[lo] += float32(gm - gs/float64(top))
	dx[hi] += float32(gs / float64(top))
}

// smallestScale is the smallest positive 16-bit float, largestScale the largest.
const (
	smallestScale = 1.0 / (1 << 24)
	largestScale  = 65504
)
