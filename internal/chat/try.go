package chat

import (
	"context"
	"fmt"
	"strings"
)

// Try renders conversations of one question, without and with a system message. It returns the
// template's error if it can make a prompt of neither: then there will be no conversations, which
// otherwise shows only when somebody begins one.
func (t *Template) Try(ctx context.Context) error {
	question := Message{Role: "user", Content: "Hello"}
	err := t.try(ctx, question)
	if err == nil || t.try(ctx, Message{Role: "system", Content: "Answer."}, question) == nil {
		return nil
	}
	return fmt.Errorf("%s: of a question it makes no prompt: %w", t.From, err)
}

func (t *Template) try(ctx context.Context, messages ...Message) error {
	p, err := t.Render(ctx, Request{Messages: messages})
	if err == nil && !strings.Contains(p.Text(), messages[len(messages)-1].Content) {
		err = fmt.Errorf("the question is not part of the result, %.40q", p.Text())
	}
	return err
}
