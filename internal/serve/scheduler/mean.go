package scheduler

// addHidden adds a token's hidden state to the sum. Tokens are added one by one in the
// order of the text, so that the sum does not depend on the pieces that it is computed in.
func (t *task) addHidden(hidden []float32) {
	if len(t.ahead) == 0 {
		t.ahead = append(t.ahead, make([]float64, len(hidden))...)
	}
	for i, v := range hidden {
		t.ahead[i] += float64(v)
	}
}

// summed accepts the sum of a successful round. It reports whether the prompt has ended, and
// computes the mean then.
func (t *task) summed() (ended bool) {
	t.sum, t.ahead = t.ahead, t.sum
	if len(t.tokens) < len(t.Prompt) {
		return false
	}
	t.result.Mean = t.sum
	for i := range t.result.Mean {
		t.result.Mean[i] /= float64(len(t.Prompt))
	}
	t.result.Finish = FinishStop
	return true
}
