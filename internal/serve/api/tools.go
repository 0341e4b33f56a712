package api

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/specquant/specquant/internal/chat"
	"github.com/specquant/specquant/internal/constrain"
)

// MaxTools bounds the tools of a request.
const MaxTools = 128

// tools are the tools of a request, and which of them may be called.
type tools struct {
	raw      []json.RawMessage // as the client sent them, for the template
	list     []constrain.Tool  // that may be called
	required bool              // one must be called
	several  bool              // more than one call may be made
}

var toolName = regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,64}$`)

// readTools reads the fields of a request about tools; nil if none may be called.
func readTools(raw []json.RawMessage, choice json.RawMessage, parallel *bool) (*tools, error) {
	if len(raw) > MaxTools {
		return nil, invalid("tools", "found %d, expected at most %d", len(raw), MaxTools)
	}
	t := &tools{raw: raw, several: parallel == nil || *parallel}
	there := map[string]bool{}
	for i, r := range raw {
		var tool struct {
			Type     string `json:"type"`
			Function *struct {
				Name       string          `json:"name"`
				Parameters json.RawMessage `json:"parameters"`
			} `json:"function"`
		}
		switch err := json.Unmarshal(r, &tool); {
		case err != nil:
			return nil, invalid("tools", "item %d: %v", i, err)
		case tool.Type != "function" || tool.Function == nil:
			return nil, invalid("tools", "item %d: found the type %.40q, expected function, with a member of that name", i, tool.Type)
		case !toolName.MatchString(tool.Function.Name):
			return nil, invalid("tools", "item %d: found the name %.80q, expected 1 to 64 letters, digits, _, - and .", i, tool.Function.Name)
		case there[tool.Function.Name]:
			return nil, invalid("tools", "item %d: there is another tool of the name %q", i, tool.Function.Name)
		}
		there[tool.Function.Name] = true
		p := tool.Function.Parameters
		if s := string(p); s == "null" || s == "{}" || s == "" {
			p = nil
		}
		t.list = append(t.list, constrain.Tool{Name: tool.Function.Name, Parameters: p})
	}
	return t, t.choose(choice)
}

// choose applies tool_choice.
func (t *tools) choose(choice json.RawMessage) error {
	var word string
	var one struct {
		toolRef
		Allowed struct {
			Mode  string    `json:"mode"`
			Tools []toolRef `json:"tools"`
		} `json:"allowed_tools"`
	}
	known := json.Unmarshal(choice, &one) == nil
	switch {
	case len(choice) == 0 || string(choice) == "null":
		word = "auto"
	case json.Unmarshal(choice, &word) == nil:
	case known && one.Type == "function":
		t.required, t.several = true, false
		return t.only(one.toolRef)
	case known && one.Type == "allowed_tools":
		if word = one.Allowed.Mode; word != "auto" && word != "required" {
			return invalid("tool_choice", "allowed_tools: mode: found %.40q, expected auto or required", word)
		}
		if err := t.only(one.Allowed.Tools...); err != nil {
			return err
		}
	default:
		return invalid("tool_choice", "expected none, auto, required, {\"type\": \"function\", \"function\": {\"name\": …}}, or allowed_tools")
	}
	switch word {
	case "none":
		t.raw, t.list = nil, nil
	case "auto":
	case "required":
		if t.required = true; len(t.list) == 0 {
			return invalid("tool_choice", "required, and there are no tools")
		}
	default:
		return invalid("tool_choice", "found %.40q, expected none, auto, required or a function", word)
	}
	return nil
}

// toolRef names a tool.
type toolRef struct {
	Type     string `json:"type"`
	Function struct {
		Name string `json:"name"`
	} `json:"function"`
}

// only lets none but the named tools be called. The model is shown all of them, so that the
// prompt is the same.
func (t *tools) only(refs ...toolRef) error {
	var list []constrain.Tool
	for _, ref := range refs {
		i := slices.IndexFunc(t.list, func(tool constrain.Tool) bool { return tool.Name == ref.Function.Name })
		if i < 0 {
			return invalid("tool_choice", "there is no tool of the name %.80q", ref.Function.Name)
		}
		list = append(list, t.list[i])
	}
	t.list = list
	return nil
}

// describe adds the tools to the conversation as text, with past calls and their results, for a
// template without support for tools.
func (t *tools) describe(messages []chat.Message) ([]chat.Message, error) {
	out := make([]chat.Message, 0, len(messages)+1)
	if len(t.raw) > 0 {
		var b strings.Builder
		b.WriteString("You can call functions. Here they are, each as JSON:\n")
		for _, r := range t.raw {
			b.Write(r)
			b.WriteByte('\n')
		}
		b.WriteString("\nTo call one, write\n" + hermes.open + "\n{\"name\": NAME, \"arguments\": {ARGUMENTS}}\n" + hermes.close + "\nWhat it returns comes between <tool_response> and </tool_response>.")
		text := b.String()
		if len(messages) > 0 && (messages[0].Role == "system" || messages[0].Role == "developer") {
			content, err := textOf(contentOf(messages[0]), "text")
			if err != nil {
				return nil, err
			}
			text = content + "\n\n" + text
			messages = messages[1:]
		}
		out = append(out, chat.Message{Role: "system", Content: text})
	}
	for _, m := range messages {
		switch {
		case m.Role == "tool":
			content, err := textOf(contentOf(m), "text")
			if err != nil {
				return nil, err
			}
			m = chat.Message{Role: "user", Content: "<tool_response>\n" + content + "\n</tool_response>"}
			if last := len(out) - 1; last >= 0 && out[last].Raw == nil && out[last].Role == "user" { // several results form one turn
				out[last].Content += "\n" + m.Content
				continue
			}
		case m.Role == "assistant":
			text, err := described(m)
			if err != nil {
				return nil, err
			}
			m = chat.Message{Role: "assistant", Content: text}
		}
		out = append(out, m)
	}
	return out, nil
}

// rawOf is a message as a JSON object.
func rawOf(m chat.Message) json.RawMessage {
	raw, _ := m.MarshalJSON() // of texts it does not fail
	return raw
}

func contentOf(m chat.Message) json.RawMessage {
	var fields struct {
		Content json.RawMessage `json:"content"`
	}
	json.Unmarshal(rawOf(m), &fields) // checked
	return fields.Content
}

// described returns a message of the model with its tool calls as text.
func described(m chat.Message) (string, error) {
	var fields struct {
		Calls []struct {
			Function struct {
				Name      string `json:"name"`
				Arguments string `json:"arguments"`
			} `json:"function"`
		} `json:"tool_calls"`
	}
	if err := json.Unmarshal(rawOf(m), &fields); err != nil {
		return "", err
	}
	var parts []string
	if text, err := textOf(contentOf(m), "text", "refusal"); err == nil && text != "" {
		parts = append(parts, text)
	}
	for _, c := range fields.Calls {
		name, _ := json.Marshal(c.Function.Name)
		if !json.Valid([]byte(c.Function.Arguments)) {
			return "", fmt.Errorf("tool_calls: the arguments of %.80q are not valid JSON", c.Function.Name)
		}
		parts = append(parts, hermes.open+"\n{\"name\": "+string(name)+", \"arguments\": "+c.Function.Arguments+"}\n"+hermes.close)
	}
	return strings.Join(parts, "\n"), nil
}
