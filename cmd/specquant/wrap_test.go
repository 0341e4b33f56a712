package main

import (
	"strings"
	"testing"
)

// TestWordWrap breaks answers at a width of 20, whatever the pieces that they come in.
func TestWordWrap(t *testing.T) {
	for in, want := range map[string]string{
		"":                                       "",
		"short":                                  "short",
		"exactly twenty wide.":                   "exactly twenty wide.",
		"one too many words, here":               "one too many words,\nhere",
		"a  b":                                   "a  b",
		"ends in blanks   \nnext":                "ends in blanks\nnext",
		"two\n\nparagraphs":                      "two\n\nparagraphs",
		"https://example.org/a/long/one is long": "https://example.org/a/long/one\nis long",
		"- an item that is too long":             "- an item that is\n  too long",
		"10. an item that is so long":            "10. an item that is\n    so long",
		"  - nested item, too long":              "  - nested item, too\n    long",
		"  indented prose that goes on":          "  indented prose\n  that goes on",
		"2. x":                                   "2. x",
		"```go\nfunc main() { a very long line of code }\n```\nand then prose that is long": "```go\nfunc main() { a very long line of code }\n```\nand then prose that\nis long",
		"~~~\nlong long long long long\n~~~\nlong long long long long":                      "~~~\nlong long long long long\n~~~\nlong long long long\nlong",
		"    code that is indented and long":                                                "    code that is indented and long",
		"\tcode that is indented and long":                                                  "\tcode that is indented and long",
		"    - an item that is listed deep":                                                 "    - an item that\n      is listed deep",
		"| a table | of several | columns |":                                                "| a table | of several | columns |",
		"now run `go test ./...` there":                                                     "now run\n`go test ./...`\nthere",
		"a lonely ` and then many more words":                                               "a lonely\n` and then many more\nwords",
		"中文没有空格所以可以在任何地方断开":                                                                 "中文没有空格所以可以\n在任何地方断开",
		"e\u0301\u0301\u0301 combining mark":                                                "e\u0301\u0301\u0301 combining mark",
	} {
		for _, piece := range []int{1, 3, len(in) + 1} {
			var b strings.Builder
			p := &wordWrap{w: &b, width: func() int { return 20 }}
			for rest := []rune(in); len(rest) > 0; rest = rest[min(piece, len(rest)):] {
				if _, err := p.Write([]byte(string(rest[:min(piece, len(rest))]))); err != nil {
					t.Fatal(err)
				}
			}
			if err := p.Flush(); err != nil || b.String() != want {
				t.Errorf("%q in pieces of %d: %v\n%s\nwant\n%s", in, piece, err, b.String(), want)
			}
		}
	}
}

// TestWordWrapStreams: a word is shown as soon as it is complete.
func TestWordWrapStreams(t *testing.T) {
	var b strings.Builder
	p := &wordWrap{w: &b, width: func() int { return 20 }}
	p.Write([]byte("Hello wor"))
	if b.String() != "Hello" {
		t.Errorf("%q", b.String())
	}
	p.Write([]byte("ld\n"))
	if b.String() != "Hello world\n" {
		t.Errorf("%q", b.String())
	}
}
