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
	"strings"
	"time"

	"github.com/specquant/specquant/internal/engine/sampler"
)

// Info describes a model of the server, loaded or not.
type Info struct {
	Name    string
	Context int // tokens
	Details Details
	// Defaults are the sampling options for requests that do not set them; Recommended
	// means that they are from the model's makers.
	Defaults    sampler.Options
	Recommended bool
}

// Models gives access to the models of a server.
type Models interface {
	// Acquire returns the model of a name; "" is the first. It is loaded if necessary, and
	// stays loaded until release is called. An unknown name is an [Error] with status 404.
	Acquire(ctx context.Context, name string) (a *API, release func(), err error)
	// List returns all models in the order of the command line.
	List() []Info
}

// FrontOptions are what a Front is made of.
type FrontOptions struct {
	Models   Models
	Metrics  *Metrics
	Version  string        // of the server
	Context  int           // tokens of the largest context, which bounds bodies
	Timeout  time.Duration // of a request; 0: 10 minutes
	ReadTime time.Duration // to send a body in; 0: 30 seconds
	Log      *slog.Logger
}

// Front receives requests and passes them to the model that they name.
type Front struct {
	FrontOptions
	created time.Time
}

// NewFront makes a Front.
func NewFront(o FrontOptions) *Front {
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Minute
	}
	if o.ReadTime == 0 {
		o.ReadTime = 30 * time.Second
	}
	return &Front{FrontOptions: o, created: time.Now()}
}

// Register adds the routes.
func (f *Front) Register(mux *http.ServeMux) {
	for path, answer := range map[string]func(*API, http.ResponseWriter, *http.Request) error{
		"/v1/chat/completions":      (*API).chatCompletions,
		"/v1/completions":           (*API).completions,
		"/v1/embeddings":            (*API).embeddings,
		"/v1/responses":             (*API).responses,
		"/v1/messages":              (*API).messages,
		"/v1/messages/count_tokens": (*API).countTokens,
		"/api/chat":                 (*API).ollamaChat,
		"/api/generate":             (*API).ollamaGenerate,
		"/api/show":                 (*API).ollamaShow,
		"/tokenize":                 (*API).tokenize,
		"/detokenize":               (*API).detokenize,
	} {
		mux.Handle("POST "+path, f.handler(f.byModel(answer)))
	}
	for pattern, answer := range map[string]func(http.ResponseWriter, *http.Request) error{
		"GET /v1/models":           f.models,
		"GET /v1/models/{name...}": f.model,
		"GET /api/tags":            f.ollamaTags,
		"GET /api/version":         f.ollamaVersion,
		"GET /health":              f.health,
		"/v1/responses/{id}":       f.storedResponse,
		"/":                        func(w http.ResponseWriter, r *http.Request) error { return unknown(mux, w, r) },
	} {
		mux.Handle(pattern, f.handler(answer))
	}
	mux.Handle("GET /metrics", f.Metrics.handler())
}

// unknown returns the error for a request that fits no route: a wrong method, or an unknown
// path.
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

// handler limits a request's time and answers with the error that a handler returns.
func (f *Front) handler(answer func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeoutCause(r.Context(), f.Timeout, errTimeout)
		defer cancel()
		if err := answer(w, r.WithContext(ctx)); err != nil {
			e := errorOf(err)
			if e.Status >= 500 {
				f.Log.Error("request failed", "path", r.Pattern, "error", err)
			}
			WriteError(w, r, e)
		}
	})
}

// byModel reads the body and passes the request to the model that it names.
func (f *Front) byModel(answer func(*API, http.ResponseWriter, *http.Request) error) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		body, err := f.body(w, r)
		if err != nil {
			return err
		}
		var named struct {
			Model string `json:"model"`
			Name  string `json:"name"` // of /api/show
		}
		var kind *json.UnmarshalTypeError // reported when the whole body is decoded
		if err := json.NewDecoder(bytes.NewReader(body)).Decode(&named); err != nil && !errors.As(err, &kind) {
			return badBody(body, err)
		}
		name := named.Model
		if name == "" && r.URL.Path == "/api/show" {
			name = named.Name
		}
		if strings.HasPrefix(r.URL.Path, "/api/") {
			name = strings.TrimSuffix(name, ollamaTag)
		}
		a, release, err := f.Models.Acquire(r.Context(), name)
		if err != nil {
			return err
		}
		defer release()
		r.Body = io.NopCloser(bytes.NewReader(body))
		return answer(a, w, r)
	}
}

// body reads a request's body within limits of size and time.
func (f *Front) body(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	control := http.NewResponseController(w)
	control.SetReadDeadline(time.Now().Add(f.ReadTime))
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody+8*int64(f.Context)))
	if err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return nil, err
		}
		return nil, &Error{Status: http.StatusBadRequest, Type: "invalid_request_error", Message: "the request's body could not be read in time"}
	}
	// From now on reading only detects whether the client has disconnected.
	control.SetReadDeadline(time.Time{})
	return data, nil
}

// UnknownModel is the error for a name that no served model has.
func UnknownModel(name string, known []string) *Error {
	const most = 8
	list := strings.Join(known[:min(len(known), most)], ", ")
	if len(known) > most {
		list += fmt.Sprintf(" and %d more", len(known)-most)
	}
	return &Error{Status: http.StatusNotFound, Type: "invalid_request_error", Code: "model_not_found", Param: "model", Message: fmt.Sprintf("model: found %.100q, this server has %s", name, list)}
}

// NoRoom is the error for a model that does not fit into memory beside the models in use.
func NoRoom(name string) *Error {
	return &Error{Status: http.StatusServiceUnavailable, Type: "server_error", Code: "no_memory", Param: "model", retryAfter: 5,
		Message: fmt.Sprintf("model: %q does not fit into the server's memory beside the models that are answering now; try again later", name)}
}

// modelInfo describes a model in OpenAI's form, with further fields.
type modelInfo struct {
	ID       string       `json:"id"`
	Object   string       `json:"object"`
	Created  int64        `json:"created"`
	OwnedBy  string       `json:"owned_by"`
	Context  int          `json:"context_length"`
	Sampling samplingInfo `json:"default_sampling"`
}

// samplingInfo has the sampling options for requests that do not set them.
type samplingInfo struct {
	Recommended       bool    `json:"recommended"` // by the model's makers
	Temperature       float64 `json:"temperature"`
	TopP              float64 `json:"top_p"`
	TopK              int     `json:"top_k"`
	MinP              float64 `json:"min_p"`
	RepetitionPenalty float64 `json:"repetition_penalty"`
}

func (f *Front) info(i Info) modelInfo {
	d := i.Defaults
	return modelInfo{i.Name, "model", f.created.Unix(), "specquant", i.Context, samplingInfo{i.Recommended, d.Temperature, d.TopP, d.TopK, d.MinP, d.RepetitionPenalty}}
}

func (f *Front) models(w http.ResponseWriter, _ *http.Request) error {
	data := []modelInfo{}
	for _, i := range f.Models.List() {
		data = append(data, f.info(i))
	}
	writeJSON(w, http.StatusOK, map[string]any{"object": "list", "data": data})
	return nil
}

func (f *Front) model(w http.ResponseWriter, r *http.Request) error {
	var known []string
	for _, i := range f.Models.List() {
		if i.Name == r.PathValue("name") {
			writeJSON(w, http.StatusOK, f.info(i))
			return nil
		}
		known = append(known, i.Name)
	}
	return UnknownModel(r.PathValue("name"), known)
}

func (f *Front) health(w http.ResponseWriter, _ *http.Request) error {
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	return nil
}

// storedResponse returns an error for requests about earlier responses, because none are
// stored.
func (f *Front) storedResponse(http.ResponseWriter, *http.Request) error {
	return &Error{Status: http.StatusNotFound, Type: "invalid_request_error", Code: "unsupported", Message: "this server stores no responses: they can't be read, listed, canceled or deleted"}
}
