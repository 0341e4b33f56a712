package hub

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeHub answers as huggingface.co does, and worse where a test asks for it.
type fakeHub struct {
	t      *testing.T
	server *httptest.Server
	cdn    *httptest.Server
	files  map[string][]byte
	commit string

	mu       sync.Mutex
	gets     map[string]int   // requests of each file
	bytes    map[string]int64 // sent, by file
	requests []*http.Request
	atCDN    []*http.Request

	list func(w http.ResponseWriter, r *http.Request) bool // true: it has answered
	file func(w http.ResponseWriter, r *http.Request, name string, n int) bool
	lie  func(path string, entry map[string]any)
}

func newHub(t *testing.T, files map[string][]byte) *fakeHub {
	h := &fakeHub{t: t, files: files, commit: strings.Repeat("c0", 20), gets: map[string]int{}, bytes: map[string]int64{}}
	h.cdn = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		h.atCDN = append(h.atCDN, r)
		h.mu.Unlock()
		h.content(w, r, strings.TrimPrefix(r.URL.Path, "/cdn/"))
	}))
	h.server = httptest.NewServer(http.HandlerFunc(h.serve))
	t.Cleanup(func() {
		h.server.CloseClientConnections()
		h.server.Close()
		h.cdn.CloseClientConnections()
		h.cdn.Close()
	})
	return h
}

func isLarge(data []byte) bool { return len(data) > 10_000 }

func hashOf(data []byte) string {
	if isLarge(data) {
		return fmt.Sprintf("%x", sha256.Sum256(data))
	}
	return fmt.Sprintf("%x", sha1.Sum(append(fmt.Appendf(nil, "blob %d\x00", len(data)), data...)))
}

func (h *fakeHub) serve(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	h.requests = append(h.requests, r)
	h.mu.Unlock()
	if strings.HasPrefix(r.URL.Path, "/api/models/") {
		if h.list != nil && h.list(w, r) {
			return
		}
		var siblings []map[string]any
		for name, data := range h.files {
			e := map[string]any{"rfilename": name, "size": len(data), "blobId": strings.Repeat("ab", 20)}
			if isLarge(data) {
				e["lfs"] = map[string]any{"sha256": hashOf(data), "size": len(data), "pointerSize": 130}
			} else {
				e["blobId"] = hashOf(data)
			}
			if h.lie != nil {
				h.lie(name, e)
			}
			siblings = append(siblings, e)
		}
		json.NewEncoder(w).Encode(map[string]any{"sha": h.commit, "siblings": siblings})
		return
	}
	_, name, ok := strings.Cut(r.URL.Path, "/resolve/"+h.commit+"/")
	data, there := h.files[name]
	if !ok || !there {
		w.Header().Set("X-Error-Code", "EntryNotFound")
		http.Error(w, "not found", http.StatusNotFound)
		return
	}
	h.mu.Lock()
	h.gets[name]++
	n := h.gets[name]
	h.mu.Unlock()
	if h.file != nil && h.file(w, r, name, n) {
		return
	}
	if isLarge(data) {
		http.Redirect(w, r, h.cdn.URL+"/cdn/"+name+"?signed=1", http.StatusFound)
		return
	}
	h.content(w, r, name)
}

func (h *fakeHub) content(w http.ResponseWriter, r *http.Request, name string) {
	data := h.files[name]
	if w.Header().Get("ETag") == "" {
		w.Header().Set("ETag", `"`+hashOf(data)+`"`)
	}
	http.ServeContent(counting{w, h, name}, r, name, time.Time{}, bytes.NewReader(data))
}

type counting struct {
	http.ResponseWriter
	h    *fakeHub
	name string
}

func (c counting) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.h.mu.Lock()
	c.h.bytes[c.name] += int64(n)
	c.h.mu.Unlock()
	return n, err
}

// sent is how many bytes of all files have been sent.
func (h *fakeHub) sent() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	sum := int64(0)
	for _, n := range h.bytes {
		sum += n
	}
	return sum
}

// sentOf is how many bytes of one file have been sent.
func (h *fakeHub) sentOf(name string) int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.bytes[name]
}

// cutAfter sends the answer's first bytes and drops the connection.
func cutAfter(w http.ResponseWriter, r *http.Request, data []byte, n int) {
	from := 0
	w.Header().Set("ETag", `"`+hashOf(data)+`"`)
	if h := r.Header.Get("Range"); h != "" {
		to := len(data) - 1
		fmt.Sscanf(h, "bytes=%d-%d", &from, &to)
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to, len(data)))
		data = data[:to+1]
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(data)-from))
	if r.Header.Get("Range") != "" {
		w.WriteHeader(http.StatusPartialContent)
	}
	w.Write(data[from:min(from+n, len(data))])
	w.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

func (h *fakeHub) client(t *testing.T) *Client {
	dir := t.TempDir()
	return &Client{Config: Config{Cache: filepath.Join(dir, "hub"), Store: filepath.Join(dir, "specquant"), Endpoint: h.server.URL, Token: "secret"},
		Backoff: time.Millisecond, Stall: 2 * time.Second}
}

func noise(n int, seed uint64) []byte {
	out := make([]byte, n)
	rng := rand.NewChaCha8([32]byte{byte(seed)})
	rng.Read(out)
	return out
}

func modelFiles() map[string][]byte {
	return map[string][]byte{"config.json": []byte(`{"a": 1}`), "tokenizer.json": noise(300_000, 1), "model.safetensors": noise(1_000_000, 2),
		"pytorch_model.bin": noise(20_000, 3), "README.md": []byte("hello"), "onnx/model.onnx": noise(20_000, 4), ".gitattributes": []byte("x")}
}

// whole checks that a snapshot holds the files of the hub.
func (h *fakeHub) whole(t *testing.T, c *Client, p *Pulled, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(p.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != len(names) {
		t.Errorf("the snapshot has %v, expected %v", entries, names)
	}
	for _, n := range names {
		got, err := os.ReadFile(filepath.Join(p.Dir, n))
		if err != nil || !bytes.Equal(got, h.files[n]) {
			t.Errorf("%s: %d bytes, %v", n, len(got), err)
		}
	}
	left, _ := filepath.Glob(filepath.Join(c.Cache, "models--*", "blobs", "*.incomplete*"))
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

var wantedNames = []string{"config.json", "tokenizer.json", "model.safetensors"}

func mustName(t *testing.T, s string) Name {
	t.Helper()
	n, err := ParseName(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func pull(t *testing.T, c *Client, name string) (*Pulled, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	return c.Pull(ctx, mustName(t, name), nil)
}

// TestPull fetches a model, and a second time nothing.
func TestPull(t *testing.T) {
	h := newHub(t, modelFiles())
	c := h.client(t)
	p, err := pull(t, c, "org/model")
	if err != nil {
		t.Fatal(err)
	}
	h.whole(t, c, p, wantedNames...)
	if p.Fetched != p.Bytes || p.Files != 3 || h.gets["pytorch_model.bin"]+h.gets["onnx/model.onnx"]+h.gets["README.md"] != 0 {
		t.Errorf("%+v, requests %v", p, h.gets)
	}
	for _, r := range h.requests {
		if r.Header.Get("Authorization") != "Bearer secret" {
			t.Errorf("%s: no token at the hub itself", r.URL)
		}
	}
	if len(h.atCDN) != 2 {
		t.Errorf("%d requests at the other host", len(h.atCDN))
	}
	for _, r := range h.atCDN {
		if r.Header.Get("Authorization") != "" {
			t.Error("the token has travelled to another host")
		}
	}
	before := h.sent()
	if p, err = pull(t, c, "org/model"); err != nil || p.Fetched != 0 || h.sent() != before {
		t.Errorf("again: %+v, %v, %d bytes", p, err, h.sent()-before)
	}
	if dir, err := c.Resolve("org/model"); err != nil || dir != p.Dir {
		t.Errorf("resolves to %s, %v", dir, err)
	}
	if dir, err := c.Resolve("Model"); err != nil || dir != p.Dir {
		t.Errorf("the short name resolves to %s, %v", dir, err)
	}
	if data, _ := os.ReadFile(filepath.Join(c.Cache, "models--org--model", "refs", "main")); string(data) != h.commit {
		t.Errorf("refs/main is %q", data)
	}
}

// TestInterrupted drops the connection at ten places, each time for as many attempts as a
// pull makes, and takes the pull up again.
func TestInterrupted(t *testing.T) {
	h := newHub(t, modelFiles())
	c := h.client(t)
	c.Tries = 1
	data := h.files["model.safetensors"]
	cut := 0
	h.file = func(w http.ResponseWriter, r *http.Request, name string, n int) bool {
		if name != "model.safetensors" || cut >= 10 {
			return false
		}
		cut++
		cutAfter(w, r, data, 90_000)
		return true
	}
	fails := 0
	for {
		p, err := pull(t, c, "org/model")
		if err == nil {
			h.whole(t, c, p, wantedNames...)
			break
		}
		if fails++; fails > 20 || !strings.Contains(err.Error(), "run the same command again") {
			t.Fatal(err)
		}
		if _, err := c.Resolve("org/model"); err == nil {
			t.Error("half a model has a name")
		}
	}
	if cut != 10 || fails < 1 {
		t.Errorf("cut %d times, failed %d times", cut, fails)
	}
	// What was cut is not counted. Of the other files nothing is claimed: a transfer that is
	// under way when this one fails is cancelled, and may be sent anew.
	if sent := h.sentOf("model.safetensors"); sent != 100_000 {
		t.Errorf("after the interruptions %d bytes of the weights were sent, want the last 100000: it has not gone on but begun again", sent)
	}
}

// TestFaults: what a hub may do wrong, and what comes of it.
func TestFaults(t *testing.T) {
	const weights = "model.safetensors"
	type hub = fakeHub
	for _, c := range []struct {
		name  string
		set   func(h *hub)
		err   string // "": the pull succeeds
		check func(h *hub) string
	}{
		{"dropped often, with progress each time", func(h *hub) {
			h.file = func(w http.ResponseWriter, r *http.Request, name string, n int) bool {
				if name == weights && n <= 30 {
					cutAfter(w, r, h.files[name], 30_000)
				}
				return false
			}
		}, "", nil},
		{"never a byte", func(h *hub) {
			h.file = func(w http.ResponseWriter, r *http.Request, name string, n int) bool {
				if name == weights {
					panic(http.ErrAbortHandler)
				}
				return false
			}
		}, "gave up after 3 attempts", nil},
		{"too long by its own word", func(h *hub) {
			h.file = func(w http.ResponseWriter, r *http.Request, name string, n int) bool {
				if name == weights {
					w.Write(append(h.files[name], 0))
				}
				return name == weights
			}
		}, "the server sends", nil},
		{"too long without a word", func(h *hub) {
			h.file = func(w http.ResponseWriter, r *http.Request, name string, n int) bool {
				if name == weights {
					w.(http.Flusher).Flush()
					w.Write(append(h.files[name], 0))
				}
				return name == weights
			}
		}, "sends more than the 1000000 bytes", nil},
		{"short without a word", func(h *hub) {
			h.file = func(w http.ResponseWriter, r *http.Request, name string, n int) bool {
				if name == weights && n == 1 {
					w.(http.Flusher).Flush()
					w.Write(h.files[name][:1000])
					return true
				}
				return false
			}
		}, "", nil},
		{"other bytes", func(h *hub) {
			h.file = func(w http.ResponseWriter, r *http.Request, name string, n int) bool {
				if name == weights {
					w.Write(noise(1_000_000, 99))
				}
				return name == weights
			}
		}, "has the hash", func(h *hub) string {
			if h.gets[weights] != 2 {
				return fmt.Sprintf("%d attempts, expected 2", h.gets[weights])
			}
			return ""
		}},
		{"other bytes in a small file", func(h *hub) {
			h.file = func(w http.ResponseWriter, r *http.Request, name string, n int) bool {
				if name == "config.json" {
					w.Write([]byte(`{"a": 2}`))
				}
				return name == "config.json"
			}
		}, "config.json: the downloaded file has the hash", nil},
		{"the tag changes in the middle", func(h *hub) {
			h.file = func(w http.ResponseWriter, r *http.Request, name string, n int) bool {
				if name != weights {
					return false
				}
				if n == 1 { // another file at first
					w.Header().Set("ETag", `"old"`)
					w.Header().Set("Content-Length", "1000000")
					w.Write(noise(500_000, 98))
					w.(http.Flusher).Flush()
					panic(http.ErrAbortHandler)
				}
				if n == 2 && r.Header.Get("If-Range") != `"old"` {
					h.t.Errorf("If-Range is %q", r.Header.Get("If-Range"))
				}
				h.content(w, r, name)
				return true
			}
		}, "", nil},
		{"the tag changes and If-Range is not looked at", func(h *hub) {
			h.file = func(w http.ResponseWriter, r *http.Request, name string, n int) bool {
				if name != weights {
					return false
				}
				if n == 1 {
					w.Header().Set("ETag", `"old"`)
					w.Header().Set("Content-Length", "1000000")
					w.Write(noise(500_000, 98))
					w.(http.Flusher).Flush()
					panic(http.ErrAbortHandler)
				}
				r.Header.Del("If-Range")
				h.content(w, r, name)
				return true
			}
		}, "", nil},
		{"no ranges", func(h *hub) {
			h.file = func(w http.ResponseWriter, r *http.Request, name string, n int) bool {
				if name == weights && n == 1 {
					cutAfter(w, r, h.files[name], 500_000)
				}
				r.Header.Del("Range")
				return false
			}
		}, "", nil},
		{"another range than asked for", func(h *hub) {
			h.file = func(w http.ResponseWriter, r *http.Request, name string, n int) bool {
				if name == weights && n == 1 {
					cutAfter(w, r, h.files[name], 500_000)
				}
				if name == weights {
					w.Header().Set("Content-Range", "bytes 0-999999/1000000")
					w.WriteHeader(http.StatusPartialContent)
					return true
				}
				return false
			}
		}, "requested from byte 500000", nil},
		{"429 with Retry-After", func(h *hub) {
			h.file = func(w http.ResponseWriter, r *http.Request, name string, n int) bool {
				if name == weights && n <= 2 {
					w.Header().Set("Retry-After", "1")
					w.WriteHeader(http.StatusTooManyRequests)
					return true
				}
				return false
			}
		}, "", nil},
		{"500 for a while", func(h *hub) {
			n := 0
			h.list = func(w http.ResponseWriter, r *http.Request) bool {
				if n++; n <= 2 {
					w.WriteHeader(http.StatusInternalServerError)
				}
				return n <= 2
			}
		}, "", nil},
		{"a connection that stalls", func(h *hub) {
			h.file = func(w http.ResponseWriter, r *http.Request, name string, n int) bool {
				if name == weights && n == 1 {
					w.Header().Set("Content-Length", "1000000")
					w.Write(h.files[name][:400_000])
					w.(http.Flusher).Flush()
					<-r.Context().Done()
					return true
				}
				return false
			}
		}, "", nil},
		{"round in circles", func(h *hub) {
			h.file = func(w http.ResponseWriter, r *http.Request, name string, n int) bool {
				http.Redirect(w, r, r.URL.String(), http.StatusFound)
				return true
			}
		}, "more than 10 redirections", nil},
		{"gated", func(h *hub) {
			h.file = func(w http.ResponseWriter, r *http.Request, name string, n int) bool {
				w.Header().Set("X-Error-Code", "GatedRepo")
				w.WriteHeader(http.StatusForbidden)
				return true
			}
		}, "accept the conditions at http://127.0.0.1", nil},
		{"no such repository", func(h *hub) {
			h.list = func(w http.ResponseWriter, r *http.Request) bool { w.WriteHeader(http.StatusUnauthorized); return true }
		}, "has no such repository, or it is private", nil},
		{"no such revision", func(h *hub) {
			h.list = func(w http.ResponseWriter, r *http.Request) bool {
				w.Header().Set("X-Error-Code", "RevisionNotFound")
				w.WriteHeader(http.StatusNotFound)
				return true
			}
		}, "has no revision main", nil},
		{"a list that is no JSON", func(h *hub) {
			h.list = func(w http.ResponseWriter, r *http.Request) bool { fmt.Fprint(w, "<html>"); return true }
		}, "list of files is damaged", nil},
		{"a commit that is a path", func(h *hub) { h.commit = "../../etc" }, "as the commit", nil},
		{"a hash that is a path", func(h *hub) {
			h.lie = func(path string, e map[string]any) { e["blobId"] = "../../x"; delete(e, "lfs") }
		}, "no usable size and hash", nil},
		{"no sizes", func(h *hub) {
			h.lie = func(path string, e map[string]any) { delete(e, "size"); delete(e, "lfs") }
		}, "no usable size and hash", nil},
		{"a size beyond all measure", func(h *hub) {
			h.lie = func(path string, e map[string]any) {
				if path == weights {
					e["lfs"].(map[string]any)["size"] = int64(1) << 60
				}
			}
		}, "no usable size and hash", nil},
		{"more than the disk holds", func(h *hub) {
			h.lie = func(path string, e map[string]any) {
				if path == weights {
					e["lfs"].(map[string]any)["size"] = int64(4) << 40
				}
			}
		}, "GB free", nil},
		{"names that are paths", func(h *hub) {
			for _, n := range []string{"../evil.json", "/etc/evil", "a/../../b", "C:\\x", "con", "x\x00y", "a//b"} {
				h.files[n] = []byte("x")
			}
		}, "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := newHub(t, modelFiles())
			c.set(h)
			client := h.client(t)
			client.Tries = 3
			start := time.Now()
			p, err := pull(t, client, "org/model")
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("error %v, expected %q", err, c.err)
				}
				if strings.Contains(fmt.Sprint(err), "secret") {
					t.Errorf("the token is in the error: %v", err)
				}
				if _, err := client.Resolve("org/model"); err == nil {
					t.Error("what failed has a name")
				}
			} else if err != nil {
				t.Error(err)
			} else {
				h.whole(t, client, p, wantedNames...)
			}
			if c.check != nil {
				if msg := c.check(h); msg != "" {
					t.Error(msg)
				}
			}
			if c.name == "429 with Retry-After" && time.Since(start) < 2*time.Second {
				t.Error("Retry-After was not obeyed")
			}
		})
	}
}

// TestTogether pulls the same model by several clients at once: each file is fetched once.
func TestTogether(t *testing.T) {
	h := newHub(t, modelFiles())
	c := h.client(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if _, err := c.Pull(t.Context(), Name{Repo: "org/model"}, nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	for n, k := range h.gets {
		if k != 1 {
			t.Errorf("%s was fetched %d times", n, k)
		}
	}
}

// TestNoLinks copies where the system has no links.
func TestNoLinks(t *testing.T) {
	before := symlink
	symlink = func(_, _ string) error { return errors.New("no links here") }
	defer func() { symlink = before }()
	h := newHub(t, modelFiles())
	c := h.client(t)
	for range 2 {
		p, err := pull(t, c, "org/model")
		if err != nil {
			t.Fatal(err)
		}
		h.whole(t, c, p, wantedNames...)
	}
	if h.gets["config.json"] != 1 {
		t.Errorf("fetched again: %v", h.gets)
	}
}

func TestOffline(t *testing.T) {
	h := newHub(t, modelFiles())
	c := h.client(t)
	c.Offline = true
	if _, err := pull(t, c, "org/model"); err == nil || !strings.Contains(err.Error(), "HF_HUB_OFFLINE") || len(h.requests) > 0 {
		t.Errorf("offline: %v, %d requests", err, len(h.requests))
	}
}
