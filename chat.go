package specquant

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/specquant/specquant/internal/chat"
	"github.com/specquant/specquant/internal/engine"
	"github.com/specquant/specquant/internal/gguf"
)

// ErrNoChatTemplate says that a model was not made for conversations: its files hold no
// chat template.
var ErrNoChatTemplate = chat.ErrNone

// Message is one message of a conversation.
type Message struct {
	Role    string `json:"role"` // system, user or assistant
	Content string `json:"content"`
}

// ChatOptions say how a conversation is held. The zero value is ready for use.
type ChatOptions struct {
	System    string                     // the system message; "": none, or the template's own
	Variables map[string]json.RawMessage // further variables of the template, such as "enable_thinking": false
}

// Chat is a conversation with a model. It keeps the KV cache of the conversation, so that a
// turn computes only its new tokens. Like its model it may be used by one goroutine at a time.
type Chat struct {
	model    *Model
	template *chat.Template
	options  ChatOptions
	messages []Message
	turnEnd  []int
	seq      *engine.Sequence
	draft    *engine.Sequence // of the draft model, with a beginning of cached and perhaps wrong guesses; nil: there is none
	cached   []int            // the tokens that seq holds
	last     ChatStats
}

// ChatStats are the figures of the last answer.
type ChatStats struct {
	PromptTokens  int           // of the conversation so far
	CachedTokens  int           // of PromptTokens, those that were in the KV cache already
	Tokens        int           // of the answer
	PromptTime    time.Duration // until the first token was known
	AnswerTime    time.Duration // from then on
	Finish        string        // FinishStop, FinishLength, or "" if it was interrupted
	ContextFull   bool          // it was cut off because the context is full
	TurnsDropped  int           // questions with their answers that were left out, oldest first, to make room
	Speculation   Speculation   // tokens of the answer that were guessed
	TemplateNotes []string      // changes to the messages that the chat template made necessary
}

// HasChatTemplate reports whether the model's files hold a chat template.
func (m *Model) HasChatTemplate() bool {
	_, err := m.chatTemplate()
	return !errors.Is(err, chat.ErrNone)
}

// chatTemplate finds the template in the model's files.
func (m *Model) chatTemplate() (*chat.Template, error) {
	return gguf.LoadTemplate(m.engine.Checkpoint)
}

// NewChat begins a conversation. [ErrNoChatTemplate] says that the model has no chat
// template.
func (m *Model) NewChat(o ChatOptions) (*Chat, error) {
	t, err := m.chatTemplate()
	if err != nil {
		return nil, err
	}
	c := &Chat{model: m, template: t, options: o}
	c.seq, c.draft = m.newSequences()
	if id, ok := t.EndOfTurn(m.tok); ok {
		c.turnEnd = []int{id}
	}
	return c, nil
}

// Messages are the conversation so far, without the system message.
func (c *Chat) Messages() []Message { return slices.Clone(c.messages) }

// SetMessages replaces the conversation. The beginning that it shares with the one before is
// not computed again.
func (c *Chat) SetMessages(messages []Message) { c.messages = slices.Clone(messages) }

// System is the system message.
func (c *Chat) System() string { return c.options.System }

// SetSystem sets the system message.
func (c *Chat) SetSystem(text string) { c.options.System = text }

// Stats are the figures of the last answer.
func (c *Chat) Stats() ChatStats { return c.last }

// Say adds a message of the user and answers it, yielding each token as soon as it is
// known. The answer becomes part of the conversation, even if it is interrupted. An error
// before the first token leaves the conversation unchanged.
//
// When the conversation has outgrown the context, its oldest turns are left out of the prompt
// ([ChatStats.TurnsDropped]); [Chat.Messages] still has them. A last message that does not fit
// by itself is a [ContextError].
func (c *Chat) Say(ctx context.Context, text string, o GenerateOptions) iter.Seq2[Token, error] {
	return func(yield func(Token, error) bool) {
		before := len(c.messages)
		c.messages = append(c.messages, Message{"user", text})
		answer, err := c.answer(ctx, o, func(t Token) bool { return yield(t, nil) })
		if answer == "" && err != nil {
			c.messages = c.messages[:before]
		} else {
			c.messages = append(c.messages, Message{"assistant", answer})
		}
		if err != nil {
			yield(Token{}, publicError(err))
		}
	}
}

// answer generates the continuation of the conversation.
func (c *Chat) answer(ctx context.Context, o GenerateOptions, yield func(Token) bool) (string, error) {
	start := time.Now()
	c.last = ChatStats{}
	if err := c.model.CheckOptions(o); err != nil {
		return "", err
	}
	prompt, err := c.fit(ctx, o)
	if err != nil {
		return "", err
	}
	keep := 0
	for keep < len(prompt) && keep < len(c.cached) && prompt[keep] == c.cached[keep] {
		keep++
	}
	c.seq.Truncate(keep)
	if c.draft != nil {
		c.draft.Truncate(keep)
	}
	c.last.PromptTokens, c.last.CachedTokens = len(prompt), min(c.seq.Tokens(), len(prompt)-1)
	first, before := start, c.model.Speculation()
	g := generation{model: c.model, seq: c.seq, draft: c.draft, options: o, prompt: prompt, turnEnd: c.turnEnd, onPrompt: func() { first = time.Now() }}
	var answer strings.Builder
	err = g.run(ctx, func(t Token) bool {
		answer.WriteString(t.Text)
		return yield(t)
	})
	c.cached = append(slices.Clone(prompt), g.tokens...)
	c.cached = c.cached[:min(c.seq.Tokens(), len(c.cached))]
	c.last.Tokens, c.last.Finish, c.last.ContextFull = len(g.tokens), g.finish, g.full
	c.last.Speculation = c.model.Speculation().since(before)
	c.last.PromptTime, c.last.AnswerTime = first.Sub(start), time.Since(first)
	return answer.String(), err
}

// fit encodes the conversation as a prompt. If that leaves too little room for an answer in the
// context, the oldest turns are left out.
func (c *Chat) fit(ctx context.Context, o GenerateOptions) ([]int, error) {
	room := min(max(c.model.Context()/8, 1), 256) // for the answer, at least
	if o.MaxTokens > 0 {
		room = min(room, o.MaxTokens)
	}
	messages := c.messages
	for dropped := 0; ; dropped++ {
		req := chat.Request{Variables: c.options.Variables}
		if c.options.System != "" {
			req.Messages = append(req.Messages, chat.Message{Role: "system", Content: c.options.System})
		}
		for _, m := range messages {
			req.Messages = append(req.Messages, chat.Message{Role: m.Role, Content: m.Content})
		}
		p, err := c.template.Render(ctx, req)
		if err != nil {
			return nil, err
		}
		ids, err := p.Encode(c.model.tok)
		if err != nil {
			return nil, err
		}
		if len(ids) == 0 {
			return nil, fmt.Errorf("%s: the chat template makes an empty prompt of the conversation", c.template.From)
		}
		if len(ids)+room <= c.model.Context() {
			c.last.TurnsDropped, c.last.TemplateNotes = dropped, p.Notes
			return ids, nil
		}
		next := slices.IndexFunc(messages[min(1, len(messages)):], func(m Message) bool { return m.Role == "user" })
		if next < 0 {
			return nil, &engine.ContextError{Tokens: len(ids) + room, Context: c.model.Context()}
		}
		messages = messages[next+1:]
	}
}

// SetVariables replaces [ChatOptions.Variables].
func (c *Chat) SetVariables(v map[string]json.RawMessage) { c.options.Variables = v }
