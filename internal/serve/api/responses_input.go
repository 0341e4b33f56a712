package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/specquant/specquant/internal/chat"
	"github.com/specquant/specquant/internal/plural"
)

// What a request of /v1/responses says (instructions, items of input, tools) becomes what
// OpenAI's chats have, which templates are written for.

// responseInput is an item of a request's input. Fields of items that are not here, such as
// id and status of an earlier answer's, have no effect.
type responseInput struct {
	Type      string          `json:"type"` // "": message
	Role      string          `json:"role"`
	Content   json.RawMessage `json:"content"` // of a message, or of reasoning
	CallID    string          `json:"call_id"` // of function_call and function_call_output
	Name      string          `json:"name"`
	Arguments json.RawMessage `json:"arguments"` // the text of an object
	Output    json.RawMessage `json:"output"`    // a text, or parts
}

// messages are the conversation that instructions and input make.
func (q *responsesRequest) messages() ([]chat.Message, error) {
	var out []chat.Message
	if q.Instructions != nil && *q.Instructions != "" {
		out = append(out, chat.Message{Role: "system", Content: *q.Instructions})
	}
	if bytes.HasPrefix(q.Input, []byte(`"`)) {
		text, err := textOf(q.Input)
		if err != nil {
			return nil, invalid("input", "%v", err)
		}
		return append(out, chat.Message{Role: "user", Content: text}), nil
	}
	var items []responseInput
	if json.Unmarshal(q.Input, &items) != nil || len(items) == 0 {
		return nil, invalid("input", "expected a text or a list of items")
	}
	if len(items) > MaxMessages {
		return nil, invalid("input", "found %s, expected at most %d", plural.Of(len(items), "item"), MaxMessages)
	}
	turns := responseTurns{names: map[string]string{}}
	for i, item := range items {
		if err := turns.add(item); err != nil {
			return nil, invalid("input", "item %d: %v", i, err)
		}
	}
	for _, t := range turns.list {
		out = append(out, t.message())
	}
	if len(out) == 0 {
		return nil, invalid("input", "found no message")
	}
	return out, nil
}

// responseTurns gathers items to messages: an answer's text and the calls beside it are one.
type responseTurns struct {
	list    []responseTurn
	names   map[string]string // of the functions that were called, by call_id
	thought string            // reasoning of the answer that comes next
}

type responseTurn struct {
	role, text, thought string
	calls               []toolCall // of an assistant's
	callID, name        string     // of a tool's
}

func (r *responseTurns) add(item responseInput) error {
	texts := []string{"input_text", "output_text", "text"}
	switch item.Type {
	case "", "message":
		if roles := []string{"user", "assistant", "system", "developer"}; !slices.Contains(roles, item.Role) {
			return fmt.Errorf("role: found %.40q, expected one of %v", item.Role, roles)
		}
		text, err := textOf(item.Content, texts...)
		if err != nil {
			return fmt.Errorf("content: %w", err)
		}
		if last := r.answer(); item.Role == "assistant" && last != nil && last.calls != nil && last.text == "" {
			last.text = text
			return nil
		}
		r.begin(item.Role, text)
	case "reasoning":
		if len(item.Content) > 0 && string(item.Content) != "null" && string(item.Content) != "[]" { // else only a summary of it
			text, err := textOf(item.Content, "reasoning_text")
			if err != nil {
				return fmt.Errorf("content: %w", err)
			}
			r.thought = text
		}
	case "function_call":
		arguments, ok := argumentsOf(item.Arguments)
		if !ok || item.Name == "" || item.CallID == "" {
			return fmt.Errorf("a function_call has a name, a call_id, and as arguments the text of a JSON object")
		}
		if r.answer() == nil {
			r.begin("assistant", "")
		}
		last := r.answer()
		c := toolCall{Index: len(last.calls), ID: item.CallID, Type: "function"}
		c.Function.Name, c.Function.Arguments = item.Name, arguments
		last.calls = append(last.calls, c)
		r.names[item.CallID] = item.Name
	case "function_call_output":
		name, ok := r.names[item.CallID]
		if !ok {
			return fmt.Errorf("no function_call before it has the call_id %.80q: this server stores nothing, so send the whole conversation, calls too", item.CallID)
		}
		text, err := textOf(item.Output, texts...)
		if err != nil {
			return fmt.Errorf("output: %w", err)
		}
		r.begin("tool", text)
		r.list[len(r.list)-1].callID, r.list[len(r.list)-1].name = item.CallID, name
	default:
		return fmt.Errorf("it is %.40q; this server takes message, reasoning, function_call and function_call_output: it stores no items and has no tools of its own", item.Type)
	}
	return nil
}

// begin begins a message.
func (r *responseTurns) begin(role, text string) {
	t := responseTurn{role: role, text: text}
	if role == "assistant" {
		t.thought, r.thought = r.thought, ""
	}
	r.list = append(r.list, t)
}

// answer is the last message, if it is an assistant's.
func (r *responseTurns) answer() *responseTurn {
	if n := len(r.list); n > 0 && r.list[n-1].role == "assistant" {
		return &r.list[n-1]
	}
	return nil
}

func (t responseTurn) message() chat.Message {
	fields := map[string]any{"role": t.role, "content": t.text}
	switch {
	case t.role == "tool":
		fields["tool_call_id"], fields["name"] = t.callID, t.name
	case t.calls == nil && t.thought == "":
		return chat.Message{Role: t.role, Content: t.text}
	}
	if t.calls != nil {
		fields["tool_calls"] = t.calls
	}
	if t.thought != "" {
		fields["reasoning_content"] = t.thought
	}
	return message(fields)
}

// responseTools are tools in the form of chats.
func responseTools(in []json.RawMessage) (out []json.RawMessage, err error) {
	for i, raw := range in {
		var tool struct {
			Type        string          `json:"type"`
			Name        string          `json:"name"`
			Description string          `json:"description"`
			Parameters  json.RawMessage `json:"parameters"`
		}
		if err := json.Unmarshal(raw, &tool); err != nil {
			return nil, invalid("tools", "item %d: %v", i, err)
		}
		if tool.Type != "function" {
			return nil, unsupported("tools", fmt.Sprintf("item %d is %.40q; this server has no tools of its own, only functions that the client carries out", i, tool.Type))
		}
		chats := openAITool{Type: "function"}
		chats.Function.Name, chats.Function.Description, chats.Function.Parameters = tool.Name, tool.Description, tool.Parameters
		one, err := json.Marshal(chats)
		if err != nil {
			return nil, invalid("tools", "item %d: parameters: %v", i, err)
		}
		out = append(out, one)
	}
	return out, nil
}

// responseChoice is tool_choice in the form of chats.
func responseChoice(in json.RawMessage) (out json.RawMessage, err error) {
	type function struct {
		Type string `json:"type"`
		Name string `json:"name"`
	}
	var choice struct {
		function
		Mode  string     `json:"mode"`
		Tools []function `json:"tools"`
	}
	if !bytes.HasPrefix(in, []byte("{")) {
		return in, nil // a word, which chats have too
	}
	if err := json.Unmarshal(in, &choice); err != nil {
		return nil, invalid("tool_choice", "%v", err)
	}
	named := func(f function) (t openAITool) {
		t.Type, t.Function.Name = f.Type, f.Name
		return t
	}
	switch choice.Type {
	case "function":
		out, err = json.Marshal(named(choice.function))
	case "allowed_tools":
		var tools []openAITool
		for _, f := range choice.Tools {
			tools = append(tools, named(f))
		}
		out, err = json.Marshal(map[string]any{"type": choice.Type, "allowed_tools": map[string]any{"mode": choice.Mode, "tools": tools}})
	default:
		return nil, unsupported("tool_choice", fmt.Sprintf("it is %.40q; this server has no tools of its own, only functions that the client carries out", choice.Type))
	}
	return out, err
}
