package recipe

import (
	"math"

	"github.com/specquant/specquant/internal/spectrum"
)

// PerChannel is k̄, the mean number of components that a channel keeps in a layer [rows ×
// cols]: the recipe's number, lowered to its limit of bits per weight but not below one
// component unless the recipe asks for less. A component is two 16-bit numbers, or one in
// the cosine basis.
func (b *Branch) PerChannel(axis spectrum.Axis, rows, cols int) float64 {
	length := cols
	if axis == spectrum.InputChannel {
		length = rows
	}
	k := b.Components
	bits, most := 32.0, length/2+1
	if b.Basis == "dct" {
		bits, most = 16, length
	}
	if b.Overhead > 0 {
		k = min(k, max(1, math.Floor(b.Overhead*float64(length)/bits)))
	}
	return min(k, float64(most))
}

// Width is the number of bits in which a number of the branch is stored.
func (b *Branch) Width() int {
	if b.Bits == 0 {
		return 16
	}
	return b.Bits
}

// Dimensions is the number of basis vectors for an input of n channels whose readers have
// this many outputs in total: the recipe's number or share, lowered to its limit of bits
// per weight. A vector costs [Branch.Width] bits for each input channel, for the basis, and
// for each output, for the coefficients.
func (b *Branch) Dimensions(n, outputs int) int {
	k := b.Components
	if b.Share > 0 {
		k = math.Round(b.Share * float64(n))
	}
	if b.Overhead > 0 {
		cost := float64(b.Width()) * float64(n+outputs) / (float64(n) * float64(outputs))
		k = min(k, math.Round(b.Overhead/cost))
	}
	return int(min(k, float64(n)))
}
