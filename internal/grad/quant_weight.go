package grad

import (
	"fmt"

	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/quant"
)

// A weight is s·(q − z) with levels q = 0 … N, N = 2^bits − 1. For the kinds of grids of
// quant.ZeroKind: symmetric grids have z = 2^(bits−1) and s = max|w|/(2^(bits−1) − 1);
// asymmetric ones an integer z for each group and s = (max(0, max w) − min(0, min w))/N;
// centred ones z = N/2 and s = max|w|/(N/2).

// WeightQuant is how weights [out × in] are quantized in the forward pass.
type WeightQuant struct {
	Bits  int // 2 to 8; Centred also 1
	Group int // inputs that share a scale; 0: the whole row
	Zero  quant.ZeroKind

	// ClipLo and ClipHi [out × groups] are learnable factors of the ends of each group's
	// range; nil: 1. Symmetric and Centred grids have only ClipHi. OmniQuant's are
	// t.Sigmoid(γ); those learned by AutoRound are between ½ and 1.
	ClipLo, ClipHi *Var
	// Offset [out × in], nil for none, is added before rounding: AutoRound's V
	// in −½ … ½ (arXiv 2309.05516, equation 3).
	Offset *Var
	// Scale [out × groups] replaces the scale computed from the range: a scale from a
	// search, or a learned one. Asymmetric grids then need ZeroPoint [out × groups] too,
	// which is not learned.
	Scale     *Var
	ZeroPoint []float32
	// Detached blocks the gradient through the range to the smallest and largest weight of
	// a group.
	Detached bool
}

func (s WeightQuant) symmetric() bool { return s.Zero == "" || s.Zero == quant.ZeroSymmetric }

// groups is the number of groups of a row, and the inputs of each but the last.
func (s WeightQuant) groups(cols int) (n, size int) {
	if s.Group <= 0 || s.Group >= cols {
		return 1, cols
	}
	return (cols + s.Group - 1) / s.Group, s.Group
}

func (s WeightQuant) check(w *Var) {
	least := 2
	if s.Zero == quant.ZeroCentred {
		least = 1
	}
	demand(s.Bits >= least && s.Bits <= 8, "weights in %d bits", s.Bits)
	n, _ := s.groups(w.Cols)
	for _, v := range []*Var{s.ClipLo, s.ClipHi, s.Scale} {
		demand(v == nil || v.Rows == w.Rows && v.Cols == n, "clips or scales of another shape than %d×%d groups", w.Rows, n)
	}
	demand(s.Offset == nil || len(s.Offset.Data) == len(w.Data), "offsets of another shape than %s", w.shape())
	demand(s.ClipLo == nil || s.Zero == quant.ZeroAsymmetric, "a lower clip on a grid without one")
	demand((s.Scale != nil && s.Zero == quant.ZeroAsymmetric) == (len(s.ZeroPoint) > 0) && len(s.ZeroPoint)%(w.Rows*n) == 0,
		"%d zero points for %d×%d groups", len(s.ZeroPoint), w.Rows, n)
}

// half is the number of steps from zero to the end of the range, for grids whose scale
// depends on max|w|.
func (s WeightQuant) half() float32 {
	if s.Zero == quant.ZeroCentred {
		return top(s.Bits) / 2
	}
	return float32(int(1)<<(s.Bits-1) - 1)
}

// QuantizeWeights returns w [out × in] rounded to the grid: s·(clamp(q, 0, N) − z), q =
// round(w/s + offset) + z, with scales of 16 bits. In the backward pass rounding is treated
// as the identity, as in [Tape.QuantizeActivations]:
//
//	0 ≤ q ≤ N:  dy/dw = 1   dy/doffset = s   dy/ds = (q − z) − w/s
//	else:       dy/dw = 0   dy/doffset = 0   dy/ds = −z or N − z
//
// Beyond the ends of an asymmetric grid, where z = round(−lo/s) changes, dy/ds = −z − lo/s
// or N − z − lo/s and dy/dlo = 1. From s and lo the gradient flows to the factors and,
// unless Detached, to the weights that determine the range.
func (t *Tape) QuantizeWeights(w *Var, s WeightQuant) *Var {
	s.check(w)
	y := t.value(w.Rows, w.Cols, w, s.ClipLo, s.ClipHi, s.Offset, s.Scale)
	n, size := s.groups(w.Cols)
	scale, zero := t.keep(w.Rows*n), t.keep(w.Rows*n)
	t.rows(w.Rows, 4*w.Cols, func(r int) {
		for g := range n {
			from, to := r*w.Cols+g*size, r*w.Cols+min((g+1)*size, w.Cols)
			k := s.grid(w.Data[from:to], r*n+g)
			for i := from; i < to; i++ {
				y.Data[i] = k.scale * (k.level(s.steps(w.Data[i], k.scale, i)) - k.zero)
			}
			scale[r*n+g], zero[r*n+g] = k.scale, k.zero
		}
	})
	t.record(y, func() {
		b := weightBack{s: s, w: w, dy: y.Grad}
		b.dw, b.dOffset, b.dScale = t.wanted(w), t.wanted(s.Offset), t.wanted(s.Scale)
		b.dLo, b.dHi = t.wanted(s.ClipLo), t.wanted(s.ClipHi)
		t.rows(w.Rows, 4*w.Cols, func(r int) {
			for g := range n {
				k := weightGrid{scale: scale[r*n+g], zero: zero[r*n+g], top: top(s.Bits), centred: s.Zero == quant.ZeroCentred}
				b.group(k, r*w.Cols+g*size, r*w.Cols+min((g+1)*size, w.Cols), r*n+g)
			}
		})
	})
	return y
}

// EncodeWeights returns what [Tape.QuantizeWeights] rounds to: the levels 0 … N of w [out ×
// in] as bytes, and scale and zero [out × groups]. The weight is scale·(level − zero). The
// error names the row and group whose weights are not finite, or too large for a 16-bit
// scale.
func (t *Tape) EncodeWeights(w *Var, s WeightQuant) (levels []uint8, scale, zero []float32, err error) {
	s.check(w)
	n, size := s.groups(w.Cols)
	levels = make([]uint8, len(w.Data))
	scale, zero = make([]float32, w.Rows*n), make([]float32, w.Rows*n)
	bad := make([]bool, w.Rows*n)
	t.rows(w.Rows, 4*w.Cols, func(r int) {
		for g := range n {
			from, to := r*w.Cols+g*size, r*w.Cols+min((g+1)*size, w.Cols)
			k := s.grid(w.Data[from:to], r*n+g)
			for i := from; i < to; i++ {
				v := w.Data[i]
				bad[r*n+g] = bad[r*n+g] || !finite(v) || k.held
				levels[i] = uint8(k.level(s.steps(v, k.scale, i)))
			}
			scale[r*n+g], zero[r*n+g] = k.scale, k.zero
		}
	})
	for i, b := range bad {
		if b {
			return nil, nil, nil, fmt.Errorf("weights %q, row %d, group %d: not finite, or too large for a 16-bit scale (%d)", w.Name, i/n, i%n, largestScale)
		}
	}
	return levels, scale, zero, nil
}

// wanted is the gradient of v, or nil if it needs none.
func (t *Tape) wanted(v *Var) []float32 {
	if !v.Needs() {
		return nil
	}
	return t.gradient(v)
}

// weightGrid is the grid of one group.
type weightGrid struct {
	scale, zero, top float32
	centred          bool
	held             bool // the scale was limited to the range of 16 bits
}

// steps returns element i in units of the scale, plus its offset.
func (s WeightQuant) steps(v, scale float32, i int) float32 {
	u := v / scale
	if s.Offset != nil {
		u += s.Offset.Data[i]
	}
	return u
}

// place is the level nearest to u steps, which may be outside the grid.
func (k weightGrid) place(u float32) float32 {
	if k.centred {
		return quant.RoundEven(u + k.zero)
	}
	return quant.RoundEven(u) + k.zero
}

func (k weightGrid) level(u float32) float32 { return min(max(k.place(u), 0), k.top) }

// ends are the clipped minimum and maximum of a group's weights and zero; i is the index of
// the group of an asymmetric grid.
func (s WeightQuant) ends(w []float32, i int) (lo, hi float32) {
	a, b := extremes(w)
	lo, hi = min(0, w[a]), max(0, w[b])
	if s.ClipLo != nil {
		lo *= s.ClipLo.Data[i]
	}
	if s.ClipHi != nil {
		hi *= s.ClipHi.Data[i]
	}
	return lo, hi
}

// widest returns max|w| and its index.
func widest(w []float32) (v float32, at int) {
	lo, hi := extremes(w)
	switch a, b := -w[lo], w[hi]; {
	case a > b || a == b && lo < hi:
		return a, lo
	default:
		return b, hi
	}
}

// grid returns the grid of group i with the weights w.
func (s WeightQuant) grid(w []float32, i int) weightGrid {
	k := weightGrid{top: top(s.Bits), centred: s.Zero == quant.ZeroCentred}
	var lo, raw float32
	switch {
	case s.Scale != nil:
		raw = s.Scale.Data[i]
	case s.Zero == quant.ZeroAsymmetric:
		var hi float32
		lo, hi = s.ends(w, i)
		raw = (hi - lo) / k.top
	default:
		raw, _ = widest(w)
		if s.ClipHi != nil {
			raw *= s.ClipHi.Data[i]
		}
		raw /= s.half()
	}
	k.scale, k.held = scale16(raw)
	if raw == 0 && k.centred {
		k.scale = quant.ZeroGroupScale // as quant.Grid does: zeros stay zeros
	}
	switch {
	case s.symmetric():
		k.zero = float32(int(1) << (s.Bits - 1))
	case s.Zero == quant.ZeroCentred:
		k.zero = k.top / 2
	case s.Scale != nil:
		k.zero = s.ZeroPoint[i]
	default:
		k.zero = min(max(quant.RoundEven(-lo/k.scale), 0), k.top)
	}
	return k
}

// scale16 rounds a scale to 16 bits, as quant.Grid does. A group of zeros has scale 1; held
// reports that the scale was too large and was limited.
func scale16(raw float32) (s float32, held bool) {
	if raw == 0 {
		return 1, false
	}
	s = max(float.FromF16(float.ToF16(raw)), smallestScale)
	if s > largestScale || s != s {
		return largestScale, true
	}
	return s, false
}

// weightBack passes on the gradient of quantized weights. Gradients that are not needed are
// nil.
type weightBack struct {
	s                             WeightQuant
	w                             *Var
	dy                            []float32
	dw, dOffset, dScale, dLo, dHi []float32
}

// group processes group i, with the elements from…to.
func (b *weightBack) group(k weightGrid, from, to, i int) {
	var gs, gLo float64
	moves := b.s.Zero == quant.ZeroAsymmetric && b.s.Scale == nil // z changes with lo
	lo, hi := float32(0), float32(0)
	below, above := -k.zero, k.top-k.zero
	if moves {
		lo, hi = b.s.ends(b.w.Data[from:to], i)
		below -= lo / k.scale
		above -= lo / k.scale
	}
	for j := from; j < to; j++ {
		v, d := b.w.Data[j], b.dy[j]
		switch q := k.place(b.s.steps(v, k.scale, j)); {
		case q < 0:
			gs += float64(d * below)
			gLo += float64(d)
		case q > k.top:
			gs += float64(d * above)
			gLo += float64(d)
		default:
			gs += float64(d * (q - k.zero - v/k.scale))
			if b.dw != nil {
				b.dw[j] += d
			}
			if b.dOffset != nil {
				b.dOffset[j] += d * k.scale
			}
		}
	}
	switch {
	case b.s.Scale != nil:
		if b.dScale != nil {
			b.dScale[i] += float32(gs)
		}
	case moves && hi > lo:
		b.fromEnds(gLo-gs/float64(k.top), gs/float64(k.top), from, to, i)
	case !moves:
		b.fromWidest(gs/float64(b.s.half()), from, to, i)
	}
}

// fromEnds passes on the gradients of the ends lo and hi of an asymmetric group.
func (b *weightBack) fromEnds(gLo, gHi float64, from, to, i int) {
	w := b.w.Data[from:to]
	l, h := extremes(w)
	cLo, cHi := float32(1), float32(1)
	if b.s.ClipLo != nil {
		cLo = b.s.ClipLo.Data[i]
	}
	if b.s.ClipHi != nil {
		cHi = b.s.ClipHi.Data[i]
	}
	if b.dLo != nil {
		b.dLo[i] += float32(gLo) * min(0, w[l])
	}
	if b.dHi != nil {
		b.dHi[i] += float32(gHi) * max(0, w[h])
	}
	if b.dw != nil && !b.s.Detached {
		if w[l] < 0 {
			b.dw[from+l] += float32(gLo) * cLo
		}
		if w[h] > 0 {
			b.dw[from+h] += float32(gHi) * cHi
		}
	}
}

// fromWidest passes on the gradient of max|w|·clip.
func (b *weightBack) fromWidest(g float64, from, to, i int) {
	v, at := widest(b.w.Data[from:to])
	if v == 0 {
		return
	}
	clip := float32(1)
	if b.s.ClipHi != nil {
		clip = b.s.ClipHi.Data[i]
	}
	if b.dHi != nil {
		b.dHi[i] += float32(g) * v
	}
	if b.dw != nil && !b.s.Detached {
		if b.w.Data[from+at] < 0 {
			clip = -clip
		}
		b.dw[from+at] += float32(g) * clip
	}
}
