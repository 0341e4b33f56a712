package recipe

import (
	"math"
	"slices"

	"github.com/specquant/specquant/internal/quant"
)

// Grid is the grid of layers whose weights have so many bits.
func (w *Weights) Grid(bits int) quant.Grid {
	if w.multiples() {
		return quant.MultipleGrid(bits, w.Group)
	}
	return quant.Grid{Bits: bits, Group: w.Group, Zero: w.Zero}
}

func (w *Weights) multiples() bool { return w.Scales == quant.ScalesMultiples }

// multiples reports whether the table's scales are multiples of their row's.
func (t Table) multiples() bool { return t.Scales == quant.ScalesMultiples }

// Grid is the table's grid.
func (t Table) Grid() quant.Grid {
	if t.multiples() {
		return quant.MultipleGrid(t.Bits, t.Group)
	}
	return quant.Grid{Bits: t.Bits, Group: t.Group}
}

// WithBits is the table with so many bits. Where these cannot have multiples, scales become 16-bit
// floats.
func (t Table) WithBits(bits int) Table {
	t.Bits = bits
	if t.multiples() && !slices.Contains(quant.MultipleBits, bits) {
		t.Scales, t.Group = quant.ScalesHalves, max(leastGroup, t.Group)
	}
	return t
}

// Error is [Weights.Error] of the table.
func (t Table) Error() float64 {
	w := Weights{Group: t.Group, Scales: t.Scales}
	return w.Error(t.Bits)
}

// Can reports whether weights of so many bits can have these scales.
func (w *Weights) Can(bits int) bool {
	return !w.multiples() || slices.Contains(quant.MultipleBits, bits)
}

// leastGroup is the smallest group with 16-bit scales.
const leastGroup = 32

// Halves is the grid with 16-bit scales, for groups of so many inputs, instead of multiples.
func (w *Weights) Halves(group int) Weights {
	own := *w
	own.Group = group
	if w.multiples() {
		own.Scales, own.Zero = quant.ScalesHalves, quant.ZeroCentred
	}
	return own
}

// setBits replaces multiples by 16-bit scales if weights of so many bits cannot have them, or
// activations have 4 bits: these have scales for groups of channels, so that products are scaled
// group by group anyhow, and there are no fast ones with multiples.
func (w *Weights) setBits(b quant.Bits) {
	if w.multiples() && (b.Activations == 4 || !w.Can(b.Weights)) {
		*w = w.Halves(max(leastGroup, w.Group))
	}
}

// SetGroup overrides the recipe's group and removes weights.fill, which would change it. Groups
// that cannot have multiples get 16-bit scales.
func (r *Recipe) SetGroup(group int) {
	w := &r.Weights
	w.Fill = ""
	if w.multiples() && !quant.MultipleGroup(group) {
		*w = w.Halves(group)
	}
	w.Group = group
}

// Grids lists what the scales of the weights may be where a size decides, the smallest groups first, at the
// end one scale for each row. Layers and their bits are those of w, except those that were chosen to fill
// another size.
func (w *Weights) Grids() (all []Weights) {
	add := func(own Weights) {
		own.Layers, own.Filled = own.Layers[own.Filled:], 0
		all = append(all, own)
	}
	if w.multiples() {
		for _, group := range []int{16, 32, 64, 128} {
			own := *w
			own.Group = group
			add(own)
		}
	}
	for _, group := range []int{leastGroup, 64, 128, 0} {
		add(w.Halves(group))
	}
	return all
}

// gridErrors are squared errors of normally distributed weights, in units of their variance over
// 4^bits, by group and for 2 to 8 bits (go test -run TestErrors -v): with 16-bit scales, where one
// scale for each row is that of 1,536 inputs, and with multiples. Centred grids lose a little less
// than symmetric ones, most with few bits. As one bit more makes four times less, bits count before
// groups. Multiples take 8 − bits bits, at most 4, instead of 16, so that of 2 to 6 bits they lose less
// in the same size; of 7 bits there are only two.
var gridErrors = map[quant.ScaleKind]map[int][7]float64{
	quant.ScalesHalves: {
		32:  {1.74, 1.92, 1.90, 1.88, 1.91, 1.90, 1.89},
		64:  {1.84, 2.16, 2.29, 2.31, 2.32, 2.35, 2.33},
		128: {1.89, 2.31, 2.63, 2.73, 2.78, 2.81, 2.79},
		0:   {1.93, 2.44, 2.99, 3.57, 4.00, 4.22, 4.32},
	},
	quant.ScalesMultiples: {
		16:  {1.58, 1.59, 1.61, 1.78, 2.17, 3.12},
		32:  {1.75, 1.94, 2.03, 2.19, 2.59, 3.71},
		64:  {1.84, 2.18, 2.42, 2.57, 2.97, 4.08},
		128: {1.89, 2.32, 2.74, 2.95, 3.36, 4.20},
	},
}

// Error is the squared error to be expected of weights of so many bits, relative to their variance.
// Its group is one of those of [Weights.Grids].
func (w *Weights) Error(bits int) float64 {
	kind := quant.ScalesHalves
	if w.multiples() {
		kind = quant.ScalesMultiples
	}
	return math.Ldexp(gridErrors[kind][w.Group][bits-2], -2*bits)
}
