package api

import (
	"encoding/json"
	"fmt"

	"github.com/specquant/specquant/internal/constrain"
)

// anthropicThink applies Anthropic's field thinking to a conversation: what the model thinks
// comes in blocks of its own, or it is asked not to think. Without the field the template
// decides, and what is thought is part of the text.
func (a *API) anthropicThink(t *talk, m *messagesRequest) error {
	if !asks(m.Thinking) {
		return nil
	}
	var f struct {
		Type    string `json:"type"`
		Budget  *int   `json:"budget_tokens"`
		Display string `json:"display"`
	}
	if err := json.Unmarshal(m.Thinking, &f); err != nil {
		return invalid("thinking", "%v", err)
	}
	switch {
	case f.Type != "enabled" && f.Type != "adaptive" && f.Type != "disabled":
		return invalid("thinking", "type: found %.40q, expected enabled, adaptive or disabled", f.Type)
	case f.Type == "enabled" && (f.Budget == nil || *f.Budget < 1):
		return invalid("thinking", "budget_tokens: expected at least 1, and less than max_tokens")
	case f.Type == "enabled" && m.MaxTokens != nil && *f.Budget >= *m.MaxTokens:
		return invalid("thinking", "budget_tokens: found %d, expected less than max_tokens, which is %d", *f.Budget, *m.MaxTokens)
	case f.Type == "enabled" && !a.thinks():
		return unsupported("thinking", fmt.Sprintf("%q does not support thinking: it has no chat template that knows %s", a.Name, constrain.ThinkOpen))
	case f.Display != "" && f.Display != "summarized":
		return unsupported("thinking", fmt.Sprintf("display %.40q is not supported: thoughts are shown as they are", f.Display))
	case f.Type != "disabled" && t.open:
		return unsupported("thinking", "an answer that goes on with the last message of the assistant can't have thoughts: leave one of them out")
	}
	t.plain = f.Type == "disabled"
	if f.Type != "adaptive" {
		t.variables = thinkVariables(!t.plain)
	}
	return nil
}
