package eval

import (
	"math"
	"testing"
)

func logs(p ...float64) []float32 {
	out := make([]float32, len(p))
	for i, v := range p {
		out[i] = float32(math.Log(v)) + 3 // logits are logs but for a constant
	}
	return out
}

func close6(t *testing.T, what string, got, want float64) {
	t.Helper()
	if !(math.Abs(got-want) <= 1e-6) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// TestCompareLogits: (1/2, 1/4, 1/8, 1/8) against (1/4, 1/2, 1/8, 1/8).
func TestCompareLogits(t *testing.T) {
	c := CompareLogits(logs(.5, .25, .125, .125), logs(.25, .5, .125, .125), 1)
	l2 := math.Log(2)
	close6(t, "NLL of the reference", c.NLLRef, 2*l2)
	close6(t, "NLL", c.NLL, l2)
	close6(t, "KL", c.KL, .25*l2) // ½·log 2 − ¼·log 2
	close6(t, "KL backwards", c.KLBack, .25*l2)
	if c.SameTop1 || c.TopRef != 0 || c.Top != 1 || c.Top5 != 4 {
		t.Errorf("%+v", c)
	}
	c = CompareLogits(logs(.9, .1), logs(.6, .4), 0)
	close6(t, "KL", c.KL, .9*math.Log(1.5)+.1*math.Log(.25))
	close6(t, "KL backwards", c.KLBack, .6*math.Log(.6/.9)+.4*math.Log(4))
	if !c.SameTop1 {
		t.Errorf("%+v", c)
	}
	same := logs(.3, .3, .4)
	if c := CompareLogits(same, same, 2); c.KL != 0 || c.KLBack != 0 || c.NLL != c.NLLRef || !c.SameTop1 {
		t.Errorf("a model against itself: %+v", c)
	}
}

func TestTop5(t *testing.T) {
	a := []float32{7, 1, 6, 5, 4, 3, 2, 0}
	b := []float32{7, 8, 6, 5, 0, 0, 9, 0} // five: 6 1 0 2 3
	if c := CompareLogits(a, b, 0); c.Top5 != 3 || c.TopRef != 0 || c.Top != 6 {
		t.Errorf("%+v", c)
	}
	flat := make([]float32, 9)
	var top top5
	for i, v := range flat {
		top.add(i, v)
	}
	if top.id != [5]int{0, 1, 2, 3, 4} {
		t.Errorf("equal values: %v", top.id)
	}
}

// TestSummarize: two tokens, by hand.
func TestSummarize(t *testing.T) {
	l2 := math.Log(2)
	tokens := []Token{
		{NLLRef: l2, NLL: 2 * l2, KL: .1, KLBack: .3, SameTop1: true, Top5: 5},
		{NLLRef: 3 * l2, NLL: 4 * l2, KL: .3, KLBack: .1, Top5: 3, Window: 1},
	}
	d := Summarize(tokens)
	close6(t, "reference", d.PerplexityRef.Mean, 4)
	close6(t, "its error", d.PerplexityRef.StdErr, 4*l2)
	close6(t, "perplexity", d.Perplexity.Mean, 8)
	close6(t, "change", d.Change.Mean, 4)
	// g = 8·NLL − 4·NLLRef = 12·log 2 and 20·log 2: error 4·log 2
	close6(t, "error of the change", d.Change.StdErr, 4*l2)
	close6(t, "change of the NLL", d.NLLChange.Mean, l2)
	close6(t, "its error", d.NLLChange.StdErr, 0) // both tokens lose alike
	close6(t, "KL", d.KL.Mean, .2)
	close6(t, "KL's error", d.KL.StdErr, .1)
	close6(t, "top-1", d.Top1.Mean, .5)
	close6(t, "top-5", d.Top5.Mean, .8)
	close6(t, "most", d.KLMax, .3)
	if d.Tokens != 2 || len(d.KLPercentiles) != len(shares) || d.KLPercentiles[0].KL != .1 || d.KLPercentiles[7].KL != .3 {
		t.Errorf("%+v", d)
	}
	if w := Worst(tokens, 5); len(w) != 2 || w[0].Window != 1 {
		t.Errorf("worst: %+v", w)
	}
	if d := Summarize(nil); d.Tokens != 0 {
		t.Errorf("nothing: %+v", d)
	}
}
