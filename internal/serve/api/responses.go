package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/specquant/specquant/internal/chat"
	"github.com/specquant/specquant/internal/serve/scheduler"
)

// responsesRequest is the body of OpenAI's /v1/responses. The server stores nothing, so fields
// that need a store are an error.
type responsesRequest struct {
	Model           string          `json:"model"`
	Input           json.RawMessage `json:"input"` // a text, or items
	Instructions    *string         `json:"instructions"`
	MaxOutputTokens *int            `json:"max_output_tokens"`
	Temperature     *float64        `json:"temperature"`
	TopP            *float64        `json:"top_p"`
	Stream          bool            `json:"stream"`
	StreamOptions   *streamOptions  `json:"stream_options"`
	Metadata        json.RawMessage `json:"metadata"` // returned in the response

	// Not OpenAI's.
	Seed              *int64   `json:"seed"`
	TopK              *int     `json:"top_k"`
	MinP              *float64 `json:"min_p"`
	RepetitionPenalty *float64 `json:"repetition_penalty"`

	// Refused by name where they ask for something.
	Store              bool            `json:"store"`
	Background         bool            `json:"background"`
	PreviousResponseID json.RawMessage `json:"previous_response_id"`
	Conversation       json.RawMessage `json:"conversation"`
	Prompt             json.RawMessage `json:"prompt"`
	Tools              json.RawMessage `json:"tools"`
	ToolChoice         json.RawMessage `json:"tool_choice"`
	Reasoning          json.RawMessage `json:"reasoning"`
	Include            json.RawMessage `json:"include"`
	TopLogProbs        int             `json:"top_logprobs"`
	ContextManagement  json.RawMessage `json:"context_management"`
	Truncation         string          `json:"truncation"`
	Text               *struct {
		Format *struct {
			Type        string          `json:"type"`
			Name        string          `json:"name,omitempty"`
			Description string          `json:"description,omitempty"`
			Schema      json.RawMessage `json:"schema,omitempty"`
			Strict      *bool           `json:"strict,omitempty"` // without effect: every schema is enforced
		} `json:"format"`
		Verbosity json.RawMessage `json:"verbosity"`
	} `json:"text"`

	// Taken and without effect.
	User                 json.RawMessage `json:"user"`
	ServiceTier          json.RawMessage `json:"service_tier"`
	SafetyIdentifier     json.RawMessage `json:"safety_identifier"`
	PromptCacheKey       json.RawMessage `json:"prompt_cache_key"`
	PromptCacheRetention json.RawMessage `json:"prompt_cache_retention"`
	ParallelToolCalls    json.RawMessage `json:"parallel_tool_calls"`
	MaxToolCalls         json.RawMessage `json:"max_tool_calls"`
}

// refused returns an error for fields that this server does not support.
func (q *responsesRequest) refused() error {
	const stores = "this server stores nothing: send the whole conversation as input"
	switch {
	case q.Store:
		return unsupported("store", "this server stores nothing; send false, or leave it out")
	case q.Background:
		return unsupported("background", "this server stores nothing: an answer is given to the request that asks for it")
	case asks(q.PreviousResponseID):
		return unsupported("previous_response_id", stores)
	case asks(q.Conversation):
		return unsupported("conversation", stores)
	case q.TopLogProbs != 0:
		return unsupported("top_logprobs", "is not supported here; /v1/chat/completions has it")
	case q.Truncation != "" && q.Truncation != "disabled":
		return unsupported("truncation", "this server leaves nothing of a conversation out: only disabled is supported")
	}
	if t := q.Text; t != nil {
		if err := refuse(field{"text.verbosity", t.Verbosity}); err != nil && string(t.Verbosity) != `"medium"` {
			return err
		}
	}
	return refuse(field{"prompt", q.Prompt}, field{"tools", q.Tools}, field{"tool_choice", q.ToolChoice}, field{"reasoning", q.Reasoning}, field{"include", q.Include}, field{"context_management", q.ContextManagement})
}

// responsesNames maps fields of [common] to the names in /v1/responses.
var responsesNames = map[string]string{"max_tokens": "max_output_tokens"}

// check checks the request and returns its options.
func (q *responsesRequest) check(vocab int) (*common, error) {
	if err := q.refused(); err != nil {
		return nil, err
	}
	c := &common{Stream: q.Stream, StreamOptions: q.StreamOptions, MaxTokens: q.MaxOutputTokens, Temperature: q.Temperature, TopP: q.TopP, Seed: q.Seed, TopK: q.TopK, MinP: q.MinP, RepetitionPenalty: q.RepetitionPenalty}
	if err := c.check(vocab); err != nil {
		return nil, renamed(err, responsesNames)
	}
	return c, nil
}

// limit is what text.format asks for; nil: nothing.
func (q *responsesRequest) limit() (*limit, error) {
	const param = "text.format"
	if q.Text == nil || q.Text.Format == nil {
		return nil, nil
	}
	switch f := q.Text.Format; {
	case f.Type == "text":
		return nil, nil
	case f.Type == "json_object":
		return objectLimit(param), nil
	case f.Type != "json_schema":
		return nil, invalid(param, "type: found %.40q, expected text, json_object or json_schema", f.Type)
	case len(f.Schema) == 0:
		return nil, invalid(param, "schema is missing")
	default:
		return schemaLimit(param, f.Schema), nil
	}
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
	var items []struct {
		Type    string          `json:"type"`
		Role    string          `json:"role"`
		Content json.RawMessage `json:"content"`
	}
	if json.Unmarshal(q.Input, &items) != nil || len(items) == 0 {
		return nil, invalid("input", "expected a text or a list of items")
	}
	first := len(out)
	for i, item := range items {
		if item.Type != "" && item.Type != "message" {
			return nil, unsupported("input", fmt.Sprintf("item %d is %.40q; this server takes messages only: it has no tools and stores no items", i, item.Type))
		}
		text, err := textOf(item.Content, "input_text", "output_text", "text")
		if err != nil {
			return nil, invalid("input", "item %d: content: %v", i, err)
		}
		out = append(out, chat.Message{Role: item.Role, Content: text})
	}
	return out, roles("input", out[first:], "user", "assistant", "system", "developer")
}

// Objects of the answer, in OpenAI's form.
type (
	responseText struct {
		Type        string `json:"type"`
		Text        string `json:"text"`
		Annotations []any  `json:"annotations"`
		LogProbs    []any  `json:"logprobs"`
	}
	responseItem struct {
		ID      string         `json:"id"`
		Type    string         `json:"type"`
		Status  string         `json:"status"`
		Role    string         `json:"role"`
		Content []responseText `json:"content"`
	}
	responseUsage struct {
		Input        int `json:"input_tokens"`
		InputDetails struct {
			Cached int `json:"cached_tokens"`
		} `json:"input_tokens_details"`
		Output        int `json:"output_tokens"`
		OutputDetails struct {
			Reasoning int `json:"reasoning_tokens"`
		} `json:"output_tokens_details"`
		Total int `json:"total_tokens"`
	}
	// response repeats options of the request, as OpenAI's does.
	response struct {
		ID              string            `json:"id"`
		Object          string            `json:"object"`
		CreatedAt       int64             `json:"created_at"`
		CompletedAt     *int64            `json:"completed_at"`
		Status          string            `json:"status"`
		Background      bool              `json:"background"`
		Error           *responseError    `json:"error"`
		Incomplete      map[string]string `json:"incomplete_details"`
		Instructions    *string           `json:"instructions"`
		MaxOutputTokens *int              `json:"max_output_tokens"`
		Model           string            `json:"model"`
		Output          []responseItem    `json:"output"`
		Parallel        bool              `json:"parallel_tool_calls"`
		Previous        *string           `json:"previous_response_id"`
		Store           bool              `json:"store"`
		Temperature     float64           `json:"temperature"`
		TopP            float64           `json:"top_p"`
		Text            any               `json:"text"`
		ToolChoice      string            `json:"tool_choice"`
		Tools           []any             `json:"tools"`
		Truncation      string            `json:"truncation"`
		Usage           *responseUsage    `json:"usage"`
		Metadata        json.RawMessage   `json:"metadata"`
	}
	responseError struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
)

func (a *API) newResponse(q *responsesRequest) response {
	out := response{ID: newID("resp_"), Object: "response", CreatedAt: time.Now().Unix(), Status: "in_progress", Instructions: q.Instructions, MaxOutputTokens: q.MaxOutputTokens, Model: a.Name,
		Output: []responseItem{}, Parallel: true, Temperature: value(q.Temperature, a.Defaults.Temperature), TopP: value(q.TopP, a.Defaults.TopP), Text: map[string]any{"format": map[string]string{"type": "text"}},
		ToolChoice: "auto", Tools: []any{}, Truncation: "disabled", Metadata: q.Metadata}
	if q.Text != nil && q.Text.Format != nil {
		out.Text = map[string]any{"format": q.Text.Format}
	}
	if len(out.Metadata) == 0 {
		out.Metadata = json.RawMessage("{}")
	}
	return out
}

func newText(text string) responseText {
	return responseText{Type: "output_text", Text: text, Annotations: []any{}, LogProbs: []any{}}
}

// finished adds the text, and why it ended, to the response.
func (o *response) finished(item responseItem, text, finish string, u usage) {
	now := time.Now().Unix()
	o.Status, o.CompletedAt = "completed", &now
	if finish == scheduler.FinishLength {
		o.Status, o.CompletedAt, o.Incomplete = "incomplete", nil, map[string]string{"reason": "max_output_tokens"}
	}
	item.Status, item.Content = o.Status, []responseText{newText(text)}
	o.Output = []responseItem{item}
	o.Usage = &responseUsage{Input: u.Prompt, Output: u.Completion, Total: u.Total}
	o.Usage.InputDetails.Cached = u.Details.Cached
}

func (a *API) responses(w http.ResponseWriter, r *http.Request) error {
	var q responsesRequest
	if err := a.read(r, &q); err != nil {
		return err
	}
	c, err := q.check(a.Vocab)
	if err != nil {
		return err
	}
	messages, err := q.messages()
	if err != nil {
		return err
	}
	l, err := q.limit()
	if err != nil {
		return err
	}
	run, _, err := a.converse(w, r, &talk{messages: messages, limit: l}, c)
	if err != nil {
		return renamed(err, map[string]string{"messages": "input"})
	}
	defer run.stop()
	answer := a.newResponse(&q)
	item := responseItem{ID: newID("msg_"), Type: "message", Role: "assistant", Status: "in_progress", Content: []responseText{}}
	if q.Stream {
		return a.follow(run, &responseStream{sse: sse{w: w}, response: answer, item: item})
	}
	one, err := answered(run)
	if err != nil {
		return err
	}
	answer.finished(item, one.text, one.finish, run.usage)
	writeJSON(w, http.StatusOK, answer)
	return nil
}

// responseStream writes the events of OpenAI's responses.
type responseStream struct {
	sse
	response response
	item     responseItem
	text     bytes.Buffer
	finish   string
	sequence int
}

// send sends an event with its number.
func (s *responseStream) send(kind string, data map[string]any) error {
	data["type"], data["sequence_number"] = kind, s.sequence
	s.sequence++
	return s.event(kind, data)
}

// part is an event about the text.
func (s *responseStream) part(kind string, data map[string]any) error {
	data["item_id"], data["output_index"], data["content_index"] = s.item.ID, 0, 0
	return s.send(kind, data)
}

// inTurn runs functions one after the other until one fails.
func inTurn(steps ...func() error) error {
	for _, f := range steps {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

// start sends what comes before the first piece.
func (s *responseStream) start() error {
	if s.sequence > 0 {
		return nil
	}
	return inTurn(
		func() error { return s.send("response.created", map[string]any{"response": s.response}) },
		func() error { return s.send("response.in_progress", map[string]any{"response": s.response}) },
		func() error {
			return s.send("response.output_item.added", map[string]any{"output_index": 0, "item": s.item})
		},
		func() error { return s.part("response.content_part.added", map[string]any{"part": newText("")}) })
}

func (s *responseStream) piece(e event) error {
	if err := s.start(); err != nil {
		return err
	}
	if e.finish != "" {
		s.finish = e.finish
	}
	if e.text == "" {
		return nil
	}
	s.text.WriteString(e.text)
	return s.part("response.output_text.delta", map[string]any{"delta": e.text, "logprobs": []any{}})
}

func (s *responseStream) end(u usage) error {
	text := s.text.String()
	s.response.finished(s.item, text, s.finish, u)
	return inTurn(s.start,
		func() error {
			return s.part("response.output_text.done", map[string]any{"text": text, "logprobs": []any{}})
		},
		func() error { return s.part("response.content_part.done", map[string]any{"part": newText(text)}) },
		func() error {
			return s.send("response.output_item.done", map[string]any{"output_index": 0, "item": s.response.Output[0]})
		},
		func() error {
			return s.send("response."+s.response.Status, map[string]any{"response": s.response})
		})
}

func (s *responseStream) fail(e *Error) {
	if s.send("error", map[string]any{"code": e.Code, "message": e.Message, "param": nil}) != nil {
		return
	}
	s.response.Status, s.response.Error = "failed", &responseError{Code: "server_error", Message: e.Message}
	s.send("response.failed", map[string]any{"response": s.response})
}
