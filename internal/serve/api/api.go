// Package api answers OpenAI's API, Anthropic's messages and Ollama's chat for one model:
// what it does not do it refuses by name. Who may ask is decided before, in internal/serve.
package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"time"

	"github.com/specquant/specquant/internal/chat"
	"github.com/specquant/specquant/internal/engine/sampler"
	"github.com/specquant/specquant/internal/serve/scheduler"
	"github.com/specquant/specquant/internal/tokenizer"
)

// Limits of a request, beside the model's context and the scheduler's.
const (
	MaxBody       = 1 << 20 // bytes of a body, and 8 for each token of context
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
	Version   string // of the server
	Tokenizer *tokenizer.Tokenizer
	Template  *chat.Template // nil: the model was not made for conversations
	Ends      []int          // tokens that end a text
	TurnEnds  []int          // further ones that end an answer
	Context   int            // tokens
	Vocab     int            // tokens of the model's vocabulary
	Scheduler *scheduler.Scheduler
	Defaults  sampler.Options // of a draw that a request says nothing about
	Timeout   time.Duration   // of a request; 0: 10 minutes
	ReadTime  time.Duration   // to send a body in; 0: 30 seconds
	Log       *slog.Logger
}

// API answers requests.
type API struct {
	Options
	created time.Time
	metrics *metrics
	working chan struct{} // bounds the requests whose text is being worked on at once
}

// New makes an API.
func New(o Options) *API {
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Minute
	}
	if o.ReadTime == 0 {
		o.ReadTime = 30 * time.Second
	}
	return &API{Options: o, created: time.Now(), metrics: newMetrics(o.Scheduler), working: make(chan struct{}, runtime.GOMAXPROCS(0))}
}

// Register adds the API's routes.
func (a *API) Register(mux *http.ServeMux) {
	for pattern, f := range map[string]func(http.ResponseWriter, *http.Request) error{
		"POST /v1/chat/completions":      a.chatCompletions,
		"POST /v1/completions":           a.completions,
		"POST /v1/embeddings":            a.embeddings,
		"POST /v1/responses":             a.responses,
		"/v1/responses/{id}":             a.storedResponse,
		"POST /v1/messages":              a.messages,
		"POST /v1/messages/count_tokens": a.countTokens,
		"GET /v1/models":                 a.models,
		"GET /v1/models/{name...}":       a.model,
		"POST /api/chat":                 a.ollamaChat,
		"POST /api/generate":             a.ollamaGenerate,
		"POST /api/show":                 a.ollamaShow,
		"GET /api/tags":                  a.ollamaTags,
		"GET /api/version":               a.ollamaVersion,
		"POST /tokenize":                 a.tokenize,
		"POST /detokenize":               a.detokenize,
		"GET /health":                    a.health,
	} {
		mux.Handle(pattern, a.handler(f))
	}
	mux.Handle("GET /metrics", a.metrics.handler())
	mux.Handle("/", a.handler(func(w http.ResponseWriter, r *http.Request) error { return unknown(mux, w, r) }))
}

// unknown is the answer where no route fits: another method would, or none.
func unknown(mux *http.ServeMux, w http.ResponseWriter, r *http.Request) error {
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		other := r.Clone(r.Context())
		other.Method = method
		if _, pattern := mux.Handler(other); pattern != "/" {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) == 0 {
		return &Error{Status: http.StatusNotFound, Type: "invalid_request_error", Code: "unknown_path", Message: fmt.Sprintf("%.10q %.200q: this server has no such path", r.Method, r.URL.Path)}
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	return &Error{Status: http.StatusMethodNotAllowed, Type: "invalid_request_error", Code: "wrong_method", Message: fmt.Sprintf("%.200q: found method %.10q, expected %s", r.URL.Path, r.Method, strings.Join(allowed, " or "))}
}

// handler bounds a request's time and turns an error into an answer.
func (a *API) handler(f func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeoutCause(r.Context(), a.Timeout, errTimeout)
		defer cancel()
		if err := f(w, r.WithContext(ctx)); err != nil {
			e := errorOf(err)
			if e.Status >= 500 {
				a.Log.Error("request failed", "path", r.URL.Path, "error", err)
			}
			WriteError(w, r, e)
		}
	})
}

// read reads the body into v, whose fields must be all there are. Fields that are known
// and without effect are in v too.
func (a *API) read(w http.ResponseWriter, r *http.Request, v any) error {
	control := http.NewResponseController(w)
	control.SetReadDeadline(time.Now().Add(a.ReadTime))
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody+8*int64(a.Context)))
	if err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return err
		}
		return &Error{Status: http.StatusBadRequest, Type: "invalid_request_error", Message: "the request's body could not be read in time"}
	}
	// What is read from now on is only whether the client is still there.
	control.SetReadDeadline(time.Time{})
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		var known *Error
		if errors.As(err, &known) {
			return known
		}
		return &Error{Status: http.StatusBadRequest, Type: "invalid_request_error", Message: "the request's body: " + err.Error()}
	}
	if d.More() {
		return &Error{Status: http.StatusBadRequest, Type: "invalid_request_error", Message: "the request's body: there is more behind the JSON object"}
	}
	return nil
}

// work runs f, which works on the request's text, when a processor is free for it.
func (a *API) work(ctx context.Context, f func(ctx context.Context) error) error {
	select {
	case a.working <- struct{}{}:
		defer func() { <-a.working }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, templateLimit, errTimeout)
	defer cancel()
	return f(ctx)
}

// named refuses a model that is not the one that is served.
func (a *API) named(name string) error {
	if name == "" || name == a.Name {
		return nil
	}
	return &Error{Status: http.StatusNotFound, Type: "invalid_request_error", Code: "model_not_found", Param: "model", Message: fmt.Sprintf("model: found %.100q, this server has %q; leave it out, or start the server with --name", name, a.Name)}
}

func (a *API) health(w http.ResponseWriter, _ *http.Request) error {
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	return nil
}

// modelInfo is a model in OpenAI's form.
type modelInfo struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	OwnedBy string `json:"owned_by"`
	Context int    `json:"context_length"`
}

func (a *API) info() modelInfo {
	return modelInfo{a.Name, "model", a.created.Unix(), "specquant", a.Context}
}

func (a *API) models(w http.ResponseWriter, _ *http.Request) error {
	writeJSON(w, http.StatusOK, map[string]any{"object": "list", "data": []modelInfo{a.info()}})
	return nil
}

func (a *API) model(w http.ResponseWriter, r *http.Request) error {
	if err := a.named(r.PathValue("name")); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, a.info())
	return nil
}

// tokenize gives the ids of a text.
func (a *API) tokenize(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Content string `json:"content"`
		Special bool   `json:"add_special"`
	}
	if err := a.read(w, r, &in); err != nil {
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

// detokenize gives the text of ids.
func (a *API) detokenize(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Tokens []int `json:"tokens"`
	}
	if err := a.read(w, r, &in); err != nil {
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
