package api

import (
	"encoding/json"
	"net/http"

	"github.com/specquant/specquant/internal/chat"
	"github.com/specquant/specquant/internal/serve/scheduler"
)

// messagesRequest is the body of Anthropic's /v1/messages.
type messagesRequest struct {
	Model         string             `json:"model"`
	MaxTokens     *int               `json:"max_tokens"`
	Messages      []anthropicMessage `json:"messages"`
	System        json.RawMessage    `json:"system"` // a text, or blocks of text
	StopSequences []string           `json:"stop_sequences"`
	Stream        bool               `json:"stream"`
	Temperature   *float64           `json:"temperature"`
	TopP          *float64           `json:"top_p"`
	TopK          *int               `json:"top_k"`

	Tools      []anthropicTool `json:"tools"`
	ToolChoice json.RawMessage `json:"tool_choice"`

	OutputConfig struct {
		Format *anthropicFormat `json:"format"`
		Effort json.RawMessage  `json:"effort"` // refused by name
	} `json:"output_config"`
	OutputFormat *anthropicFormat `json:"output_format"` // the same in older clients

	Thinking json.RawMessage `json:"thinking"`

	// Refused by name where they ask for something.
	Container         json.RawMessage `json:"container"`
	MCPServers        json.RawMessage `json:"mcp_servers"`
	ContextManagement json.RawMessage `json:"context_management"`

	// Taken and without effect.
	Metadata     json.RawMessage `json:"metadata"`
	ServiceTier  json.RawMessage `json:"service_tier"`
	CacheControl json.RawMessage `json:"cache_control"`
}

// anthropicFormat is the form of an answer.
type anthropicFormat struct {
	Type   string          `json:"type"`
	Schema json.RawMessage `json:"schema"`
}

// limit is what the form asks for; nil: nothing.
func (f *anthropicFormat) limit(param string) (*limit, error) {
	switch {
	case f == nil:
		return nil, nil
	case f.Type != "json_schema" || len(f.Schema) == 0:
		return nil, invalid(param, "found the type %.40q, expected json_schema, with a schema", f.Type)
	}
	return schemaLimit(param, f.Schema), nil
}

// limit is what the request asks for; nil: nothing.
func (m *messagesRequest) limit() (*limit, error) {
	l, err := m.OutputConfig.Format.limit("output_config.format")
	if l != nil || err != nil {
		return l, err
	}
	return m.OutputFormat.limit("output_format")
}

type anthropicMessage struct {
	Role    string          `json:"role"`
	Content json.RawMessage `json:"content"`
}

// anthropicNames maps fields of [common] to Anthropic's names.
var anthropicNames = map[string]string{"stop": "stop_sequences"}

// conversation checks the request and gives what it says.
func (a *API) conversation(m *messagesRequest) (t *talk, c *common, err error) {
	if err := refuse(field{"container", m.Container}, field{"mcp_servers", m.MCPServers},
		field{"context_management", m.ContextManagement}, field{"output_config.effort", m.OutputConfig.Effort}); err != nil {
		return nil, nil, err
	}
	c = &common{Stream: m.Stream, MaxTokens: m.MaxTokens, Stop: m.StopSequences, Temperature: m.Temperature, TopP: m.TopP, TopK: m.TopK}
	if err := c.check(a.Vocab); err != nil {
		return nil, nil, renamed(err, anthropicNames)
	}
	t = &talk{plain: true}
	if err := anthropicTools(t, m.Tools, m.ToolChoice); err != nil {
		return nil, nil, err
	}
	if t.limit, err = m.limit(); err != nil {
		return nil, nil, err
	}
	if asks(m.System) {
		text, err := textOf(m.System, "text")
		if err != nil {
			return nil, nil, invalid("system", "%v", err)
		}
		if text != "" {
			t.messages = append(t.messages, chat.Message{Role: "system", Content: text})
		}
	}
	turns := make([]chat.Message, len(m.Messages))
	for i, one := range m.Messages {
		turns[i].Role = one.Role
	}
	if err := roles("messages", turns, "user", "assistant"); err != nil {
		return nil, nil, err
	}
	for i, one := range m.Messages {
		turn, err := anthropicTurn(one)
		if err != nil {
			return nil, nil, invalid("messages", "item %d: content: %v", i, err)
		}
		t.messages = append(t.messages, turn...)
	}
	if len(t.messages) > MaxMessages {
		return nil, nil, invalid("messages", "with their blocks they are %d, expected at most %d", len(t.messages), MaxMessages)
	}
	last := m.Messages[len(m.Messages)-1]
	t.open = last.Role == "assistant"
	return t, c, a.anthropicThink(t, m)
}

// Objects of the answer, in Anthropic's form.
type (
	anthropicUsage struct {
		Input  int `json:"input_tokens"` // that were not in the cache
		Create int `json:"cache_creation_input_tokens"`
		Cached int `json:"cache_read_input_tokens"`
		Output int `json:"output_tokens"`
	}
	anthropicBlock struct {
		Type      string          `json:"type"`
		Text      *string         `json:"text,omitempty"`      // of text
		Thinking  *string         `json:"thinking,omitempty"`  // of thinking
		Signature *string         `json:"signature,omitempty"` // likewise: always "", clients expect the field
		ID        string          `json:"id,omitempty"`        // of tool_use
		Name      string          `json:"name,omitempty"`      // likewise
		Input     json.RawMessage `json:"input,omitempty"`     // likewise: an object
	}
	anthropicAnswer struct {
		ID         string           `json:"id"`
		Type       string           `json:"type"`
		Role       string           `json:"role"`
		Model      string           `json:"model"`
		Content    []anthropicBlock `json:"content"`
		StopReason *string          `json:"stop_reason"`
		Stop       *string          `json:"stop_sequence"`
		Usage      anthropicUsage   `json:"usage"`
	}
)

func anthropicUsageOf(u usage) anthropicUsage {
	return anthropicUsage{Input: u.Prompt - u.Details.Cached, Cached: u.Details.Cached, Output: u.Completion}
}

// stopReason returns why a text ended, and the stop string that ended it; nil if none did.
func stopReason(finish, stop string) (reason string, sequence *string) {
	switch {
	case stop != "":
		return "stop_sequence", &stop
	case finish == scheduler.FinishLength:
		return "max_tokens", nil
	case finish == finishCalls:
		return "tool_use", nil
	}
	return "end_turn", nil
}

func (a *API) messages(w http.ResponseWriter, r *http.Request) error {
	var m messagesRequest
	if err := a.read(r, &m); err != nil {
		return err
	}
	if m.MaxTokens == nil {
		return invalid("max_tokens", "is missing")
	}
	t, c, err := a.conversation(&m)
	if err != nil {
		return err
	}
	run, prompt, err := a.converse(w, r, t, c)
	if err != nil {
		return err
	}
	defer run.stop()
	answer := anthropicAnswer{ID: newID("msg_"), Type: "message", Role: "assistant", Model: a.Name, Content: []anthropicBlock{}}
	if m.Stream {
		answer.Usage.Input = prompt // how much of it was in the cache is known at the end
		return a.follow(run, &anthropicStream{sse: sse{w: w}, answer: answer, thoughts: !t.plain})
	}
	one, err := answered(run)
	if err != nil {
		return err
	}
	reason, stop := stopReason(one.finish, one.stop)
	if t.plain {
		one.reasoning = ""
	}
	answer.Content = anthropicBlocks(one)
	answer.StopReason, answer.Stop, answer.Usage = &reason, stop, anthropicUsageOf(run.usage)
	writeJSON(w, http.StatusOK, answer)
	return nil
}

// anthropicBlocks are the blocks of an answer. Arguments that were cut off are no JSON, and
// left out.
func anthropicBlocks(one whole) (out []anthropicBlock) {
	if one.reasoning != "" {
		out = append(out, anthropicBlock{Type: "thinking", Thinking: &one.reasoning, Signature: new(string)})
	}
	if one.text != "" || len(out) == 0 && len(one.calls) == 0 {
		out = append(out, anthropicBlock{Type: "text", Text: &one.text})
	}
	for _, c := range one.calls {
		input := json.RawMessage(c.Function.Arguments)
		if !json.Valid(input) {
			input = json.RawMessage("{}")
		}
		out = append(out, anthropicBlock{Type: "tool_use", ID: c.ID, Name: c.Function.Name, Input: input})
	}
	return out
}

// anthropicStream writes Anthropic's events.
type anthropicStream struct {
	sse
	answer   anthropicAnswer
	thoughts bool // are shown
	finish   string
	stop     string
	blocks   int    // that have been begun
	block    string // type of the one that has not been ended; "": all have
}

func (s *anthropicStream) beat() error {
	if !s.begun() {
		return s.sse.beat()
	}
	return s.event("ping", map[string]string{"type": "ping"})
}

// start sends what comes before the first piece.
func (s *anthropicStream) start() error {
	if s.answer.ID == "" {
		return nil
	}
	message := s.answer
	s.answer.ID = "" // sent
	return s.event("message_start", map[string]any{"type": "message_start", "message": message})
}

// begin begins a block, behind the one before it.
func (s *anthropicStream) begin(b anthropicBlock) error {
	if err := s.close(); err != nil {
		return err
	}
	s.block = b.Type
	s.blocks++
	return s.event("content_block_start", map[string]any{"type": "content_block_start", "index": s.blocks - 1, "content_block": b})
}

// close ends the block that is being written.
func (s *anthropicStream) close() error {
	if s.block == "" {
		return nil
	}
	s.block = ""
	return s.event("content_block_stop", map[string]any{"type": "content_block_stop", "index": s.blocks - 1})
}

// delta is a piece of the block.
func (s *anthropicStream) delta(kind, field, text string) error {
	if text == "" {
		return nil
	}
	return s.event("content_block_delta", map[string]any{"type": "content_block_delta", "index": s.blocks - 1, "delta": map[string]string{"type": kind, field: text}})
}

func (s *anthropicStream) piece(e event) error {
	if err := s.start(); err != nil {
		return err
	}
	if e.finish != "" {
		s.finish, s.stop = e.finish, e.stop
	}
	if e.reasoning != "" && s.thoughts {
		if s.block != "thinking" {
			if err := s.begin(anthropicBlock{Type: "thinking", Thinking: new(string), Signature: new(string)}); err != nil {
				return err
			}
		}
		if err := s.delta("thinking_delta", "thinking", e.reasoning); err != nil {
			return err
		}
	}
	if e.text != "" {
		if s.block != "text" {
			if err := s.begin(anthropicBlock{Type: "text", Text: new(string)}); err != nil {
				return err
			}
		}
		if err := s.delta("text_delta", "text", e.text); err != nil {
			return err
		}
	}
	for _, c := range e.calls {
		if c.ID != "" {
			if err := s.begin(anthropicBlock{Type: "tool_use", ID: c.ID, Name: c.Function.Name, Input: json.RawMessage("{}")}); err != nil {
				return err
			}
		}
		if err := s.delta("input_json_delta", "partial_json", c.Function.Arguments); err != nil {
			return err
		}
	}
	return nil
}

func (s *anthropicStream) end(u usage) error {
	if err := s.start(); err != nil {
		return err
	}
	if s.blocks == 0 {
		if err := s.begin(anthropicBlock{Type: "text", Text: new(string)}); err != nil {
			return err
		}
	}
	reason, stop := stopReason(s.finish, s.stop)
	return inTurn(s.close,
		func() error {
			return s.event("message_delta", map[string]any{"type": "message_delta", "delta": map[string]any{"stop_reason": reason, "stop_sequence": stop}, "usage": anthropicUsageOf(u)})
		},
		func() error { return s.event("message_stop", map[string]any{"type": "message_stop"}) })
}

func (s *anthropicStream) fail(e *Error) { s.event("error", anthropicError(e)) }

// countTokens is Anthropic's /v1/messages/count_tokens.
func (a *API) countTokens(w http.ResponseWriter, r *http.Request) error {
	var m messagesRequest
	if err := a.read(r, &m); err != nil {
		return err
	}
	t, _, err := a.conversation(&m)
	if err != nil {
		return err
	}
	p, err := a.plan(r.Context(), t)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]int{"input_tokens": len(p.prompt)})
	return nil
}

// anthropicError is an error in Anthropic's form.
func anthropicError(e *Error) any {
	kinds := map[int]string{401: "authentication_error", 403: "permission_error", 404: "not_found_error", 413: "request_too_large", 429: "rate_limit_error", 503: "overloaded_error", 504: "timeout_error"}
	kind := kinds[e.Status]
	switch {
	case kind != "":
	case e.Status >= 500:
		kind = "api_error"
	default:
		kind = "invalid_request_error"
	}
	return map[string]any{"type": "error", "error": map[string]string{"type": kind, "message": e.Message}}
}
