// Package eval measures models: perplexity by three protocols, divergence from full
// precision, and the error of each block. Each number has a standard error and a
// fingerprint of what it was measured on. The zero-shot tasks are in eval/tasks.
package eval

import (
	"cmp"
	"math"
	"slices"
)

// Token is the comparison of two models at one position.
type Token struct {
	ID       int     // the token that followed
	NLLRef   float64 // −log p(ID) of the reference, in nats
	NLL      float64 // of the model
	KL       float64 // Σ p_ref log(p_ref/p)
	KLBack   float64 // Σ p log(p/p_ref)
	SameTop1 bool
	Top5     int // how many of the reference's five most likely tokens are among the model's five

	TopRef, Top int // the most likely successors
	Window, At  int // window, and index of ID in it
}

// top5 holds the five most likely tokens, most likely first; equal ones by ascending id.
type top5 struct {
	id  [5]int
	val [5]float32
	n   int
}

func (t *top5) add(id int, v float32) {
	if t.n == 5 && v <= t.val[4] {
		return
	}
	i := min(t.n, 4)
	t.n = min(t.n+1, 5)
	for ; i > 0 && v > t.val[i-1]; i-- {
		t.id[i], t.val[i] = t.id[i-1], t.val[i-1]
	}
	t.id[i], t.val[i] = id, v
}

// CompareLogits compares the model's logits with the reference's at a position
// whose next token is id. Sums are in float64.
func CompareLogits(ref, logits []float32, id int) Token {
	t := Token{ID: id}
	var a, b top5
	for i := range ref {
		a.add(i, ref[i])
		b.add(i, logits[i])
	}
	// With weights exp(x − max) instead of probabilities, both divergences need only one
	// pass: Σ p_ref (log p_ref − log p) = Σ p_ref (x_ref − x) − (log Z_ref − log Z).
	topRef, top := float64(a.val[0]), float64(b.val[0])
	var sumRef, sum, apartRef, apart float64
	for i := range ref {
		xr, x := float64(ref[i]), float64(logits[i])
		wr, w := math.Exp(xr-topRef), math.Exp(x-top)
		sumRef += wr
		sum += w
		apartRef += wr * (xr - x)
		apart += w * (x - xr)
	}
	zr, z := topRef+math.Log(sumRef), top+math.Log(sum)
	t.NLLRef, t.NLL = zr-float64(ref[id]), z-float64(logits[id])
	t.KL = max(0, apartRef/sumRef-(zr-z))
	t.KLBack = max(0, apart/sum-(z-zr))
	t.TopRef, t.Top = a.id[0], b.id[0]
	t.SameTop1 = t.Top == t.TopRef
	for _, x := range a.id[:a.n] {
		if slices.Contains(b.id[:b.n], x) {
			t.Top5++
		}
	}
	return t
}

// Divergence is the comparison of two models over many tokens.
type Divergence struct {
	Tokens        int
	PerplexityRef Estimate
	Perplexity    Estimate
	Change        Estimate // Perplexity − PerplexityRef, with the standard error of the paired difference
	NLLChange     Estimate // mean of NLL − NLLRef, paired: the logarithm of the ratio of perplexities
	KL            Estimate // KL(full precision ‖ model), nats per token
	KLBack        Estimate
	Top1          Estimate // fraction of tokens for which both models predict the same token
	Top5          Estimate // fraction of the reference's five most likely tokens that are among the model's five
	KLMedian      float64
	KL99          float64 // 99th percentile
	KLMax         float64
	KLPercentiles []Percentile
}

// Percentile is the KL divergence below which a given fraction of the tokens lies.
type Percentile struct {
	Share float64 `json:"share"`
	KL    float64 `json:"kl"`
}

// shares are the percentiles that are reported, as fractions.
var shares = []float64{.05, .25, .5, .75, .9, .95, .99, .999}

// Summarize computes a Divergence from token comparisons.
func Summarize(tokens []Token) Divergence {
	d := Divergence{Tokens: len(tokens)}
	if len(tokens) == 0 {
		return d
	}
	pick := func(f func(*Token) float64) []float64 {
		v := make([]float64, len(tokens))
		for i := range tokens {
			v[i] = f(&tokens[i])
		}
		return v
	}
	d.PerplexityRef = Perplexed(pick(func(t *Token) float64 { return t.NLLRef }))
	d.Perplexity = Perplexed(pick(func(t *Token) float64 { return t.NLL }))
	d.NLLChange = Mean(pick(func(t *Token) float64 { return t.NLL - t.NLLRef }))
	// Each token's contributions to both means are paired in exp(a)−exp(b): what the models
	// have in common, which is nearly everything, cancels.
	p, q := d.Perplexity.Mean, d.PerplexityRef.Mean
	d.Change = Estimate{p - q, Mean(pick(func(t *Token) float64 { return p*t.NLL - q*t.NLLRef })).StdErr}
	kl := pick(func(t *Token) float64 { return t.KL })
	d.KL = Mean(kl)
	d.KLBack = Mean(pick(func(t *Token) float64 { return t.KLBack }))
	d.Top1 = Mean(pick(func(t *Token) float64 {
		if t.SameTop1 {
			return 1
		}
		return 0
	}))
	d.Top5 = Mean(pick(func(t *Token) float64 { return float64(t.Top5) / 5 }))
	slices.Sort(kl)
	d.KLMedian, d.KL99, d.KLMax = quantile(kl, .5), quantile(kl, .99), kl[len(kl)-1]
	for _, s := range shares {
		d.KLPercentiles = append(d.KLPercentiles, Percentile{s, quantile(kl, s)})
	}
	return d
}

// Worst returns the n tokens with the largest divergence, largest first; equal ones in the
// order of the text.
func Worst(tokens []Token, n int) []Token {
	order := slices.Clone(tokens)
	slices.SortStableFunc(order, func(a, b Token) int { return cmp.Compare(b.KL, a.KL) })
	return order[:min(n, len(order))]
}
