package integer

import (
	"fmt"

	"github.com/specquant/specquant/internal/kernel/shape"
)

// With groups of channels the activations' scale changes along a row. A part is
// a stretch of columns that have one scale of the activations and one of the
// weights; G runs over those of group g of the weights, in order, and every
// operation in float32 is rounded separately:
//
//	y[t][r] = start[t][r] + Σ_g s[r,g]·( Σ_G sx[t,G]·float32(dot_G − offset·sum_G[t]) )
//
// where dot_G = Σ u·q and sum_G = Σ q over the part, exact in 32 bits: Q is free
// of the zero points of the activations. With zero points of the weights it
// begins at
//
//	start[t][r] = 0 − Σ_g (s[r,g]·shift[r,g])·( Σ_G sx[t,G]·float32(sum_G[t]) )
//
// see zero.go, else at 0. Groups of the weights that are finer than those of
// the activations are parts by themselves.

// bytes reports whether the tokens are in groups of 8 bits, which only some kernels take.
func (a *Activations) bytes() bool { return a.ActGroup > 0 && a.Bits == 8 }

// intActSum is a part of a token.
type intActSum struct {
	shift int32 // −8·Σ q, where the kernels' integer sums begin
	scale float32
}

// intParts is the number of parts of a row of cols inputs, and the inputs of
// each but the last.
func intParts(cols, group, actGroup int) (n, size int) {
	groups, size := intGroups(cols, group)
	grids, fine := intGroups(cols, actGroup)
	if groups > 1 && grids > 1 && size%fine != 0 && fine%size != 0 {
		panic(fmt.Sprintf("kernel: matrices in groups of %d inputs and activations in groups of %d; one must divide the other", group, actGroup))
	}
	size = min(size, fine)
	return max(1, shape.CeilDiv(cols, max(1, size))), size
}

// groupedToken quantizes a token in groups of channels.
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

// partSums fills what the kernels need of the parts of token t.
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

// intGroupTilePortable defines the kernels for activations in groups of
// channels: the product of token t with row tile `tile`, 16 values.
func intGroupTilePortable(y *[intLanes]float32, w *Matrix, tiles intTiles, a *Activations, tile, t int) {
	groups, size := intGroups(w.Cols, w.Group)
	n, part := intParts(w.Cols, w.Group, a.ActGroup)
	off := intOffset(tiles.bits)
	q := a.Q[t*a.Stride : (t+1)*a.Stride]
	*y = [intLanes]float32{}
	if w.shift != nil {
		intStartPortable(y[:], intLanes, w, a.fsum[t*groups:], tile, 1)
	}
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
		s := w.Scale[(tile*groups+g)*intLanes:][:intLanes]
		for lane := range sum {
			y[lane] += float32(s[lane] * sum[lane])
		}
	}
}
