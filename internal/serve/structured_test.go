package serve

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// told is an answer of the chat endpoint.
type told struct {
	Content   string
	Reasoning string `json:"reasoning_content"`
	Calls     []struct {
		Index    int
		ID, Type string
		Function struct{ Name, Arguments string }
	} `json:"tool_calls"`
}

// askChat asks the chat endpoint and gives the message and why it ended.
func askChat(t *testing.T, url, fields string) (told, string) {
	t.Helper()
	status, _, body := call(t, "POST", url+"/v1/chat/completions", `{"messages":[{"role":"user","content":"hi"}],`+fields+`}`)
	var out struct {
		Choices []struct {
			Message told
			Finish  string `json:"finish_reason"`
		}
	}
	if err := json.Unmarshal([]byte(body), &out); status != 200 || err != nil || len(out.Choices) != 1 {
		t.Fatalf("%s: status %d, %s", fields, status, body)
	}
	return out.Choices[0].Message, out.Choices[0].Finish
}

// askStream is askChat, streamed and put together as clients do.
func askStream(t *testing.T, url, fields string) (out told, finish string) {
	t.Helper()
	_, _, body := call(t, "POST", url+"/v1/chat/completions", `{"messages":[{"role":"user","content":"hi"}],"stream":true,`+fields+`}`)
	lines := bufio.NewScanner(strings.NewReader(body))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok || data == "[DONE]" {
			continue
		}
		var c struct {
			Choices []struct {
				Delta  told
				Finish string `json:"finish_reason"`
			}
		}
		if err := json.Unmarshal([]byte(data), &c); err != nil || len(c.Choices) != 1 {
			t.Fatalf("%s: %v", data, err)
		}
		d := c.Choices[0].Delta
		out.Content += d.Content
		out.Reasoning += d.Reasoning
		for _, k := range d.Calls {
			if k.Index == len(out.Calls) {
				out.Calls = append(out.Calls, k)
				continue
			}
			out.Calls[k.Index].Function.Arguments += k.Function.Arguments
		}
		finish += c.Choices[0].Finish
	}
	return out, finish
}

const person = `{"type":"object","properties":{"name":{"type":"string","maxLength":12},"age":{"type":"integer","minimum":0,"maximum":150},"tags":{"type":"array","items":{"enum":["a","b"]},"maxItems":3},"born":{"type":"string","format":"date"}},"required":["name","age","tags","born"],"additionalProperties":false}`

func fits(t *testing.T, schema, text string) {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(schema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	c.AddResource("s.json", doc)
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err == nil {
		err = c.MustCompile("s.json").Validate(value)
	}
	if err != nil {
		t.Errorf("%s: %v", text, err)
	}
}

// TestStructured: answers fit what response_format asks for, streamed or not, alone or
// among others.
func TestStructured(t *testing.T) {
	_, url, log := server(t, Options{})
	format := func(seed int) string {
		return fmt.Sprintf(`"seed":%d,"response_format":{"type":"json_schema","json_schema":{"name":"p","strict":true,"schema":%s}}`, seed, person)
	}
	alone := map[int]string{}
	for seed := range 6 {
		m, finish := askChat(t, url, format(seed))
		if finish != "stop" {
			t.Errorf("seed %d: ended by %s: %s", seed, finish, m.Content)
		}
		fits(t, person, m.Content)
		alone[seed] = m.Content
		if s, _ := askStream(t, url, format(seed)); s.Content != m.Content {
			t.Errorf("streamed: %s\nwhole: %s", s.Content, m.Content)
		}
	}
	var wait sync.WaitGroup
	for seed, want := range alone {
		wait.Go(func() {
			if m, _ := askChat(t, url, format(seed)); m.Content != want {
				t.Errorf("among others: %s\nalone: %s", m.Content, want)
			}
		})
	}
	wait.Wait()
	for seed := range 3 {
		m, finish := askChat(t, url, fmt.Sprintf(`"seed":%d,"max_tokens":300,"response_format":{"type":"json_object"}`, seed))
		if m.Content[0] != '{' || finish == "stop" && !json.Valid([]byte(m.Content)) {
			t.Errorf("%s: %s", finish, m.Content)
		}
	}
	m, _ := askChat(t, url, `"structured_outputs":{"regex":"[a-c]{3}-\\d+"},"max_tokens":20`)
	if !regexp.MustCompile(`^[a-c]{3}-\d+$`).MatchString(m.Content) {
		t.Errorf("regex: %q", m.Content)
	}
	if m, _ := askChat(t, url, `"structured_outputs":{"choice":["yes","no"]}`); m.Content != "yes" && m.Content != "no" {
		t.Errorf("choice: %q", m.Content)
	}
	status, _, body := call(t, "POST", url+"/v1/completions", `{"prompt":"a","n":2,"structured_outputs":{"json":{"type":"boolean"}}}`)
	if status != 200 || strings.Count(body, `"text":"true"`)+strings.Count(body, `"text":"false"`) != 2 {
		t.Errorf("completions: %d %s", status, body)
	}
	const warned = `{"messages":[{"role":"user","content":"hi"}],"max_tokens":3,"response_format":{"type":"json_schema","json_schema":{"schema":{"type":"object","properties":{"SECRET":{"not":{}}}}}}}`
	_, header, _ := call(t, "POST", url+"/v1/chat/completions", warned)
	if w := header.Get("X-SpecQuant-Warning"); w != "#/properties/SECRET: not is not enforced" {
		t.Errorf("warning %q", w)
	}
	if l := log.String(); !strings.Contains(l, "not enforced in full") || strings.Contains(l, "SECRET") {
		t.Errorf("log: %s", l)
	}
}

const weather = `"tools":[{"type":"function","function":{"name":"weather","description":"Weather of a city","parameters":{"type":"object","properties":{"city":{"type":"string","maxLength":8},"unit":{"enum":["C","F"]}},"required":["city","unit"],"additionalProperties":false}}},{"type":"function","function":{"name":"now"}}]`

// TestTools: where a call is asked for, there is one, and its arguments fit the schema.
func TestTools(t *testing.T) {
	const parameters = `{"type":"object","properties":{"city":{"type":"string","maxLength":8},"unit":{"enum":["C","F"]}},"required":["city","unit"],"additionalProperties":false}`
	for name, source := range map[string]string{
		"no tools": template,
		"hermes":   `{{ tools | tojson if tools }}<tool_call>` + template,
		"mistral":  `{{ tools | tojson if tools }}[TOOL_CALLS]` + template,
		"llama":    `{{ tools | tojson if tools }}ipython` + template,
		"generic":  `{{ tools | tojson if tools }}` + template,
		"thinks":   `{{ tools | tojson if tools }}<think></think><tool_call></tool_call>` + template,
	} {
		url := templated(t, source)
		named := weather + `,"tool_choice":{"type":"function","function":{"name":"weather"}},"seed":5,"temperature":0.7,"max_tokens":700`
		m, finish := askChat(t, url, named)
		if len(m.Calls) != 1 || finish != "tool_calls" || m.Calls[0].Function.Name != "weather" || m.Calls[0].ID == "" || m.Calls[0].Type != "function" {
			if name == "thinks" && finish == "length" { // a random model thinks on and on
				continue
			}
			t.Errorf("%s: %+v, ended by %s", name, m, finish)
			continue
		}
		fits(t, parameters, m.Calls[0].Function.Arguments)
		s, streamed := askStream(t, url, named)
		if streamed != finish || len(s.Calls) != 1 || s.Calls[0].Function != m.Calls[0].Function {
			t.Errorf("%s: streamed %+v, whole %+v", name, s, m)
		}
		if m, _ := askChat(t, url, weather+`,"tool_choice":"required","parallel_tool_calls":false,"seed":2,"max_tokens":700`); len(m.Calls) != 1 || m.Content != "" {
			t.Errorf("%s: required: %+v", name, m)
		}
		if m, _ := askChat(t, url, weather+`,"tool_choice":"none","seed":2,"max_tokens":20`); len(m.Calls) != 0 || m.Content == "" {
			t.Errorf("%s: none: %+v", name, m)
		}
		askChat(t, url, weather+`,"seed":2,"max_tokens":40`)
		history := `{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":null,"tool_calls":[{"id":"call_123","type":"function","function":{"name":"now","arguments":"{}"}}]},{"role":"tool","tool_call_id":"call_123","content":"noon"}],` + weather + `,"max_tokens":4}`
		if status, _, body := call(t, "POST", url+"/v1/chat/completions", history); status != 200 {
			t.Errorf("%s: history: %d %s", name, status, body)
		}
	}
}

// templated is a server of the test model with another template.
func templated(t *testing.T, source string) string {
	t.Helper()
	dir := modelDir(t)
	if err := os.WriteFile(filepath.Join(dir, "chat_template.jinja"), []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	_, url, _ := serverOf(t, []Source{{Name: "test", Path: dir}}, Options{})
	return url
}
