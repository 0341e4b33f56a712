// Package page is the page to chat on: one HTML file, embedded, from which no request
// goes anywhere but to the server that it came from.
package page

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
)

//go:embed index.html
var html string

// policy lets the page run its own script and style and nothing else, and talk to its
// own server and nobody else, whatever a model writes.
func policy() string {
	hash := func(tag string) string {
		_, rest, ok1 := strings.Cut(html, "<"+tag+">")
		text, _, ok2 := strings.Cut(rest, "</"+tag+">")
		if !ok1 || !ok2 || strings.Contains(rest[len(text)+1:], "<"+tag) {
			panic("page: index.html must have one <" + tag + ">")
		}
		sum := sha256.Sum256([]byte(text))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	return fmt.Sprintf("default-src 'none'; script-src %s; style-src %s; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'", hash("script"), hash("style"))
}

// Register adds the page's route.
func Register(mux *http.ServeMux) {
	p := policy()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", p)
		h.Set("X-Frame-Options", "DENY")
		h.Set("Cache-Control", "no-cache")
		w.Write([]byte(html))
	})
}
