package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/specquant/specquant/internal/chat"
	"github.com/specquant/specquant/internal/serve/scheduler"
)

// ollamaRequest is the body of Ollama's /api/chat and /api/generate.
type ollamaRequest struct {
	Model   string        `json:"model"`
	Stream  *bool         `json:"stream"` // default: true
	Options ollamaOptions `json:"options"`

	Messages []ollamaMessage `json:"messages"` // of /api/chat
	Prompt   string          `json:"prompt"`   // of /api/generate
	System   string          `json:"system"`   // likewise
	Raw      bool            `json:"raw"`      // of /api/generate: use the prompt without the template

	Think  json.RawMessage   `json:"think"`  // true, false, or how much
	Format json.RawMessage   `json:"format"` // "json", or a schema
	Tools  []json.RawMessage `json:"tools"`  // of /api/chat, in OpenAI's form

	// Refused by name where they ask for something.
	Suffix      json.RawMessage `json:"suffix"`
	Template    json.RawMessage `json:"template"`
	Images      json.RawMessage `json:"images"`
	Context     json.RawMessage `json:"context"`
	LogProbs    json.RawMessage `json:"logprobs"`
	TopLogProbs json.RawMessage `json:"top_logprobs"`

	// Accepted without effect, because these are options of the server.
	KeepAlive json.RawMessage `json:"keep_alive"`
}

// ollamaOptions are the sampling options. Ollama's options of the engine have no effect,
// because they are options of the server here.
type ollamaOptions struct {
	Temperature      *float64  `json:"temperature"`
	TopP             *float64  `json:"top_p"`
	TopK             *int      `json:"top_k"`
	MinP             *float64  `json:"min_p"`
	Seed             *int64    `json:"seed"`
	NumPredict       *int      `json:"num_predict"` // tokens; negative: as many as fit
	Stop             stopTexts `json:"stop"`
	RepeatPenalty    *float64  `json:"repeat_penalty"`
	PresencePenalty  *float64  `json:"presence_penalty"`
	FrequencyPenalty *float64  `json:"frequency_penalty"`

	TypicalP    json.RawMessage `json:"typical_p"`     // refused by name
	Mirostat    json.RawMessage `json:"mirostat"`      // refused by name, if not 0
	RepeatLastN json.RawMessage `json:"repeat_last_n"` // without effect: penalties look at the whole text
	NumCtx      json.RawMessage `json:"num_ctx"`
	NumKeep     json.RawMessage `json:"num_keep"`
	NumBatch    json.RawMessage `json:"num_batch"`
	NumGPU      json.RawMessage `json:"num_gpu"`
	MainGPU     json.RawMessage `json:"main_gpu"`
	NumThread   json.RawMessage `json:"num_thread"`
	UseMMap     json.RawMessage `json:"use_mmap"`
	Numa        json.RawMessage `json:"numa"`
	LowVRAM     json.RawMessage `json:"low_vram"`
}

type ollamaMessage struct {
	Role      string          `json:"role"`
	Content   string          `json:"content"`
	Thinking  string          `json:"thinking"` // of earlier answers; the template decides whether it is part of the prompt
	Images    json.RawMessage `json:"images"`
	ToolCalls []ollamaCall    `json:"tool_calls"`
	ToolName  string          `json:"tool_name"`
	CallID    string          `json:"tool_call_id"`
}

// ollamaCall is a call of a tool: its arguments are an object, not the text of one.
type ollamaCall struct {
	ID       string `json:"id,omitempty"`
	Function struct {
		Index     int             `json:"index"`
		Name      string          `json:"name"`
		Arguments json.RawMessage `json:"arguments"`
	} `json:"function"`
}

// limit is what format asks for; nil: nothing.
func (q *ollamaRequest) limit() (*limit, error) {
	switch f := string(q.Format); {
	case f == "" || f == "null" || f == `""`:
		return nil, nil
	case f == `"json"`:
		return objectLimit("format"), nil
	case f[0] == '{':
		return schemaLimit("format", q.Format), nil
	}
	return nil, invalid("format", "found %.40s, expected \"json\" or a schema", q.Format)
}

// ollamaNames maps fields of [common] to Ollama's names.
var ollamaNames = map[string]string{"max_tokens": "options.num_predict", "stop": "options.stop", "temperature": "options.temperature", "top_p": "options.top_p", "top_k": "options.top_k",
	"min_p": "options.min_p", "repetition_penalty": "options.repeat_penalty", "presence_penalty": "options.presence_penalty", "frequency_penalty": "options.frequency_penalty"}

// check checks the fields that both requests have.
func (q *ollamaRequest) check(vocab int) (*common, error) {
	off := func(raw json.RawMessage) json.RawMessage { // "no" asks for nothing
		switch string(raw) {
		case "false", `""`, "0":
			return nil
		}
		return raw
	}
	o := &q.Options
	if err := refuse(field{"suffix", off(q.Suffix)}, field{"template", off(q.Template)}, field{"images", q.Images},
		field{"context", q.Context}, field{"logprobs", off(q.LogProbs)}, field{"top_logprobs", off(q.TopLogProbs)}, field{"options.typical_p", o.TypicalP}, field{"options.mirostat", off(o.Mirostat)}); err != nil {
		return nil, err
	}
	c := &common{Stream: value(q.Stream, true), Temperature: o.Temperature, TopP: o.TopP, TopK: o.TopK, MinP: o.MinP, Seed: o.Seed, Stop: o.Stop, RepetitionPenalty: o.RepeatPenalty,
		PresencePenalty: o.PresencePenalty, FrequencyPenalty: o.FrequencyPenalty}
	if n := o.NumPredict; n != nil && *n != -1 && *n != -2 { // in Ollama −1 and −2 mean "no limit"
		c.MaxTokens = n
	}
	return c, renamed(c.check(vocab), ollamaNames)
}

// messages returns the conversation of /api/chat.
func (q *ollamaRequest) messages() ([]chat.Message, error) {
	var out []chat.Message
	for i, m := range q.Messages {
		if err := refuse(field{"images", m.Images}); err != nil {
			return nil, unsupported("messages", fmt.Sprintf("item %d: %v", i, err))
		}
		one := chat.Message{Role: m.Role, Content: m.Content}
		var calls []toolCall
		for k, c := range m.ToolCalls {
			arguments, ok := argumentsOf(c.Function.Arguments)
			if !ok {
				return nil, invalid("messages", "item %d: tool_calls: item %d: expected an object as arguments", i, k)
			}
			call := toolCall{Index: k, ID: c.ID, Type: "function"}
			call.Function.Name, call.Function.Arguments = c.Function.Name, arguments
			calls = append(calls, call)
		}
		fields := map[string]any{"role": m.Role, "content": m.Content}
		if calls != nil {
			fields["tool_calls"] = calls
		}
		if m.Thinking != "" {
			fields["reasoning_content"] = m.Thinking
		}
		if m.Role == "tool" {
			fields["name"], fields["tool_call_id"] = m.ToolName, m.CallID
		}
		if len(fields) > 2 {
			one = message(fields)
		}
		out = append(out, one)
	}
	return out, roles("messages", out, "system", "user", "assistant", "tool")
}

// ollamaTag is the suffix that Ollama's clients may add to a name.
const ollamaTag = ":latest"

// ollamaChunk is a line of an answer. The last one has counts and times, in nanoseconds.
type ollamaChunk struct {
	Model      string      `json:"model"`
	CreatedAt  time.Time   `json:"created_at"`
	Message    *ollamaSaid `json:"message,omitempty"`  // of /api/chat
	Response   *string     `json:"response,omitempty"` // of /api/generate
	Thinking   string      `json:"thinking,omitempty"` // likewise
	Done       bool        `json:"done"`
	DoneReason string      `json:"done_reason,omitempty"`

	Total        time.Duration `json:"total_duration,omitempty"`
	Load         time.Duration `json:"load_duration,omitempty"`
	PromptCount  int           `json:"prompt_eval_count,omitempty"`
	PromptTime   time.Duration `json:"prompt_eval_duration,omitempty"`
	Count        int           `json:"eval_count,omitempty"`
	GenerateTime time.Duration `json:"eval_duration,omitempty"`
}

// ollamaSaid is a message of an answer, or a piece of one.
type ollamaSaid struct {
	Role     string       `json:"role"`
	Content  string       `json:"content"`
	Thinking string       `json:"thinking,omitempty"`
	Calls    []ollamaCall `json:"tool_calls,omitempty"`
}

// ollamaStream writes an answer as lines of JSON, or gathers it into one.
type ollamaStream struct {
	w      http.ResponseWriter
	model  string
	chat   bool // /api/chat
	stream bool
	headed bool
	text   strings.Builder // what is not streamed
	think  strings.Builder // likewise
	calls  []toolCall      // which are given whole, when the answer ends
	finish string

	start, first time.Time // of the request, and of its first token
}

func (s *ollamaStream) begun() bool { return s.headed }
func (s *ollamaStream) beat() error { return nil } // Ollama's clients know no line without content

func (s *ollamaStream) chunk(text, thinking string) ollamaChunk {
	c := ollamaChunk{Model: s.model, CreatedAt: time.Now().UTC()}
	if s.chat {
		c.Message = &ollamaSaid{Role: "assistant", Content: text, Thinking: thinking}
	} else {
		c.Response, c.Thinking = &text, thinking
	}
	return c
}

func (s *ollamaStream) line(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if !s.headed {
		s.headed = true
		s.w.Header().Set("Content-Type", "application/x-ndjson")
		s.w.Header().Set("Cache-Control", "no-store")
		s.w.WriteHeader(http.StatusOK)
	}
	if _, err := s.w.Write(append(data, '\n')); err != nil {
		return err
	}
	return http.NewResponseController(s.w).Flush()
}

func (s *ollamaStream) piece(e event) error {
	if s.first.IsZero() {
		s.first = time.Now()
	}
	if e.finish != "" {
		s.finish = e.finish
	}
	s.calls = merged(s.calls, e.calls)
	switch {
	case e.text == "" && e.reasoning == "":
		return nil
	case !s.stream:
		s.text.WriteString(e.text)
		s.think.WriteString(e.reasoning)
		return nil
	}
	return s.line(s.chunk(e.text, e.reasoning))
}

func (s *ollamaStream) end(u usage) error {
	c, now := s.chunk(s.text.String(), s.think.String()), time.Now()
	c.Done, c.DoneReason = true, s.finish
	if s.finish == finishCalls { // Ollama has no word for it
		c.DoneReason = scheduler.FinishStop
	}
	for i, call := range s.calls {
		one := ollamaCall{ID: call.ID}
		one.Function.Index, one.Function.Name, one.Function.Arguments = i, call.Function.Name, json.RawMessage(call.Function.Arguments)
		if json.Valid(one.Function.Arguments) { // else they were cut off
			c.Message.Calls = append(c.Message.Calls, one)
		}
	}
	c.Total, c.PromptTime, c.GenerateTime = now.Sub(s.start), s.first.Sub(s.start), now.Sub(s.first)
	c.PromptCount, c.Count = u.Prompt, u.Completion
	if s.stream {
		return s.line(c)
	}
	writeJSON(s.w, http.StatusOK, c)
	return nil
}

func (s *ollamaStream) fail(e *Error) { s.line(ollamaError(e)) }

// readOllama reads a request of Ollama's.
func (a *API) readOllama(w http.ResponseWriter, r *http.Request) (*ollamaRequest, *common, error) {
	q := &ollamaRequest{}
	if err := a.read(r, q); err != nil {
		return nil, nil, err
	}
	c, err := q.check(a.Vocab)
	return q, c, err
}

func (a *API) ollamaChat(w http.ResponseWriter, r *http.Request) error {
	start := time.Now()
	q, c, err := a.readOllama(w, r)
	if err != nil {
		return err
	}
	if q.Prompt != "" || q.System != "" || q.Raw {
		return invalid("prompt", "prompt, system and raw belong to /api/generate; /api/chat takes messages")
	}
	s := &ollamaStream{w: w, model: q.Model, chat: true, stream: c.Stream, start: start}
	if len(q.Messages) == 0 {
		return s.loaded()
	}
	messages, err := q.messages()
	if err != nil {
		return err
	}
	l, err := q.limit()
	if err != nil {
		return err
	}
	t := &talk{messages: messages, tools: q.Tools, limit: l}
	if err := a.think(t, q.Think); err != nil {
		return err
	}
	run, _, err := a.converse(w, r, t, c)
	if err != nil {
		return err
	}
	defer run.stop()
	return a.follow(run, s)
}

// loaded answers a request that only asks to load the model.
func (s *ollamaStream) loaded() error {
	c := s.chunk("", "")
	c.Done, c.DoneReason = true, "load"
	writeJSON(s.w, http.StatusOK, c)
	return nil
}

func (a *API) ollamaGenerate(w http.ResponseWriter, r *http.Request) error {
	start := time.Now()
	q, c, err := a.readOllama(w, r)
	if err != nil {
		return err
	}
	if len(q.Messages) > 0 {
		return invalid("messages", "belong to /api/chat; /api/generate takes a prompt")
	}
	if len(q.Tools) > 0 {
		return invalid("tools", "belong to /api/chat")
	}
	l, err := q.limit()
	if err != nil {
		return err
	}
	s := &ollamaStream{w: w, model: q.Model, stream: c.Stream, start: start}
	var run *running
	switch {
	case q.Prompt == "":
		return s.loaded()
	case q.Raw || a.Template == nil:
		if q.System != "" {
			return invalid("system", "needs a chat template: raw leaves it out, and a model that was not made for conversations has none")
		}
		if err := a.think(&talk{}, q.Think); err != nil {
			return err
		}
		raw, err := json.Marshal(q.Prompt)
		if err != nil {
			return err
		}
		prompts, err := a.prompts(r.Context(), &completionRequest{Prompt: raw})
		if err != nil {
			return err
		}
		var form *constraint
		if l != nil {
			if form, err = a.constraint(r.Context(), l.param, l.key, l.build); err != nil {
				return err
			}
			form.warn(w)
		}
		run = a.generate(r.Context(), job{prompts: prompts, constraint: form, choices: 1, max: value(c.MaxTokens, 0), sampling: c.sampling(a.Defaults), stops: c.Stop, ends: ends(a.Ends), logProbs: -1, follows: true})
	default:
		var messages []chat.Message
		if q.System != "" {
			messages = append(messages, chat.Message{Role: "system", Content: q.System})
		}
		t := &talk{messages: append(messages, chat.Message{Role: "user", Content: q.Prompt}), limit: l}
		if err := a.think(t, q.Think); err != nil {
			return err
		}
		if run, _, err = a.converse(w, r, t, c); err != nil {
			return renamed(err, map[string]string{"messages": "prompt"})
		}
	}
	defer run.stop()
	return a.follow(run, s)
}

// ollamaError is an error in Ollama's form.
func ollamaError(e *Error) any { return map[string]string{"error": e.Message} }
