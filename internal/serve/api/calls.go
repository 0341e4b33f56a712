package api

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"github.com/specquant/specquant/internal/constrain"
)

// toolCall is a call of a tool, in OpenAI's form.
type toolCall struct {
	Index    int    `json:"index"` // among the calls of an answer
	ID       string `json:"id,omitempty"`
	Type     string `json:"type,omitempty"`
	Function struct {
		Name      string `json:"name,omitempty"`
		Arguments string `json:"arguments"` // a JSON object
	} `json:"function"`
}

// callFormat is how a family of models writes calls.
type callFormat struct {
	open, close string // marks around a call; with open "", an answer that is a JSON object or list is a call
	list        bool   // a list of calls is between the marks
	arguments   string // name of the member with the arguments; "parameters" is accepted too
	shortID     bool   // the family's templates need ids of nine letters and digits
}

// hermes is the format of Qwen's and Nous Research's models, and the one that is
// described to models whose template knows no tools.
var hermes = &callFormat{open: "<tool_call>", close: "</tool_call>", arguments: "arguments"}

// callFormats are recognized by marks in a model's template. The first that fits is used.
var callFormats = []struct {
	marks  []string // all of them
	format *callFormat
}{
	{[]string{"[TOOL_CALLS]"}, &callFormat{open: "[TOOL_CALLS]", list: true, arguments: "arguments", shortID: true}},                               // Mistral
	{[]string{"<|tool_call|>", "<|/tool_call|>"}, &callFormat{open: "<|tool_call|>", close: "<|/tool_call|>", list: true, arguments: "arguments"}}, // Phi-4-mini
	{[]string{"<|tool_call|>"}, &callFormat{open: "<|tool_call|>", list: true, arguments: "arguments"}},                                            // Granite 3
	{[]string{"<tool_call>"}, hermes},
	{[]string{"ipython"}, &callFormat{arguments: "parameters"}}, // Llama 3
	{nil, &callFormat{arguments: "arguments"}},
}

func formatOf(template string) *callFormat {
	for _, f := range callFormats {
		all := true
		for _, m := range f.marks {
			all = all && strings.Contains(template, m)
		}
		if all {
			return f.format
		}
	}
	return hermes // not reached: the last one has no marks
}

// layout returns the format for the constraint.
func (f *callFormat) layout() constrain.Layout {
	return constrain.Layout{Open: f.open, Close: f.close, List: f.list, Arguments: f.arguments}
}

// parse reads the calls between the marks; nil if they are no calls, or of an unknown tool.
func (f *callFormat) parse(body string, names map[string]bool) (calls []toolCall) {
	parts := []string{body}
	if f.open != "" {
		parts = strings.Split(body, f.open)
	}
	for _, p := range parts {
		p = strings.Trim(p, blanks)
		name, rest := namedCall(p)
		if name == "" {
			more := f.parseJSON(p, names)
			if more == nil {
				return nil
			}
			calls = append(calls, more...)
			continue
		}
		arguments, ok := argumentsOf(json.RawMessage(rest))
		if !ok || !names[name] {
			return nil
		}
		calls = append(calls, f.newCall(name, arguments))
	}
	return calls
}

// namedCall reads Mistral's newer form: the name followed by the arguments.
func namedCall(s string) (name, arguments string) {
	at := strings.IndexByte(s, '{')
	if at <= 0 || s[0] == '[' {
		return "", ""
	}
	name = strings.Trim(strings.TrimSuffix(strings.Trim(s[:at], blanks), "[ARGS]"), blanks)
	return name, s[at:]
}

// parseJSON reads calls that are objects, one after the other or in lists.
func (f *callFormat) parseJSON(text string, names map[string]bool) (calls []toolCall) {
	for text != "" {
		d := json.NewDecoder(strings.NewReader(text))
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return nil
		}
		text = strings.TrimLeft(text[d.InputOffset():], blanks+",;")
		var list []json.RawMessage
		if json.Unmarshal(raw, &list) != nil {
			list = []json.RawMessage{raw}
		}
		for _, item := range list {
			var c struct {
				Name       string          `json:"name"`
				Arguments  json.RawMessage `json:"arguments"`
				Parameters json.RawMessage `json:"parameters"`
			}
			if json.Unmarshal(item, &c) != nil || !names[c.Name] {
				return nil
			}
			if c.Arguments == nil {
				c.Arguments = c.Parameters
			}
			arguments, ok := argumentsOf(c.Arguments)
			if !ok {
				return nil
			}
			calls = append(calls, f.newCall(c.Name, arguments))
		}
	}
	return calls
}

// argumentsOf returns arguments as the text of a JSON object. They are an object, or a string
// that contains one.
func argumentsOf(raw json.RawMessage) (string, bool) {
	if len(raw) == 0 || string(raw) == "null" {
		return "{}", true
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		raw = json.RawMessage(text)
	}
	d := json.NewDecoder(strings.NewReader(string(raw)))
	var object map[string]json.RawMessage
	if d.Decode(&object) != nil || object == nil {
		return "", false
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return "", false
	}
	return strings.Trim(string(raw), blanks), true
}

func (f *callFormat) newCall(name, arguments string) toolCall {
	c := toolCall{ID: newID("call_"), Type: "function"}
	if f.shortID {
		c.ID = rand.Text()[:9]
	}
	c.Function.Name, c.Function.Arguments = name, arguments
	return c
}
