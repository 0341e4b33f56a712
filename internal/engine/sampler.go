package engine

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// Sampling says how the next token is drawn from the logits. The filters apply
// in the order top-k, top-p, min-p, to the probabilities at the temperature.
type Sampling struct {
	Temperature float64 // 0: always the most likely token
	TopK        int     // keep the k most likely tokens; 0: all
	TopP        float64 // keep the most likely tokens that together have this probability; 0 or 1: all
	MinP        float64 // drop tokens less likely than this share of the most likely one; 0: none
	Seed        uint64
}

// Check says which value makes no sense.
func (s Sampling) Check() error {
	switch {
	case !(s.Temperature >= 0 && s.Temperature <= 100):
		return fmt.Errorf("temperature %v: expected 0 to 100", s.Temperature)
	case s.TopK < 0:
		return fmt.Errorf("top-k %d: expected 0 or more", s.TopK)
	case !(s.TopP >= 0 && s.TopP <= 1):
		return fmt.Errorf("top-p %v: expected 0 to 1", s.TopP)
	case !(s.MinP >= 0 && s.MinP <= 1):
		return fmt.Errorf("min-p %v: expected 0 to 1", s.MinP)
	}
	return nil
}

// Sampler draws tokens. The same seed and logits give the same tokens.
type Sampler struct {
	Sampling
	rng *rand.Rand
	all []candidate
}

type candidate struct {
	id int
	p  float64
}

// NewSampler returns a sampler at the start of its random sequence.
func NewSampler(s Sampling) *Sampler {
	return &Sampler{Sampling: s, rng: rand.New(rand.NewPCG(s.Seed, 0x53414d504c45))}
}

// Next draws a token. Ties go to the lower id.
func (s *Sampler) Next(logits []float32) int {
	top := 0
	for i, v := range logits {
		if v > logits[top] {
			top = i
		}
	}
	if s.Temperature == 0 {
		return top
	}
	s.all = s.all[:0]
	for i, v := range logits {
		s.all = append(s.all, candidate{i, math.Exp(float64(v-logits[top]) / s.Temperature)})
	}
	filtered := s.TopK > 0 || s.TopP > 0 && s.TopP < 1 || s.MinP > 0
	keep := s.all
	if filtered {
		slices.SortFunc(keep, func(a, b candidate) int {
			if c := cmp.Compare(b.p, a.p); c != 0 {
				return c
			}
			return a.id - b.id
		})
		if s.TopK > 0 {
			keep = keep[:min(s.TopK, len(keep))]
		}
		if s.TopP > 0 && s.TopP < 1 {
			limit, sum := s.TopP*total(keep), 0.0
			for i, c := range keep {
				if sum += c.p; sum >= limit {
					keep = keep[:i+1]
					break
				}
			}
		}
		for i, c := range keep {
			if c.p < s.MinP*keep[0].p {
				keep = keep[:i]
				break
			}
		}
	}
	at := s.rng.Float64() * total(keep)
	for _, c := range keep {
		if at -= c.p; at < 0 {
			return c.id
		}
	}
	return keep[len(keep)-1].id
}

func total(c []candidate) float64 {
	var sum float64
	for _, x := range c {
		sum += x.p
	}
	return sum
}
