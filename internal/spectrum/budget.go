package spectrum

import (
	"math"
	"sort"
)

// maxTau limits |τ|: above it softmax in float64 is only a ranking.
const maxTau = 1e6

// Budget distributes components over the channels of a layer (eq. 13).
type Budget struct {
	// Mean is k̄, the mean number of components per channel: the layer gets k̄·channels in
	// total.
	Mean float64
	// Tau is the softmax temperature on the scores; 0 is uniform.
	Tau float64
	// Literal applies eq. 13 as printed: k_j = ⌊softmax(τ·score)_j · C_in⌋ with
	// unstandardized scores, without Mean and without redistribution. The shares add up to
	// 1 over all channels, so this gives about C_in / channels components per channel, and
	// none to most channels if τ is large. τ is the paper's α, for which it gives no value:
	// 1 is plain softmax(score).
	Literal bool
	// Width is C_in, the layer's input width, for Literal; 0 means maxPer.
	Width int
}

// Allocate returns the components of each channel, none above maxPer.
//
// Unless Literal is set, scores are standardised (zero mean, unit variance), because their
// scale is arbitrary and would otherwise be part of τ. Channel c's share of the total is
// softmax(τ·standardised)_c; what exceeds maxPer is distributed to the others in proportion
// to their shares; shares are rounded by the method of largest remainders, with ties going
// to the lower index. The sum is exactly min(round(k̄·channels), channels·maxPer), and for
// τ > 0 a higher score (by more than float64's rounding) never gets less. A score that is
// not finite counts as average.
func (b Budget) Allocate(score []float64, maxPer int) []int {
	kept := make([]int, len(score))
	if len(score) == 0 || maxPer <= 0 {
		return kept
	}
	tau := b.Tau
	if math.IsNaN(tau) {
		tau = 0
	}
	tau = min(max(tau, -maxTau), maxTau)
	if b.Literal {
		b.literal(kept, score, tau, maxPer)
		return kept
	}
	total := 0
	switch want := math.Round(b.Mean * float64(len(score))); {
	case want >= float64(len(score))*float64(maxPer):
		total = len(score) * maxPer
	case want > 0:
		total = int(want)
	}
	exponent := standardise(score)
	for c := range exponent {
		exponent[c] *= tau
	}
	roundShares(kept, waterFill(exponent, total, maxPer), total, maxPer)
	return kept
}

func (b Budget) literal(kept []int, score []float64, tau float64, maxPer int) {
	width := b.Width
	if width <= 0 {
		width = maxPer
	}
	exponent := make([]float64, len(score))
	top := math.Inf(-1)
	for c, s := range score {
		if finite(s) {
			exponent[c] = min(max(tau*s, -math.MaxFloat64), math.MaxFloat64)
		}
		top = max(top, exponent[c])
	}
	var sum float64
	for c := range exponent {
		exponent[c] = math.Exp(exponent[c] - top)
		sum += exponent[c]
	}
	for c, e := range exponent {
		// The product comes first, so that n equal shares of n are exactly 1 each.
		kept[c] = int(min(math.Floor(e*float64(width)/sum), float64(maxPer)))
	}
}

// standardise returns the scores with mean 0 and variance 1 (all 0 if they are equal). They
// are first divided by the largest, so that squares don't overflow.
func standardise(score []float64) []float64 {
	z := make([]float64, len(score))
	var top float64
	for _, s := range score {
		if finite(s) {
			top = max(top, math.Abs(s))
		}
	}
	if top == 0 {
		return z
	}
	var sum, count float64
	for _, s := range score {
		if finite(s) {
			sum += s / top
			count++
		}
	}
	center := sum / count
	var variance float64
	for c, s := range score {
		if finite(s) {
			z[c] = s/top - center
			variance += z[c] * z[c]
		}
	}
	deviation := math.Sqrt(variance / count)
	// Below this the scores differ only by rounding errors.
	if deviation < 1e-12 {
		clear(z)
		return z
	}
	for c := range z {
		z[c] /= deviation
	}
	return z
}

// waterFill splits total in proportion to exp(exponent), with no share above limit. In
// descending order, a channel whose share of the rest would exceed the limit gets the
// limit; after the first one that does not exceed it, none does.
func waterFill(exponent []float64, total, limit int) []float64 {
	n := len(exponent)
	order := make([]int, n)
	for c := range order {
		order[c] = c
	}
	sort.SliceStable(order, func(i, j int) bool { return exponent[order[i]] > exponent[order[j]] })
	// logSum[i] = ln Σ_{j≥i} exp(exponent). It is logarithmic because with a large τ the
	// exponentials of the last channels underflow, but these must still be ranked when the
	// first ones are at the limit.
	logSum := make([]float64, n)
	logSum[n-1] = exponent[order[n-1]]
	for i := n - 2; i >= 0; i-- {
		e := exponent[order[i]]
		logSum[i] = e + math.Log1p(math.Exp(logSum[i+1]-e))
	}
	share := make([]float64, n)
	left := float64(total)
	for i, c := range order {
		if s := left * math.Exp(exponent[c]-logSum[i]); s >= float64(limit) {
			share[c] = float64(limit)
			left -= float64(limit)
			continue
		}
		// Summed again relative to the largest, so that the shares add up to left within
		// rounding errors, however steep the exponents are.
		var sum float64
		for _, d := range order[i:] {
			share[d] = math.Exp(exponent[d] - exponent[c])
			sum += share[d]
		}
		for _, d := range order[i:] {
			share[d] *= left / sum
		}
		break
	}
	return share
}

// roundShares rounds shares to whole numbers with the given sum.
func roundShares(kept []int, share []float64, total, limit int) {
	left := total
	for c, s := range share {
		kept[c] = min(int(math.Floor(s)), limit)
		left -= kept[c]
	}
	order := make([]int, len(share))
	for c := range order {
		order[c] = c
	}
	fraction := func(c int) float64 { return share[c] - math.Floor(share[c]) }
	sort.SliceStable(order, func(i, j int) bool { return fraction(order[i]) > fraction(order[j]) })
	for left > 0 {
		for _, c := range order {
			if left > 0 && kept[c] < limit {
				kept[c]++
				left--
			}
		}
	}
}
