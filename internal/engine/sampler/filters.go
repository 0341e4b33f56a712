package sampler

import (
	"cmp"
	"math"
	"slices"
)

// filtered keeps the tokens that the filters let through, and at least one. Their
// weights are in proportion to their probabilities.
func (s *Sampler) filtered(keep []candidate) []candidate {
	topP, typical := s.TopP > 0 && s.TopP < 1, s.Typical > 0 && s.Typical < 1
	if s.TopK == 0 && !topP && !typical && s.MinP == 0 {
		return keep
	}
	slices.SortFunc(keep, byProbability)
	if s.TopK > 0 {
		keep = keep[:min(s.TopK, len(keep))]
	}
	if typical {
		keep = typicalOf(keep, s.Typical)
		slices.SortFunc(keep, byProbability)
	}
	if topP {
		keep = nucleus(keep, s.TopP)
	}
	for i, c := range keep {
		if c.p < s.MinP*keep[0].p {
			keep = keep[:i]
			break
		}
	}
	return keep
}

// nucleus keeps the first tokens, in the order they are in, that together have the
// probability p: top-p sampling (Holtzman et al. 2019, arXiv 1904.09751) where the most
// likely come first.
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
