package tokenizer

import (
	"strings"
	"testing"
)

// A token in a prompt that ends a text, or begins one in the midst of another, is named with its
// place. What the template puts before the prompt is not the prompt's.
func TestEdges(t *testing.T) {
	// ids: <s> 1, </s> 2, <end> 3, then letters
	with := func(bos int, prefix ...int) *Tokenizer {
		return &Tokenizer{pieces: []string{"", "<s>", "</s>", "<end>", "a", "b"}, bos: bos, eos: []int{2}, prefix: prefix}
	}
	for _, c := range []struct {
		name string
		tok  *Tokenizer
		ids  []int
		ends []int
		want []string
	}{
		{"none", with(1, 1), []int{1, 4, 5}, nil, nil},
		{"empty", with(1), nil, nil, nil},
		{"only what the template adds", with(1, 1), []int{1}, nil, nil},
		{"EOS behind BOS", with(1, 1), []int{1, 2, 4}, nil, []string{`"</s>", which ends a text, as token 2 of 3`}},
		{"EOS at the end", with(1, 1), []int{1, 4, 2}, nil, []string{`"</s>", which ends a text, as token 3 of 3`}},
		{"EOS at the beginning", with(-1), []int{2, 4}, nil, []string{`"</s>", which ends a text, as token 1 of 2`}},
		{"EOS only", with(-1), []int{2}, nil, []string{`as token 1 of 1`}},
		{"several", with(1), []int{2, 4, 2, 2}, nil, []string{`"</s>", which ends a text, 3 times, first as token 1 of 4`}},
		{"an end that only the model knows", with(1), []int{4, 3}, []int{3}, []string{`"<end>", which ends a text, as token 2 of 2`}},
		{"both kinds of ends", with(1), []int{3, 2}, []int{3, 2}, []string{`"<end>"`, `"</s>"`}},
		{"BOS within", with(1, 1), []int{1, 4, 1, 5}, nil, []string{`"<s>", which begins a text, as token 3 of 4`}},
		{"a second BOS", with(1, 1), []int{1, 1, 4}, nil, []string{`"<s>", which begins a text, as token 2 of 3`}},
		{"a written BOS where the template adds none", with(1), []int{1, 4}, nil, nil},
		{"one token for both, added", with(2, 2), []int{2, 4}, nil, nil},
		{"one token for both, written", with(2), []int{2, 4}, nil, []string{`which ends a text`}},
		{"no BOS", with(-1), []int{4, 1, 5}, nil, nil},
	} {
		got := c.tok.Edges(c.ids, c.ends)
		ok := len(got) == len(c.want)
		for i := range got {
			ok = ok && strings.Contains(got[i], c.want[i])
		}
		if !ok {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
