package chat

import (
	"context"
	"strings"

	"github.com/specquant/specquant/internal/tokenizer"
)

// EndOfTurn finds the token by which the template ends what the assistant says: the
// control token that follows a message of it. Files often name only the token that
// ends a text.
func (t *Template) EndOfTurn(tok *tokenizer.Tokenizer) (id int, ok bool) {
	p, err := t.Render(context.Background(), Request{Continue: true, Messages: []Message{
		{Role: "user", Content: "Question"}, {Role: "assistant", Content: "Answer"}}})
	full := ""
	if err == nil { // Continue has cut it after the answer: render it again, whole
		req := Request{Messages: []Message{{Role: "user", Content: "Question"}, {Role: "assistant", Content: "Answer"}, {Role: "user", Content: "Next"}}}
		var whole *Prompt
		if whole, err = t.Render(context.Background(), req); err == nil {
			full = whole.Text()
		}
	}
	if err != nil || !strings.HasPrefix(full, p.Text()) {
		return 0, false
	}
	ids, err := tok.EncodeMarked(strings.TrimLeft(full[len(p.Text()):], " \n"), nil, t.marks)
	if err != nil || len(ids) == 0 {
		return 0, false
	}
	piece := tok.Token(ids[0])
	if !tok.IsSpecial(ids[0]) && !t.marks(piece) || !strings.HasPrefix(strings.TrimLeft(full[len(p.Text()):], " \n"), piece) {
		return 0, false
	}
	return ids[0], true
}
