package api

import (
	"math"
	"strings"
)

// lowest replaces the logarithm of probability 0, which JSON can't represent, as in OpenAI's
// API.
const lowest = -9999

// Log-probabilities of a chat, in OpenAI's form.
type (
	tokenLogProb struct {
		Token   string  `json:"token"`
		LogProb float64 `json:"logprob"`
		Bytes   []int   `json:"bytes"`
	}
	chosenLogProb struct {
		tokenLogProb
		Top []tokenLogProb `json:"top_logprobs"`
	}
	chatLogProbs struct {
		Content []chosenLogProb `json:"content"`
	}
)

// logProb describes a token by the bytes that it adds to a text, which may be a part of a
// character: only with those of its neighbours are they text again. A special token has its name.
func (a *API) logProb(id int, p float64) tokenLogProb {
	if !(p > lowest) || math.IsInf(p, 0) {
		p = lowest
	}
	raw := a.Tokenizer.Text(id)
	if a.Tokenizer.IsSpecial(id) {
		raw = a.Tokenizer.Token(id)
	}
	bytes := make([]int, len(raw))
	for i := range len(raw) {
		bytes[i] = int(raw[i])
	}
	return tokenLogProb{strings.ToValidUTF8(raw, "\uFFFD"), p, bytes}
}

// chatLogProbs returns the log-probabilities of tokens; nil if they were not asked for.
func (a *API) chatLogProbs(tokens []drawn) *chatLogProbs {
	if len(tokens) == 0 {
		return nil
	}
	out := &chatLogProbs{}
	for _, t := range tokens {
		c := chosenLogProb{tokenLogProb: a.logProb(t.ID, t.LogProb), Top: []tokenLogProb{}}
		for _, m := range t.Top {
			c.Top = append(c.Top, a.logProb(m.ID, m.P))
		}
		out.Content = append(out.Content, c)
	}
	return out
}

// textLogProbs are those of a completion, in the form of OpenAI's older API.
type textLogProbs struct {
	Tokens  []string             `json:"tokens"`
	Chosen  []float64            `json:"token_logprobs"`
	Top     []map[string]float64 `json:"top_logprobs"`
	Offsets []int                `json:"text_offset"`
}

func (a *API) textLogProbs(tokens []drawn) *textLogProbs {
	if len(tokens) == 0 {
		return nil
	}
	out := &textLogProbs{}
	for _, t := range tokens {
		c := a.logProb(t.ID, t.LogProb)
		top := map[string]float64{}
		for _, m := range t.Top {
			one := a.logProb(m.ID, m.P)
			if _, there := top[one.Token]; !there { // incomplete characters have the same text; keep the most likely one
				top[one.Token] = one.LogProb
			}
		}
		out.Tokens, out.Chosen = append(out.Tokens, c.Token), append(out.Chosen, c.LogProb)
		out.Top, out.Offsets = append(out.Top, top), append(out.Offsets, t.offset)
	}
	return out
}
