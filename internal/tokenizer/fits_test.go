package tokenizer

import (
	"strings"
	"testing"
)

// TestFits: only special tokens may lie beyond a model's embeddings, and none that
// begins or ends a text.
func TestFits(t *testing.T) {
	tok := &Tokenizer{pieces: []string{"a", "b", "<s>", "<image>", ""}, special: []bool{false, false, true, true, false}, bos: 2, eos: []int{2}}
	for vocab, want := range map[int]string{5: "", 6: "", 4: "", 3: "", 2: `"<s>" with the id 2`, 1: `"b" with the id 1`} {
		err := tok.Fits(vocab)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("vocab_size %d: %v, expected an error with %q", vocab, err, want)
		}
	}
}
