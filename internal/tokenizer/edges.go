package tokenizer

import (
	"fmt"
	"slices"

	"github.com/specquant/specquant/internal/plural"
)

// Edges names the tokens within a prompt at which a text ends, by EOS or another id of ends, or
// begins, by BOS. A model takes what follows them as another text or turn, which is hardly ever meant. ids
// are of [Tokenizer.EncodePrompt]; the tokens that it has put before the text are none of the
// prompt's, and a BOS at the very beginning is where it belongs.
func (t *Tokenizer) Edges(ids, ends []int) (notes []string) {
	ends = append(t.EOS(), ends...)
	count, first := map[int]int{}, map[int]int{}
	var order []int
	for i := len(t.prefix); i < len(ids); i++ {
		id := ids[i]
		if !slices.Contains(ends, id) && (id != t.bos || i == 0) {
			continue
		}
		if count[id]++; count[id] == 1 {
			first[id], order = i, append(order, id)
		}
	}
	for _, id := range order {
		what := "which begins a text"
		if slices.Contains(ends, id) {
			what = "which ends a text"
		}
		where := fmt.Sprintf("as token %d of %d", first[id]+1, len(ids))
		if count[id] > 1 {
			where = fmt.Sprintf("%s, first %s", plural.Of(count[id], "time"), where)
		}
		notes = append(notes, fmt.Sprintf("the prompt has %q, %s, %s: the model takes what follows as another text or turn", t.Token(id), what, where))
	}
	return notes
}
