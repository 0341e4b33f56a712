package serve

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// answers in the APIs that are not OpenAI's chats, as far as tests look at them.
type blocks struct {
	Content []struct {
		Type, Text, ID, Name string
		Input                json.RawMessage
	}
	StopReason string `json:"stop_reason"`
}

// TestForms: Ollama's format and the text.format of responses limit answers as
// response_format does, to the same bytes.
func TestForms(t *testing.T) {
	_, url, _ := server(t, Options{})
	const draw = `"seed":3,"temperature":0.7`
	want, _ := askChat(t, url, draw+`,"response_format":{"type":"json_schema","json_schema":{"schema":`+person+`}}`)
	fits(t, person, want.Content)
	const said = `"messages":[{"role":"user","content":"hi"}]`
	var o struct {
		Message  struct{ Content string }
		Response string
	}
	options := `"stream":false,"options":{` + draw + `},"format":` + person
	if ask(t, url+"/api/chat", `{`+said+`,`+options+`}`, &o); o.Message.Content != want.Content {
		t.Errorf("/api/chat: %s, expected %s", o.Message.Content, want.Content)
	}
	if ask(t, url+"/api/generate", `{"prompt":"hi",`+options+`}`, &o); o.Response != want.Content {
		t.Errorf("/api/generate: %s, expected %s", o.Response, want.Content)
	}
	if ask(t, url+"/api/generate", `{"prompt":"hi","raw":true,`+options+`}`, &o); !json.Valid([]byte(o.Response)) {
		t.Errorf("raw: %s", o.Response)
	}
	if ask(t, url+"/api/chat", `{`+said+`,"stream":false,"format":"json","options":{"num_predict":30}}`, &o); !strings.HasPrefix(o.Message.Content, "{") {
		t.Errorf("json: %s", o.Message.Content)
	}
	// Anthropic's API has no seed: the likeliest answer.
	likeliest, _ := askChat(t, url, `"temperature":0,"response_format":{"type":"json_schema","json_schema":{"schema":`+person+`}}`)
	for _, form := range []string{`"output_config":{"format":{"type":"json_schema","schema":` + person + `}}`, `"output_format":{"type":"json_schema","schema":` + person + `}`} {
		var b blocks
		if ask(t, url+"/v1/messages", `{`+said+`,"max_tokens":500,"temperature":0,`+form+`}`, &b); len(b.Content) != 1 || b.Content[0].Text != likeliest.Content {
			t.Errorf("/v1/messages: %+v, expected %s", b, likeliest.Content)
		}
	}
	for field, says := range map[string]string{`"output_config":{"format":{"type":"xml"}}`: "output_config.format", `"output_format":{"type":"json_schema"}`: "output_format", `"output_config":{"effort":"low"}`: "output_config.effort", `"output_config":{"format":{"type":"json_schema","schema":{"type":7}}}`: "#/type"} {
		if status, _, text := call(t, "POST", url+"/v1/messages", `{`+said+`,"max_tokens":5,`+field+`}`); status != 400 || !strings.Contains(text, says) {
			t.Errorf("%s: status %d, %s", field, status, text)
		}
	}
	var r struct {
		Output []struct{ Content []struct{ Text string } }
		Text   struct{ Format struct{ Type string } }
	}
	if ask(t, url+"/v1/responses", `{"input":"hi",`+draw+`,"text":{"format":{"type":"json_schema","name":"p","strict":true,"schema":`+person+`}}}`, &r); r.Output[0].Content[0].Text != want.Content || r.Text.Format.Type != "json_schema" {
		t.Errorf("/v1/responses: %+v, expected %s", r, want.Content)
	}
	_, header, _ := call(t, "POST", url+"/v1/responses", `{"input":"hi","max_output_tokens":3,"text":{"format":{"type":"json_schema","schema":{"properties":{"a":{"not":{}}}}}}}`)
	if w := header.Get("X-SpecQuant-Warning"); !strings.Contains(w, "not is not enforced") {
		t.Errorf("warning %q", w)
	}
}

const (
	cityArguments = `{"type":"object","properties":{"city":{"type":"string","maxLength":8},"unit":{"enum":["C","F"]}},"required":["city","unit"],"additionalProperties":false}`
	cityTool      = `{"name":"weather","description":"Weather of a city","input_schema":` + cityArguments + `}`
)

// TestAnthropicTools: a call is a block whose input fits the schema, whole and in events;
// calls and results of before are taken.
func TestAnthropicTools(t *testing.T) {
	for name, source := range map[string]string{"no tools": template, "hermes": `{{ tools | tojson if tools }}<tool_call>` + template, "llama": `{{ tools | tojson if tools }}ipython` + template} {
		url := templated(t, source)
		body := func(more string) string {
			return `{"max_tokens":300,"temperature":0,` + hi + `,"tools":[` + cityTool + `,{"name":"now","input_schema":{"type":"object"}}],` + more + `}`
		}
		const one = `"tool_choice":{"type":"tool","name":"weather"}`
		var a blocks
		ask(t, url+"/v1/messages", body(one), &a)
		if len(a.Content) != 1 || a.StopReason != "tool_use" || a.Content[0].Type != "tool_use" || a.Content[0].Name != "weather" || a.Content[0].ID == "" {
			t.Errorf("%s: %+v", name, a)
			continue
		}
		fits(t, cityArguments, string(a.Content[0].Input))
		names, data := sent(t, url+"/v1/messages", body(one+`,"stream":true`))
		input, kinds := "", ""
		for i, d := range data {
			switch names[i] {
			case "content_block_start":
				kinds += d["content_block"].(map[string]any)["type"].(string) + " "
			case "content_block_delta":
				input += d["delta"].(map[string]any)["partial_json"].(string)
			}
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, []byte(input)); err != nil || compact.String() != string(a.Content[0].Input) || kinds != "tool_use " || data[len(data)-2]["delta"].(map[string]any)["stop_reason"] != "tool_use" {
			t.Errorf("%s: streamed %s in blocks %s, expected %s", name, input, kinds, a.Content[0].Input)
		}
		if n := strings.Count(strings.Join(names, " "), "content_block_delta"); n < 3 {
			t.Errorf("%s: the input came in %d pieces", name, n)
		}
		if a = (blocks{}); true {
			ask(t, url+"/v1/messages", body(`"tool_choice":{"type":"any","disable_parallel_tool_use":true}`), &a)
			if len(a.Content) != 1 || a.Content[0].Type != "tool_use" {
				t.Errorf("%s: any: %+v", name, a)
			}
		}
		history := `{"max_tokens":4,"tools":[` + cityTool + `],"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":[{"type":"text","text":"So:"},{"type":"tool_use","id":"toolu_12","name":"weather","input":{"city":"Rome"}}]},` +
			`{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_12","content":[{"type":"text","text":"none"}]},{"type":"text","text":"And?"}]}]}`
		ask(t, url+"/v1/messages", history, &a)
		for _, bad := range []string{`[{"role":"user","content":[{"type":"tool_use","id":"x","name":"weather","input":{}}]}]`, `[{"role":"assistant","content":[{"type":"tool_use","id":"x","input":3}]}]`} {
			if status, _, text := call(t, "POST", url+"/v1/messages", `{"max_tokens":4,"messages":`+bad+`}`); status != 400 || !strings.Contains(text, "block 0") {
				t.Errorf("%s: status %d, %s", bad, status, text)
			}
		}
	}
	_, url, _ := server(t, Options{})
	if status, _, text := call(t, "POST", url+"/v1/messages", `{"max_tokens":4,"tools":[`+cityTool+`],"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"So"}]}`); status != 400 || !strings.Contains(text, "last message") {
		t.Errorf("tools in an answer that has begun: status %d, %s", status, text)
	}
}

// TestOllamaTools: calls come as objects, and those of before are taken.
func TestOllamaTools(t *testing.T) {
	url := templated(t, `{{ tools | tojson if tools }}ipython`+template)
	const history = `"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"","tool_calls":[{"function":{"name":"now","arguments":{}}}]},{"role":"tool","tool_name":"now","content":"noon"}]`
	status, _, text := call(t, "POST", url+"/api/chat", `{`+history+`,`+weather+`,"options":{"num_predict":9}}`)
	if status != 200 || strings.Contains(text, `"error"`) {
		t.Errorf("history: status %d, %s", status, text)
	}
	if status, _, text := call(t, "POST", url+"/api/chat", `{"messages":[{"role":"assistant","content":"","tool_calls":[{"function":{"name":"f","arguments":3}}]}]}`); status != 400 || !strings.Contains(text, "arguments") {
		t.Errorf("arguments that are no object: status %d, %s", status, text)
	}
}

// TestStreamedArguments: what a chat streams of a call comes as it is written.
func TestStreamedArguments(t *testing.T) {
	url := templated(t, `{{ tools | tojson if tools }}<tool_call>`+template)
	_, _, body := call(t, "POST", url+"/v1/chat/completions", `{`+hi+`,"stream":true,"max_tokens":300,`+weather+`,"tool_choice":"required"}`)
	if n := strings.Count(body, `"arguments":`); n < 4 {
		t.Errorf("the arguments came in %d pieces: %s", n, body)
	}
	if n := strings.Count(body, `"id":"call_`); n != strings.Count(body, `"type":"function"`) || n < 1 {
		t.Errorf("%d ids: %s", n, body)
	}
}
