package integer

import (
	"unsafe"

	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/kernel/shape"
)

// Zero points of weights do not change the products of integers: these are those for
// zero = 2^(bits−1). What a zero point differs from that (shift), times the sum of the token's
// integers in the group, is subtracted in float32 from what the group's product is, before that
// is scaled:
//
//	y[t][r] += s[r,g]·( product_g − float32(shift[r,g]·sum[t][g]) )
//
// Every operation is rounded. If the weights have no zero points, nothing is subtracted.

// setZero sets shift to zero − 2^(bits−1): nil if that is 0 everywhere, the 16 rows of a tile if
// there is one zero point for all.
func (w *Matrix) setZero(zero []float32) {
	w.shift, w.oneZero = nil, len(zero) == 1
	off, any := float32(intOffset(w.Bits)), false
	for _, z := range zero {
		any = any || z != off
	}
	if !any {
		return
	}
	w.shift = make([]float32, max(intLanes, len(zero)))
	for i := range w.shift {
		w.shift[i] = zero[min(i, len(zero)-1)] - off
	}
}

// intSumPad is the number of tokens after the last one whose group sums routines may read.
const intSumPad = intTokens - 1

// intNothing are zeros, where routines want to read something that a product has not.
var intNothing [intTokens * 2 * intLanes]float32

// unshift subtracts what the zero points take off the products v of the rows of a tile with
// group g, at index tile·groups+g of the scales. sum is the token's sum over the group.
func (w *Matrix) unshift(v *[intLanes]float32, at int, sum float32) {
	if w.shift == nil {
		return
	}
	shift := w.shift
	if len(shift) > intLanes {
		shift = shift[at*intLanes:]
	}
	for lane, d := range shift[:intLanes] {
		v[lane] -= float32(d * sum)
	}
}

// shiftAt returns the shifts of a row tile, and the distances in bytes to the next group's and
// to the next row tile's: 0 if there is one for all. It returns nil without zero points.
func (w *Matrix) shiftAt(tile int) (shift unsafe.Pointer, next, nextTile uintptr) {
	switch groups, _ := intGroups(w.Cols, w.Group); {
	case w.shift == nil:
		return nil, 0, 0
	case len(w.shift) == intLanes:
		return unsafe.Pointer(&w.shift[0]), 0, 0
	default:
		return unsafe.Pointer(&w.shift[tile*groups*intLanes]), intLanes * 4, uintptr(groups * intLanes * 4)
	}
}

// intFloatSums returns the sums of float tokens over the groups of a matrix,
// [tokens + intSumPad][groups]; nil if the matrix has no zero points.
func intFloatSums(p *parallel.Pool, w *Matrix, x []float32, ldx, tokens int) []float32 {
	if w.shift == nil {
		return nil
	}
	groups, size := intGroups(w.Cols, w.Group)
	sums := make([]float32, (tokens+intSumPad)*groups)
	const per = 8
	p.Run(shape.CeilDiv(tokens, per), func(i int) {
		for t := i * per; t < min(tokens, (i+1)*per); t++ {
			for g := range groups {
				sums[t*groups+g] = intFloatSum(x[t*ldx+g*size : t*ldx+min(w.Cols, (g+1)*size)])
			}
		}
	})
	return sums
}

// intFloatSum returns Σ x. It adds up eight sums in turn, because an addition has to wait for
// the one before it in the same sum.
func intFloatSum(x []float32) float32 {
	var a [8]float32
	for ; len(x) >= 8; x = x[8:] {
		for i, v := range x[:8] {
			a[i] += v
		}
	}
	for i, v := range x {
		a[i] += v
	}
	return ((a[0] + a[4]) + (a[2] + a[6])) + ((a[1] + a[5]) + (a[3] + a[7]))
}
