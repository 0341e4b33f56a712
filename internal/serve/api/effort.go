package api

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/specquant/specquant/internal/constrain"
)

// efforts are how much OpenAI's clients may ask a model to think.
var efforts = []string{"none", "minimal", "low", "medium", "high", "xhigh"}

// effort adds what OpenAI's reasoning effort asks for to the variables of a template; those
// that the request gives itself take precedence. Templates that know no levels take each of
// them for "on".
func (a *API) effort(param string, field json.RawMessage, given map[string]json.RawMessage) (map[string]json.RawMessage, error) {
	if len(field) == 0 || string(field) == "null" {
		return given, nil
	}
	var level string
	switch err := json.Unmarshal(field, &level); {
	case err != nil || !slices.Contains(efforts, level):
		return nil, invalid(param, "found %.40s, expected one of %q", field, efforts)
	case level == "none" && !a.thinks():
		return given, nil
	case !a.thinks():
		return nil, unsupported(param, fmt.Sprintf("%q does not support reasoning: it has no chat template that knows %s", a.Name, constrain.ThinkOpen))
	}
	variables := thinkVariables(level != "none")
	if level != "none" {
		variables["reasoning_effort"] = field
	}
	maps.Copy(variables, given)
	return variables, nil
}

// reasoning is the field of /v1/responses.
type reasoning struct {
	Effort  json.RawMessage `json:"effort"`
	Summary json.RawMessage `json:"summary"` // thoughts come as they are; "auto" leaves that to the server
	Older   json.RawMessage `json:"generate_summary"`
}

// reason applies OpenAI's field reasoning to a conversation.
func (a *API) reason(t *talk, q *reasoning) (err error) {
	if q == nil {
		return nil
	}
	if err := refuse(field{"reasoning.summary", q.Summary}, field{"reasoning.generate_summary", q.Older}); err != nil {
		return err
	}
	t.variables, err = a.effort("reasoning.effort", q.Effort, t.variables)
	return err
}

// thinkVariables turn thinking on or off, as templates of several families call it.
func thinkVariables(on bool) map[string]json.RawMessage {
	word, _ := json.Marshal(on)
	return map[string]json.RawMessage{"enable_thinking": word, "thinking": word}
}
