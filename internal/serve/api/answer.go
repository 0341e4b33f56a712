package api

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/specquant/specquant/internal/chat"
	"github.com/specquant/specquant/internal/constrain"
)

// plan is how a chat is answered.
type plan struct {
	prompt     []int
	reading    *reading    // nil: the answer is text and nothing else
	constraint *constraint // nil: anything may be written
}

// talk is a conversation to be answered, in OpenAI's form, whichever API it came by.
type talk struct {
	messages  []chat.Message
	open      bool                       // the answer goes on with the last message
	variables map[string]json.RawMessage // for the template
	tools     []json.RawMessage
	choice    json.RawMessage // tool_choice
	parallel  *bool           // more than one call may be made; nil: yes
	limit     *limit          // nil: none
	// plain says that what the model thinks is part of the text, where neither a form nor
	// tools ask for an answer that is read.
	plain bool
}

// plan makes the prompt of a conversation, and says how its answer is limited and read.
func (a *API) plan(ctx context.Context, c *talk) (*plan, error) {
	t, err := readTools(c.tools, c.choice, c.parallel)
	if err != nil {
		return nil, err
	}
	if c.open && (c.limit != nil || len(t.list) > 0) {
		return nil, unsupported("messages", "an answer that goes on with the last message can't have tools or a form: leave one of them out")
	}
	req := chat.Request{Messages: c.messages, Variables: c.variables, Continue: c.open}
	format := hermes
	if a.Template != nil && a.Template.KnowsTools() {
		format = formatOf(a.Template.All())
		req.Tools = t.raw
	} else if len(t.raw) > 0 || slices.ContainsFunc(c.messages, aboutTools) {
		if req.Messages, err = t.describe(c.messages); err != nil {
			return nil, invalid("messages", "%v", err)
		}
	}
	ids, text, err := a.render(ctx, req)
	if err != nil {
		return nil, err
	}
	p := &plan{prompt: ids}
	if c.plain && c.limit == nil && len(t.list) == 0 {
		return p, nil
	}
	r := &reading{thinks: a.thinks(), open: strings.HasSuffix(strings.TrimRight(text, blanks), constrain.ThinkOpen), markers: map[int]string{}}
	marks := []string{constrain.ThinkOpen, constrain.ThinkClose}
	if len(t.list) > 0 {
		r.calls, r.names = format, map[string]bool{}
		for _, tool := range t.list {
			r.names[tool.Name] = true
		}
		marks = append(marks, format.open, format.close)
	}
	for _, m := range marks {
		if id, ok := a.Tokenizer.ID(m); ok && a.Tokenizer.IsSpecial(id) {
			r.markers[id] = m
		}
	}
	if err := a.restrict(ctx, p, r, t, c.limit); err != nil {
		return nil, err
	}
	if r.thinks || r.calls != nil {
		p.reading = r
	}
	return p, nil
}

// thinks reports whether the model's template knows reasoning.
func (a *API) thinks() bool {
	return a.Template != nil && strings.Contains(a.Template.All(), constrain.ThinkOpen)
}

// aboutTools reports whether a message is a tool call or the result of one.
func aboutTools(m chat.Message) bool {
	var fields struct {
		Calls json.RawMessage `json:"tool_calls"`
	}
	return m.Role == "tool" || json.Unmarshal(m.Raw, &fields) == nil && asks(fields.Calls)
}

// limit returns the limit of the answer's text; nil if there is none.
func (c *chatRequest) limit() (*limit, error) {
	l, err := c.ResponseFormat.limit()
	if err != nil {
		return nil, err
	}
	other, err := c.StructuredOutputs.limit()
	if err == nil && l != nil && other != nil {
		err = invalid("structured_outputs", "there is response_format too; give one of them")
	}
	if l == nil {
		l = other
	}
	return l, err
}

// restrict compiles the constraint of a plan.
func (a *API) restrict(ctx context.Context, p *plan, r *reading, t *tools, l *limit) (err error) {
	param, key := "tools", ""
	var build func() (*constrain.Program, error)
	if r.calls == nil {
		if l == nil {
			return nil
		}
		param, key, build = l.param, l.key, l.build
	} else {
		layout, ok, err := a.callLayout(p, r, t, l)
		if !ok || err != nil {
			return err
		}
		names, _ := json.Marshal(t.list) // what came from JSON
		r.certain = true
		key = fmt.Sprintf("calls %+v %s", layout, names)
		build = func() (*constrain.Program, error) { return constrain.Calls(layout, t.list) }
	}
	if r.thinks && !r.begun {
		plain := build
		key = fmt.Sprintf("thinking %v %s", r.open, key)
		build = func() (*constrain.Program, error) {
			program, err := plain()
			if err != nil {
				return nil, err
			}
			return program.Thinking(r.open), nil
		}
	}
	p.constraint, err = a.constraint(ctx, param, key, build)
	return err
}

// callLayout returns how tool calls are limited; ok is false if they are not. If a call is
// required and the mark before it is a special token, the mark is written into the prompt.
func (a *API) callLayout(p *plan, r *reading, t *tools, l *limit) (layout constrain.Layout, ok bool, err error) {
	f := r.calls
	layout = f.layout()
	open, special := a.Tokenizer.ID(f.open)
	special = special && a.Tokenizer.IsSpecial(open)
	shut, unsaid := a.Tokenizer.ID(f.close)
	unsaid = unsaid && a.Tokenizer.IsSpecial(shut)
	if unsaid { // the model ends a call only by its end token, which ends the answer
		layout.Close = ""
	}
	layout.Several = t.several && (f.list || f.open != "" && !special && !unsaid)
	if t.required {
		if special {
			p.prompt = append(slices.Clip(p.prompt), open)
			layout.Begun, r.begun = true, true
		}
		return layout, true, nil
	}
	plain := f.open != "" && !special && !unsaid
	if l == nil {
		layout.Free = true
		return layout, plain, nil
	}
	if l.schema == nil || !plain {
		return layout, false, unsupported(l.param, "together with tools it is not supported for this model; send tool_choice none or required, or one of the two")
	}
	layout.Instead = l.schema
	return layout, true, nil
}
