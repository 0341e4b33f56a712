package tokenizer

import (
	"fmt"
	"strings"

	"github.com/specquant/specquant/internal/plural"
)

// Same returns nil if two tokenizers have the same tokens under the same ids, so that the ids
// that one model writes mean the same to another. One may have more at the end that stand for no
// text: special tokens, and those that fill a vocabulary up. The error names the first token that
// is different.
func (t *Tokenizer) Same(other *Tokenizer) error {
	both := min(len(t.pieces), len(other.pieces))
	for id := range both {
		if t.pieces[id] != other.pieces[id] {
			return fmt.Errorf("token %d is %q in one and %q in the other", id, t.pieces[id], other.pieces[id])
		}
	}
	longer := t
	if len(other.pieces) > both {
		longer = other
	}
	for id := both; id < len(longer.pieces); id++ {
		if p := longer.pieces[id]; longer.Text(id) != "" && !strings.HasPrefix(p, "[PAD") {
			return fmt.Errorf("one has %s and the other %d, among them %q with the id %d", plural.Of(both, "token"), len(longer.pieces), p, id)
		}
	}
	return nil
}
