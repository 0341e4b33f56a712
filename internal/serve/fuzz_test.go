package serve

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/specquant/specquant/internal/serve/scheduler"
)

// FuzzBodies: whatever the body, on whichever path, the answer is JSON (or a stream of it)
// or an error in the form of the path's API, and nothing panics.
func FuzzBodies(f *testing.F) {
	for i, r := range routes {
		f.Add(byte(i), r.ok)
		for _, body := range r.bad {
			f.Add(byte(i), body)
		}
		f.Add(byte(i), strings.TrimSuffix(r.ok, "}")+`,"stream":true}`)
		for _, body := range []string{"", "null", "[]", "7", `""`, "{", "{}{}", `{"model":null}`, `{"model":{}}`, `{"messages":{}}`, `{"messages":[null]}`, `{"messages":[{"role":"user","content":[{"type":"text"}]}]}`,
			`{"messages":[{"role":"user","content":"\ud800"}]}`, "{\"prompt\":\"\xff\"}", `{"input":[[]]}`, `{"input":[[1],["a"]]}`, `{"options":null}`, `{"stop":[null],"prompt":"a"}`, `{"metadata":[1],"input":"a"}`,
			`{"input":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}`, `{"model":"TEST","Model":"test"}`} {
			f.Add(byte(i), body)
		}
	}
	dir := modelDir(f)
	log := &syncBuffer{}
	s, err := Open([]Source{{Name: "test", Path: dir}}, Options{Threads: 1, Timeout: 2 * time.Second, Scheduler: scheduler.Options{Slots: 2, Keep: 1}, Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelError}))})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(s.Close)
	f.Fuzz(func(t *testing.T, n byte, body string) {
		path := routes[int(n)%len(routes)].path
		// A request that names no number of tokens would fill the context.
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		defer time.AfterFunc(300*time.Millisecond, cancel).Stop() // the client goes away
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, path, strings.NewReader(body))
		r.Host = "localhost"
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		text := w.Body.String()
		switch kind := w.Header().Get("Content-Type"); {
		case w.Code != http.StatusOK && errorText(path, text) == "":
			t.Errorf("%s %.200q: status %d, %.200q", path, body, w.Code, text)
		case w.Code == http.StatusInternalServerError:
			t.Errorf("%s %.200q: %s", path, body, text)
		case kind == "text/event-stream":
			for line := range strings.Lines(text) {
				if data, ok := strings.CutPrefix(line, "data: "); ok && data != "[DONE]\n" && !json.Valid([]byte(data)) {
					t.Errorf("%s %.200q: event %.200q", path, body, data)
				}
			}
		default:
			d := json.NewDecoder(strings.NewReader(text))
			var v any
			err := d.Decode(&v)
			for ; err == nil; err = d.Decode(&v) {
			}
			if err != io.EOF {
				t.Errorf("%s %.200q: status %d, %.200q: %v", path, body, w.Code, text, err)
			}
		}
		if got := log.String(); strings.Contains(got, "panic") {
			t.Fatalf("%s %.200q: %s", path, body, got)
		}
	})
}
