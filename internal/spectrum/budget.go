package spectrum

import (
	"math"
	"sort"
)

// maxTau bounds |τ|: beyond it softmax is a ranking in float64 anyway.
const maxTau = 1e6

// Budget distributes components over the channels of a layer (eq. 13).
type Budget struct {
	// Mean is k̄, the components per channel: the layer gets k̄·channels in all.
	Mean float64
	// Tau is the softmax temperature on the scores; 0 is uniform.
	Tau float64
	// Literal takes eq. 13 at its word: k_j = ⌊softmax(τ·score)_j · C_in⌋ on the
	// scores as they are, without Mean and without redistribution. The shares
	// add up to 1 over all channels, so this gives about C_in / channels
	// components a channel, and none to most where τ is large. τ is the paper's
	// α, which it does not give a value: 1 is plain softmax(score).
	Literal bool
	// Width is C_in, the layer's input width, for Literal; 0 stands for maxPer.
	Width int
}

// Allocate returns the components of each channel, none above maxPer.
//
// Unless Literal: scores are standardised (zero mean, unit variance), because
// their scale is arbitrary and would otherwise be part of τ; channel c's share of
// the total is softmax(τ·standardised)_c; what a share has above maxPer is
// water-filled to the others in proportion to theirs; whole numbers come from
// the largest remainders, ties going to the lower index. The sum is exactly
// min(round(k̄·channels), channels·maxPer), and for τ > 0 a higher score (by more
// than float64's rounding) never gets less. A score that is not finite counts as average.
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
		// Multiplied first: n equal shares of n are then exactly 1 each.
		kept[c] = int(min(math.Floor(e*float64(width)/sum), float64(maxPer)))
	}
}

// standardise returns the scores with mean 0 and variance 1 (all 0 where they
// are equal). Scaling by the largest first keeps the squares in range.
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
	// Below this the scores differ by rounding only.
	if deviation < 1e-12 {
		clear(z)
		return z
	}
	for c := range z {
		z[c] /= deviation
	}
	return z
}

// waterFill splits total in proportion to exp(exponent), no share above limit.
// Going down from the largest, a channel whose share of what is left would
// exceed the limit takes the limit; from the first that does not, nobody does.
func waterFill(exponent []float64, total, limit int) []float64 {
	n := len(exponent)
	order := make([]int, n)
	for c := range order {
		order[c] = c
	}
	sort.SliceStable(order, func(i, j int) bool { return exponent[order[i]] > exponent[order[j]] })
	// logSum[i] = ln Σ_{j≥i} exp(exponent): in the logarithm, since with a large
	// τ the tail of the channels underflows and must still be ranked when the
	// head is full.
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
		// Summed afresh relative to the largest: the shares then add up to left
		// within rounding however steep the exponents are.
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

// roundShares turns shares into whole numbers with the given sum.
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
