package main

import (
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"
)

// TestDeployedFlags: the systemd unit and the container file start the server with flags
// that it has.
func TestDeployedFlags(t *testing.T) {
	line := func(file, begin string) string {
		t.Helper()
		data, err := os.ReadFile("../../deploy/" + file)
		if err != nil {
			t.Fatal(err)
		}
		for one := range strings.Lines(string(data)) {
			if rest, ok := strings.CutPrefix(one, begin); ok {
				return strings.TrimSpace(rest)
			}
		}
		t.Fatalf("%s has no line that begins with %s", file, begin)
		return ""
	}
	words := func(text string) (out []string) {
		t.Helper()
		if err := json.Unmarshal([]byte(text), &out); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		return out
	}
	unit := strings.Fields(line("specquant.service", "ExecStart="))
	image := append(words(line("Containerfile", "ENTRYPOINT ")), words(line("Containerfile", "CMD "))...)
	for file, args := range map[string][]string{"specquant.service": unit, "Containerfile": image} {
		c := &cli{}
		p, err := newParser(c, io.Discard, io.Discard, func(int) {})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Parse(args[1:]); err != nil || args[1] != "serve" {
			t.Errorf("%s: %q: %v", file, args, err)
			continue
		}
		if err := c.Serve.check(); err != nil {
			t.Errorf("%s: %q: %v", file, args, err)
		}
	}
}
