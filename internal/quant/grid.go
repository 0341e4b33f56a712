package quant

import (
	"fmt"
	"math"

	"github.com/specquant/specquant/internal/kernel"
)

// Grid is a symmetric integer grid for weights: w ≈ scale·q with
// q in [−2^(bits−1), 2^(bits−1)−1], one scale for each group of inputs of each
// output channel. Scales are 16-bit floats.
type Grid struct {
	Bits  int
	Group int // inputs that share a scale; 0: the whole row
}

// Groups is the number of scales of a row; the last group may be shorter.
func (g Grid) Groups(cols int) int {
	if g.Group == 0 || g.Group >= cols {
		return 1
	}
	return (cols + g.Group - 1) / g.Group
}

// Limits are the smallest and the largest q.
func (g Grid) Limits() (lo, hi float32) {
	half := float32(int(1) << (g.Bits - 1))
	return -half, half - 1
}

// Clip says how far below its largest weight a group's grid may reach.
type Clip string

const (
	ClipNone Clip = "none" // the grid covers the largest weight
	ClipMSE  Clip = "mse"  // the ratio with the least squared error, from ClipRatios
)

// clipStep and clipSteps make the ratios 1, 0.975, … 0.5.
const (
	clipStep  = 0.025
	clipSteps = 21
)

// Scales returns the scales [rows × groups] of w [rows × cols], rounded to 16
// bits. A group of zeros has scale 1. A group whose weights are not finite, or
// need a scale above 65504, is an error.
func (g Grid) Scales(w []float32, rows, cols int, clip Clip, run func(n int, fn func(i int))) ([]float32, error) {
	groups := g.Groups(cols)
	scales := make([]float32, rows*groups)
	width := cols
	if groups > 1 {
		width = g.Group
	}
	run(rows, func(r int) {
		for k := range groups {
			lo := k * width
			part := w[r*cols+lo : r*cols+min(lo+width, cols)]
			scales[r*groups+k] = g.scale(part, clip)
		}
	})
	for i, s := range scales {
		if math.IsInf(float64(s), 0) || s != s {
			return nil, fmt.Errorf("row %d, group %d: the weights are not finite or too large for a 16-bit scale (65504)", i/groups, i%groups)
		}
	}
	return scales, nil
}

// smallestScale is the least positive 16-bit float.
const smallestScale = 1.0 / (1 << 24)

func (g Grid) scale(w []float32, clip Clip) float32 {
	var top float32
	for _, v := range w {
		top = max(top, abs(v))
	}
	if top == 0 {
		return 1
	}
	_, hi := g.Limits()
	round := func(s float32) float32 { return max(roundF16(s), smallestScale) }
	best := round(top / hi)
	if clip != ClipMSE {
		return best
	}
	least := g.squaredError(w, best, float32(math.Inf(1)))
	for i := 1; i < clipSteps; i++ {
		s := round(top * (1 - clipStep*float32(i)) / hi)
		if e := g.squaredError(w, s, least); e < least {
			best, least = s, e
		}
	}
	return best
}

// squaredError is Σ(w − s·q)², given up once it passes the limit.
func (g Grid) squaredError(w []float32, s, limit float32) float32 {
	lo, hi := g.Limits()
	inv := 1 / s
	var sum float32
	for len(w) > 0 && sum < limit {
		n := min(64, len(w))
		for _, v := range w[:n] {
			d := v - float32(s*min(max(roundEven(v*inv), lo), hi))
			sum += float32(d * d)
		}
		w = w[n:]
	}
	return sum
}

// Round returns the q nearest to w on the grid of scale s.
func (g Grid) Round(w, s float32) int8 {
	lo, hi := g.Limits()
	return int8(min(max(roundEven(w/s), lo), hi))
}

// RTN rounds each weight of w [rows × cols] to its nearest grid point.
func (g Grid) RTN(q []int8, w, scales []float32, rows, cols int, run func(n int, fn func(i int))) {
	groups := g.Groups(cols)
	run(rows, func(r int) {
		for c := range cols {
			s := scales[r*groups]
			if g.Group > 0 {
				s = scales[r*groups+c/g.Group]
			}
			q[r*cols+c] = g.Round(w[r*cols+c], s)
		}
	})
}

// Dequantize writes scale·q to dst [rows × cols].
func (g Grid) Dequantize(dst []float32, q []int8, scales []float32, rows, cols int, run func(n int, fn func(i int))) {
	groups := g.Groups(cols)
	run(rows, func(r int) {
		for c := range cols {
			s := scales[r*groups]
			if g.Group > 0 {
				s = scales[r*groups+c/g.Group]
			}
			dst[r*cols+c] = s * float32(q[r*cols+c])
		}
	})
}

// roundEven rounds half to even. Adding and taking away 1.5·2²³ does it within
// ±2²², which holds every grid; beyond, the value is clamped by its caller. The
// conversion keeps compilers from fusing a product in v with the sum, which
// would round differently from machine to machine.
func roundEven(v float32) float32 {
	const magic = 3 << 22
	if v > 1<<21 || v < -(1<<21) {
		return v
	}
	return (float32(v) + magic) - magic
}

// roundF16 rounds to the nearest 16-bit float.
func roundF16(v float32) float32 { return kernel.FromF16(kernel.ToF16(v)) }

func abs(v float32) float32 {
	return math.Float32frombits(math.Float32bits(v) &^ (1 << 31))
}
