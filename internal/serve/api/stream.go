package api

import (
	"encoding/json"
	"net/http"
	"time"
)

// beat is how long a stream is silent at most: a comment tells the client, and whatever
// is between, that the connection lives.
const beat = 15 * time.Second

// sse writes server-sent events.
type sse struct {
	w     http.ResponseWriter
	begun bool
}

// begin sends the headers: from here on errors are events.
func (s *sse) begin() {
	if s.begun {
		return
	}
	s.begun = true
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

func (s *sse) data(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return s.raw("data: " + string(data) + "\n\n")
}

// streamed sends a job's events as they come. chunk makes what is sent of one, last
// what is sent at the end with the usage; nil: nothing.
func (a *API) streamed(w http.ResponseWriter, r *running, first func(choice int) any, chunk func(event) any, last func(usage) any) error {
	s := &sse{w: w}
	begun := map[int]bool{}
	for {
		events, waited, err := r.next(beat)
		switch {
		case waited:
			if s.raw(": waiting\n\n") != nil {
				return nil // the client is gone
			}
			continue
		case err != nil && !s.begun:
			return err
		case err != nil:
			e := errorOf(err)
			if e.Status >= 500 {
				a.Log.Error("stream failed", "error", err)
			}
			s.data(map[string]*Error{"error": e})
			return nil
		case len(events) == 0:
			if last != nil && s.data(last(r.usage)) != nil {
				return nil
			}
			s.raw("data: [DONE]\n\n")
			return nil
		}
		for _, e := range events {
			if first != nil && !begun[e.choice] {
				begun[e.choice] = true
				if s.data(first(e.choice)) != nil {
					return nil
				}
			}
			if s.data(chunk(e)) != nil {
				return nil
			}
		}
	}
}

// whole is a choice when it is finished.
type whole struct {
	text   string
	tokens []drawn
	finish string
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
			c.tokens = append(c.tokens, e.tokens...)
			if e.finish != "" {
				c.finish = e.finish
			}
		}
	}
}
