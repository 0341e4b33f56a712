package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReplace(t *testing.T) {
	const text = "# prose\n\n<!-- ledger: a -->\n\nold\n\n<!-- end of ledger: a -->\n\nmore\n<!-- ledger: b -->\n<!-- end of ledger: b -->\n"
	got, err := replace(text, map[string]string{"a": "one\n", "b": "\ntwo\n\n"})
	const want = "# prose\n\n<!-- ledger: a -->\n\none\n\n<!-- end of ledger: a -->\n\nmore\n<!-- ledger: b -->\n\ntwo\n\n<!-- end of ledger: b -->\n"
	if err != nil || got != want {
		t.Fatalf("got %q, %v", got, err)
	}
	again, err := replace(got, map[string]string{"a": "one\n", "b": "two"})
	if err != nil || again != got {
		t.Errorf("again: got %q, %v", again, err)
	}
	if n := differs(text, got); n != 5 {
		t.Errorf("differ at line %d, want 5", n)
	}
	if n := differs(got, again); n != 0 {
		t.Errorf("the same differ at line %d", n)
	}
	if n := differs("a\n", "a\nb\n"); n != 2 {
		t.Errorf("a longer text differs at line %d, want 2", n)
	}
	for what, bad := range map[string]string{
		"no marker": "prose\n", "no end": "<!-- ledger: a -->\n", "two": strings.Repeat("<!-- ledger: a -->\n<!-- end of ledger: a -->\n", 2),
		"turned": "<!-- end of ledger: a -->\n<!-- ledger: a -->\n",
	} {
		if got, err := replace(bad, map[string]string{"a": "x"}); err == nil {
			t.Errorf("%s: got %q", what, got)
		}
	}
}

// TestDocument: the ledger has our markers.
func TestDocument(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "docs", "REPRODUCTION.md"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := replace(string(data), map[string]string{realTable: "", "summary": "", "claims": "", "november": "", "parts": "", "tables": ""}); err != nil {
		t.Error(err)
	}
}

// TestSections: what is not complete is left as it is, and said.
func TestSections(t *testing.T) {
	const text = "<!-- ledger: a -->\n\nold\n\n<!-- end of ledger: a -->\n<!-- ledger: b -->\n\nold\n\n<!-- end of ledger: b -->\n"
	for _, c := range []struct {
		name           string
		partial, check bool
		rows           int
		complete       bool
		want, err      string
	}{
		{"complete", false, false, 2, true, "new", ""},
		{"missing", false, false, 2, false, "old", "rows lack; the sections a are left as they are"},
		{"partial", true, false, 2, false, "new", ""},
		{"none", true, false, 0, false, "old", "is kept for the sections a"},
		{"check", false, true, 2, true, "old", "line 3 is not what the kept cells give"},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "f.md")
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			d := document{file: file, partial: c.partial, check: c.check}
			d.add(map[string]string{"a": "new"}, c.rows, c.complete, "rows lack")
			err := d.write(io.Discard)
			if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Errorf("got %v, want %q", err, c.err)
			}
			got, err := os.ReadFile(file)
			if want := strings.Replace(text, "old", c.want, 1); err != nil || string(got) != want {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}
