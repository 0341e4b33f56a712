package grad

import (
	"math"

	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/integer"
	"github.com/specquant/specquant/internal/quant"
)

// ActQuant is how activations are quantized in the forward pass.
type ActQuant struct {
	Bits int     // 2 to 8; 16: x is not changed
	Clip float32 // fraction of the range that the grid covers; 0 means 1
	// Group is the number of channels that share a grid, a multiple of 8; 0: the whole
	// token. Only with 2 to 4 bits (or 16), as in [integer.ActGrid].
	Group int
	// ClipLo and ClipHi, both or neither, are [1 × 1] learnable factors of the lower and
	// upper end of the range, instead of Clip. The same Var for both is one common factor,
	// which is all that the artefact can store.
	ClipLo, ClipHi *Var
	// Detached blocks the gradient through the range to the smallest and largest element of
	// a token.
	Detached bool
}

func (s ActQuant) factors() (lo, hi float32) {
	switch {
	case s.ClipLo != nil:
		return s.ClipLo.Data[0], s.ClipHi.Data[0]
	case s.Clip == 0:
		return 1, 1
	}
	return s.Clip, s.Clip
}

// QuantizeActivations replaces each token of x [tokens × n] by the values that its integers
// decode to, as in docs/FORMAT.md, "What a layer computes": with N = 2^b − 1,
//
//	lo = min(0, min x)·c_lo   hi = max(0, max x)·c_hi   Δ = (hi − lo)/N   z = round(−lo/Δ)
//	q = round(x/Δ) + z        y = Δ·(clamp(q, 0, N) − z)
//
// In the backward pass round(u) is treated as u, so that what depends on z cancels inside
// the range, as in LSQ (Esser et al. 2020, arXiv 1902.08153, equation 3):
//
//	0 ≤ q ≤ N:  dy/dx = 1   dy/dΔ = (q − z) − x/Δ
//	q < 0:      dy/dx = 0   dy/dΔ = −z − lo/Δ       dy/dlo = 1 (through z)
//	q > N:      dy/dx = 0   dy/dΔ = N − z − lo/Δ    dy/dlo = 1 (through z)
//
// Δ passes 1/N of its gradient to hi and −1/N to lo, and these pass theirs to the clip
// factors and, unless Detached, to the elements that determine the range. With Group, each
// group of channels of a token (the last may be shorter) is treated as a token.
func (t *Tape) QuantizeActivations(x *Var, s ActQuant) *Var {
	if s.Bits == 16 {
		return x
	}
	demand(s.Bits >= 2 && s.Bits <= 8, "activations in %d bits", s.Bits)
	demand((s.ClipLo == nil) == (s.ClipHi == nil), "one clip factor of two")
	demand(s.Group == 0 || s.Bits <= 4 && s.Group%8 == 0, "activations of %d bits in groups of %d channels", s.Bits, s.Group)
	y := t.value(x.Rows, x.Cols, x, s.ClipLo, s.ClipHi)
	grids, size := s.groups(x.Cols)
	delta, zero := t.keep(x.Rows*grids), t.keep(x.Rows*grids)
	cLo, cHi := s.factors()
	if cLo == cHi {
		t.shippedTokens(y, x, delta, zero, integer.ActGrid{Bits: s.Bits, Clip: cLo, Group: s.Group})
	} else {
		t.rows(x.Rows, 4*x.Cols, func(r int) {
			for g := range grids {
				lo, hi := g*size, min(x.Cols, (g+1)*size)
				delta[r*grids+g], zero[r*grids+g] = quantizeToken(y.row(r)[lo:hi], x.row(r)[lo:hi], s.Bits, cLo, cHi)
			}
		})
	}
	t.record(y, func() {
		var dx []float32
		if x.need {
			dx = t.gradient(x)
		}
		ends := make([][2]float64, x.Rows) // gradients of c_lo and c_hi
		t.rows(x.Rows, 4*x.Cols, func(r int) {
			for g := range grids {
				k := tokenGrid{delta: delta[r*grids+g], zero: zero[r*grids+g], top: top(s.Bits), cLo: cLo, cHi: cHi, detached: s.Detached}
				lo, hi := r*x.Cols+g*size, r*x.Cols+min(x.Cols, (g+1)*size)
				var row []float32
				if dx != nil {
					row = dx[lo:hi]
				}
				e := k.backward(row, x.Data[lo:hi], y.Grad[lo:hi])
				ends[r][0] += e[0]
				ends[r][1] += e[1]
			}
		})
		for i, c := range []*Var{s.ClipLo, s.ClipHi} {
			if c.Needs() {
				var sum float64
				for _, e := range ends {
					sum += e[i]
				}
				t.gradient(c)[0] += float32(sum)
			}
		}
	})
	return y
}

// top is the largest integer of a grid.
func top(bits int) float32 { return float32(int(1)<<bits - 1) }

// shippedTokens quantizes exactly as the engine does.
func (t *Tape) shippedTokens(y, x *Var, delta, zero []float32, grid integer.ActGrid) {
	a := &t.acts
	a.Quantize(t.Pool, x.Data, x.Cols, x.Rows, x.Cols, grid, 0)
	off := int32(0) // offset of the stored integers
	if grid.Bits == 8 {
		off = 128
	}
	t.rows(x.Rows, x.Cols, func(r int) { a.DequantizeToken(y.row(r), r) })
	for i := range delta {
		delta[i], zero[i] = a.Scale[i], float32(a.Zero[i]+off)
	}
}

// groups is the number of groups of a token, and the channels of each but the last.
func (s ActQuant) groups(cols int) (n, size int) { return WeightQuant{Group: s.Group}.groups(cols) }

// quantizeToken does the same with a clip factor for each end of the range.
func quantizeToken(y, x []float32, bits int, cLo, cHi float32) (delta, zero float32) {
	n := top(bits)
	i, j := extremes(x)
	lo, hi := min(0, x[i])*cLo, max(0, x[j])*cHi
	delta = (hi - lo) / n
	if delta == 0 {
		delta = 1
	} else {
		zero = min(quant.RoundEven(-lo/delta), n)
	}
	for i, v := range x {
		y[i] = delta * (min(max(quant.RoundEven(v/delta)+zero, 0), n) - zero)
	}
	return delta, zero
}

// extremes are the indices of the first smallest and the first largest element.
func extremes(x []float32) (lo, hi int) {
	for i, v := range x {
		if v < x[lo] {
			lo = i
		}
		if v > x[hi] {
			hi = i
		}
	}
	return lo, hi
}

// tokenGrid is the grid of one token.
type tokenGrid struct {
	delta, zero, top float32
	cLo, cHi         float32
	detached         bool
}

// backward adds to dx, unless it is nil, the gradient of x for the gradient dy of the
// result, and returns the gradients of the clip factors.
func (k tokenGrid) backward(dx, x, dy []float32) (ends [2]float64) {
	i, j := extremes(x)
	mLo, mHi := min(0, x[i]), max(0, x[j])
	lo, hi := mLo*k.cLo, mHi*k.cHi
	if lo == hi { // no range: y = round(x), and x = 0
		if dx != nil {
			float.AddTo(dx, dy)
		}
		return ends
	}
	var gDelta, gLo float64
	below, above := -k.zero-lo/k.delta, k.top-k.zero-lo/k.delta
	for i, v := range x {
		d, u := dy[i], v/k.delta
		switch q := quant.RoundEven(u) + k.zero; {
		case q < 0:
			gDelta += float64(d * below)
			gLo += float64(d)
		case q > k.top:
			gDelta += float64(d * above)
			gLo += float64(d)
		default:
			gDelta += float64(d * (q - k.zero - u))
			if dx != nil {
				dx[i] += d
			}
		}
	}
	gHi := gDelta / float64(k.top)
	gLo -= gHi
	if dx != nil && !k.detached {
		if mLo < 0 {
			dx[i] += float32(gLo) * k.cLo
		}
		if mHi > 0 {
			dx[j] += float32(gHi) * k.cHi
		}
	}
	return [2]float64{gLo * float64(mLo), gHi * float64(mHi)}
}

// finite reports whether v is neither infinite nor NaN.
func finite(v float32) bool { return math.Float32bits(v)&0x7fffffff < 0x7f800000 }
