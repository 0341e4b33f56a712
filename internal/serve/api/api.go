// Package api implements OpenAI's API, Anthropic's messages and Ollama's chat for one model.
// Fields that ask for something unsupported are an error that names them. Access control is in
// internal/serve.
package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/specquant/specquant/internal/chat"
	"github.com/specquant/specquant/internal/engine/sampler"
	"github.com/specquant/specquant/internal/serve/scheduler"
	"github.com/specquant/specquant/internal/tokenizer"
)

// Limits of a request, in addition to the model's context and the scheduler's limits.
const (
	MaxBody       = 1 << 20 // bytes of a body, plus 8 for each token of context
	MaxChoices    = 8       // n, times the number of prompts of a completion
	MaxLogProbs   = 20      // most likely tokens named beside a drawn one
	MaxStops      = 16      // stop strings
	MaxBias       = 1024    // entries of logit_bias
	MaxMessages   = 4096    // of a conversation
	templateLimit = 10 * time.Second
)

// errTimeout ends requests that take longer than Options.Timeout.
var errTimeout = errors.New("the request took longer than the server allows")

// Options are what an API is made of.
type Options struct {
	Name      string // of the model, as clients call it
	Details   Details
	Tokenizer *tokenizer.Tokenizer
	Template  *chat.Template // nil: the model was not made for conversations
	Ends      []int          // tokens that end a text
	TurnEnds  []int          // further ones that end an answer
	Context   int            // tokens
	Vocab     int            // tokens of the model's vocabulary
	Scheduler *scheduler.Scheduler
	Defaults  sampler.Options // sampling options for requests that do not set them
	// Recommended means that Defaults are from the model's makers.
	Recommended bool
	Metrics     *Metrics // of the server
	Bench       Bench    // of the server
	Log         *slog.Logger
}

// API answers the requests for one model, which a [Front] passes to it.
type API struct {
	Options
	constraints constraints
}

// New makes an API.
func New(o Options) *API { return &API{Options: o} }

// read decodes the body, whose size the Front has limited, into v. Unknown fields are an error,
// so v also has fields for known ones without effect.
func (a *API) read(r *http.Request, v any) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		var known *Error
		if errors.As(err, &known) {
			return known
		}
		return badBody(body, err)
	}
	if d.More() {
		return badBody(body, errors.New("there is more text after the JSON object"))
	}
	return nil
}

// work runs f, which processes the request's text, when one of the places for such work is free
// (see [Bench]).
func (a *API) work(ctx context.Context, f func(ctx context.Context) error) error {
	select {
	case a.Bench <- struct{}{}:
		defer func() { <-a.Bench }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, templateLimit, errTimeout)
	defer cancel()
	return f(ctx)
}

// tokenize answers with the token ids of a text.
func (a *API) tokenize(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Model   string `json:"model"`
		Content string `json:"content"`
		Special bool   `json:"add_special"`
	}
	if err := a.read(r, &in); err != nil {
		return err
	}
	var ids []int
	err := a.work(r.Context(), func(context.Context) (err error) {
		if in.Special {
			ids, err = a.Tokenizer.Encode(in.Content, true)
		} else {
			ids, err = a.Tokenizer.EncodeOrdinary(in.Content)
		}
		if err != nil {
			err = invalid("content", "%v", err)
		}
		return err
	})
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]any{"tokens": append([]int{}, ids...)})
	return nil
}

// detokenize answers with the text of token ids.
func (a *API) detokenize(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Model  string `json:"model"`
		Tokens []int  `json:"tokens"`
	}
	if err := a.read(r, &in); err != nil {
		return err
	}
	for i, id := range in.Tokens {
		if id < 0 || id >= a.Vocab {
			return invalid("tokens", "item %d is %d, expected 0 to %d", i, id, a.Vocab-1)
		}
	}
	writeJSON(w, http.StatusOK, map[string]string{"content": a.Tokenizer.Decode(in.Tokens)})
	return nil
}
