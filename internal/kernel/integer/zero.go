package integer

import (
	"github.com/specquant/specquant/internal/kernel/branch"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/kernel/shape"
)

// Zero points leave the integer products as they are. What the weights' zero
// points differ from 2^(bits−1) is taken off in float32 where a result's sum
// begins, from the tokens' sums over the groups:
//
//	start[t][r] = 0 − Σ_g float32(float32(s[r,g]·shift[r,g])·sum[t][g])
//
// with g ascending and every operation rounded separately. Without zero points
// it begins at 0.

// intShift is zero − 2^(bits−1): nil where that is 0, one tile row of it where
// there is one value.
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

// intStartPad is the number of rows after the last token's group sums that kernels may
// read.
const intStartPad = intTokens - 1

// intSums are float sums for the kernels' two tiles, by token.
type intSums = branch.PairSums

// intNoShift holds the zeros at which sums begin if the weights have no zero points.
var intNoShift intSums

// intStart writes the beginning of one row tile's sums for some tokens into y,
// ldy apart. sums has the tokens' group sums, [tokens + intStartPad][groups].
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

// intFloatSums are the group sums of float tokens for a matrix with zero points,
// [tokens + intStartPad][groups]; nil for one without. Eight sums run over the
// columns in turn, so that they do not wait for each other.
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
