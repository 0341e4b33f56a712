package integer

import (
	"fmt"

	"github.com/specquant/specquant/internal/kernel/shape"
)

// If the activations have a scale for each group of channels, that scale changes along a
// row, as the scale of the weights does. A part is a range of columns in which neither
// changes. With g for a group of the weights and G for the parts in it, a product is
//
//	y[t][r] = Σ_g s[r,g]·( Σ_G sx[t,G]·float32(dot_G − offset·sum_G[t]) )
//
// where dot_G = Σ u·q and sum_G = Σ q over the part, exact in 32 bits. g and G ascend, and
// every operation in float32 is rounded. (The zero points of the activations have been
// subtracted from Q.) If the weights have zero points, what they take off (see zero.go) is
//
//	shift[r,g]·( Σ_G sx[t,G]·float32(sum_G[t]) )
//
// Groups of the weights may be finer than those of the activations; then each of them is one
// part.

// bytes reports whether the tokens are in groups of channels with 8 bits, which only some
// routines can multiply.
func (a *Activations) bytes() bool { return a.ActGroup > 0 && a.Bits == 8 }

// intActSum is what routines need of a part of a token, besides its integers.
type intActSum struct {
	shift int32 // −8·Σ q, which the routines' integer sums begin with
	scale float32
}

// intParts returns the number of parts of a row of cols inputs, and the number of inputs of
// each part but the last, which may be shorter.
func intParts(cols, group, actGroup int) (n, size int) {
	groups, size := intGroups(cols, group)
	grids, fine := intGroups(cols, actGroup)
	if groups > 1 && grids > 1 && size%fine != 0 && fine%size != 0 {
		panic(fmt.Sprintf("kernel: matrices in groups of %d inputs and activations in groups of %d; one must divide the other", group, actGroup))
	}
	size = min(size, fine)
	return max(1, shape.CeilDiv(cols, max(1, size))), size
}

// groupedToken quantizes token t, whose values are x, in groups of channels.
func (a *Activations) groupedToken(t int, x []float32, clip float32) {
	grids, size := intGroups(a.Cols, a.ActGroup)
	q := a.Q[t*a.Stride : t*a.Stride+a.Cols]
	top := actTop(a.Bits)
	for g := range grids {
		lo, hi := g*size, min(a.Cols, (g+1)*size)
		var delta, z float32
		if a.Bits == 8 {
			delta, z, top = byteRange(x[lo:hi], clip), byteGroupTop, 2*byteGroupTop
		} else {
			delta, z = actRange(x[lo:hi], clip, a.Bits)
		}
		if delta == delta {
			intQuantize(q[lo:hi], x[lo:hi], delta, z, top, int32(z))
		} else {
			clear(q[lo:hi])
		}
		a.Scale[t*grids+g], a.Zero[t*grids+g] = delta, int32(z)
	}
	a.partSums(t)
}

// partSums computes what routines need of the parts of token t.
func (a *Activations) partSums(t int) {
	grids, gridSize := intGroups(a.Cols, a.ActGroup)
	groups, groupSize := intGroups(a.Cols, a.Group)
	n, size := intParts(a.Cols, a.Group, a.ActGroup)
	q := a.Q[t*a.Stride : t*a.Stride+a.Cols]
	fsum := a.fsum[t*groups : (t+1)*groups]
	clear(fsum)
	for i := range n {
		at := i * size
		sum, scale := intSum(q[at:min(a.Cols, at+size)]), a.Scale[t*grids+at/gridSize]
		a.parts[t*n+i] = intActSum{-8 * sum, scale}
		fsum[at/groupSize] += float32(scale * float32(sum))
	}
}

// intGroupTilePortable is the definition of products with activations in groups of channels:
// it sets y to the product of token t with the 16 rows of a tile.
func intGroupTilePortable(y *[intLanes]float32, w *Matrix, tiles intTiles, a *Activations, tile, t int) {
	groups, size := intGroups(w.Cols, w.Group)
	n, part := intParts(w.Cols, w.Group, a.ActGroup)
	off := intOffset(tiles.bits)
	q := a.Q[t*a.Stride : (t+1)*a.Stride]
	*y = [intLanes]float32{}
	for g := range groups {
		var sum [intLanes]float32
		for k := g * size; k < min(w.Cols, (g+1)*size); k += part {
			var dot [intLanes]int32
			intDotPortable(&dot, tiles, q, k, min(w.Cols, k+part))
			p := a.parts[t*n+k/part]
			shift := off / 8 * p.shift
			for lane := range dot {
				sum[lane] += float32(p.scale * float32(dot[lane]+shift))
			}
		}
		w.unshift(&sum, tile*groups+g, a.fsum[t*groups+g])
		w.addScaled(y, &sum, tile*groups+g)
	}
}
