package chat

import (
	"context"
	"slices"
	"strings"

	"github.com/specquant/specquant/internal/tokenizer"
)

// EndOfTurn finds the token with which the template ends an assistant message: the first
// control token after its content, except closing marks such as </think>. Files often name
// only the token that ends a text.
func (t *Template) EndOfTurn(tok *tokenizer.Tokenizer) (id int, ok bool) {
	const answer = "Lorem ipsum"
	p, err := t.Render(context.Background(), Request{Messages: []Message{{Role: "user", Content: "Q"}, {Role: "assistant", Content: answer}, {Role: "user", Content: "Q"}}})
	if err != nil {
		return 0, false
	}
	_, rest, ok := strings.Cut(p.Text(), answer)
	if !ok {
		return 0, false
	}
	ids, err := tok.EncodeMarked(strings.TrimLeft(rest, " \n"), nil, t.marks)
	if err != nil {
		return 0, false
	}
	for _, id := range ids {
		if !t.isControl(tok, id) {
			return 0, false
		}
		if tok.IsSpecial(id) || !strings.HasPrefix(tok.Token(id), "</") {
			return id, true
		}
	}
	return 0, false
}

// isControl reports whether an id is a special token, or one that the template uses as a
// mark: its text is encoded as that token in the template, but not in a message.
func (t *Template) isControl(tok *tokenizer.Tokenizer, id int) bool {
	p := tok.Token(id)
	if tok.IsSpecial(id) || p == "" || !t.marks(p) {
		return tok.IsSpecial(id)
	}
	trusted, err1 := tok.EncodeMarked(p, nil, t.marks)
	users, err2 := tok.EncodeMarked(p, []tokenizer.Span{{From: 0, To: len(p)}}, t.marks)
	return err1 == nil && err2 == nil && slices.Equal(trusted, []int{id}) && !slices.Equal(users, trusted)
}
