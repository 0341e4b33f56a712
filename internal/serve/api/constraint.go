package api

import (
	"container/list"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"

	"github.com/specquant/specquant/internal/constrain"
)

// keptConstraints is the number of compiled constraints that are kept for later requests.
const keptConstraints = 16

// ConstraintBytes is the most memory that the constraints of a model with so many tokens
// take: those that are kept, and those of so many texts under way that are not kept any more.
func ConstraintBytes(vocab, texts int) int64 {
	return int64(keptConstraints+texts)*constrain.MaxKept + int64(vocab)*constrain.TokenBytes
}

// constraints is a cache of compiled constraints.
type constraints struct {
	mu         sync.Mutex
	vocabulary *constrain.Vocabulary
	kept       map[string]*list.Element
	order      list.List // of *constraint, the one used last first
}

// constraint is a compiled constraint.
type constraint struct {
	key      string
	grammar  *constrain.Grammar
	warnings []string
}

// constraint returns the constraint of a key. If it is not in the cache, build compiles it.
// param is the field of the request that asks for it.
func (a *API) constraint(ctx context.Context, param, key string, build func() (*constrain.Program, error)) (*constraint, error) {
	a.constraints.mu.Lock()
	if e := a.constraints.kept[key]; e != nil {
		a.constraints.order.MoveToFront(e)
		a.constraints.mu.Unlock()
		return e.Value.(*constraint), nil
	}
	a.constraints.mu.Unlock()
	var out *constraint
	err := a.work(ctx, func(context.Context) error {
		p, err := build()
		var bad *constrain.Error
		switch {
		case errors.As(err, &bad):
			return invalid(param, "%v", bad)
		case err != nil:
			return err
		}
		out = &constraint{key, p.Grammar(a.vocabulary()), p.Warnings}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(out.warnings) > 0 { // warnings contain text of the client, which must not be logged
		a.Log.Warn("a constraint is not enforced in full", "field", param, "warnings", len(out.warnings))
	}
	a.constraints.mu.Lock()
	defer a.constraints.mu.Unlock()
	if a.constraints.kept == nil {
		a.constraints.kept = map[string]*list.Element{}
	}
	a.constraints.kept[key] = a.constraints.order.PushFront(out)
	if a.constraints.order.Len() > keptConstraints {
		last := a.constraints.order.Back()
		a.constraints.order.Remove(last)
		if old := last.Value.(*constraint); a.constraints.kept[old.key] == last {
			delete(a.constraints.kept, old.key)
		}
	}
	return out, nil
}

// vocabulary is made when the first constraint needs it.
func (a *API) vocabulary() *constrain.Vocabulary {
	a.constraints.mu.Lock()
	defer a.constraints.mu.Unlock()
	if a.constraints.vocabulary == nil {
		texts := make([]string, a.Vocab)
		for id := range texts {
			texts[id] = a.Tokenizer.Text(id)
		}
		a.constraints.vocabulary = constrain.NewVocabulary(texts, a.Tokenizer.StripsBlank())
	}
	return a.constraints.vocabulary
}

// responseFormat is OpenAI's field of that name.
type responseFormat struct {
	Type   string `json:"type"`
	Schema *struct {
		Name        string          `json:"name"`
		Description string          `json:"description"`
		Schema      json.RawMessage `json:"schema"`
		Strict      *bool           `json:"strict"` // without effect: every schema is enforced
	} `json:"json_schema"`
}

// structuredOutputs is vLLM's field of that name: one of its members.
type structuredOutputs struct {
	JSON       json.RawMessage `json:"json"`
	Regex      *string         `json:"regex"`
	Choice     []string        `json:"choice"`
	JSONObject *bool           `json:"json_object"`
}

// limit is a limit that a request puts on its answer.
type limit struct {
	param  string
	key    string // the same for the same limits
	schema json.RawMessage
	build  func() (*constrain.Program, error)
}

func schemaLimit(param string, schema json.RawMessage) *limit {
	return &limit{param, "schema " + string(schema), schema, func() (*constrain.Program, error) { return constrain.Schema(schema) }}
}

func objectLimit(param string) *limit {
	return &limit{param, "object", json.RawMessage(`{"type":"object"}`), constrain.AnyObject}
}

// limit returns the limit that response_format asks for; nil if none.
func (f *responseFormat) limit() (*limit, error) {
	switch {
	case f == nil || f.Type == "text":
		return nil, nil
	case f.Type == "json_object":
		return objectLimit("response_format"), nil
	case f.Type != "json_schema":
		return nil, invalid("response_format", "type: found %.40q, expected text, json_object or json_schema", f.Type)
	case f.Schema == nil || len(f.Schema.Schema) == 0:
		return nil, invalid("response_format", "json_schema.schema is missing")
	}
	return schemaLimit("response_format", f.Schema.Schema), nil
}

// limit returns the limit that structured_outputs asks for; nil if none.
func (s *structuredOutputs) limit() (*limit, error) {
	if s == nil {
		return nil, nil
	}
	const param = "structured_outputs"
	var all []*limit
	if asked := len(s.JSON) > 0 && string(s.JSON) != "null"; asked {
		all = append(all, schemaLimit(param, s.JSON))
	}
	if s.Regex != nil {
		pattern := *s.Regex
		all = append(all, &limit{param, "regex " + pattern, nil, func() (*constrain.Program, error) { return constrain.Regexp(pattern) }})
	}
	if s.Choice != nil {
		texts := s.Choice
		all = append(all, &limit{param, "choice " + strings.Join(texts, "\x00"), nil, func() (*constrain.Program, error) { return constrain.Choice(texts) }})
	}
	if s.JSONObject != nil && *s.JSONObject {
		all = append(all, objectLimit(param))
	}
	if len(all) != 1 {
		return nil, invalid(param, "found %d of json, regex, choice and json_object, expected one", len(all))
	}
	return all[0], nil
}

// warn tells the client what is not enforced.
func (c *constraint) warn(w http.ResponseWriter) {
	if c == nil {
		return
	}
	for _, text := range c.warnings {
		w.Header().Add("X-SpecQuant-Warning", strings.Map(func(r rune) rune {
			if r < ' ' || r > '~' {
				return '?'
			}
			return r
		}, text))
	}
}
