package main

import (
	"bytes"
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
