package integer

import (
	"github.com/specquant/specquant/internal/kernel/branch"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/kernel/shape"
)

// Zero points of weights do not change the products of integers. The integer sums are those
// for zero = 2^(bits−1). What a zero point differs from that (shift) is subtracted in
// float32: the sum of a result over the groups begins with
//
//	start[t][r] = 0 − Σ_g float32(float32(s[r,g]·shift[r,g])·sum[t][g])
//
// where sum[t][g] is the sum of token t's integers in group g. g ascends, and every operation
// is rounded. If the weights have no zero points, the sum begins with 0.

// intShift returns zero − 2^(bits−1): nil if that is 0 everywhere, the 16 rows of a tile if
// there is one zero point for all.
func intShift(bits int, zero []float32) []float32 {
	off, any := float32(intOffset(bits)), false
	for _, z := range zero {
		any = any || z != off
	}
	if !any {
		return nil
	}
	shift := make([]float32, max(intLanes, len(zero)))
	for i := range shift {
		shift[i] = zero[min(i, len(zero)-1)] - off
	}
	return shift
}

// intStartPad is the number of tokens after the last one whose group sums routines may read.
const intStartPad = intTokens - 1

// intSums are sums in float32 for 12 tokens and two row tiles.
type intSums = branch.PairSums

// intNoShift are the zeros that sums begin with if the weights have no zero points.
var intNoShift intSums

// intStartPortable sets y[t·ldy:] to what the sums of a row tile begin with for some tokens t.
// sums has the tokens' group sums, [tokens + intStartPad][groups].
func intStartPortable(y []float32, ldy int, w *Matrix, sums []float32, tile, tokens int) {
	groups, _ := intGroups(w.Cols, w.Group)
	for t := range tokens {
		var acc [intLanes]float32
		for g := range groups {
			s, d := w.Scale[(tile*groups+g)*intLanes:][:intLanes], w.shift
			if len(d) > intLanes {
				d = d[(tile*groups+g)*intLanes:]
			}
			d = d[:intLanes]
			sum := sums[t*groups+g]
			for lane := range acc {
				acc[lane] -= float32(float32(s[lane]*d[lane]) * sum)
			}
		}
		copy(y[t*ldy:t*ldy+intLanes], acc[:])
	}
}

// intFloatSums returns the sums of float tokens over the groups of a matrix,
// [tokens + intStartPad][groups]; nil if the matrix has no zero points.
func intFloatSums(p *parallel.Pool, w *Matrix, x []float32, ldx, tokens int) []float32 {
	if w.shift == nil {
		return nil
	}
	groups, size := intGroups(w.Cols, w.Group)
	sums := make([]float32, (tokens+intStartPad)*groups)
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
