package quant

import (
	"math"

	"github.com/specquant/specquant/internal/kernel/float"
)

// Clip is how far a group's grid may end below its largest weight.
type Clip string

const (
	ClipNone Clip = "none" // the grid covers the largest weight
	ClipMSE  Clip = "mse"  // the clipping ratio with the smallest squared error
)

// searches reports whether grids may end below the largest weight.
func (c Clip) searches() bool { return c == ClipMSE || c == ClipHessian }

// clipStep and clipSteps define the clipping ratios 1, 0.975, … 0.5. Grids of at most
// clipFewBits bits do best far inside the range: for them the ratios continue to 0.1.
const (
	clipStep     = 0.025
	clipSteps    = 21
	clipStepsFew = 37
	clipFewBits  = 3
)

// MaxScale is the largest 16-bit float.
const MaxScale = 65504

// smallestScale is the smallest positive 16-bit float.
const smallestScale = 1.0 / (1 << 24)

// ZeroGroupScale is the scale of an all-zero group on a centred grid, which has no level at
// zero. It becomes zero when stored as a 16-bit float, so the stored group decodes to
// zeros; in float32 it is nonzero and can be divided by.
const ZeroGroupScale = 1.0 / (1 << 40)

// Scales returns the parameters of the grid for w [rows × cols], with scales rounded to 16
// bits. An all-zero group gets scale 1 ([ZeroGroupScale] on a centred grid; with multiples the
// largest of its row, on a centred grid the smallest, which does not decode to zeros unless the
// whole row is zero). A group whose weights are not finite, or need a scale above 65504, is an
// error.
func (g Grid) Scales(w []float32, rows, cols int, clip Clip, run func(n int, fn func(i int))) (Steps, error) {
	return g.WeightedScales(w, nil, rows, cols, clip, run)
}

// WeightedScales is [Grid.Scales] with an importance d for each column, such as the
// Hessian's diagonal: the search minimizes Σ d·(w − ŵ)². If d is nil, all columns count the
// same. d has cols finite, nonnegative values, of which only the ratios matter.
func (g Grid) WeightedScales(w []float32, d []float64, rows, cols int, clip Clip, run func(n int, fn func(i int))) (Steps, error) {
	groups, width := g.Groups(cols), g.width(cols)
	s := Steps{Scale: make([]float32, rows*groups), Zero: g.FixedZero()}
	if g.Zero == ZeroAsymmetric {
		s.Zero = make([]float32, rows*groups)
	}
	if g.Multiples {
		s.Row, s.Multiple = make([]float32, rows), make([]uint8, rows*groups)
	}
	importance := shares(d)
	run(rows, func(r int) {
		for k := range groups {
			lo, hi := k*width, min(cols, (k+1)*width)
			var part []float32
			if importance != nil {
				part = importance[lo:hi]
			}
			i := r*groups + k
			best := g.search(w[r*cols+lo:r*cols+hi], part, clip)
			s.Scale[i] = best.scale
			if g.Zero == ZeroAsymmetric {
				s.Zero[i] = best.zero
			}
		}
		if g.Multiples {
			own := s.Scale[r*groups:][:groups]
			s.Row[r] = g.multiples(own, s.Multiple[r*groups:][:groups], w[r*cols:][:cols], importance, width, clip)
		}
	})
	return s, s.check(groups)
}

// shares divides the importances by the largest one, so that no sum overflows; nil if all
// are zero.
func shares(d []float64) []float32 {
	var top float64
	for _, v := range d {
		top = max(top, v)
	}
	if top == 0 {
		return nil
	}
	out := make([]float32, len(d))
	for i, v := range d {
		out[i] = float32(v / top)
	}
	return out
}

// step is the scale and zero point of one group; zero is in units of u.
type step struct{ scale, zero float32 }

// search finds a group's scale and zero point.
func (g Grid) search(w, importance []float32, clip Clip) step {
	least, most := float.Range(w)
	best := g.fit(least, most, 1)
	if !clip.searches() || least == most {
		return best
	}
	steps := clipSteps
	if g.Bits <= clipFewBits {
		steps = clipStepsFew
	}
	stride := 1
	if g.Multiples {
		stride = 2 // what follows moves the scale anyhow: half of the ratios do as well
	}
	at := g.Step(0, 0)
	err := squaredError(w, importance, &at, best, float32(math.Inf(1)))
	for i := stride; i < steps; i += stride {
		s := g.fit(least, most, 1-clipStep*float32(i))
		if e := squaredError(w, importance, &at, s, err); e < err {
			best, err = s, e
		}
	}
	return best
}

// fit returns the grid that covers a fraction (ratio) of the range from least to most,
// which includes zero.
func (g Grid) fit(least, most, ratio float32) step {
	lo, hi := g.Limits()
	top := float32(int(1)<<g.Bits - 1)
	round := func(s float32) float32 { return max(roundF16(s), smallestScale) }
	reach := max(-least, most)
	switch g.Zero {
	case ZeroCentred:
		if reach == 0 {
			return step{ZeroGroupScale, top / 2}
		}
		return step{round(reach * ratio / (top / 2)), top / 2}
	case ZeroAsymmetric:
		if least == most {
			return step{1, 0}
		}
		s := round((most - least) * ratio / top)
		return step{s, min(max(RoundEven(-least*ratio/s), 0), top)}
	}
	if reach == 0 {
		return step{1, -lo}
	}
	return step{round(reach * ratio / hi), -lo}
}

// squaredError returns Σ d·(w − ŵ)² with a grid's steps, or a partial sum as soon as it exceeds the
// limit. at is the grid, whose steps are replaced.
func squaredError(w, importance []float32, at *float.GridStep, by step, limit float32) float32 {
	at.Scale, at.Shift = by.scale, by.zero+at.Lo
	return float.GridError(w, importance, at, limit)
}
