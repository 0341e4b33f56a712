package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// candidatesOf asks as a shell would.
func candidatesOf(t *testing.T, words ...string) (found []string, paths string) {
	t.Helper()
	code, out, e := call(append([]string{completeWord}, words...)...)
	if code != 0 || e != "" {
		t.Fatalf("%q: %d, %s", words, code, e)
	}
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	for _, l := range lines[:len(lines)-1] {
		word, _, ok := strings.Cut(l, "\t")
		if !ok {
			t.Errorf("%q: a line without a tab: %q", words, l)
		}
		found = append(found, word)
	}
	return found, strings.TrimPrefix(lines[len(lines)-1], ":")
}

func TestComplete(t *testing.T) {
	for _, c := range []struct {
		words, want, paths string // words and want by spaces; _ is an empty word
	}{
		{"quan", "quantize", pathNone},
		{"eval _", "ppl tasks divergence", pathNone},
		{"nonsense", "", pathNone},
		{"info _", "", pathNone},
		{"quantize --res", "--restart", pathNone},
		{"quantize model -o", "", pathNone}, // -o is whole
		{"quantize model -o _", "", pathFolders},
		{"quantize model --calib _", "", pathFiles},
		{"quantize model -r specquant-b", "specquant-best", pathFiles},
		{"quantize model --recipe = specquant-b", "specquant-best", pathFiles}, // as bash cuts it
		{"quantize model --recipe=specquant-b", "--recipe=specquant-b" + "est", pathFiles},
		{"quantize model --strict _", "", pathNone}, // a flag without a value, and no second folder
		{"compare model --bits 4-8-8,3", "4-8-8,3-8-8", pathNone},
		{"compare model --recipes rtn,gp", "rtn,gptq", pathFiles},
		{"recipes resq", "resq", pathNone},
		{"bench --shape tiny", "tinyllama-1.1b", pathNone},
		{"eval ppl out --protocol l", "llama.cpp lm-eval", pathNone},
		{"eval ppl out --protocol=l", "--protocol=llama.cpp --protocol=lm-eval", pathNone},
		{"diff a _", "", pathFolders},
		{"report out --ou", "--out", pathNone},
		{"help vers", "version", pathNone},
		{"completion z", "zsh", pathNone},
		{"--vers", "--version", pathNone},
	} {
		words := strings.Fields(strings.ReplaceAll(c.words, "_", " _ "))
		for i, w := range words {
			if w == "_" {
				words[i] = ""
			}
		}
		found, paths := candidatesOf(t, words...)
		if strings.Join(found, " ") != c.want || paths != c.paths {
			t.Errorf("%s: %q and %s, want %q and %s", c.words, found, paths, c.want, c.paths)
		}
	}
}

// TestCompleteNames: where a model is read, the names in the store are offered, as zsh and
// fish hand them over and as bash cuts them at a colon.
func TestCompleteNames(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HF_HOME", home)
	t.Setenv("HF_HUB_CACHE", "")
	t.Setenv("SPECQUANT_HOME", filepath.Join(home, "own"))
	commit := strings.Repeat("ab", 20)
	put := func(text string, parts ...string) {
		path := filepath.Join(append([]string{home}, parts...)...)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, repo := range []string{"models--org--Alpha", "models--org--beta", "models--other--split"} {
		put(commit, "hub", repo, "refs", "main")
	}
	put("{}", "hub", "models--org--Alpha", "snapshots", commit, "config.json")
	put("", "hub", "models--org--beta", "snapshots", commit, "b-Q4_0.gguf")
	put("", "hub", "models--org--beta", "snapshots", commit, "b-Q8_0.gguf")
	put("", "hub", "models--other--split", "snapshots", commit, "s-00001-of-00002.gguf")
	put("", "hub", "models--other--split", "snapshots", commit, "s-00002-of-00002.gguf")
	put("{}", "own", "models", "org--Alpha", "quarot-4-8-8", "config.json")
	for _, c := range []struct{ words, want, paths string }{
		{"chat org/", "org/Alpha org/Alpha:quarot-4-8-8 org/beta:b-Q4_0.gguf org/beta:b-Q8_0.gguf", pathFiles},
		{"chat alp", "Alpha Alpha:quarot-4-8-8", pathFiles},
		{"run oth", "other/split", pathFiles},
		{"rm split", "split", pathNone},
		{"show x", "", pathNone},
		{"doctor out --against Org/a", "org/Alpha org/Alpha:quarot-4-8-8", pathFolders},
		{"report ALPHA:", "Alpha:quarot-4-8-8", pathFolders},
		{"chat org/Alpha : q", "quarot-4-8-8", pathNone},
		{"chat org/Alpha :", "quarot-4-8-8", pathNone},
		{"chat org/beta : b-Q8", "b-Q8_0.gguf", pathNone},
		{"serve x=spl", "x=split", pathFiles},
		{"quantize alpha -o org/", "", pathFolders}, // to be written, not to be read
	} {
		found, paths := candidatesOf(t, strings.Fields(c.words)...)
		if strings.Join(found, " ") != c.want || paths != c.paths {
			t.Errorf("%s: %q and %s, want %q and %s", c.words, found, paths, c.want, c.paths)
		}
	}
}

// Every command and flag has a page, and no line of a page is taken for an
// instruction that is none of those that the pages are made of.
func TestManPages(t *testing.T) {
	dir := t.TempDir()
	if code, out, e := call("man", "-o", dir); code != 0 || !strings.Contains(out, "pages") {
		t.Fatalf("%d, %s%s", code, out, e)
	}
	known := map[string]bool{".TH": true, ".SH": true, ".TP": true, ".B": true, ".I": true, ".BR": true, ".PP": true}
	parser, err := newParser(&cli{}, &bytes.Buffer{}, &bytes.Buffer{}, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range manNodes(parser.Model.Node) {
		page := manPage(n)
		for line := range strings.Lines(page) {
			if word, _, _ := strings.Cut(strings.TrimSpace(line), " "); line[0] == '\'' || line[0] == '.' && !known[word] {
				t.Errorf("%s: the line %q is an instruction", n.FullPath(), line)
			}
		}
		for _, f := range flagsOf(n) {
			if !strings.Contains(page, `\-\-`+roff(f.Name)) || f.Help == "" {
				t.Errorf("%s: --%s has no entry, or no help", n.FullPath(), f.Name)
			}
		}
	}
	if got, want := roff(`.5 of C:\x, a-b`), `\&.5 of C:\ex, a\-b`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// What help prints is what --help prints, of every command.
func TestHelp(t *testing.T) {
	parser, err := newParser(&cli{}, &bytes.Buffer{}, &bytes.Buffer{}, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	var walk func(n *kong.Node, words []string)
	walk = func(n *kong.Node, words []string) {
		_, want, _ := call(append(words, "--help")...)
		code, got, e := call(append([]string{"help"}, words...)...)
		if code != 0 || got != want || got == "" {
			t.Errorf("help %q: %d, %q %s, want %q", words, code, got, e, want)
		}
		for _, c := range n.Children {
			walk(c, append(words[:len(words):len(words)], c.Name))
		}
	}
	walk(parser.Model.Node, nil)
	for _, args := range [][]string{{"help", "frobnicate"}, {"help", "eval", "x"}, {"help", "run", "x"}, {"man", "x"}, {"man", "run", "-o", "x"}} {
		if code, out, e := call(args...); code != 2 || out != "" || e == "" {
			t.Errorf("%q: %d, %q, %q", args, code, out, e)
		}
	}
}
