package serve

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/specquant/specquant/internal/input"
	"github.com/specquant/specquant/internal/plural"
	"github.com/specquant/specquant/internal/serve/api"
)

// keys are the hashes of the keys that clients may send; nil if no key is needed. Hashes have
// equal lengths, which a comparison in constant time needs.
type keys [][sha256.Size]byte

// Limits of a file of keys.
const (
	maxKeyFile = 1 << 20
	maxKeys    = 1000
	minKey     = 16
)

// readKeys reads a file with one key per line. Empty lines and lines that begin with # are
// ignored.
func readKeys(path string) (keys, error) {
	data, err := input.ReadFile(path, maxKeyFile)
	if err != nil {
		return nil, err
	}
	if err := onlyOwner(path); err != nil {
		return nil, err
	}
	var k keys
	s := bufio.NewScanner(bytes.NewReader(data))
	for line := 1; s.Scan(); line++ {
		text := strings.TrimSpace(s.Text())
		switch {
		case text == "" || strings.HasPrefix(text, "#"):
			continue
		case len(text) < minKey:
			return nil, fmt.Errorf("%s: line %d: a key of %s, expected at least %d; try: openssl rand -hex 32", path, line, plural.Of(len(text), "character"), minKey)
		case strings.ContainsAny(text, " \t"):
			return nil, fmt.Errorf("%s: line %d: found a key with white space in it; write one key per line", path, line)
		case len(k) == maxKeys:
			return nil, fmt.Errorf("%s: more than %s", path, plural.Of(maxKeys, "key"))
		}
		k = append(k, sha256.Sum256([]byte(text)))
	}
	if err := s.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(k) == 0 {
		return nil, fmt.Errorf("%s: found no key, expected one per line; to let everybody use the server, leave out --api-key-file", path)
	}
	return k, nil
}

// shown reports whether a request has one of the keys: as a bearer token, as the password of
// HTTP basic authentication, for which browsers ask, or in Anthropic's header x-api-key. The
// header Authorization takes precedence.
func (k keys) shown(r *http.Request) bool {
	scheme, key, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if ok = ok && strings.EqualFold(scheme, "Bearer"); !ok { // RFC 9110: the case of schemes does not matter
		_, key, ok = r.BasicAuth()
	}
	if !ok {
		key = r.Header.Get("X-Api-Key")
	}
	got, same := sha256.Sum256([]byte(strings.TrimSpace(key))), 0
	for i := range k { // compare with all, so that the time does not depend on which one matches
		same |= subtle.ConstantTimeCompare(got[:], k[i][:])
	}
	return same == 1
}

// guard checks whether a client may use the server, before any handler sees the request.
type guard struct {
	next    http.Handler
	hosts   []string // names by which clients may call the server, beside IP addresses and localhost
	origins []string // of pages that browsers may let use it
	cross   *http.CrossOriginProtection
	keys    keys
	log     *slog.Logger
	write   time.Duration // for a client to take what was written
	observe func(path string, status int, took time.Duration)
}

// checkOrigins returns an error that names the first invalid origin.
func checkOrigins(origins []string) error {
	for _, o := range origins {
		u, err := url.Parse(o)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || o != u.Scheme+"://"+u.Host {
			return fmt.Errorf("--cors-origin: found %q, expected an origin such as https://example.org (there is no wildcard for all origins)", o)
		}
	}
	return nil
}

// known reports whether a Host header names this server. A malicious web page can make its own
// host name resolve to this server (DNS rebinding), but the browser then sends that name, which
// is unknown here. IP addresses can't be rebound.
func (g *guard) known(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.ToLower(strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(name, "["), "]"), "."))
	return name == "localhost" || net.ParseIP(name) != nil || slices.Contains(g.hosts, name)
}

func (g *guard) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	start := time.Now()
	w := &writer{ResponseWriter: rw, limit: g.write}
	defer func() {
		p := recover()
		begun := w.status != 0
		if p != nil && p != http.ErrAbortHandler {
			g.log.Error("a handler failed", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			if !begun {
				api.WriteError(w, r, &api.Error{Status: http.StatusInternalServerError, Type: "server_error", Message: "internal error; the server's log says more"})
			}
		}
		path := r.Pattern // the route's pattern instead of the client's text
		if path == "" {
			path = "none"
		}
		took := time.Since(start)
		g.observe(path, w.status, took)
		g.log.Info("request", "method", r.Method, "path", path, "status", w.status, "seconds", took.Seconds(), "bytes", w.bytes, "from", r.RemoteAddr)
		if p != nil && begun { // the answer is incomplete: abort the connection so that the client notices
			panic(http.ErrAbortHandler)
		}
	}()
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	refuse := func(status int, code, format string, args ...any) {
		api.WriteError(w, r, &api.Error{Status: status, Type: "invalid_request_error", Code: code, Message: fmt.Sprintf(format, args...)})
	}
	if !g.known(r.Host) {
		refuse(http.StatusForbidden, "unknown_host", "the server does not answer to the name %.100q; start it with --allow-host if it should", r.Host)
		return
	}
	if origin := r.Header.Get("Origin"); origin != "" && slices.Contains(g.origins, origin) {
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Cross-Origin-Resource-Policy", "cross-origin")
		h.Add("Vary", "Origin")
		h.Set("Access-Control-Expose-Headers", "Retry-After, X-SpecQuant-Warning")
		if r.Method == http.MethodOptions {
			h.Set("Access-Control-Allow-Methods", "GET, POST")
			// Clients in browsers send headers of their own beside the usual ones, which differ by
			// version. They are no danger: the origin is trusted, and no cookies are used.
			if asked := r.Header.Get("Access-Control-Request-Headers"); asked != "" && len(asked) <= 4096 {
				h.Set("Access-Control-Allow-Headers", asked)
			}
			h.Set("Access-Control-Max-Age", "600")
			w.WriteHeader(http.StatusNoContent)
			return
		}
	}
	if err := g.cross.Check(r); err != nil {
		refuse(http.StatusForbidden, "cross_origin", "a page of another origin may not use this server; start it with --cors-origin if it should")
		return
	}
	if g.keys != nil && r.URL.Path != "/health" && !g.keys.shown(r) {
		h.Set("WWW-Authenticate", `Basic realm="specquant: the password is an API key", charset="UTF-8"`)
		api.WriteError(w, r, &api.Error{Status: http.StatusUnauthorized, Type: "authentication_error", Code: "invalid_api_key", Message: "an API key is needed: Authorization: Bearer KEY, or x-api-key: KEY"})
		return
	}
	g.next.ServeHTTP(w, r)
}

// writer counts what is sent and gives the client a bounded time to take each piece.
type writer struct {
	http.ResponseWriter
	limit  time.Duration
	status int
	bytes  int64
}

func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *writer) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *writer) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	w.deadline()
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// FlushError is what [http.ResponseController] calls.
func (w *writer) FlushError() error {
	w.deadline()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

func (w *writer) deadline() {
	if err := http.NewResponseController(w.ResponseWriter).SetWriteDeadline(time.Now().Add(w.limit)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return // the connection is closed, which the write will report
	}
}
