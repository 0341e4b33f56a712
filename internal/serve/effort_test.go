package serve

import "testing"

// TestEffort: reasoning_effort reaches the template, which "none" asks not to let the model
// think, and gives way to what the request says of the template itself.
func TestEffort(t *testing.T) {
	url := templated(t, `{{ reasoning_effort }}`+thinker)
	used := func(path, body string) (prompt float64, thought bool) {
		t.Helper()
		var a struct {
			Usage   map[string]any
			Choices []struct {
				Message struct {
					Reasoning string `json:"reasoning_content"`
				}
			}
			Output []struct{ Type string }
		}
		ask(t, url+path, body, &a)
		if a.Choices != nil {
			return a.Usage["prompt_tokens"].(float64), a.Choices[0].Message.Reasoning != ""
		}
		return a.Usage["input_tokens"].(float64), a.Output[0].Type == "reasoning"
	}
	const chat, responses = `{` + hi + `,"temperature":0,"max_tokens":12`, `{"input":"hi","temperature":0,"max_output_tokens":12`
	plain, thought := used("/v1/chat/completions", chat+`}`)
	if !thought {
		t.Fatal("the model does not think")
	}
	// The test's tokens are bytes, and <think> is seven of them.
	for _, c := range []struct {
		path, body string
		more       float64
		thought    bool
	}{
		{"/v1/chat/completions", chat + `,"reasoning_effort":null}`, 0, true},
		{"/v1/chat/completions", chat + `,"reasoning_effort":"high"}`, 4, true},
		{"/v1/chat/completions", chat + `,"reasoning_effort":"none"}`, -7, false},
		{"/v1/chat/completions", chat + `,"reasoning_effort":"none","chat_template_kwargs":{"enable_thinking":true}}`, 0, true},
		{"/v1/responses", responses + `,"reasoning":{"effort":"minimal","summary":"auto"}}`, 7, true},
		{"/v1/responses", responses + `,"reasoning":{"effort":"none"}}`, -7, false},
		{"/v1/responses", responses + `,"reasoning":{}}`, 0, true},
	} {
		if n, thought := used(c.path, c.body); n != plain+c.more || thought != c.thought {
			t.Errorf("%s: %.0f tokens of prompt, thinking %v; expected %.0f and %v", c.body, n, thought, plain+c.more, c.thought)
		}
	}
}
