package tokenizer

import (
	"strings"
	"testing"
)

// TestSame: the first token that is different is named, and what only fills a vocabulary up is no
// difference.
func TestSame(t *testing.T) {
	of := func(pieces ...string) *Tokenizer {
		tok := &Tokenizer{pieces: pieces, special: make([]bool, len(pieces)), decode: decoder{text: pieces}}
		for id, p := range pieces {
			tok.special[id] = strings.HasPrefix(p, "<")
		}
		return tok
	}
	base := of("a", "b", "<s>")
	for _, c := range []struct {
		other *Tokenizer
		want  string // part of the error; "": none
	}{
		{of("a", "b", "<s>"), ""},
		{of("a", "b", "<s>", "<image>", "[PAD4]", ""), ""},
		{of("a", "c", "<t>"), `token 1 is`},
		{of("a", "c", "<t>", "d"), `token 1 is`},
		{of("a", "b"), ""},
		{of("a"), `one has 1 token and the other 3, among them "b" with the id 1`},
		{of("a", "b", "<s>", "<t>", "d"), `"d" with the id 4`},
	} {
		for _, err := range []error{base.Same(c.other), c.other.Same(base)} {
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%q: %v, expected %q", c.other.pieces, err, c.want)
			}
		}
	}
	if err := base.Same(of("a", "c")); err == nil || err.Error() != `token 1 is "b" in one and "c" in the other` {
		t.Error(err)
	}
}
