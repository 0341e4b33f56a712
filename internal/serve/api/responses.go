package api

import (
	"encoding/json"
	"net/http"
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

	Tools             []json.RawMessage `json:"tools"`
	ToolChoice        json.RawMessage   `json:"tool_choice"`
	ParallelToolCalls *bool             `json:"parallel_tool_calls"`

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
	Reasoning          *reasoning      `json:"reasoning"`
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
	MaxToolCalls         json.RawMessage `json:"max_tool_calls"` // of tools that a server carries out itself
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
	return refuse(field{"prompt", q.Prompt}, field{"include", q.Include}, field{"context_management", q.ContextManagement})
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

// talk is the conversation that the request asks to be answered.
func (q *responsesRequest) talk() (t *talk, err error) {
	t = &talk{parallel: q.ParallelToolCalls}
	if t.tools, err = responseTools(q.Tools); err != nil {
		return nil, err
	}
	if t.choice, err = responseChoice(q.ToolChoice); err != nil {
		return nil, err
	}
	if t.limit, err = q.limit(); err != nil {
		return nil, err
	}
	t.messages, err = q.messages()
	return t, err
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
	t, err := q.talk()
	if err != nil {
		return err
	}
	if err := a.reason(t, q.Reasoning); err != nil {
		return err
	}
	run, _, err := a.converse(w, r, t, c)
	if err != nil {
		return renamed(err, map[string]string{"messages": "input"})
	}
	defer run.stop()
	return a.follow(run, &responseStream{sse: sse{w: w}, stream: q.Stream, response: a.newResponse(&q)})
}
