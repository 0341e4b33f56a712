package chat

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/specquant/specquant/internal/jinja"
)

// Message is one message of a conversation.
type Message struct {
	Role    string // system, user, assistant, tool or another that the template knows
	Content string

	// Raw is the whole message as a JSON object, with all other fields (tool_calls, name,
	// reasoning_content, content in parts). If it is set, Role and Content are ignored.
	Raw json.RawMessage
}

// UnmarshalJSON keeps the whole message, as an API's client sent it.
func (m *Message) UnmarshalJSON(data []byte) error {
	var head struct {
		Role    string          `json:"role"`
		Content json.RawMessage `json:"content"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return fmt.Errorf("a message: %w", err)
	}
	if head.Role == "" {
		return errors.New("a message has no role")
	}
	m.Role, m.Raw = head.Role, append(json.RawMessage(nil), data...)
	m.Content = ""
	json.Unmarshal(head.Content, &m.Content) // parts stay in Raw
	return nil
}

// MarshalJSON writes the message as it was read, or its role and content.
func (m Message) MarshalJSON() ([]byte, error) {
	if m.Raw != nil {
		return m.Raw, nil
	}
	return json.Marshal(map[string]string{"role": m.Role, "content": m.Content})
}

// knownRoles are trusted like the template's own text, because a template may make a
// control token from a role ("<|" + role + "|>").
var knownRoles = map[string]bool{"system": true, "developer": true, "user": true, "assistant": true, "tool": true,
	"function": true, "ipython": true, "model": true, "tool_response": true, "tool_call": true, "documents": true}

// value is the message as the template sees it. Everything except a known role is marked as
// coming from the conversation.
func (m Message) value() (*jinja.Dict, error) {
	d := &jinja.Dict{}
	if m.Raw == nil {
		d.Put("role", jinja.User(m.Role))
		d.Put("content", jinja.User(m.Content))
	} else {
		v, err := jinja.FromJSON(m.Raw, jinja.User)
		if err != nil {
			return nil, fmt.Errorf("a message: %w", err)
		}
		var ok bool
		if d, ok = v.(*jinja.Dict); !ok {
			return nil, errors.New("a message is not a JSON object")
		}
	}
	role, _ := d.Get("role")
	t, ok := role.(jinja.Text)
	if !ok {
		return nil, errors.New("a message has no role")
	}
	if knownRoles[t.String()] {
		d.Put("role", jinja.Template(t.String()))
	}
	return d, nil
}

// flatten joins content that consists only of text parts into one string, which most
// templates expect.
func flatten(d *jinja.Dict) {
	content, _ := d.Get("content")
	parts, ok := content.(*jinja.List)
	if !ok {
		return
	}
	var texts []string
	for _, p := range parts.Items {
		part, ok := p.(*jinja.Dict)
		if !ok {
			return
		}
		kind, _ := part.Get("type")
		text, _ := part.Get("text")
		k, ok1 := kind.(jinja.Text)
		t, ok2 := text.(jinja.Text)
		if !ok1 || !ok2 || k.String() != "text" {
			return
		}
		texts = append(texts, t.String())
	}
	d.Put("content", jinja.User(strings.Join(texts, "\n")))
}

// parseArguments converts the arguments of tool calls from a string of JSON, as in APIs, to
// its value, because templates iterate over it.
func parseArguments(d *jinja.Dict) *jinja.Dict {
	v, _ := d.Get("tool_calls")
	calls, ok := v.(*jinja.List)
	if !ok {
		return d
	}
	out, changed := &jinja.List{}, false
	for _, c := range calls.Items {
		call, ok := c.(*jinja.Dict)
		if !ok {
			return d
		}
		f, _ := call.Get("function")
		if function, ok := f.(*jinja.Dict); ok {
			a, _ := function.Get("arguments")
			if text, ok := a.(jinja.Text); ok {
				if parsed, err := jinja.FromJSON([]byte(text.String()), jinja.User); err == nil {
					if _, ok := parsed.(*jinja.Dict); ok {
						function = function.Copy()
						function.Put("arguments", parsed)
						call = call.Copy()
						call.Put("function", function)
						changed = true
					}
				}
			}
		}
		out.Items = append(out.Items, call)
	}
	if !changed {
		return d
	}
	d = d.Copy()
	d.Put("tool_calls", out)
	return d
}
