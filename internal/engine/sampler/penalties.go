package sampler

// penalizes reports whether any penalty is on.
func (s *Sampler) penalizes() bool {
	return s.RepetitionPenalty != 0 && s.RepetitionPenalty != 1 || s.PresencePenalty != 0 || s.FrequencyPenalty != 0
}

// penalize makes tokens of the text so far less likely.
//
// The repetition penalty (Keskar et al. 2019, CTRL, arXiv 1909.05858) looks at the
// prompt too, as transformers and llama.cpp do. Presence and frequency penalties are
// OpenAI's, and consider generated tokens only:
//
//	logit -= frequency penalty · count + presence penalty · [count > 0]
func (s *Sampler) penalize() {
	if !s.penalizes() {
		return
	}
	from := 0
	if s.PenaltyWindow > 0 {
		from = max(0, len(s.seen)-s.PenaltyWindow)
	}
	if s.RepetitionPenalty != 0 && s.RepetitionPenalty != 1 {
		for id := range s.count(from) {
			if s.logits[id] > 0 {
				s.logits[id] /= float32(s.RepetitionPenalty)
			} else {
				s.logits[id] *= float32(s.RepetitionPenalty)
			}
		}
	}
	if s.PresencePenalty != 0 || s.FrequencyPenalty != 0 {
		for id, n := range s.count(max(from, s.prompt)) {
			s.logits[id] -= float32(float64(n)*s.FrequencyPenalty + s.PresencePenalty)
		}
	}
}

// count returns how often each token occurs from an index on.
func (s *Sampler) count(from int) map[int]int {
	if s.counts == nil {
		s.counts = make(map[int]int)
	}
	clear(s.counts)
	for _, id := range s.seen[from:] {
		if id >= 0 && id < len(s.logits) {
			s.counts[id]++
		}
	}
	return s.counts
}
