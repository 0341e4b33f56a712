package integer

import (
	"fmt"
	"math"

	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/kernel/shape"
)

// intTokenPad is the number of tokens of zeros that follow those of an [Activations],
// because routines take up to 12 tokens at once, and may read more than there are.
const intTokenPad = 12

// ActGrid describes the grid of integers that the activations of tokens are rounded to.
type ActGrid struct {
	Bits  int     // 2 to 8
	Clip  float32 // the part of the values' range that a grid covers, more than 0 and at most 1
	Group int     // number of channels that share a grid, a multiple of 8, with 2 to 4 bits, or 8; 0: the whole token
}

// actGroupBits is the largest number of bits of asymmetric grids for groups of channels.
// What is stored for these is u − z, which must be small: kernels rely on |Q| ≤ 15.
//
// With 8 bits, groups of channels have symmetric grids, so that u − z fits a signed byte:
// Δ = max |x|·clip / 127, z = 127, u up to 254. Routines that add the products of two pairs
// of bytes in 16 bits cannot take so large integers; see [ByteGroups].
const actGroupBits = 4

// byteGroupTop is the largest |Q| of groups of 8 bits.
const byteGroupTop = 127

// Activations are tokens that have been quantized for [Mul], with a scale and a zero point
// for each token:
//
//	x[t][k] ≈ Scale[t] · (Q[t][k] − Zero[t])
//
// Q and Zero are q − 128 for 8 bits, so that they fit a signed byte, and q (0…2^bits−1) for
// fewer bits. If there are a scale and a zero point for each token and group of ActGroup
// channels, the zero points have been subtracted from Q:
//
//	x[t][k] ≈ Scale[t, k/ActGroup] · Q[t][k]
//
// [Activations.Quantize] sets all fields, and uses their memory again from call to call.
// The zero value is ready for use.
type Activations struct {
	Tokens, Cols int
	Stride       int       // bytes from token to token in Q
	Bits         int       // 2 to 8
	Group        int       // the Group of the matrices: inputs that share a scale of the weights
	ActGroup     int       // channels that share a grid, fewer than Cols; 0: all
	Q            []int8    // [tokens + padding][stride], zero from column Cols on
	Scale        []float32 // [tokens][grids]
	Zero         []int32   // [tokens][grids]; with ActGroup what has been subtracted from Q
	Sum          []int32   // [tokens][groups]: Σ Q over a group of the weights; empty with ActGroup

	shift []int32     // [tokens + padding][groups]: −8·Sum, which the routines' sums begin with; empty with ActGroup
	fsum  []float32   // [tokens + intSumPad][groups]: Sum as floats, exact; with ActGroup Σ Scale·Q
	parts []intActSum // [tokens + padding][parts], only with ActGroup; see group.go

	multipleSums  [8][]int32 // by bits, [tokens + padding][groups]: what the sums of groups that share a multiple begin with; see multiples.go
	multipleGroup int        // inputs of such a group; 0: they are not computed

	shifted   []float32 // fsum times shiftedBy, rounded, for matrices with one zero point for all
	shiftedBy float32   // 0: shifted is not computed
}

// reset gives all buffers their sizes, and sets all padding to zero.
func (a *Activations) reset(tokens, cols int, grid ActGrid, group int) {
	if grid.Group != 0 && (grid.Group < 0 || grid.Group%8 != 0 || grid.Bits > actGroupBits && grid.Bits != 8) {
		panic(fmt.Sprintf("kernel: groups of %d channels of %d bits; groups are multiples of 8 and need 2 to %d bits, or 8", grid.Group, grid.Bits, actGroupBits))
	}
	a.Tokens, a.Cols, a.Bits, a.Group, a.ActGroup = tokens, cols, grid.Bits, group, grid.Group
	if a.ActGroup >= cols {
		a.ActGroup = 0
	}
	// An odd number of cache lines, so that the same column of neighbouring tokens falls
	// into different cache sets.
	a.Stride = (shape.CeilDiv(cols, 64) | 1) * 64
	groups, _ := intGroups(cols, group)
	grids, _ := intGroups(cols, a.ActGroup)
	rows := tokens + intTokenPad
	a.Q = shape.Grow(a.Q, rows*a.Stride)
	a.Scale = shape.Grow(a.Scale, tokens*grids)
	a.Zero = shape.Grow(a.Zero, tokens*grids)
	a.fsum = shape.Grow(a.fsum, (tokens+intSumPad)*groups)
	if a.ActGroup > 0 {
		parts, _ := intParts(cols, group, a.ActGroup)
		a.parts = shape.Grow(a.parts, rows*parts)
		a.Sum, a.shift = a.Sum[:0], a.shift[:0]
		clear(a.parts[tokens*parts:])
	} else {
		a.Sum = shape.Grow(a.Sum, tokens*groups)
		a.shift = shape.Grow(a.shift, rows*groups)
		a.parts = a.parts[:0]
		clear(a.shift[tokens*groups:])
	}
	for t := range tokens {
		clear(a.Q[t*a.Stride+cols : (t+1)*a.Stride])
	}
	clear(a.Zero)
	clear(a.Q[tokens*a.Stride:])
	clear(a.fsum[tokens*groups:])
	a.shiftedBy, a.multipleGroup = 0, 0
	for bits := range a.multipleSums {
		a.multipleSums[bits] = a.multipleSums[bits][:0]
	}
}

// shiftBy computes shifted for the first of the matrices that has one zero point for all.
// Matrices of one recipe have the same.
func (a *Activations) shiftBy(ws []*Matrix) {
	if a.shiftedBy != 0 {
		return
	}
	for _, w := range ws {
		if !w.oneZero || w.shift == nil {
			continue
		}
		a.shiftedBy = w.shift[0]
		a.shifted = shape.Grow(a.shifted, len(a.fsum))
		for i, sum := range a.fsum {
			a.shifted[i] = a.shiftedBy * sum
		}
		return
	}
}

// Quantize rounds the tokens x [tokens×cols], of which token t is x[t·ldx:], to integers of
// 2 to 8 bits. Every token has a grid of its own, asymmetric over its range (equation 1 of
// the paper):
//
//	xmin = min(0, min x)·clip    xmax = max(0, max x)·clip
//	Δ = (xmax − xmin) / (2^bits − 1)
//	z = RoundToEven(−xmin / Δ)
//	q = clamp(RoundToEven(x / Δ) + z, 0, 2^bits − 1)
//
// This is computed in float32, with every operation rounded and with divisions, so that all
// tiers give the same bits. A token whose values are all 0 (Δ = 0) gets Δ = 1 and z = 0. A
// token with a NaN or an infinity, or whose range overflows, gets Scale = NaN and
// Q = Zero = 0, so that every product with it is NaN.
//
// If grid.Group is not 0, all this is done for each group of channels of a token, the last
// of which may be shorter. group is the Group of the matrices that the tokens will be
// multiplied with. One of group and grid.Group must divide the other, unless one is 0 or
// at least cols. Quantize panics if not, or if there is no such grid.
func (a *Activations) Quantize(p *parallel.Pool, x []float32, ldx, tokens, cols int, grid ActGrid, group int) {
	a.reset(tokens, cols, grid, group)
	per := parallel.ChunkTokens(cols)
	p.Run(shape.CeilDiv(tokens, per), func(i int) {
		for t := i * per; t < min(tokens, (i+1)*per); t++ {
			a.token(t, x[t*ldx:t*ldx+cols], grid.Clip)
		}
	})
}

// token quantizes token t, whose values are x.
func (a *Activations) token(t int, x []float32, clip float32) {
	if a.ActGroup > 0 {
		a.groupedToken(t, x, clip)
		return
	}
	q := a.Q[t*a.Stride : t*a.Stride+a.Cols]
	delta, z := actRange(x, clip, a.Bits)
	if delta != delta {
		clear(q)
		a.Scale[t], a.Zero[t] = delta, 0
		a.sums(t)
		return
	}
	off := int32(0)
	if a.Bits == 8 {
		off = 128
	}
	intQuantize(q, x, delta, z, actTop(a.Bits), off)
	a.Scale[t], a.Zero[t] = delta, int32(z)-off
	a.sums(t)
}

// actTop returns the largest integer of a grid.
func actTop(bits int) float32 { return float32(int32(1)<<bits - 1) }

// actRange returns Δ and z of the asymmetric grid for the values x; Δ is NaN if there is none.
func actRange(x []float32, clip float32, bits int) (delta, z float32) {
	lo, hi, abs := float.MinMaxAbs(x)
	lo, hi = lo*clip, hi*clip
	top := actTop(bits)
	delta = (hi - lo) / top
	switch {
	case abs >= 0x7f800000 || !(delta <= math.MaxFloat32):
		return float32(math.NaN()), 0
	case delta == 0:
		return 1, 0
	}
	return delta, min(float32(math.RoundToEven(float64(-lo/delta))), top)
}

// byteRange returns Δ of the symmetric grid of 8 bits for the values x; NaN if there is none.
func byteRange(x []float32, clip float32) (delta float32) {
	lo, hi, abs := float.MinMaxAbs(x)
	delta = max(hi, -lo) * clip / byteGroupTop
	switch {
	case abs >= 0x7f800000 || !(delta <= math.MaxFloat32):
		return float32(math.NaN())
	case delta == 0:
		return 1
	}
	return delta
}

// sums computes the sums of token t over the groups of the weights.
func (a *Activations) sums(t int) {
	n, size := intGroups(a.Cols, a.Group)
	q := a.Q[t*a.Stride : t*a.Stride+a.Cols]
	for g := range n {
		sum := intSum(q[g*size : min(a.Cols, (g+1)*size)])
		a.Sum[t*n+g], a.shift[t*n+g], a.fsum[t*n+g] = sum, -8*sum, float32(sum)
	}
}

// Dequantize sets x[t·ldx:] to the values that the integers of each token t stand for,
// Scale·(Q − Zero).
func (a *Activations) Dequantize(p *parallel.Pool, x []float32, ldx int) {
	chunk := parallel.ChunkTokens(a.Cols)
	p.Run(shape.CeilDiv(a.Tokens, chunk), func(i int) {
		for t := i * chunk; t < min(a.Tokens, (i+1)*chunk); t++ {
			a.DequantizeToken(x[t*ldx:t*ldx+a.Cols], t)
		}
	})
}

// DequantizeToken sets x [Cols] to the values that the integers of token t stand for.
func (a *Activations) DequantizeToken(x []float32, t int) {
	grids, size := intGroups(a.Cols, a.ActGroup)
	x, q := x[:a.Cols], a.Q[t*a.Stride:][:a.Cols]
	for g := range grids {
		s, z := a.Scale[t*grids+g], a.Zero[t*grids+g]
		if a.ActGroup > 0 {
			z = 0 // Q has the zero point subtracted already
		}
		for k := g * size; k < min(a.Cols, (g+1)*size); k++ {
			x[k] = s * float32(int32(q[k])-z)
		}
	}
}

// intQuantizePortable sets q to clamp(RoundToEven(x/delta) + z, 0, top) − off.
func intQuantizePortable(q []int8, x []float32, delta, z, top float32, off int32) {
	for k, v := range x {
		r := float32(math.RoundToEven(float64(v/delta))) + z
		q[k] = int8(int32(min(max(r, 0), top)) - off)
	}
}

// intSumPortable returns Σ q.
func intSumPortable(q []int8) int32 {
	var sum int32
	for _, v := range q {
		sum += int32(v)
	}
	return sum
}
