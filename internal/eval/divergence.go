// Package eval measures models: perplexity and divergence from full precision,
// each number with its protocol and standard error.
package eval

import (
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
}

// CompareLogits compares the model's logits with the reference's at a position
// whose next token is id.
func CompareLogits(ref, logits []float32, id int) Token {
	t := Token{ID: id}
	zr, z := logSumExp(ref), logSumExp(logits)
	t.NLLRef, t.NLL = zr-float64(ref[id]), z-float64(logits[id])
	top, topRef := 0, 0
	for i := range ref {
		lr, l := float64(ref[i])-zr, float64(logits[i])-z
		t.KL += math.Exp(lr) * (lr - l)
		t.KLBack += math.Exp(l) * (l - lr)
		if ref[i] > ref[topRef] {
			topRef = i
		}
		if logits[i] > logits[top] {
			top = i
		}
	}
	t.SameTop1 = top == topRef
	return t
}

// logSumExp is log Σ exp(x), in float64.
func logSumExp(x []float32) float64 {
	top := slices.Max(x)
	var sum float64
	for _, v := range x {
		sum += math.Exp(float64(v - top))
	}
	return float64(top) + math.Log(sum)
}

// NLL is −log p(id) under the logits, in nats.
func NLL(logits []float32, id int) float64 { return logSumExp(logits) - float64(logits[id]) }

// Divergence is the comparison of two models over many tokens.
type Divergence struct {
	Tokens        int
	PerplexityRef Estimate
	Perplexity    Estimate
	KL            Estimate // full precision to model, nats a token
	KLBack        Estimate
	Top1          Estimate // share of tokens with the same most likely successor
	KLMedian      float64
	KL99          float64 // 99th percentile
	KLMax         float64
}

// Estimate is a mean and its standard error, taking tokens as independent.
type Estimate struct{ Mean, StdErr float64 }

// Summarize turns token comparisons into a Divergence.
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
	d.PerplexityRef = perplexity(pick(func(t *Token) float64 { return t.NLLRef }))
	d.Perplexity = perplexity(pick(func(t *Token) float64 { return t.NLL }))
	kl := pick(func(t *Token) float64 { return t.KL })
	d.KL = mean(kl)
	d.KLBack = mean(pick(func(t *Token) float64 { return t.KLBack }))
	d.Top1 = mean(pick(func(t *Token) float64 {
		if t.SameTop1 {
			return 1
		}
		return 0
	}))
	slices.Sort(kl)
	d.KLMedian, d.KL99, d.KLMax = kl[len(kl)/2], kl[len(kl)*99/100], kl[len(kl)-1]
	return d
}

func mean(v []float64) Estimate {
	n := float64(len(v))
	var sum, square float64
	for _, x := range v {
		sum += x
	}
	m := sum / n
	for _, x := range v {
		square += (x - m) * (x - m)
	}
	e := Estimate{Mean: m}
	if n > 1 {
		e.StdErr = math.Sqrt(square / (n - 1) / n)
	}
	return e
}

// perplexity is exp of the mean; its standard error follows by the delta method.
func perplexity(nll []float64) Estimate {
	e := mean(nll)
	p := math.Exp(e.Mean)
	return Estimate{Mean: p, StdErr: p * e.StdErr}
}
