package serve

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/specquant/specquant/internal/serve/scheduler"
	"github.com/specquant/specquant/internal/testmodel"
)

const template = `{% for m in messages %}<s>{{ m.role }}: {{ m.content }}</s>{% endfor %}{% if add_generation_prompt %}<s>assistant: {% endif %}`

// modelDir is a random model with a chat template, of the byte-level test tokenizer.
func modelDir(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "model")
	if err := testmodel.Write(dir, testmodel.Options{Context: 1024, Seed: 3}); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"chat_template.jinja": template, "tokenizer_config.json": `{"bos_token": "<s>", "eos_token": "</s>"}`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// syncBuffer may be written to by many goroutines.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}
func (s *syncBuffer) String() string { s.mu.Lock(); defer s.mu.Unlock(); return s.b.String() }

// server is a served test model and the log.
func server(t *testing.T, o Options) (s *Server, url string, log *syncBuffer) {
	t.Helper()
	return serverOf(t, []Source{{Name: "test", Path: modelDir(t)}}, o)
}

// serverOf serves models.
func serverOf(t *testing.T, models []Source, o Options) (s *Server, url string, log *syncBuffer) {
	t.Helper()
	log = &syncBuffer{}
	o.Threads = 2
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(log, nil))
	}
	s, err := Open(models, o)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l, nil) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		s.Close()
	})
	return s, "http://" + l.Addr().String(), log
}

// call sends a request and gives its status, headers and body.
func call(t *testing.T, method, url, body string, headers ...string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		} else {
			req.Header.Set(headers[i], headers[i+1])
		}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(data)
}

// TestRefusals: what is wrong, too much or not supported is refused with the name of the
// field, and nothing is generated for it.
func TestRefusals(t *testing.T) {
	s, url, _ := server(t, Options{})
	const hi = `"messages":[{"role":"user","content":"hi"}]`
	many := strings.Repeat("a", 1025)
	for _, c := range []struct {
		path, body string
		status     int
		says       string
	}{
		{"chat/completions", `{`, 400, "body: found the end after 1 byte,"},
		{"chat/completions", `{"n":tru}`, 400, "line 1, column 9"},
		{"chat/completions", `[]`, 400, "body: found a list, expected an object"},
		{"chat/completions", `{` + hi + `} {}`, 400, "more text after"},
		{"chat/completions", `{"messages":[]}`, 400, "messages"},
		{"chat/completions", `{` + hi + `,"frobnicate":1}`, 400, "frobnicate: this server knows no field"},
		{"chat/completions", `{` + hi + `,"model":"gpt-4"}`, 404, "gpt-4"},
		{"chat/completions", `{` + hi + `,"model":"../../etc/passwd"}`, 404, "model"},
		{"chat/completions", `{` + hi + `,"n":9}`, 400, `n: found 9`},
		{"chat/completions", `{` + hi + `,"n":-1}`, 400, `n: found -1`},
		{"chat/completions", `{` + hi + `,"n":1e30}`, 400, `"n: found 1e30, expected a whole number","type":"invalid_request_error","param":"n"`},
		{"chat/completions", `{` + hi + `,"max_tokens":0}`, 400, "max_tokens"},
		{"chat/completions", `{` + hi + `,"max_tokens":-5}`, 400, "max_tokens"},
		{"chat/completions", `{` + hi + `,"temperature":-0.1}`, 400, "temperature"},
		{"chat/completions", `{` + hi + `,"temperature":1e308}`, 400, "temperature"},
		{"chat/completions", `{` + hi + `,"top_p":1.1}`, 400, "top_p"},
		{"chat/completions", `{` + hi + `,"logit_bias":{"999999":1}}`, 400, "logit_bias"},
		{"chat/completions", `{` + hi + `,"logit_bias":{"1":1e9}}`, 400, "logit_bias"},
		{"chat/completions", `{` + hi + `,"top_logprobs":1}`, 400, "top_logprobs"},
		{"chat/completions", `{` + hi + `,"logprobs":true,"top_logprobs":21}`, 400, "top_logprobs"},
		{"chat/completions", `{` + hi + `,"stop":["` + many + `"]}`, 400, "stop"},
		{"chat/completions", `{` + hi + `,"stop":[""]}`, 400, "stop"},
		{"chat/completions", `{` + hi + `,"stop":7}`, 400, "stop"},
		{"chat/completions", `{` + hi + `,"stop":["a"` + strings.Repeat(`,"a"`, 16) + `]}`, 400, "stop"},
		{"chat/completions", `{` + hi + `,"stream_options":{"include_usage":true}}`, 400, "stream_options"},
		{"chat/completions", `{` + hi + `,"tools":[{"type":"function","function":{"name":"f g"}}]}`, 400, "tools"},
		{"chat/completions", `{` + hi + `,"tools":[{"type":"web_search"}]}`, 400, "tools"},
		{"chat/completions", `{` + hi + `,"tools":[{"type":"function","function":{"name":"f"}},{"type":"function","function":{"name":"f"}}]}`, 400, "tools"},
		{"chat/completions", `{` + hi + `,"tools":[` + strings.Repeat(`{"type":"function","function":{"name":"f"}},`, 128) + `{}]}`, 400, "at most 128"},
		{"chat/completions", `{` + hi + `,"tools":[{"type":"function","function":{"name":"f","parameters":{"properties":{"x":{"type":"int"}}}}}],"tool_choice":"required"}`, 400, "f#/properties/x/type"},
		{"chat/completions", `{` + hi + `,"tool_choice":"required"}`, 400, "tool_choice"},
		{"chat/completions", `{` + hi + `,"tool_choice":{"type":"function","function":{"name":"g"}}}`, 400, "tool_choice"},
		{"chat/completions", `{` + hi + `,"response_format":{"type":"xml"}}`, 400, "response_format"},
		{"chat/completions", `{` + hi + `,"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"properties":{"a":{"$ref":"#/nowhere"}}}}}}`, 400, "#/properties/a/$ref"},
		{"chat/completions", `{` + hi + `,"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"items":` + strings.Repeat(`{"items":`, 150) + `{}` + strings.Repeat(`}`, 150) + `}}}}`, 400, "nested more than 128"},
		{"chat/completions", `{` + hi + `,"structured_outputs":{"regex":"a("}}`, 400, "structured_outputs"},
		{"chat/completions", `{` + hi + `,"structured_outputs":{"regex":"(a|b)*a(a|b){20}"}}`, 400, "8192 states"},
		{"completions", `{"prompt":"a","structured_outputs":{}}`, 400, "expected one"},
		{"chat/completions", `{` + hi + `,"response_format":{"type":"json_schema","json_schema":{}}}`, 400, "response_format"},
		{"chat/completions", `{` + hi + `,"reasoning_effort":"low"}`, 400, "does not support reasoning"},
		{"chat/completions", `{` + hi + `,"reasoning_effort":"some"}`, 400, "reasoning_effort: found"},
		{"chat/completions", `{` + hi + `,"reasoning_effort":7}`, 400, "reasoning_effort: found"},
		{"chat/completions", `{"messages":[{"role":"wizard","content":"hi"}]}`, 400, "wizard"},
		{"chat/completions", `{"messages":[{"role":"user"}]}`, 400, "content"},
		{"chat/completions", `{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]}]}`, 400, "image_url"},
		{"chat/completions", `{"messages":[{"role":"user","content":"` + strings.Repeat("long ", 300) + `"}]}`, 400, "context_length_exceeded"},
		{"chat/completions", `{"messages":[{"role":"user","content":"` + strings.Repeat("x", 2<<20) + `"}]}`, 413, "body"},
		{"completions", `{"prompt":"a","echo":true}`, 400, "echo"},
		{"completions", `{"prompt":"a","logprobs":21}`, 400, "logprobs"},
		{"completions", `{"prompt":[]}`, 400, "prompt"},
		{"completions", `{"prompt":[-1]}`, 400, "prompt"},
		{"completions", `{"prompt":null}`, 400, "prompt"},
		{"completions", `{"prompt":["a","b","c","d","e"],"n":2}`, 400, "prompt"},
		{"nothing", `{}`, 404, "no such path"},
	} {
		status, _, body := call(t, "POST", url+"/v1/"+c.path, c.body)
		var e struct {
			Error struct{ Message, Type string }
		}
		if status != c.status || !strings.Contains(body, c.says) || json.Unmarshal([]byte(body), &e) != nil || e.Error.Message == "" || e.Error.Type == "" {
			t.Errorf("%.80s: status %d, %s; expected %d and %q", c.body, status, body, c.status, c.says)
		}
	}
	if n := s.stats().Generated; n != 0 {
		t.Errorf("%d tokens were generated for refused requests", n)
	}
}

// TestHosts: only names of the server's own are answered to (DNS rebinding).
func TestHosts(t *testing.T) {
	_, url, _ := server(t, Options{Hosts: []string{"models.example"}})
	for host, want := range map[string]int{"localhost": 200, "LOCALHOST:8080": 200, "127.0.0.1:80": 200, "[::1]:8080": 200, "models.example:9": 200, "192.0.2.7": 200,
		"evil.example": 403, "localhost.evil.example": 403, "127.0.0.1.evil.example": 403, "evil.example:8080": 403} {
		for _, path := range []string{"/health", "/", "/v1/models", "/metrics"} {
			if status, _, body := call(t, "GET", url+path, "", "Host", host); status != want {
				t.Errorf("host %s, %s: %d %.100s, expected %d", host, path, status, body, want)
			}
		}
	}
}

// TestOrigins: pages of other origins may neither read nor ask, unless they are named.
func TestOrigins(t *testing.T) {
	_, url, _ := server(t, Options{Origins: []string{"https://ok.example"}})
	const body = `{"prompt":"a","max_tokens":1}`
	for _, c := range []struct {
		method, origin, site string
		status               int
		allowed              string
	}{
		{"POST", "https://ok.example", "cross-site", 200, "https://ok.example"},
		{"POST", "https://evil.example", "cross-site", 403, ""},
		{"POST", "https://evil.example", "", 403, ""},
		{"POST", "null", "cross-site", 403, ""},
		{"POST", url, "same-origin", 200, ""},
		{"POST", "", "", 200, ""}, // curl
		{"OPTIONS", "https://ok.example", "cross-site", 204, "https://ok.example"},
		{"OPTIONS", "https://ok.example.evil.example", "cross-site", 405, ""},
	} {
		var h []string
		if c.origin != "" {
			h = append(h, "Origin", c.origin)
		}
		if c.site != "" {
			h = append(h, "Sec-Fetch-Site", c.site)
		}
		status, header, text := call(t, c.method, url+"/v1/completions", body, append(h, "Content-Type", "text/plain")...)
		if status != c.status && !(c.status == 405 && status >= 400) || header.Get("Access-Control-Allow-Origin") != c.allowed || header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%+v: status %d, headers %v, %.100s", c, status, header, text)
		}
	}
	// A client in a browser asks before whether it may send its own headers, such as those of OpenAI's.
	const own = "authorization,content-type,x-stainless-os,x-stainless-retry-count"
	for origin, want := range map[string]string{"https://ok.example": own, "https://evil.example": ""} {
		_, header, _ := call(t, "OPTIONS", url+"/v1/chat/completions", "", "Origin", origin, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", own)
		if got := header.Get("Access-Control-Allow-Headers"); got != want {
			t.Errorf("%s may send %q, expected %q", origin, got, want)
		}
	}
	for _, bad := range []string{"*", "null", "ok.example", "https://ok.example/", "https://ok.example/path", "file://"} {
		if err := (Options{Origins: []string{bad}}).Check(); err == nil {
			t.Errorf("origin %q is taken", bad)
		}
	}
}

// TestKeys: every path but /health wants a key.
func TestKeys(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys")
	write := func(text string, mode os.FileMode) {
		t.Helper()
		os.Remove(file)
		if err := os.WriteFile(file, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	for text, says := range map[string]string{"": "no key", "# none\n\n": "no key", "short": "16", "with a blank in the key": "white space"} {
		write(text, 0o600)
		if _, err := readKeys(file); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("keys %q: error %v", text, err)
		}
	}
	write("0123456789abcdef\n", 0o644)
	if _, err := readKeys(file); err == nil || !strings.Contains(err.Error(), "chmod") {
		t.Errorf("a file that all can read: error %v", err)
	}
	write("# two\nfirst-key-0123456789\nsecond-key-0123456789\n", 0o600)
	_, url, log := server(t, Options{KeyFile: file})
	for _, c := range [][2]string{{"GET", "/"}, {"GET", "/metrics"}, {"GET", "/v1/models"}, {"GET", "/v1/models/test"}, {"POST", "/v1/chat/completions"}, {"POST", "/v1/completions"},
		{"POST", "/tokenize"}, {"POST", "/detokenize"}, {"GET", "/nothing"}, {"OPTIONS", "/v1/models"}, {"GET", "//health"}, {"GET", "/health/"}, {"GET", "/health/../v1/models"}} {
		for _, key := range []string{"", "Bearer ", "Bearer wrong", "Bearer first-key-012345678", "first-key-0123456789", "Basic Zm9vOmJhcg=="} {
			h := []string{}
			if key != "" {
				h = []string{"Authorization", key}
			}
			if status, _, body := call(t, c[0], url+c[1], "{}", h...); status != 401 {
				t.Errorf("%s %s with %q: status %d %.80s", c[0], c[1], key, status, body)
			}
		}
		for _, scheme := range []string{"Bearer", "bearer"} {
			if status, _, _ := call(t, c[0], url+c[1], "{}", "Authorization", scheme+" second-key-0123456789"); status == 401 {
				t.Errorf("%s %s with a key, %s: refused", c[0], c[1], scheme)
			}
		}
	}
	if status, _, _ := call(t, "GET", url+"/health", ""); status != 200 {
		t.Errorf("/health: %d", status)
	}
	if status, _, _ := call(t, "GET", url+"/", "", "Authorization", "Basic dXNlcjpmaXJzdC1rZXktMDEyMzQ1Njc4OQ=="); status != 200 {
		t.Errorf("a browser with the key as password: %d", status)
	}
	if strings.Contains(log.String(), "key-0123456789") {
		t.Error("a key is in the log")
	}
}

// TestLogHasNoText: neither prompts nor answers nor paths as sent are logged.
func TestLogHasNoText(t *testing.T) {
	_, url, log := server(t, Options{})
	call(t, "POST", url+"/v1/chat/completions", `{"messages":[{"role":"user","content":"SECRETWORD"}],"max_tokens":3}`)
	call(t, "POST", url+"/v1/chat/completions", `{"messages":[{"role":"user","content":"SECRETWORD"}],"SECRETWORD":3}`)
	call(t, "GET", url+"/v1/models/SECRETWORD?q=SECRETWORD", "")
	if text := log.String(); strings.Contains(text, "SECRETWORD") || strings.Count(text, "msg=request") != 3 {
		t.Error(text)
	}
}

// TestSlowClients: one that sends too slowly and one that does not read are cut off, and
// the second's slot is free again; a request that takes longer than the time to send it
// in is not.
func TestSlowClients(t *testing.T) {
	s, url, _ := server(t, Options{ReadTime: 300 * time.Millisecond, WriteTime: 300 * time.Millisecond, Scheduler: scheduler.Options{Slots: 1}})
	addr := strings.TrimPrefix(url, "http://")
	for name, text := range map[string]string{
		"headers": "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n",
		"body":    "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{",
	} {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, text)
		c.SetReadDeadline(time.Now().Add(20 * time.Second))
		if _, err := io.Copy(io.Discard, c); err != nil {
			t.Errorf("slow %s: the connection is still open: %v", name, err)
		}
		c.Close()
	}
	status, _, body := call(t, "POST", url+"/v1/completions", `{"prompt":"a","max_tokens":900,"logit_bias":{"258":-100},"stream":true}`)
	if status != 200 || !strings.HasSuffix(body, "data: [DONE]\n\n") {
		t.Errorf("a long answer: status %d, ends with %q", status, body[max(0, len(body)-80):])
	}
	// A handler whose client does not read ends with the write's error.
	ended := make(chan error, 1)
	g := &guard{write: 300 * time.Millisecond, cross: http.NewCrossOriginProtection(), log: slog.New(slog.DiscardHandler), observe: func(string, int, time.Duration) {},
		next: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					ended <- err
					return
				}
			}
		})}
	other := httptest.NewServer(g)
	defer other.Close()
	c, err := net.Dial("tcp", strings.TrimPrefix(other.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	select {
	case err := <-ended:
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Error("a client that does not read is still written to")
	}
	if st := s.stats(); st.Waiting != 0 {
		t.Errorf("%+v", st)
	}
}

// TestPanicsAreContained: a handler's panic is an error for its client and nothing else.
func TestPanicsAreContained(t *testing.T) {
	log := &syncBuffer{}
	g := &guard{write: time.Second, cross: http.NewCrossOriginProtection(), log: slog.New(slog.NewTextHandler(log, nil)), observe: func(string, int, time.Duration) {},
		next: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/half" {
				w.Write([]byte("half"))
				http.NewResponseController(w).Flush()
			}
			panic("of a handler")
		})}
	other := httptest.NewServer(g)
	defer other.Close()
	if status, _, body := call(t, "GET", other.URL, ""); status != 500 || !strings.Contains(body, "internal error") || strings.Contains(body, "of a handler") {
		t.Errorf("status %d, %s", status, body)
	}
	resp, err := http.Get(other.URL + "/half")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(resp.Body); err == nil {
		t.Error("half an answer looks like a whole one")
	}
	resp.Body.Close()
	if !strings.Contains(log.String(), "of a handler") {
		t.Error("the panic is not in the log")
	}
}

// streaming begins a long answer and returns when its first piece has come.
func streaming(t *testing.T, url string) (*http.Response, *bufio.Reader) {
	t.Helper()
	req, _ := http.NewRequestWithContext(t.Context(), "POST", url+"/v1/completions", strings.NewReader(`{"prompt":"a","max_tokens":900,"seed":1,"logit_bias":{"258":-100},"stream":true}`))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(resp.Body)
	if _, err := r.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	return resp, r
}

// TestDrain: told to end, the server finishes what is under way and takes nothing new; in
// a hurry it cuts off.
func TestDrain(t *testing.T) {
	for _, cut := range []bool{false, true} {
		s, err := Open([]Source{{Name: "test", Path: modelDir(t)}}, Options{Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ctx, end := context.WithCancel(t.Context())
		hurry, done := make(chan struct{}), make(chan error, 1)
		go func() { done <- s.Serve(ctx, l, hurry) }()
		url := "http://" + l.Addr().String()
		resp, r := streaming(t, url)
		end()
		if cut {
			close(hurry)
		}
		rest, _ := io.ReadAll(r)
		resp.Body.Close()
		if whole := strings.HasSuffix(string(rest), "data: [DONE]\n\n"); whole == cut {
			t.Errorf("cut off %v: the stream ends with %q", cut, rest[max(0, len(rest)-100):])
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		if _, err := net.Dial("tcp", l.Addr().String()); err == nil {
			t.Error("new connections are taken")
		}
		s.Close()
	}
}

// TestBusy: a full queue is status 429 with Retry-After.
func TestBusy(t *testing.T) {
	_, url, _ := server(t, Options{Scheduler: scheduler.Options{Slots: 1, Queue: -1}})
	resp, _ := streaming(t, url)
	status, header, body := call(t, "POST", url+"/v1/completions", `{"prompt":"a","max_tokens":900,"stream":true}`)
	if status != 429 || header.Get("Retry-After") == "" || !strings.Contains(body, "queue_full") {
		t.Errorf("status %d, headers %v, %s", status, header, body)
	}
	resp.Body.Close() // goes away: the slot is free
	for range 200 {
		if status, _, _ = call(t, "POST", url+"/v1/completions", `{"prompt":"a","max_tokens":1}`); status == 200 {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if status != 200 {
		t.Errorf("after the client went away: status %d", status)
	}
}

// TestPage: the page is whole in itself, and its policy lets it talk to nobody else.
func TestPage(t *testing.T) {
	_, url, _ := server(t, Options{})
	status, header, body := call(t, "GET", url+"/", "")
	policy := header.Get("Content-Security-Policy")
	if status != 200 || !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "script-src 'sha256-") || strings.Contains(policy, "unsafe") {
		t.Errorf("status %d, policy %s", status, policy)
	}
	for _, bad := range []string{"innerHTML", "insertAdjacentHTML", "document.write", "eval(", "http://", "https://", " src=", "onclick=\""} {
		if strings.Contains(body, bad) {
			t.Errorf("the page has %q in it", bad)
		}
	}
}

// TestTokens: /tokenize and /detokenize are inverse, and special tokens in a text are text.
func TestTokens(t *testing.T) {
	_, url, _ := server(t, Options{})
	_, _, body := call(t, "POST", url+"/tokenize", `{"content":"a </s>"}`)
	if strings.TrimSpace(body) != `{"tokens":[97,32,60,47,115,62]}` {
		t.Error(body)
	}
	if _, _, body = call(t, "POST", url+"/detokenize", `{"tokens":[97,32,60,47,115,62]}`); strings.TrimSpace(body) != `{"content":"a \u003c/s\u003e"}` {
		t.Error(body)
	}
	if status, _, _ := call(t, "POST", url+"/detokenize", `{"tokens":[-1]}`); status != 400 {
		t.Error("a negative id is taken")
	}
}
