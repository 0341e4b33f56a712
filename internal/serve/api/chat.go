package api

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/specquant/specquant/internal/chat"
	"github.com/specquant/specquant/internal/jinja"
)

// chatRequest is the body of /v1/chat/completions.
type chatRequest struct {
	common
	Messages            []chat.Message             `json:"messages"`
	MaxCompletionTokens *int                       `json:"max_completion_tokens"`
	LogProbs            bool                       `json:"logprobs"`
	TopLogProbs         *int                       `json:"top_logprobs"`
	TemplateVariables   map[string]json.RawMessage `json:"chat_template_kwargs"` // further variables of the template, as in vLLM, such as enable_thinking
	ResponseFormat      *responseFormat            `json:"response_format"`
	StructuredOutputs   *structuredOutputs         `json:"structured_outputs"` // as in vLLM
	ReasoningEffort     json.RawMessage            `json:"reasoning_effort"`
	Tools               []json.RawMessage          `json:"tools"`
	ToolChoice          json.RawMessage            `json:"tool_choice"`
	ParallelToolCalls   *bool                      `json:"parallel_tool_calls"`

	// Refused by name where they ask for something.
	Functions    json.RawMessage `json:"functions"`
	FunctionCall json.RawMessage `json:"function_call"`
	Audio        json.RawMessage `json:"audio"`
	Modalities   []string        `json:"modalities"`
	Prediction   json.RawMessage `json:"prediction"`
	WebSearch    json.RawMessage `json:"web_search_options"`
	Verbosity    json.RawMessage `json:"verbosity"`
	Store        bool            `json:"store"`

	// Taken and without effect.
	ServiceTier      json.RawMessage `json:"service_tier"`
	SafetyIdentifier json.RawMessage `json:"safety_identifier"`
	PromptCacheKey   json.RawMessage `json:"prompt_cache_key"`
}

// asks reports whether a field is present and asks for something (is not null, false or empty).
func asks(raw json.RawMessage) bool {
	switch string(raw) {
	case "", "null", "[]", "{}", `"none"`, `"auto"`:
		return false
	}
	return true
}

func (c *chatRequest) check(vocab int) error {
	for _, f := range []struct {
		name string
		raw  json.RawMessage
	}{{"functions", c.Functions}, {"function_call", c.FunctionCall}, {"audio", c.Audio},
		{"prediction", c.Prediction}, {"web_search_options", c.WebSearch}, {"verbosity", c.Verbosity}} {
		if asks(f.raw) {
			return unsupported(f.name, "is not supported by this server")
		}
	}
	if c.Store {
		return unsupported("store", "this server stores nothing")
	}
	for _, m := range c.Modalities {
		if m != "text" {
			return unsupported("modalities", "this server gives text only")
		}
	}
	if c.MaxCompletionTokens != nil {
		if c.MaxTokens != nil && *c.MaxTokens != *c.MaxCompletionTokens {
			return invalid("max_tokens", "there is max_completion_tokens too; give one of them")
		}
		c.MaxTokens = c.MaxCompletionTokens
	}
	if c.TopLogProbs != nil {
		if !c.LogProbs {
			return invalid("top_logprobs", "is allowed only with logprobs")
		}
		if *c.TopLogProbs < 0 || *c.TopLogProbs > MaxLogProbs {
			return invalid("top_logprobs", "found %d, expected 0 to %d", *c.TopLogProbs, MaxLogProbs)
		}
	}
	if len(c.Messages) == 0 || len(c.Messages) > MaxMessages {
		return invalid("messages", "found %d, expected 1 to %d", len(c.Messages), MaxMessages)
	}
	for i, m := range c.Messages {
		if err := checkMessage(m); err != nil {
			return invalid("messages", "item %d: %v", i, err)
		}
	}
	return c.common.check(vocab)
}

// checkMessage returns an error for parts of a message that a template would silently leave
// out.
func checkMessage(m chat.Message) error {
	switch m.Role {
	case "system", "developer", "user", "assistant", "tool":
	default:
		return fmt.Errorf("role: found %.40q, expected system, developer, user, assistant or tool", m.Role)
	}
	var fields struct {
		Content json.RawMessage `json:"content"`
		Calls   json.RawMessage `json:"tool_calls"`
		Audio   json.RawMessage `json:"audio"`
	}
	if err := json.Unmarshal(m.Raw, &fields); err != nil {
		return err
	}
	if asks(fields.Audio) {
		return errors.New("audio is not supported by this server")
	}
	var text *string
	if len(fields.Content) == 0 || json.Unmarshal(fields.Content, &text) == nil {
		if text == nil && !(m.Role == "assistant" && asks(fields.Calls)) {
			return errors.New("content is missing")
		}
		return nil
	}
	var parts []struct {
		Type string  `json:"type"`
		Text *string `json:"text"`
	}
	if json.Unmarshal(fields.Content, &parts) != nil {
		return errors.New("content: expected a text or a list of parts")
	}
	for i, p := range parts {
		if p.Type != "text" {
			return fmt.Errorf("content: part %d is %.40q; this server takes text only, no images, audio or files", i, p.Type)
		}
		if p.Text == nil {
			return fmt.Errorf("content: part %d has no text", i)
		}
	}
	return nil
}

// render is a conversation as tokens and as text, through the model's template.
func (a *API) render(ctx context.Context, c chat.Request) (ids []int, text string, err error) {
	if a.Template == nil {
		return nil, "", &Error{Status: http.StatusBadRequest, Type: "invalid_request_error", Code: "no_chat_template", Message: fmt.Sprintf("%s has no chat template: it was not made for conversations; use /v1/completions", a.Name)}
	}
	err = a.work(ctx, func(ctx context.Context) error {
		p, err := a.Template.Render(ctx, c)
		var raised *jinja.RaisedError
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.As(err, &raised):
			return err
		case err != nil: // the template exceeds a limit or does not fit these messages
			return invalid("messages", "the model's chat template can't take the conversation: %v", err)
		}
		text = p.Text()
		if ids, err = p.Encode(a.Tokenizer); err != nil {
			return invalid("messages", "%v", err)
		}
		if len(ids) == 0 {
			return invalid("messages", "the model's chat template makes an empty prompt of them")
		}
		return nil
	})
	return ids, text, err
}

// Objects of the answer, in OpenAI's form.
type (
	chatMessage struct {
		Role    string     `json:"role,omitempty"`
		Content *string    `json:"content,omitempty"`
		Thought string     `json:"reasoning_content,omitempty"`
		Calls   []toolCall `json:"tool_calls,omitempty"`
	}
	chatChoice struct {
		Index    int           `json:"index"`
		Message  *chatMessage  `json:"message,omitempty"`
		Delta    *chatMessage  `json:"delta,omitempty"`
		LogProbs *chatLogProbs `json:"logprobs"`
		Finish   *string       `json:"finish_reason"`
	}
	chatAnswer struct {
		ID      string       `json:"id"`
		Object  string       `json:"object"`
		Created int64        `json:"created"`
		Model   string       `json:"model"`
		Choices []chatChoice `json:"choices"`
		Usage   *usage       `json:"usage,omitempty"`
	}
)

// newID returns a unique id for an answer.
func newID(prefix string) string {
	return prefix + rand.Text()
}

func (a *API) chatCompletions(w http.ResponseWriter, r *http.Request) error {
	var c chatRequest
	if err := a.read(r, &c); err != nil {
		return err
	}
	if err := c.check(a.Vocab); err != nil {
		return err
	}
	l, err := c.limit()
	if err != nil {
		return err
	}
	variables, err := a.effort("reasoning_effort", c.ReasoningEffort, c.TemplateVariables)
	if err != nil {
		return err
	}
	p, err := a.plan(r.Context(), &talk{messages: c.Messages, variables: variables, tools: c.Tools, choice: c.ToolChoice, parallel: c.ParallelToolCalls, limit: l})
	if err != nil {
		return err
	}
	p.constraint.warn(w)
	j := job{prompts: [][]int{p.prompt}, reading: p.reading, constraint: p.constraint, choices: value(c.N, 1), max: value(c.MaxTokens, 0), sampling: c.sampling(a.Defaults), stops: c.Stop, ends: ends(a.Ends, a.TurnEnds), logProbs: -1}
	if c.LogProbs {
		j.logProbs = value(c.TopLogProbs, 0)
	}
	run := a.generate(r.Context(), j)
	defer run.stop()
	answer := chatAnswer{ID: newID("chatcmpl-"), Object: "chat.completion", Created: time.Now().Unix(), Model: a.Name}
	if c.Stream {
		return a.streamChat(w, run, answer, c.StreamOptions != nil && c.StreamOptions.IncludeUsage)
	}
	all, err := collected(run, j.choices)
	if err != nil {
		return err
	}
	for i, one := range all {
		choice := chatChoice{Index: i, Message: &chatMessage{Role: "assistant", Content: &one.text, Thought: one.reasoning, Calls: one.calls}, Finish: &one.finish}
		if one.text == "" && one.calls != nil {
			choice.Message.Content = nil
		}
		if c.LogProbs {
			choice.LogProbs = a.chatLogProbs(one.tokens)
		}
		answer.Choices = append(answer.Choices, choice)
	}
	answer.Usage = &run.usage
	writeJSON(w, http.StatusOK, answer)
	return nil
}

func (a *API) streamChat(w http.ResponseWriter, run *running, answer chatAnswer, withUsage bool) error {
	answer.Object = "chat.completion.chunk"
	with := func(c chatChoice) any {
		out := answer
		out.Choices = []chatChoice{c}
		return out
	}
	empty := ""
	first := func(choice int) any {
		return with(chatChoice{Index: choice, Delta: &chatMessage{Role: "assistant", Content: &empty}})
	}
	chunk := func(e event) any {
		c := chatChoice{Index: e.choice, Delta: &chatMessage{Thought: e.reasoning, Calls: e.calls}, LogProbs: a.chatLogProbs(e.tokens)}
		if e.text != "" {
			c.Delta.Content = &e.text
		}
		if e.finish != "" {
			c.Finish = &e.finish
		}
		return with(c)
	}
	var last func(usage) any
	if withUsage {
		last = func(u usage) any {
			out := answer
			out.Choices, out.Usage = []chatChoice{}, &u
			return out
		}
	}
	return a.streamed(w, run, first, chunk, last)
}
