package sampler

import (
	"cmp"
	"math"
	"slices"
)

// filtered returns the tokens that pass the filters, at least one, with weights proportional to
// their probabilities.
func (s *Sampler) filtered(all []candidate) []candidate {
	topP, typical := s.TopP > 0 && s.TopP < 1, s.Typical > 0 && s.Typical < 1
	if s.TopK == 0 && !topP && !typical && s.MinP == 0 {
		return all
	}
	keep := all
	if s.TopK > 0 {
		keep = mostLikely(keep, s.TopK, nil)
	}
	if typical {
		keep = typicalOf(keep, s.Typical)
		slices.SortFunc(keep, byProbability)
	}
	// Top-p and min-p each keep the first tokens in sorted order, so only as many need to
	// be sorted as the stricter of the two keeps.
	limit, sum := math.Inf(1), 0.0
	if topP {
		limit = s.TopP * total(keep)
	}
	most := 0.0
	for _, c := range keep {
		most = max(most, c.p)
	}
	return mostLikely(keep, len(keep), func(c candidate) bool {
		if sum >= limit || c.p < s.MinP*most {
			return false
		}
		sum += c.p
		return true
	})
}

// mostLikely sorts the n most likely tokens to the front and returns them; fewer if more
// returns false for one. It uses a heap, because few tokens of the vocabulary are needed.
func mostLikely(all []candidate, n int, more func(c candidate) bool) []candidate {
	// The heap fills all from its end: all[len(all)-1-i] is node i, the root the most likely.
	size := len(all)
	at := func(i int) *candidate { return &all[len(all)-1-i] }
	before := func(a, b *candidate) bool { return a.p > b.p || a.p == b.p && a.id < b.id } // byProbability, inlined
	down := func(i int) {
		for {
			child := 2*i + 1
			if child >= size {
				return
			}
			if child+1 < size && before(at(child+1), at(child)) {
				child++
			}
			if !before(at(child), at(i)) {
				return
			}
			*at(i), *at(child) = *at(child), *at(i)
			i = child
		}
	}
	for i := size/2 - 1; i >= 0; i-- {
		down(i)
	}
	for k := range min(n, len(all)) {
		if more != nil && !more(*at(0)) && k > 0 {
			return all[:k]
		}
		// The last node lies at all[k]: the root goes there, it to the root.
		*at(0), all[k] = all[k], *at(0)
		size--
		down(0)
	}
	return all[:min(n, len(all))]
}

// nucleus keeps the first tokens that together have the probability p. If they are sorted by
// probability, this is top-p sampling (Holtzman et al. 2019, arXiv 1904.09751).
func nucleus(keep []candidate, p float64) []candidate {
	limit, sum := p*total(keep), 0.0
	for i, c := range keep {
		if sum += c.p; sum >= limit {
			return keep[:i+1]
		}
	}
	return keep
}

// typicalOf keeps the tokens whose information -log p is nearest to the entropy of all,
// up to the probability p: locally typical sampling (Meister et al. 2022, arXiv
// 2202.00666), as TypicalLogitsWarper of transformers does it.
func typicalOf(keep []candidate, p float64) []candidate {
	sum := total(keep)
	entropy := 0.0
	for _, c := range keep {
		if q := c.p / sum; q > 0 {
			entropy -= q * math.Log(q)
		}
	}
	distance := func(c candidate) float64 { return math.Abs(-math.Log(c.p/sum) - entropy) }
	slices.SortFunc(keep, func(a, b candidate) int {
		if c := cmp.Compare(distance(a), distance(b)); c != 0 {
			return c
		}
		return byProbability(a, b)
	})
	return nucleus(keep, p)
}
