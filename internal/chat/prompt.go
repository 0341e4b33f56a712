package chat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/specquant/specquant/internal/jinja"
	"github.com/specquant/specquant/internal/tokenizer"
)

// Request is the input of a prompt.
type Request struct {
	Messages  []Message
	Tools     []json.RawMessage // functions in OpenAI's form
	Documents []json.RawMessage
	Continue  bool                       // leave the last message open instead of starting the assistant's
	Variables map[string]json.RawMessage // further variables of the template, such as enable_thinking
	Now       time.Time                  // for strftime_now; zero: the current time
}

// Prompt is a rendered conversation.
type Prompt struct {
	template *Template
	text     jinja.Text
	// Notes tell what was changed so that the template accepts the conversation.
	Notes []string
}

// Text is the prompt as one string.
func (p *Prompt) Text() string { return p.text.String() }

// Render makes the prompt of a conversation. If the template refuses the conversation, the
// error gives its reason (*[jinja.RaisedError]). A system message that it refuses is put
// before the first user message instead, and arguments of tool calls are tried as objects
// and as strings; Notes report it.
func (t *Template) Render(ctx context.Context, req Request) (*Prompt, error) {
	if len(req.Messages) == 0 {
		return nil, errors.New("the conversation has no messages")
	}
	vars, messages, size, err := t.variables(req)
	if err != nil {
		return nil, err
	}
	program := t.program
	if len(req.Tools) > 0 && t.tools != nil {
		program = t.tools
	}
	now := req.Now
	if now.IsZero() {
		now = time.Now()
	}
	run := func(messages []*jinja.Dict) (*Prompt, error) {
		l := &jinja.List{}
		for _, m := range messages {
			l.Items = append(l.Items, m)
		}
		vars.Put("messages", l)
		text, err := program.Render(ctx, jinja.Input{Vars: vars, Now: now, Bytes: size})
		if err == nil && req.Continue {
			text, err = openLast(text, req.Messages[len(req.Messages)-1])
		}
		return &Prompt{template: t, text: text}, err
	}
	objects, changed := make([]*jinja.Dict, len(messages)), false
	for i, m := range messages {
		objects[i] = parseArguments(m)
		changed = changed || objects[i] != m
	}
	p, first := run(objects)
	if first == nil || ctx.Err() != nil || errors.Is(first, jinja.ErrLimit) {
		return p, first
	}
	if changed {
		if p, err := run(messages); err == nil {
			return p, nil
		}
	}
	if merged := mergeSystem(objects); merged != nil {
		if p, err := run(merged); err == nil {
			p.Notes = append(p.Notes, "this model's template takes no system message: it is put before the first message of the user")
			return p, nil
		}
	}
	return nil, first
}

// variables are the template's variables except messages, and the total size in bytes.
func (t *Template) variables(req Request) (vars *jinja.Dict, messages []*jinja.Dict, size int, err error) {
	vars = &jinja.Dict{}
	for name, text := range t.tokens {
		vars.Put(name, jinja.Template(text))
	}
	for _, list := range []struct {
		name  string
		items []json.RawMessage
	}{{"tools", req.Tools}, {"documents", req.Documents}} {
		if list.items == nil {
			vars.Put(list.name, nil)
			continue
		}
		l := &jinja.List{}
		for i, raw := range list.items {
			v, err := jinja.FromJSON(raw, jinja.User)
			if err != nil {
				return nil, nil, 0, fmt.Errorf("%s: item %d: %w", list.name, i, err)
			}
			size += len(raw)
			l.Items = append(l.Items, v)
		}
		vars.Put(list.name, l)
	}
	for name, raw := range req.Variables {
		v, err := jinja.FromJSON(raw, jinja.User)
		if err != nil {
			return nil, nil, 0, fmt.Errorf("variable %q of the template: %w", name, err)
		}
		if name == "messages" || name == "tools" || name == "add_generation_prompt" || strings.HasSuffix(name, "_token") {
			return nil, nil, 0, fmt.Errorf("variable %q of the template can't be set this way", name)
		}
		size += len(raw)
		vars.Put(name, v)
	}
	vars.Put("add_generation_prompt", !req.Continue)
	for i, m := range req.Messages {
		d, err := m.value()
		if err != nil {
			return nil, nil, 0, fmt.Errorf("message %d: %w", i+1, err)
		}
		flatten(d)
		size += len(m.Raw) + len(m.Content)
		messages = append(messages, d)
	}
	return vars, messages, size, nil
}

// mergeSystem puts a system message before the text of the first user message; nil if the
// first two messages are not of these roles.
func mergeSystem(messages []*jinja.Dict) []*jinja.Dict {
	if len(messages) < 2 || text(messages[0], "role") != "system" || text(messages[1], "role") != "user" {
		return nil
	}
	user := messages[1].Copy()
	user.Put("content", jinja.User(text(messages[0], "content")+"\n\n"+text(messages[1], "content")))
	return append([]*jinja.Dict{user}, messages[2:]...)
}

func text(d *jinja.Dict, key string) string {
	v, _ := d.Get(key)
	t, _ := v.(jinja.Text)
	return t.String()
}

// openLast cuts the prompt after the content of the last message, so that the model
// continues it.
func openLast(t jinja.Text, last Message) (jinja.Text, error) {
	content := strings.TrimRightFunc(last.Content, unicode.IsSpace)
	at := strings.LastIndex(t.String(), content)
	if content == "" || at < 0 {
		return t, errors.New("the last message can't be continued: the template does not show its content unchanged")
	}
	return t.Cut(at + len(content)), nil
}

// Encode returns the tokens of the prompt. Only the template's own text becomes control
// tokens: special tokens, and other added tokens with which the template marks its turns.
// Control tokens in messages, tools or variables are encoded as plain text.
func (p *Prompt) Encode(tok *tokenizer.Tokenizer) ([]int, error) {
	spans := make([]tokenizer.Span, 0, len(p.text.User()))
	for _, s := range p.text.User() {
		spans = append(spans, tokenizer.Span{From: s.From, To: s.To})
	}
	return tok.EncodeMarked(p.text.String(), spans, p.template.marks)
}

// marks reports whether the template uses an added token that is not special, such as
// <think> or <|user|>, as a mark: it occurs in the template and begins with a bracket or
// another symbol. Added tokens that are words or white space are recognised in messages
// too, as in Hugging Face's tokenizers.
func (t *Template) marks(token string) bool {
	r, _ := utf8.DecodeRuneInString(strings.TrimSpace(token))
	if token == "" || strings.TrimSpace(token) == "" || unicode.IsLetter(r) || unicode.IsDigit(r) || r == '▁' {
		return false
	}
	return strings.Contains(t.allSource, token) || isMark(token)
}

// isMark reports whether a token looks like one that a template may assemble from parts:
// <|…|>, <｜…｜>.
func isMark(token string) bool {
	return strings.HasPrefix(token, "<|") && strings.HasSuffix(token, "|>") ||
		strings.HasPrefix(token, "<｜") && strings.HasSuffix(token, "｜>")
}
