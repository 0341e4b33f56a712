package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// fake is a server that answers with three tokens, and counts words as tokens.
func fake(t *testing.T, requests *atomic.Int64) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Prompt string
			Max    int `json:"max_tokens"`
			Model  string
		}
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || r.URL.Path != "/v1/completions" || in.Max != 9 || r.Header.Get("Authorization") != "Bearer k" {
			http.Error(w, "bad request", http.StatusBadRequest)
			return
		}
		requests.Add(1)
		for _, text := range []string{"", "a ", "b ", "c "} {
			fmt.Fprintf(w, "data: {\"choices\":[{\"text\":%q}]}\n\n", text)
		}
		fmt.Fprintf(w, ": a comment\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":%d,\"completion_tokens\":3,\"prompt_tokens_details\":{\"cached_tokens\":5}}}\n\ndata: [DONE]\n\n", len(strings.Fields(in.Prompt)))
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// TestTable: each server is asked by each number of clients in each round, and the table has
// what they got.
func TestTable(t *testing.T) {
	var a, b atomic.Int64
	var out strings.Builder
	args := []string{"-clients", "1, 3", "-rounds", "2", "-prompt", "20", "-shared", "5", "-answer", "9", "-key", "k", "-spread", "1ms", "one=" + fake(t, &a) + "/", fmt.Sprintf("two=%s#%d", fake(t, &b), os.Getpid())}
	if err := run(t.Context(), args, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	if n := int64(2*(1+3) + 2*2); a.Load() != n || b.Load() != n {
		t.Errorf("%d and %d requests, expected %d", a.Load(), b.Load(), n)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 1+4+2 {
		t.Fatalf("%s", out.String())
	}
	if f := strings.Fields(lines[3]); f[0] != "3" || f[1] != "one" || f[8] != "120" || f[9] != "18" || f[10] != "?" {
		t.Errorf("%s", lines[3])
	}
	if last := lines[6]; !strings.Contains(last, "two: a conversation of 23 tokens") || !strings.Contains(last, "3 new tokens of prompt; 5 were cached") {
		t.Errorf("%s", last)
	}
}

// TestErrors: what is wrong is said, and what servers say against it.
func TestErrors(t *testing.T) {
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no such path", http.StatusNotFound) }))
	defer refusing.Close()
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer silent.Close()
	for says, args := range map[string][]string{
		"no server":                {},
		"expected NAME=URL":        {"http://127.0.0.1:1"},
		"the process":              {"a=http://127.0.0.1:1#x"},
		"-clients: found \"0\"":    {"-clients", "0", "a=http://127.0.0.1:1"},
		"-shared":                  {"-shared", "600", "a=http://127.0.0.1:1"},
		"a, 2 clients: status 404": {"-clients", "2", "a=" + refusing.URL},
		"no usage":                 {"-clients", "2", "a=" + silent.URL},
	} {
		if err := run(t.Context(), args, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v: error %v, expected %q", args, err, says)
		}
	}
}

func TestPercentile(t *testing.T) {
	d := []time.Duration{1, 2, 3, 4}
	if a, b, c := percentile(d, 50), percentile(d, 99), percentile(d[:1], 50); a != 2 || b != 4 || c != 1 || percentile(nil, 50) != 0 {
		t.Error(a, b, c)
	}
	if s := field("Name:\tx\nVmRSS:\t  1000000 kB\n", "VmRSS:"); s != "1024 MB" {
		t.Error(s)
	}
}
