package recipe

import (
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
	if w.multiples() && (b.Activations == 4 || !slices.Contains(quant.MultipleBits, b.Weights)) {
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

// Finest lists what the weights may be with so many bits where a size decides, from the least
// expected error, and the most bytes, on. The squared errors of normally distributed weights, in
// units of their variance over 4^bits (go test -run TestFinest -v), are with 16-bit scales
//
//	groups of 32, 64, 128: 1.7, 1.8, 1.9 (2 bits), 1.9, 2.3, 2.6 (4 bits) to 2.8 (7 bits); one scale for each row of 1,536 inputs: 3.0 to 4.2
//
// and with multiples
//
//	         2 bits  3 bits  4 bits  5 bits  6 bits  7 bits
//	16         1.6     1.6     1.6     1.8     2.2     3.1
//	32         1.7     1.9     2.0     2.2     2.6
//	64         1.8     2.2     2.4     2.6     3.0
//	128        1.9     2.3     2.7     3.0     3.4
//
// As one bit more makes four times less, bits count before groups. Multiples take 8 − bits bits, at
// most 4, instead of 16, so that of 2 to 6 bits they lose less in the same size. Of 7 bits, where there
// are only two multiples, groups of 16 follow those with 16-bit scales.
func (w *Weights) Finest(bits int) (all []Weights) {
	if w.multiples() && slices.Contains(quant.MultipleBits, bits) {
		groups := []int{16, 32, 64, 128}
		if bits == 7 {
			groups = groups[:1]
			for _, group := range []int{32, 64, 128} {
				all = append(all, w.Halves(group))
			}
		}
		for _, group := range groups {
			own := *w
			own.Group = group
			all = append(all, own)
		}
		return append(all, w.Halves(0))
	}
	for _, group := range []int{leastGroup, 64, 128, 0} {
		all = append(all, w.Halves(group))
	}
	return all
}
