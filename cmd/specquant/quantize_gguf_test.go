package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/testdata"
)

// What an earlier run has converted is not trusted: it may be damaged, or of another file. A folder
// that is something else is left alone.
func TestQuantizeGGUFAgain(t *testing.T) {
	file := testdata.Path(t, "models", "stories260k", "stories260K-f32.gguf")
	dir := t.TempDir()
	out := filepath.Join(dir, "out")
	quantize := func() (int, string) {
		code, _, e := call("quantize", file, "-r", "rtn", "--bits", "8-8-16", "-o", out, "--quiet")
		return code, e
	}
	if code, e := quantize(); code != 0 {
		t.Fatal(e)
	}
	contents := func() (all string) {
		entries, err := os.ReadDir(out)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			data, err := os.ReadFile(filepath.Join(out, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			all += e.Name() + "\x00" + string(data)
		}
		return all
	}
	want := contents()
	for _, name := range importedFiles {
		if name == "tokenizer.json" { // not of this kind of tokenizer
			continue
		}
		if err := os.RemoveAll(out); err != nil {
			t.Fatal(err)
		}
		left := out + importedSuffix
		if code, _, e := call("import", file, "-o", left); code != 0 {
			t.Fatal(e)
		}
		edit(t, filepath.Join(left, name), filepath.Join(left, name), func(d []byte) []byte { d[len(d)/2] ^= 1; return d })
		if code, e := quantize(); code != 0 {
			t.Fatalf("%s: %s", name, e)
		}
		if contents() != want {
			t.Errorf("%s: the damage went on into the result", name)
		}
	}
	if err := os.RemoveAll(out); err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(out+importedSuffix, "thesis.txt")
	if err := os.MkdirAll(filepath.Dir(own), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(own, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if code, e := quantize(); code != 1 || !strings.Contains(e, "is in the way: it has thesis.txt") {
		t.Errorf("%d, %s", code, e)
	}
	if data, err := os.ReadFile(own); err != nil || string(data) != "mine" {
		t.Error("somebody's folder was removed")
	}
}
