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

	// Refused by name where they ask for something.
	Tools             json.RawMessage `json:"tools"`
	ToolChoice        json.RawMessage `json:"tool_choice"`
	Thinking          json.RawMessage `json:"thinking"`
	Container         json.RawMessage `json:"container"`
	MCPServers        json.RawMessage `json:"mcp_servers"`
	ContextManagement json.RawMessage `json:"context_management"`
	OutputConfig      json.RawMessage `json:"output_config"`
	OutputFormat      json.RawMessage `json:"output_format"`

	// Taken and without effect.
	Metadata     json.RawMessage `json:"metadata"`
	ServiceTier  json.RawMessage `json:"service_tier"`
	CacheControl json.RawMessage `json:"cache_control"`
}

type anthropicMessage struct {
	Role    string          `json:"role"`
	Content json.RawMessage `json:"content"`
}

// anthropicNames are what Anthropic calls fields of [common].
var anthropicNames = map[string]string{"stop": "stop_sequences"}

// conversation checks the request and gives what it says. open: the last message is the
// beginning of the answer.
func (m *messagesRequest) conversation(vocab int) (messages []chat.Message, open bool, c *common, err error) {
	thinking := m.Thinking
	var kind struct {
		Type string `json:"type"`
	}
	if json.Unmarshal(thinking, &kind) == nil && kind.Type == "disabled" {
		thinking = nil
	}
	if err := refuse(field{"tools", m.Tools}, field{"tool_choice", m.ToolChoice}, field{"thinking", thinking}, field{"container", m.Container}, field{"mcp_servers", m.MCPServers},
		field{"context_management", m.ContextManagement}, field{"output_config", m.OutputConfig}, field{"output_format", m.OutputFormat}); err != nil {
		return nil, false, nil, err
	}
	c = &common{Stream: m.Stream, MaxTokens: m.MaxTokens, Stop: m.StopSequences, Temperature: m.Temperature, TopP: m.TopP, TopK: m.TopK}
	if err := c.check(vocab); err != nil {
		return nil, false, nil, renamed(err, anthropicNames)
	}
	if asks(m.System) {
		text, err := textOf(m.System, "text")
		if err != nil {
			return nil, false, nil, invalid("system", "%v", err)
		}
		if text != "" {
			messages = append(messages, chat.Message{Role: "system", Content: text})
		}
	}
	system := len(messages)
	for i, one := range m.Messages {
		text, err := textOf(one.Content, "text")
		if err != nil {
			return nil, false, nil, invalid("messages", "item %d: content: %v", i, err)
		}
		messages = append(messages, chat.Message{Role: one.Role, Content: text})
	}
	if err := roles("messages", messages[system:], "user", "assistant"); err != nil {
		return nil, false, nil, err
	}
	return messages, messages[len(messages)-1].Role == "assistant", c, nil
}

// Objects of the answer, in Anthropic's form.
type (
	anthropicUsage struct {
		Input  int `json:"input_tokens"` // that were not kept from before
		Create int `json:"cache_creation_input_tokens"`
		Cached int `json:"cache_read_input_tokens"`
		Output int `json:"output_tokens"`
	}
	anthropicBlock struct {
		Type string `json:"type"`
		Text string `json:"text"`
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

// stopReason is why a text ended, and by which stop string; nil: by none.
func stopReason(finish, stop string) (reason string, sequence *string) {
	switch {
	case stop != "":
		return "stop_sequence", &stop
	case finish == scheduler.FinishLength:
		return "max_tokens", nil
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
	messages, open, c, err := m.conversation(a.Vocab)
	if err != nil {
		return err
	}
	run, prompt, err := a.converse(r.Context(), messages, open, c)
	if err != nil {
		return err
	}
	defer run.stop()
	answer := anthropicAnswer{ID: newID("msg_"), Type: "message", Role: "assistant", Model: a.Name, Content: []anthropicBlock{}}
	if m.Stream {
		answer.Usage.Input = prompt // how much of it was kept is known at the end
		return a.follow(run, &anthropicStream{sse: sse{w: w}, answer: answer})
	}
	one, err := answered(run)
	if err != nil {
		return err
	}
	reason, stop := stopReason(one.finish, one.stop)
	answer.Content = append(answer.Content, anthropicBlock{"text", one.text})
	answer.StopReason, answer.Stop, answer.Usage = &reason, stop, anthropicUsageOf(run.usage)
	writeJSON(w, http.StatusOK, answer)
	return nil
}

// anthropicStream writes Anthropic's events.
type anthropicStream struct {
	sse
	answer anthropicAnswer
	finish string
	stop   string
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
	if err := s.event("message_start", map[string]any{"type": "message_start", "message": message}); err != nil {
		return err
	}
	return s.event("content_block_start", map[string]any{"type": "content_block_start", "index": 0, "content_block": anthropicBlock{Type: "text"}})
}

func (s *anthropicStream) piece(e event) error {
	if err := s.start(); err != nil {
		return err
	}
	if e.finish != "" {
		s.finish, s.stop = e.finish, e.stop
	}
	if e.text == "" {
		return nil
	}
	return s.event("content_block_delta", map[string]any{"type": "content_block_delta", "index": 0, "delta": map[string]string{"type": "text_delta", "text": e.text}})
}

func (s *anthropicStream) end(u usage) error {
	if err := s.start(); err != nil {
		return err
	}
	reason, stop := stopReason(s.finish, s.stop)
	for _, e := range []struct {
		name string
		data map[string]any
	}{
		{"content_block_stop", map[string]any{"index": 0}},
		{"message_delta", map[string]any{"delta": map[string]any{"stop_reason": reason, "stop_sequence": stop}, "usage": anthropicUsageOf(u)}},
		{"message_stop", map[string]any{}},
	} {
		e.data["type"] = e.name
		if err := s.event(e.name, e.data); err != nil {
			return err
		}
	}
	return nil
}

func (s *anthropicStream) fail(e *Error) { s.event("error", anthropicError(e)) }

// countTokens is Anthropic's /v1/messages/count_tokens.
func (a *API) countTokens(w http.ResponseWriter, r *http.Request) error {
	var m messagesRequest
	if err := a.read(r, &m); err != nil {
		return err
	}
	messages, open, _, err := m.conversation(a.Vocab)
	if err != nil {
		return err
	}
	ids, err := a.prompt(r.Context(), chat.Request{Messages: messages, Continue: open})
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]int{"input_tokens": len(ids)})
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
