package api

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math"
	"net/http"
	"sync"

	"github.com/specquant/specquant/internal/plural"
	"github.com/specquant/specquant/internal/serve/scheduler"
)

// MaxInputs bounds the texts of a request of /v1/embeddings.
const MaxInputs = 256

// embeddingsRequest is the body of /v1/embeddings.
type embeddingsRequest struct {
	Model      string          `json:"model"`
	Input      json.RawMessage `json:"input"` // a text, token ids, or a list of either
	Format     string          `json:"encoding_format"`
	Dimensions *int            `json:"dimensions"`
	User       json.RawMessage `json:"user"` // without effect
}

// inputs returns the token ids of all texts. Special tokens in a text are encoded as ordinary
// text.
func (a *API) inputs(ctx context.Context, q *embeddingsRequest) (all [][]int, err error) {
	texts, all, ok := textsOrIDs(q.Input)
	if !ok {
		return nil, invalid("input", "expected a text, a list of token ids, or a list of either")
	}
	if n := max(len(texts), len(all)); n > MaxInputs {
		return nil, invalid("input", "found %s, expected at most %d", plural.Of(n, "text"), MaxInputs)
	}
	err = a.work(ctx, func(context.Context) error {
		begin, err := a.Tokenizer.EncodePrompt("") // the tokens before a text, such as BOS
		if err != nil {
			return err
		}
		for i, text := range texts {
			ids, err := a.Tokenizer.EncodeOrdinary(text)
			if err != nil {
				return invalid("input", "item %d: %v", i, err)
			}
			all = append(all, append(begin[:len(begin):len(begin)], ids...))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return all, checkIDs("input", all, a.Vocab)
}

// embed returns the mean last hidden state of each text, scaled to length 1. At most MaxChoices
// texts of a request are computed at the same time.
func (a *API) embed(ctx context.Context, texts [][]int) ([][]float32, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	out := make([][]float32, len(texts))
	var wait sync.WaitGroup
	room := make(chan struct{}, MaxChoices)
	for i, ids := range texts {
		room <- struct{}{}
		wait.Go(func() {
			defer func() { <-room }()
			if ctx.Err() != nil {
				return
			}
			r, err := a.Scheduler.Do(ctx, scheduler.Request{Prompt: ids, Mean: true, Follows: i > 0})
			if err != nil {
				cancel(err)
				return
			}
			out[i] = unit(r.Mean)
		})
	}
	wait.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return out, nil
}

// unit returns the vector scaled to length 1.
func unit(v []float64) []float32 {
	sum := 0.0
	for _, x := range v {
		sum += x * x
	}
	out := make([]float32, len(v))
	if sum == 0 {
		return out
	}
	for i, x := range v {
		out[i] = float32(x / math.Sqrt(sum))
	}
	return out
}

func (a *API) embeddings(w http.ResponseWriter, r *http.Request) error {
	var q embeddingsRequest
	if err := a.read(r, &q); err != nil {
		return err
	}
	switch {
	case q.Format != "" && q.Format != "float" && q.Format != "base64":
		return invalid("encoding_format", "found %.40q, expected float or base64", q.Format)
	case q.Dimensions != nil && *q.Dimensions != a.Details.Width:
		return unsupported("dimensions", "an embedding has as many numbers as the model is wide, and can't be cut")
	}
	texts, err := a.inputs(r.Context(), &q)
	if err != nil {
		return err
	}
	vectors, err := a.embed(r.Context(), texts)
	if err != nil {
		return err
	}
	type item struct {
		Object    string `json:"object"`
		Index     int    `json:"index"`
		Embedding any    `json:"embedding"`
	}
	var data []item
	used := 0
	for i, v := range vectors {
		used += len(texts[i])
		one := item{"embedding", i, v}
		if q.Format == "base64" {
			bytes, err := binary.Append(nil, binary.LittleEndian, v)
			if err != nil {
				return err
			}
			one.Embedding = base64.StdEncoding.EncodeToString(bytes)
		}
		data = append(data, one)
	}
	writeJSON(w, http.StatusOK, map[string]any{"object": "list", "data": data, "model": a.Name, "usage": map[string]int{"prompt_tokens": used, "total_tokens": used}})
	return nil
}
