package api

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/specquant/specquant/internal/constrain"
)

// thinkLevels are how much a model may be asked to think. Templates that know no levels take
// each of them for "on".
var thinkLevels = []string{"low", "medium", "high", "max"}

// think applies Ollama's field of that name to a conversation: what the model thinks is a
// field of its own, or it is asked not to think. Without the field the template decides.
func (a *API) think(t *talk, field json.RawMessage) error {
	if s := string(field); s == "" || s == "null" {
		return nil
	}
	var on bool
	var level string
	if json.Unmarshal(field, &on) != nil {
		if json.Unmarshal(field, &level) != nil || !slices.Contains(thinkLevels, level) {
			return invalid("think", "found %.40s, expected true, false or one of %q", field, thinkLevels)
		}
		on = true
	}
	if on && !a.thinks() {
		return unsupported("think", fmt.Sprintf("%q does not support thinking: it has no chat template that knows %s", a.Name, constrain.ThinkOpen))
	}
	t.variables = thinkVariables(on)
	if level != "" {
		t.variables["reasoning_effort"] = field
	}
	t.plain = !on // what is thought all the same is part of the text, as it is with Ollama
	return nil
}
