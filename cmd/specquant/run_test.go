package main

import (
	"strings"
	"testing"
)

// A replacement character that is really there is text; a byte that is none is
// refused, wherever the prompt comes from, and so is a prompt past the limit.
func TestPrompt(t *testing.T) {
	text := func(s string) *string { return &s }
	for _, c := range []struct {
		name  string
		run   runCmd
		stdin string
		want  string
		err   string
	}{
		{name: "flag", run: runCmd{Prompt: text("a\ufffdb")}, stdin: "other", want: "a\ufffdb"},
		{name: "empty flag", run: runCmd{Prompt: text("")}, stdin: "other", want: ""},
		{name: "words", run: runCmd{Text: []string{"Once", "upon"}}, want: "Once upon"},
		{name: "input", stdin: "two\nlines\n\n", want: "two\nlines\n"},
		{name: "input with a carriage return", stdin: "one\r\n", want: "one"},
		{name: "nothing", stdin: "", want: ""},
		{name: "flag not UTF-8", run: runCmd{Prompt: text("é\xff")}, err: "--prompt is not UTF-8: byte 2 is 0xff"},
		{name: "argument not UTF-8", run: runCmd{Text: []string{"\xc3"}}, err: "the prompt is not UTF-8: byte 0 is 0xc3"},
		{name: "input not UTF-8", stdin: "\ufffd\xe9", err: "standard input is not UTF-8: byte 3 is 0xe9"},
		{name: "input at the limit", stdin: strings.Repeat("x", maxPrompt), want: strings.Repeat("x", maxPrompt)},
		{name: "input past the limit", stdin: strings.Repeat("x", maxPrompt+1), err: "more than 1048576 bytes"},
		{name: "two", run: runCmd{Prompt: text("a"), Text: []string{"b"}}, err: "two prompts"},
	} {
		got, err := c.run.prompt(t.Context(), strings.NewReader(c.stdin))
		if c.err == "" && (err != nil || got != c.want) || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%s: %.40q, %v; want %.40q, %q", c.name, got, err, c.want, c.err)
		}
	}
}
