package sampler

import (
	"math"
	"slices"
)

// LogProb is a token and the natural logarithm of its probability.
type LogProb struct {
	ID int
	P  float64
}

// LogProbs returns the log-probability of token id and the top most likely tokens in the
// model's own distribution: at temperature 1, before penalties and filters.
func LogProbs(logits []float32, id, top int) (of float64, most []LogProb) {
	high := slices.Max(logits)
	sum := 0.0
	for _, v := range logits {
		sum += math.Exp(float64(v - high))
	}
	norm := float64(high) + math.Log(sum)
	if top > 0 {
		// A small sorted list, because top is much smaller than the vocabulary.
		for i, v := range logits {
			p := float64(v) - norm
			if len(most) == top && p <= most[top-1].P {
				continue
			}
			at, _ := slices.BinarySearchFunc(most, p, func(m LogProb, p float64) int {
				if m.P >= p {
					return -1
				}
				return 1
			})
			if len(most) == top {
				most = most[:top-1]
			}
			most = slices.Insert(most, at, LogProb{i, p})
		}
	}
	return float64(logits[id]) - norm, most
}
