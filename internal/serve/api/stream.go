package api

import (
	"encoding/json"
	"net/http"
	"time"
)

// beat is the longest time without output of a stream. Then a comment is sent, so that the
// client and proxies know that the connection is alive.
const beat = 15 * time.Second

// sse writes server-sent events.
type sse struct {
	w      http.ResponseWriter
	headed bool
}

// begin sends the headers. After that, errors are sent as events.
func (s *sse) begin() {
	if s.headed {
		return
	}
	s.headed = true
	h := s.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	s.w.WriteHeader(http.StatusOK)
}

func (s *sse) raw(text string) error {
	s.begin()
	if _, err := s.w.Write([]byte(text)); err != nil {
		return err
	}
	return http.NewResponseController(s.w).Flush()
}

func (s *sse) begun() bool { return s.headed }
func (s *sse) beat() error { return s.raw(": waiting\n\n") }

func (s *sse) data(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return s.raw("data: " + string(data) + "\n\n")
}

// event sends data with an event name.
func (s *sse) event(name string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return s.raw("event: " + name + "\ndata: " + string(data) + "\n\n")
}

// stream writes an answer while it is generated, in the form of one API. An error of its
// methods means that the client has disconnected.
type stream interface {
	begun() bool // the status has been sent, so that errors are part of the stream
	beat() error // called when there was no output for a while
	piece(e event) error
	end(u usage) error
	fail(e *Error)
}

// follow sends a job's events as they come. It returns errors for which nothing has been sent
// yet.
func (a *API) follow(r *running, s stream) error {
	for {
		events, waited, err := r.next(beat)
		switch {
		case waited:
			if s.beat() != nil {
				return nil
			}
			continue
		case err != nil && !s.begun():
			return err
		case err != nil:
			e := errorOf(err)
			if e.Status >= 500 {
				a.Log.Error("stream failed", "error", err)
			}
			s.fail(e)
			return nil
		case len(events) == 0:
			s.end(r.usage)
			return nil
		}
		for _, e := range events {
			if s.piece(e) != nil {
				return nil
			}
		}
	}
}

// chunks is the [stream] of OpenAI's completions.
type chunks struct {
	sse
	first   func(choice int) any // sent before the first piece of a choice; nil: nothing
	chunk   func(event) any
	last    func(usage) any // sent at the end; nil: nothing
	started map[int]bool
}

func (c *chunks) piece(e event) error {
	if c.first != nil && !c.started[e.choice] {
		c.started[e.choice] = true
		if err := c.data(c.first(e.choice)); err != nil {
			return err
		}
	}
	return c.data(c.chunk(e))
}

func (c *chunks) end(u usage) error {
	if c.last != nil {
		if err := c.data(c.last(u)); err != nil {
			return err
		}
	}
	return c.raw("data: [DONE]\n\n")
}

func (c *chunks) fail(e *Error) { c.data(map[string]*Error{"error": e}) }

// streamed sends a job's events in the form of OpenAI's completions.
func (a *API) streamed(w http.ResponseWriter, r *running, first func(choice int) any, chunk func(event) any, last func(usage) any) error {
	return a.follow(r, &chunks{sse: sse{w: w}, first: first, chunk: chunk, last: last, started: map[int]bool{}})
}

// whole is a finished choice.
type whole struct {
	text      string
	reasoning string
	calls     []toolCall
	tokens    []drawn
	finish    string
	stop      string
}

// merged are calls with what more there is of them.
func merged(calls, more []toolCall) []toolCall {
	for _, c := range more {
		if c.Index == len(calls) {
			calls = append(calls, c)
		} else {
			calls[c.Index].Function.Arguments += c.Function.Arguments
		}
	}
	return calls
}

// collected waits for all choices.
func collected(r *running, n int) ([]whole, error) {
	all := make([]whole, n)
	for {
		events, _, err := r.next(time.Hour)
		if err != nil {
			return nil, err
		}
		if len(events) == 0 {
			select {
			case <-r.done:
				return all, nil
			default:
				continue
			}
		}
		for _, e := range events {
			c := &all[e.choice]
			c.text += e.text
			c.reasoning += e.reasoning
			c.calls = merged(c.calls, e.calls)
			c.tokens = append(c.tokens, e.tokens...)
			if e.finish != "" {
				c.finish, c.stop = e.finish, e.stop
			}
		}
	}
}
