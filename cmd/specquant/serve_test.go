package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/specquant/specquant/internal/serve"
)

// TestServeFlags: a flag that makes no sense is named before anything is opened.
func TestServeFlags(t *testing.T) {
	good := serveCmd{Host: defaultHost, Port: defaultPort, Slots: 1, Connections: 1, Timeout: time.Second, Drain: time.Second}
	if err := good.check(); err != nil {
		t.Fatal(err)
	}
	for says, change := range map[string]func(*serveCmd){
		"--port":         func(c *serveCmd) { c.Port = 65536 },
		"--ctx":          func(c *serveCmd) { c.Ctx = -1 },
		"--threads":      func(c *serveCmd) { c.Threads = -1 },
		"--kv-bits":      func(c *serveCmd) { c.KVBits = 5 },
		"--slots":        func(c *serveCmd) { c.Slots = 0 },
		"--queue":        func(c *serveCmd) { c.Queue = -1 },
		"--drain":        func(c *serveCmd) { c.Drain = 0 },
		"--api-key-file": func(c *serveCmd) { c.APIKeyFile = new(string) },
		"--keep-alive":   func(c *serveCmd) { c.KeepAlive = -1 },
		"--tls-key":      func(c *serveCmd) { c.TLSCert = "cert.pem" },
		"one of them":    func(c *serveCmd) { c.TLSKey = "key.pem" },
		"Unix socket":    func(c *serveCmd) { c.TLSCert, c.TLSKey, c.Socket = "cert.pem", "key.pem", "s" },
		"--connections":  func(c *serveCmd) { c.Connections = 0 },
		"--name":         func(c *serveCmd) { c.Name = "a\nb" },
		"--allow-host":   func(c *serveCmd) { c.AllowHost = []string{"box", "a b"} },
		"--draft":        func(c *serveCmd) { c.Draft, c.NoSpeculation = "small", true },
		"--host and":     func(c *serveCmd) { c.Socket, c.Port = "s", 1234 },
	} {
		c := good
		change(&c)
		if err := c.check(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: error %v", says, err)
		}
	}
}

// TestServeNames: what clients call the models of a command line.
func TestServeNames(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("HF_HOME", filepath.Join(dir, "hf"))
	for _, name := range []string{"a", "b=c"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	a, bc := filepath.Join(dir, "a"), filepath.Join(dir, "b=c")
	for _, c := range []struct {
		name string
		args []string
		want []serve.Source
	}{
		{"", []string{a}, []serve.Source{{Name: "a", Path: a}}},
		{"", []string{a + "/"}, []serve.Source{{Name: "a", Path: a + "/"}}},
		{"first", []string{a, bc}, []serve.Source{{Name: "first", Path: a}, {Name: "b=c", Path: bc}}},
		{"", []string{"x=" + a, "org/y=" + bc}, []serve.Source{{Name: "x", Path: a}, {Name: "org/y", Path: bc}}},
	} {
		got, err := (&serveCmd{Models: c.args, Name: c.name}).sources(&env{err: io.Discard})
		if err != nil || len(got) != len(c.want) {
			t.Fatalf("%v: %v, error %v", c.args, got, err)
		}
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("%v: %+v, expected %+v", c.args, got[i], c.want[i])
			}
		}
	}
	if got, err := (&serveCmd{Models: []string{a, bc}, Draft: bc}).sources(&env{err: io.Discard}); err != nil || got[0].Draft != bc || got[1].Draft != "" {
		t.Errorf("a draft model: %+v, error %v", got, err)
	}
	if _, err := (&serveCmd{Models: []string{a}, Draft: "org/none"}).sources(&env{err: io.Discard}); err == nil || !strings.Contains(err.Error(), "--draft: ") {
		t.Errorf("a draft model that is not there: error %v", err)
	}
	if _, err := (&serveCmd{Models: []string{a, "org/none"}}).sources(&env{err: io.Discard}); err == nil || !strings.Contains(err.Error(), "org/none") {
		t.Errorf("a model that is not there: error %v", err)
	}
}
