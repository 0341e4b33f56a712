package sampler

import (
	"fmt"
	"math"
)

// DRY ("don't repeat yourself") makes tokens less likely that would continue a repetition. If
// the last n ≥ AllowedLength tokens have occurred before, the logit of the token that followed
// them then is lowered by
//
//	Multiplier · Base^(n - AllowedLength)
//
// Source: p-e-w, https://github.com/oobabooga/text-generation-webui/pull/5677. A zero
// Multiplier turns it off.
type DRY struct {
	Multiplier    float64 // 0: off; usual: 0.8
	Base          float64 // 0: 1.75
	AllowedLength int     // longest sequence that is not penalized, in tokens; 0: 2
	Window        int     // how many of the last tokens are searched; 0: all
}

// maxMatch is the longest repetition that is counted, in tokens. Longer ones are penalized like
// one of this length.
const maxMatch = 50

// DefaultBreakers are texts that end a repetition, as in llama.cpp.
var DefaultBreakers = []string{"\n", ":", "\"", "*"}

func (d DRY) check() error {
	switch {
	case !(d.Multiplier >= 0 && d.Multiplier <= 100):
		return fmt.Errorf("DRY multiplier %v: expected 0 to 100", d.Multiplier)
	case d.Base != 0 && !(d.Base >= 1 && d.Base <= 10):
		return fmt.Errorf("DRY base %v: expected 1 to 10", d.Base)
	case d.AllowedLength < 0:
		return fmt.Errorf("DRY allowed length %d: expected a number of tokens", d.AllowedLength)
	case d.Window < 0:
		return fmt.Errorf("DRY window %d: expected a number of tokens, or 0 for all", d.Window)
	}
	return nil
}

// dry subtracts the penalty from the logits.
func (s *Sampler) dry() {
	if s.DRY.Multiplier == 0 {
		return
	}
	base, allowed := s.DRY.Base, s.DRY.AllowedLength
	if base == 0 {
		base = 1.75
	}
	if allowed == 0 {
		allowed = 2
	}
	x := s.seen
	if s.DRY.Window > 0 {
		x = x[max(0, len(x)-s.DRY.Window):]
	}
	for id, n := range s.repeats(x) {
		if n >= allowed && id < len(s.logits) {
			s.logits[id] -= float32(s.DRY.Multiplier * math.Pow(base, float64(n-allowed)))
		}
	}
}

// repeats returns, for each token that has followed an earlier occurrence of the last tokens of
// x, the length of the longest such occurrence.
func (s *Sampler) repeats(x []int) map[int]int {
	if s.matches == nil {
		s.matches = make(map[int]int)
	}
	clear(s.matches)
	breaks := func(id int) bool { return s.breaks != nil && s.breaks(id) }
	last := len(x) - 1
	if last < 0 || breaks(x[last]) {
		return s.matches
	}
	for i := range last { // x[i] is the end of an earlier occurrence, and x[i+1] the token that followed
		if x[i] != x[last] || breaks(x[i+1]) {
			continue
		}
		n := 1
		for n < maxMatch && i-n >= 0 && x[i-n] == x[last-n] && !breaks(x[i-n]) {
			n++
		}
		s.matches[x[i+1]] = max(s.matches[x[i+1]], n)
	}
	return s.matches
}
