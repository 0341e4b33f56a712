package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/specquant/specquant/internal/constrain"
	"github.com/specquant/specquant/internal/engine"
	"github.com/specquant/specquant/internal/input"
	"github.com/specquant/specquant/internal/jinja"
	"github.com/specquant/specquant/internal/plural"
	"github.com/specquant/specquant/internal/serve/scheduler"
)

// Error is an error in the form of OpenAI's API.
type Error struct {
	Status  int    `json:"-"`
	Message string `json:"message"`
	Type    string `json:"type"`
	Param   string `json:"param,omitempty"` // the field of the request that it is about
	Code    string `json:"code,omitempty"`

	retryAfter int // seconds; 0: not said
}

func (e *Error) Error() string { return e.Message }

// invalid is an error about a field of the request.
func invalid(param, format string, args ...any) *Error {
	return &Error{Status: http.StatusBadRequest, Type: "invalid_request_error", Param: param, Message: param + ": " + fmt.Sprintf(format, args...)}
}

// unsupported is an error about something that this server does not do.
func unsupported(param, what string) *Error {
	return &Error{Status: http.StatusBadRequest, Type: "invalid_request_error", Code: "unsupported", Param: param, Message: param + ": " + what}
}

// badBody is an error about a request's body, which could not be decoded. Where it is about a
// field it names that.
func badBody(body []byte, err error) *Error {
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) && kind.Field != "" {
		without := *kind
		without.Field = ""
		return invalid(strings.TrimPrefix(kind.Field, "common."), "%v", input.JSONError(body, &without)) // common is an embedded struct
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		name = strings.Trim(name, `"`)
		return invalid(name, "this server knows no field of that name here")
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("found the end after %s, expected a JSON object", plural.Of(len(body), "byte"))
	} else {
		err = input.JSONError(body, err)
	}
	return &Error{Status: http.StatusBadRequest, Type: "invalid_request_error", Message: "the request's body: " + err.Error()}
}

// errorOf converts an error to OpenAI's form. Details of errors that the client has not caused
// are only logged.
func errorOf(err error) *Error {
	var known *Error
	var long *engine.ContextError
	var busy *scheduler.BusyError
	var raised *jinja.RaisedError
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &long):
		return &Error{Status: http.StatusBadRequest, Type: "invalid_request_error", Code: "context_length_exceeded", Param: "messages", Message: fmt.Sprintf("the prompt with at least one token of an answer takes %s; the context is %d", plural.Of(long.Tokens, "token"), long.Context)}
	case errors.As(err, &busy):
		return &Error{Status: http.StatusTooManyRequests, Type: "rate_limit_error", Code: "queue_full", Message: busy.Error(), retryAfter: int(busy.RetryAfter.Seconds())}
	case errors.Is(err, scheduler.ErrClosed):
		return &Error{Status: http.StatusServiceUnavailable, Type: "server_error", Code: "shutting_down", Message: err.Error(), retryAfter: 5}
	case errors.As(err, &raised):
		return &Error{Status: http.StatusBadRequest, Type: "invalid_request_error", Param: "messages", Message: "the model's chat template refuses the conversation: " + raised.Error()}
	case errors.As(err, &large):
		return &Error{Status: http.StatusRequestEntityTooLarge, Type: "invalid_request_error", Message: fmt.Sprintf("the request's body has more than %s", plural.Of(large.Limit, "byte"))}
	case errors.Is(err, constrain.ErrStuck):
		return &Error{Status: http.StatusInternalServerError, Type: "server_error", Code: "constraint", Message: err.Error()}
	case errors.Is(err, errTimeout):
		return &Error{Status: http.StatusGatewayTimeout, Type: "server_error", Code: "timeout", Message: err.Error()}
	case errors.Is(err, context.Canceled):
		return &Error{Status: 499, Type: "invalid_request_error", Code: "canceled", Message: "the client went away"}
	}
	return &Error{Status: http.StatusInternalServerError, Type: "server_error", Message: "internal error; the server's log says more"}
}

// WriteError answers a request with an error, in the form of the API that its path
// belongs to.
func WriteError(w http.ResponseWriter, r *http.Request, e *Error) {
	if e.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(e.retryAfter))
	}
	writeJSON(w, e.Status, dialectOf(r.URL.Path)(e))
}

// dialectOf returns the function that makes the body of an error for the API of a path.
func dialectOf(path string) func(*Error) any {
	switch {
	case strings.HasPrefix(path, "/v1/messages"):
		return anthropicError
	case strings.HasPrefix(path, "/api/"):
		return ollamaError
	}
	return func(e *Error) any { return map[string]*Error{"error": e} }
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	data, err := json.Marshal(v)
	if err != nil { // can't happen with the types of this package
		panic(err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(append(data, '\n'))
}
