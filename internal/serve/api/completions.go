package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/specquant/specquant/internal/plural"
)

// completionRequest is the body of /v1/completions.
type completionRequest struct {
	common
	Prompt            json.RawMessage    `json:"prompt"` // a text, token ids, or a list of either
	LogProbs          *int               `json:"logprobs"`
	StructuredOutputs *structuredOutputs `json:"structured_outputs"` // as in vLLM
	Echo              bool               `json:"echo"`
	Suffix            *string            `json:"suffix"`
	BestOf            *int               `json:"best_of"`
}

func (c *completionRequest) check(vocab int) error {
	if c.Echo {
		return unsupported("echo", "is not supported by this server")
	}
	if c.Suffix != nil && *c.Suffix != "" {
		return unsupported("suffix", "is not supported by this server")
	}
	if c.BestOf != nil && *c.BestOf != value(c.N, 1) {
		return unsupported("best_of", "is not supported by this server")
	}
	if c.LogProbs != nil && (*c.LogProbs < 0 || *c.LogProbs > MaxLogProbs) {
		return invalid("logprobs", "found %d, expected 0 to %d", *c.LogProbs, MaxLogProbs)
	}
	return c.common.check(vocab)
}

// prompts returns the token ids of all prompts.
func (a *API) prompts(ctx context.Context, c *completionRequest) (all [][]int, err error) {
	texts, all, ok := textsOrIDs(c.Prompt)
	if !ok {
		return nil, invalid("prompt", "expected a text, a list of token ids, or a list of either")
	}
	if n := max(len(texts), len(all)) * value(c.N, 1); n > MaxChoices {
		return nil, invalid("prompt", "%s with %s each are %s, expected at most %d", plural.Of(max(len(texts), len(all)), "prompt"), plural.Of(value(c.N, 1), "choice"), plural.Of(n, "text"), MaxChoices)
	}
	err = a.work(ctx, func(context.Context) error {
		for _, text := range texts {
			ids, err := a.Tokenizer.EncodePrompt(text)
			if err != nil {
				return invalid("prompt", "%v", err)
			}
			all = append(all, ids)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return all, checkIDs("prompt", all, a.Vocab)
}

// textsOrIDs reads a text, token ids, or a list of either.
func textsOrIDs(raw json.RawMessage) (texts []string, all [][]int, ok bool) {
	var one string
	var ids []int
	switch {
	case string(raw) == "null":
		return nil, nil, false
	case json.Unmarshal(raw, &one) == nil:
		return []string{one}, nil, true
	case json.Unmarshal(raw, &texts) == nil && len(texts) > 0:
		return texts, nil, true
	case json.Unmarshal(raw, &ids) == nil && len(ids) > 0:
		return nil, [][]int{ids}, true
	case json.Unmarshal(raw, &all) == nil && len(all) > 0:
		return nil, all, true
	}
	return nil, nil, false
}

// checkIDs returns an error for texts without tokens and for ids outside the vocabulary.
func checkIDs(param string, all [][]int, vocab int) error {
	for _, ids := range all {
		if len(ids) == 0 {
			return invalid(param, "is empty, and the model has no token that begins a text")
		}
		for _, id := range ids {
			if id < 0 || id >= vocab {
				return invalid(param, "found token id %d, expected 0 to %d", id, vocab-1)
			}
		}
	}
	return nil
}

type (
	textChoice struct {
		Index    int           `json:"index"`
		Text     string        `json:"text"`
		LogProbs *textLogProbs `json:"logprobs"`
		Finish   *string       `json:"finish_reason"`
	}
	textAnswer struct {
		ID      string       `json:"id"`
		Object  string       `json:"object"`
		Created int64        `json:"created"`
		Model   string       `json:"model"`
		Choices []textChoice `json:"choices"`
		Usage   *usage       `json:"usage,omitempty"`
	}
)

func (a *API) completions(w http.ResponseWriter, r *http.Request) error {
	var c completionRequest
	if err := a.read(r, &c); err != nil {
		return err
	}
	if err := c.check(a.Vocab); err != nil {
		return err
	}
	prompts, err := a.prompts(r.Context(), &c)
	if err != nil {
		return err
	}
	var limits *constraint
	l, err := c.StructuredOutputs.limit()
	if l != nil {
		limits, err = a.constraint(r.Context(), l.param, l.key, l.build)
	}
	if err != nil {
		return err
	}
	limits.warn(w)
	j := job{prompts: prompts, constraint: limits, choices: value(c.N, 1), max: value(c.MaxTokens, 16), sampling: c.sampling(a.Defaults), stops: c.Stop, ends: ends(a.Ends), logProbs: value(c.LogProbs, -1), follows: true}
	run := a.generate(r.Context(), j)
	defer run.stop()
	answer := textAnswer{ID: newID("cmpl-"), Object: "text_completion", Created: time.Now().Unix(), Model: a.Name}
	if c.Stream {
		chunk := func(e event) any {
			out, one := answer, textChoice{Index: e.choice, Text: e.text, LogProbs: a.textLogProbs(e.tokens)}
			if e.finish != "" {
				one.Finish = &e.finish
			}
			out.Choices = []textChoice{one}
			return out
		}
		var last func(usage) any
		if c.StreamOptions != nil && c.StreamOptions.IncludeUsage {
			last = func(u usage) any {
				out := answer
				out.Choices, out.Usage = []textChoice{}, &u
				return out
			}
		}
		return a.streamed(w, run, nil, chunk, last)
	}
	all, err := collected(run, len(prompts)*j.choices)
	if err != nil {
		return err
	}
	for i, one := range all {
		answer.Choices = append(answer.Choices, textChoice{Index: i, Text: one.text, LogProbs: a.textLogProbs(one.tokens), Finish: &one.finish})
	}
	answer.Usage = &run.usage
	writeJSON(w, http.StatusOK, answer)
	return nil
}
