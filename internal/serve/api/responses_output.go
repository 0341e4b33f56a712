package api

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/specquant/specquant/internal/serve/scheduler"
)

// Objects of the answer, in OpenAI's form.
type (
	// responsePart is text of an item: output_text, or reasoning_text, which has nothing else.
	responsePart struct {
		Type        string `json:"type"`
		Text        string `json:"text"`
		Annotations *[]any `json:"annotations,omitempty"`
		LogProbs    *[]any `json:"logprobs,omitempty"`
	}
	responseMessage struct {
		ID      string         `json:"id"`
		Type    string         `json:"type"`
		Status  string         `json:"status"`
		Role    string         `json:"role"`
		Content []responsePart `json:"content"`
	}
	responseReasoning struct {
		ID      string         `json:"id"`
		Type    string         `json:"type"`
		Status  string         `json:"status"`
		Summary []any          `json:"summary"`
		Content []responsePart `json:"content"`
	}
	responseCall struct {
		ID        string `json:"id"`
		Type      string `json:"type"`
		Status    string `json:"status"`
		CallID    string `json:"call_id"`
		Name      string `json:"name"`
		Arguments string `json:"arguments"`
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
		Output          []any             `json:"output"`
		Parallel        bool              `json:"parallel_tool_calls"`
		Previous        *string           `json:"previous_response_id"`
		Store           bool              `json:"store"`
		Temperature     float64           `json:"temperature"`
		TopP            float64           `json:"top_p"`
		Text            any               `json:"text"`
		ToolChoice      json.RawMessage   `json:"tool_choice"`
		Tools           []json.RawMessage `json:"tools"`
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
		Output: []any{}, Parallel: value(q.ParallelToolCalls, true), Temperature: value(q.Temperature, a.Defaults.Temperature), TopP: value(q.TopP, a.Defaults.TopP), Text: map[string]any{"format": map[string]string{"type": "text"}},
		ToolChoice: q.ToolChoice, Tools: q.Tools, Truncation: "disabled", Metadata: q.Metadata}
	if q.Text != nil && q.Text.Format != nil {
		out.Text = map[string]any{"format": q.Text.Format}
	}
	if len(out.Metadata) == 0 {
		out.Metadata = json.RawMessage("{}")
	}
	if len(out.ToolChoice) == 0 || string(out.ToolChoice) == "null" {
		out.ToolChoice = json.RawMessage(`"auto"`)
	}
	if out.Tools == nil {
		out.Tools = []json.RawMessage{}
	}
	return out
}

// Kinds of items.
const (
	itemMessage   = "message"
	itemReasoning = "reasoning"
	itemCall      = "function_call"
)

// writtenItem is the item of an answer that is being written.
type writtenItem struct {
	kind, id     string
	callID, name string          // of a call
	text         strings.Builder // of a call the arguments
}

// events is the name of events about an item's text, without .delta or .done.
func (i *writtenItem) events() string {
	switch i.kind {
	case itemMessage:
		return "response.output_text"
	case itemReasoning:
		return "response.reasoning_text"
	}
	return "response.function_call_arguments"
}

// part is a part of the item with some text; of a call there are none.
func (i *writtenItem) part(text string) responsePart {
	if i.kind == itemReasoning {
		return responsePart{Type: "reasoning_text", Text: text}
	}
	return responsePart{Type: "output_text", Text: text, Annotations: &[]any{}, LogProbs: &[]any{}}
}

// object is the item in OpenAI's form.
func (i *writtenItem) object(status string) any {
	parts := []responsePart{}
	if status != "in_progress" {
		parts = append(parts, i.part(i.text.String()))
	}
	switch i.kind {
	case itemMessage:
		return responseMessage{i.id, i.kind, status, "assistant", parts}
	case itemReasoning:
		return responseReasoning{i.id, i.kind, status, []any{}, parts}
	}
	return responseCall{i.id, i.kind, status, i.callID, i.name, i.text.String()}
}

// responseStream puts an answer together, and writes it as the events of OpenAI's responses
// or as a whole.
type responseStream struct {
	sse
	stream   bool
	response response
	item     *writtenItem // nil: none
	finish   string
	sequence int // events
}

// send sends an event with its number.
func (s *responseStream) send(kind string, data map[string]any) error {
	if !s.stream {
		return nil
	}
	data["type"], data["sequence_number"] = kind, s.sequence
	s.sequence++
	return s.event(kind, data)
}

func (s *responseStream) beat() error {
	if !s.stream {
		return nil
	}
	return s.sse.beat()
}

// about is an event about the item that is being written. Of text it says which part.
func (s *responseStream) about(kind string, data map[string]any) error {
	data["item_id"], data["output_index"] = s.item.id, len(s.response.Output)
	if s.item.kind != itemCall {
		data["content_index"] = 0
	}
	if s.item.kind == itemMessage && strings.HasPrefix(kind, s.item.events()) {
		data["logprobs"] = []any{}
	}
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
		func() error { return s.send("response.in_progress", map[string]any{"response": s.response}) })
}

// begin begins an item, behind the one before it.
func (s *responseStream) begin(item *writtenItem) error {
	return inTurn(
		func() error { return s.close("completed") },
		func() error {
			s.item = item
			return s.send("response.output_item.added", map[string]any{"output_index": len(s.response.Output), "item": item.object("in_progress")})
		},
		func() error {
			if item.kind == itemCall {
				return nil
			}
			return s.about("response.content_part.added", map[string]any{"part": item.part("")})
		})
}

// close ends the item that is being written.
func (s *responseStream) close(status string) error {
	if s.item == nil {
		return nil
	}
	text, whole := s.item.text.String(), s.item.object(status)
	var err error
	if s.item.kind == itemCall {
		err = s.about(s.item.events()+".done", map[string]any{"arguments": text, "name": s.item.name})
	} else {
		err = inTurn(
			func() error { return s.about(s.item.events()+".done", map[string]any{"text": text}) },
			func() error {
				return s.about("response.content_part.done", map[string]any{"part": s.item.part(text)})
			})
	}
	if err != nil {
		return err
	}
	index := len(s.response.Output)
	s.response.Output, s.item = append(s.response.Output, whole), nil
	return s.send("response.output_item.done", map[string]any{"output_index": index, "item": whole})
}

// write adds text to the item that is being written.
func (s *responseStream) write(text string) error {
	if text == "" {
		return nil
	}
	s.item.text.WriteString(text)
	return s.about(s.item.events()+".delta", map[string]any{"delta": text})
}

// add adds text to an item of a kind, which is begun if none is being written.
func (s *responseStream) add(kind, prefix, text string) error {
	if text == "" {
		return nil
	}
	if s.item == nil || s.item.kind != kind {
		if err := s.begin(&writtenItem{kind: kind, id: newID(prefix)}); err != nil {
			return err
		}
	}
	return s.write(text)
}

func (s *responseStream) piece(e event) error {
	if e.finish != "" {
		s.finish = e.finish
	}
	err := inTurn(s.start,
		func() error { return s.add(itemReasoning, "rs_", e.reasoning) },
		func() error { return s.add(itemMessage, "msg_", e.text) })
	for _, c := range e.calls {
		if err == nil && c.ID != "" {
			err = s.begin(&writtenItem{kind: itemCall, id: newID("fc_"), callID: c.ID, name: c.Function.Name})
		}
		if err == nil {
			err = s.write(c.Function.Arguments)
		}
	}
	return err
}

func (s *responseStream) end(u usage) error {
	if err := s.start(); err != nil {
		return err
	}
	now := time.Now().Unix()
	s.response.Status, s.response.CompletedAt = "completed", &now
	if s.finish == scheduler.FinishLength {
		s.response.Status, s.response.CompletedAt, s.response.Incomplete = "incomplete", nil, map[string]string{"reason": "max_output_tokens"}
	}
	s.response.Usage = &responseUsage{Input: u.Prompt, Output: u.Completion, Total: u.Total}
	s.response.Usage.InputDetails.Cached = u.Details.Cached
	if s.item == nil && len(s.response.Output) == 0 { // an answer without a word
		if err := s.begin(&writtenItem{kind: itemMessage, id: newID("msg_")}); err != nil {
			return err
		}
	}
	if err := s.close(s.response.Status); err != nil {
		return err
	}
	if !s.stream {
		writeJSON(s.w, http.StatusOK, s.response)
		return nil
	}
	return s.send("response."+s.response.Status, map[string]any{"response": s.response})
}

func (s *responseStream) fail(e *Error) {
	if s.send("error", map[string]any{"code": e.Code, "message": e.Message, "param": nil}) != nil {
		return
	}
	s.response.Status, s.response.Error = "failed", &responseError{Code: "server_error", Message: e.Message}
	s.send("response.failed", map[string]any{"response": s.response})
}
