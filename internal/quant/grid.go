package quant

import (
	"fmt"
	"math"

	"github.com/specquant/specquant/internal/kernel/float"
)

// Grid is an integer grid for weights, with one scale, and one zero point unless
// it is symmetric, for each group of inputs of each output channel:
//
//	w ≈ scale·(u − zero), u in [0, 2^bits−1]
//
// Functions take and return the codes q = u − 2^(bits−1), which fit into a signed byte.
// Scales and zero points are 16-bit floats.
type Grid struct {
	Bits  int      // 2 to 8
	Group int      // inputs that share a scale; 0: the whole row
	Zero  ZeroKind // "" is symmetric

	// Multiples says that a row has one 16-bit float and that the scale of each of its groups is
	// a whole multiple of that (on a centred grid, of twice that), 1 to 2^(8−Bits), but at most 16:
	// then multiple times integer, q or on a centred grid the odd number 2q + 1, fits a signed byte,
	// and products need one scale for each row. Only grids of [MultipleBits] with their
	// [MultipleZero] can have it.
	Multiples bool
}

// Steps are the scales and zero points of a grid's groups, [rows × groups]. Zero is in
// units of u: nil for a symmetric grid, one value if it is the same for all groups.
type Steps struct {
	Scale []float32
	Zero  []float32

	// With [Grid.Multiples] the scale of a group is, exactly, that of its row times its multiple
	// times [Grid.MultipleUnit]; otherwise nil. Who changes Scale must leave these true. A row of
	// zeros on a centred grid has scale 0, and its groups [ZeroGroupScale].
	Row      []float32 // [rows]
	Multiple []uint8   // [rows × groups]
}

// At returns the parameters of group i, counted over all rows: w ≈ scale·(q − shift), so
// shift is the zero point in units of q.
func (s Steps) At(g Grid, i int) (scale, shift float32) {
	switch len(s.Zero) {
	case 0:
		return s.Scale[i], 0
	case 1:
		i, scale = 0, s.Scale[i]
	default:
		scale = s.Scale[i]
	}
	lo, _ := g.Limits()
	return scale, s.Zero[i] + lo
}

// FixedZero is the common zero point of all groups in units of u, as in [Steps]; nil unless
// the grid is centred.
func (g Grid) FixedZero() []float32 {
	if g.Zero != ZeroCentred {
		return nil
	}
	return []float32{float32(int(1)<<g.Bits-1) / 2}
}

// MultipleUnit is the step of a grid with [Grid.Multiples] in units of the row's scale times the
// multiple: of a centred grid 2, the distance of odd integers.
func (g Grid) MultipleUnit() float32 {
	if g.Zero == ZeroCentred {
		return 2
	}
	return 1
}

// Groups is the number of scales of a row; the last group may be shorter.
func (g Grid) Groups(cols int) int {
	if g.Group == 0 || g.Group >= cols {
		return 1
	}
	return (cols + g.Group - 1) / g.Group
}

// width is the number of inputs in a group; the last group may have fewer.
func (g Grid) width(cols int) int {
	if g.Groups(cols) == 1 {
		return max(1, cols)
	}
	return g.Group
}

// Limits are the smallest and the largest q.
func (g Grid) Limits() (lo, hi float32) {
	half := float32(int(1) << (g.Bits - 1))
	return -half, half - 1
}

// Round returns the code q nearest to w on the grid with scale s and shift d, as returned
// by [Steps.At].
func (g Grid) Round(w, s, d float32) int8 {
	step := g.Step(s, d)
	return int8(step.Level(float32(w/s) + d))
}

// Step is the grid of one group in the form that kernels take.
func (g Grid) Step(s, d float32) float.GridStep {
	lo, hi := g.Limits()
	return float.GridStep{Scale: s, Shift: d, Lo: lo, Hi: hi}
}

// Value is the weight that q decodes to: s·(q − d).
func Value(q int8, s, d float32) float32 { return s * (float32(q) - d) }

// RTN rounds each weight of w [rows × cols] to its nearest grid point.
func (g Grid) RTN(q []int8, w []float32, steps Steps, rows, cols int, run func(n int, fn func(i int))) {
	g.each(steps, rows, cols, run, func(lo, hi int, s, d float32) {
		step := g.Step(s, d)
		float.GridRound(q[lo:hi], w[lo:hi], &step)
	})
}

// Dequantize writes the decoded weights of q to dst [rows × cols].
func (g Grid) Dequantize(dst []float32, q []int8, steps Steps, rows, cols int, run func(n int, fn func(i int))) {
	g.each(steps, rows, cols, run, func(lo, hi int, s, d float32) {
		step := g.Step(s, d)
		float.GridValues(dst[lo:hi], q[lo:hi], &step)
	})
}

// each calls fn with the index range of every group in a matrix and its scale and shift.
func (g Grid) each(steps Steps, rows, cols int, run func(n int, fn func(i int)), fn func(lo, hi int, s, d float32)) {
	groups, width := g.Groups(cols), g.width(cols)
	run(rows, func(r int) {
		for k := range groups {
			s, d := steps.At(g, r*groups+k)
			fn(r*cols+k*width, r*cols+min(cols, (k+1)*width), s, d)
		}
	})
}

// check returns an error for the first group whose scale is not a finite 16-bit float.
func (s Steps) check(groups int) error {
	for i, v := range s.Scale {
		if math.IsInf(float64(v), 0) || v != v {
			return fmt.Errorf("row %d, group %d: the weights are not finite or too large for a 16-bit scale (65504)", i/groups, i%groups)
		}
	}
	return nil
}

// RoundEven rounds half to even. Adding and taking away 1.5·2²³ does it within
// ±2²², which holds every grid; beyond, the value is clamped by its caller. The
// conversion keeps compilers from fusing a product in v with the sum, which
// would round differently from machine to machine.
func RoundEven(v float32) float32 {
	const magic = 3 << 22
	if v > 1<<21 || v < -(1<<21) {
		return v
	}
	return (float32(v) + magic) - magic
}

// roundF16 rounds to the nearest 16-bit float.
func roundF16(v float32) float32 { return float.FromF16(float.ToF16(v)) }
