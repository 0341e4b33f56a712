package api

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/specquant/specquant/internal/chat"
)

// Anthropic's tools, and their calls and results in messages, become those of OpenAI, which
// templates are written for.

// anthropicTool is a tool in Anthropic's form.
type anthropicTool struct {
	Type        string          `json:"type"` // "" or custom; others are tools of Anthropic's own
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Schema      json.RawMessage `json:"input_schema"`

	CacheControl json.RawMessage `json:"cache_control"` // without effect
}

// openAITool is a tool in OpenAI's form.
type openAITool struct {
	Type     string `json:"type"`
	Function struct {
		Name        string          `json:"name"`
		Description string          `json:"description,omitempty"`
		Parameters  json.RawMessage `json:"parameters,omitempty"`
	} `json:"function"`
}

// anthropicTools puts tools and the choice among them into a conversation.
func anthropicTools(t *talk, tools []anthropicTool, choice json.RawMessage) error {
	for i, tool := range tools {
		if tool.Type != "" && tool.Type != "custom" {
			return unsupported("tools", fmt.Sprintf("item %d is %.40q; this server has no tools of its own, only custom ones that the client carries out", i, tool.Type))
		}
		out := openAITool{Type: "function"}
		out.Function.Name, out.Function.Description, out.Function.Parameters = tool.Name, tool.Description, tool.Schema
		raw, err := json.Marshal(out)
		if err != nil {
			return invalid("tools", "item %d: input_schema: %v", i, err)
		}
		t.tools = append(t.tools, raw)
	}
	if len(choice) == 0 || string(choice) == "null" {
		return nil
	}
	var c struct {
		Type    string `json:"type"`
		Name    string `json:"name"`
		Disable bool   `json:"disable_parallel_tool_use"`
	}
	if err := json.Unmarshal(choice, &c); err != nil {
		return invalid("tool_choice", "%v", err)
	}
	parallel := !c.Disable
	t.parallel = &parallel
	var out any
	switch c.Type {
	case "auto", "none":
		out = c.Type
	case "any":
		out = "required"
	case "tool":
		one := openAITool{Type: "function"}
		one.Function.Name = c.Name
		out = one
	default:
		return invalid("tool_choice", "type: found %.40q, expected auto, any, tool or none", c.Type)
	}
	t.choice, _ = json.Marshal(out) // texts
	return nil
}

// anthropicBlockIn is a block of a message's content.
type anthropicBlockIn struct {
	Type    string          `json:"type"`
	Text    *string         `json:"text"`
	ID      string          `json:"id"`    // of tool_use
	Name    string          `json:"name"`  // likewise
	Input   json.RawMessage `json:"input"` // likewise
	CallID  string          `json:"tool_use_id"`
	Content json.RawMessage `json:"content"` // of tool_result: a text, or blocks of text

	Thinking *string `json:"thinking"` // of thinking
}

// anthropicTurn gives the messages in OpenAI's form that one of Anthropic's stands for.
func anthropicTurn(m anthropicMessage) ([]chat.Message, error) {
	var blocks []anthropicBlockIn
	if json.Unmarshal(m.Content, &blocks) != nil || !slices.ContainsFunc(blocks, func(b anthropicBlockIn) bool { return strings.HasPrefix(b.Type, "tool_") || b.Type == "thinking" }) {
		text, err := textOf(m.Content, "text")
		return []chat.Message{{Role: m.Role, Content: text}}, err
	}
	var out []chat.Message
	var texts, thoughts []string
	var calls []toolCall
	for i, b := range blocks {
		switch {
		case b.Type == "text" && b.Text != nil:
			texts = append(texts, *b.Text)
		case b.Type == "thinking" && b.Thinking != nil && m.Role == "assistant":
			thoughts = append(thoughts, *b.Thinking)
		case b.Type == "tool_use" && m.Role == "assistant":
			arguments, ok := argumentsOf(b.Input)
			if !ok || b.Name == "" {
				return nil, fmt.Errorf("block %d: expected a name, and an object as input", i)
			}
			c := toolCall{Index: len(calls), ID: b.ID, Type: "function"}
			c.Function.Name, c.Function.Arguments = b.Name, arguments
			calls = append(calls, c)
		case b.Type == "tool_result" && m.Role == "user":
			text, err := "", error(nil)
			if len(b.Content) > 0 && string(b.Content) != "null" {
				if text, err = textOf(b.Content, "text"); err != nil {
					return nil, fmt.Errorf("block %d: %w", i, err)
				}
			}
			out = append(out, message(map[string]any{"role": "tool", "tool_call_id": b.CallID, "content": text}))
		default:
			return nil, fmt.Errorf("block %d is %.40q in a message of the %.10s, expected text, thinking or tool_use of the assistant, or tool_result of the user", i, b.Type, m.Role)
		}
	}
	text := strings.Join(texts, "\n")
	if calls != nil || thoughts != nil {
		fields := map[string]any{"role": m.Role, "content": text}
		if calls != nil {
			fields["tool_calls"] = calls
		}
		if thoughts != nil { // the template decides whether they are part of the prompt
			fields["reasoning_content"] = strings.Join(thoughts, "\n")
		}
		return append(out, message(fields)), nil
	}
	if text != "" {
		out = append(out, chat.Message{Role: m.Role, Content: text})
	}
	return out, nil
}

// message is one that has further fields.
func message(fields map[string]any) chat.Message {
	raw, _ := json.Marshal(fields) // texts, and calls whose arguments are texts
	var m chat.Message
	_ = m.UnmarshalJSON(raw) // has a role
	return m
}
