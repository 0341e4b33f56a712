package chat

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/specquant/specquant/internal/jinja"
)

func folder(t *testing.T, files map[string]string) string {
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestLoad finds the template wherever a folder may have it.
func TestLoad(t *testing.T) {
	for _, c := range []struct {
		name  string
		files map[string]string
		want  string // the prompt
		err   string
	}{
		{"nothing", nil, "", "no chat template"},
		{"no template", map[string]string{"tokenizer_config.json": `{"bos_token": "<s>"}`}, "", "no chat template"},
		{"a string", map[string]string{"tokenizer_config.json": `{"bos_token": "<s>", "chat_template": "{{ bos_token }}A{{ messages[0].content }}"}`}, "<s>Ahi", ""},
		{"token as object", map[string]string{"tokenizer_config.json": `{"bos_token": {"content": "<b>"}, "chat_template": "{{ bos_token }}"}`}, "<b>", ""},
		{"token of the map", map[string]string{"tokenizer_config.json": `{"chat_template": "{{ eos_token }}"}`, "special_tokens_map.json": `{"eos_token": "</s>"}`}, "</s>", ""},
		{"named", map[string]string{"tokenizer_config.json": `{"chat_template": [{"name": "default", "template": "D"}, {"name": "tool_use", "template": "T"}]}`}, "D", ""},
		{"named without default", map[string]string{"tokenizer_config.json": `{"chat_template": [{"name": "rag", "template": "D"}, {"name": "x", "template": "T"}]}`}, "", "expected one named default"},
		{"file wins", map[string]string{"tokenizer_config.json": `{"chat_template": "A", "bos_token": "<s>"}`, "chat_template.jinja": "{{ bos_token }}F"}, "<s>F", ""},
		{"json file", map[string]string{"chat_template.json": `{"chat_template": "J"}`}, "J", ""},
		{"damaged", map[string]string{"tokenizer_config.json": `{"chat_template": "{% if %}"}`}, "", "tokenizer_config.json: chat template, line 1: expected an expression"},
		{"wrong type", map[string]string{"tokenizer_config.json": `{"chat_template": 3}`}, "", "neither a string nor a list"},
		{"no JSON", map[string]string{"tokenizer_config.json": `{`}, "", "tokenizer_config.json"},
	} {
		tmpl, err := Load(folder(t, c.files))
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: error %v, expected %q", c.name, err, c.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		p, err := tmpl.Render(context.Background(), Request{Messages: []Message{{Role: "user", Content: "hi"}}})
		if err != nil || p.Text() != c.want {
			t.Errorf("%s: %v, %v", c.name, p, err)
		}
	}
	if _, err := Load(t.TempDir()); !errors.Is(err, ErrNone) {
		t.Errorf("error %v, expected ErrNone", err)
	}
}

func parse(t *testing.T, source string) *Template {
	t.Helper()
	tmpl, err := New(Source{Templates: map[string]string{"default": source, "tool_use": "tools:" + source}, From: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return tmpl
}

func TestRender(t *testing.T) {
	all := `{% for m in messages %}[{{ m.role }}:{{ m.content }}{% for c in m.tool_calls or [] %}{{ c.function.name }}{% for k, v in c.function.arguments.items() %} {{ k }}={{ v }}{% endfor %}{% endfor %}]{% endfor %}{{ '[assistant:' if add_generation_prompt }}`
	str := strings.Replace(all, "{% for k, v in c.function.arguments.items() %} {{ k }}={{ v }}{% endfor %}", "{{ ' ' + c.function.arguments }}", 1)
	noSystem := "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}" + all
	call := `{"role": "assistant", "content": null, "tool_calls": [{"function": {"name": "f", "arguments": "{\"b\": 1, \"a\": \"x\"}"}}]}`
	hi := Message{Role: "user", Content: "hi"}
	messages := func(raw ...string) (out []Message) {
		for _, r := range raw {
			var m Message
			if err := json.Unmarshal([]byte(r), &m); err != nil {
				t.Fatal(err)
			}
			out = append(out, m)
		}
		return out
	}
	for _, c := range []struct {
		name, source string
		request      Request
		want, err    string
		notes        int
	}{
		{"plain", all, Request{Messages: []Message{hi}}, "[user:hi][assistant:", "", 0},
		{"empty", all, Request{}, "", "no messages", 0},
		{"arguments as an object, in order", all, Request{Messages: messages(call)}, "[assistant:Nonef b=1 a=x][assistant:", "", 0},
		{"arguments as a string", str, Request{Messages: messages(call)}, `[assistant:Nonef {"b": 1, "a": "x"}][assistant:`, "", 0},
		{"parts", all, Request{Messages: messages(`{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}`)}, "[user:a\nb][assistant:", "", 0},
		{"system refused", noSystem, Request{Messages: []Message{{Role: "system", Content: "Be brief."}, hi}}, "[user:Be brief.\n\nhi][assistant:", "", 1},
		{"refused altogether", "{{ raise_exception('never') }}", Request{Messages: []Message{{Role: "system", Content: "s"}, hi}}, "", "refuses the conversation: never", 0},
		{"tools have their own template", all, Request{Messages: []Message{hi}, Tools: []json.RawMessage{[]byte(`{"a": 1}`)}}, "tools:[user:hi][assistant:", "", 0},
		{"continue", all, Request{Messages: []Message{hi, {Role: "assistant", Content: "Well, "}}, Continue: true}, "[user:hi][assistant:Well,", "", 0},
		{"variables", "{{ enable_thinking }}{{ x.y }}", Request{Messages: []Message{hi}, Variables: map[string]json.RawMessage{"enable_thinking": []byte("false"), "x": []byte(`{"y": [1]}`)}}, "False[1]", "", 0},
		{"variables that are not free", all, Request{Messages: []Message{hi}, Variables: map[string]json.RawMessage{"bos_token": []byte(`"x"`)}}, "", "can't be set", 0},
		{"clock", "{{ strftime_now('%d %b %Y') }}", Request{Messages: []Message{hi}, Now: time.Date(2024, 7, 4, 0, 0, 0, 0, time.UTC)}, "04 Jul 2024", "", 0},
		{"bad tool", all, Request{Messages: []Message{hi}, Tools: []json.RawMessage{[]byte(`{`)}}, "", "tools: item 0", 0},
		{"no role", all, Request{Messages: []Message{{Raw: []byte(`{"content": "x"}`)}}}, "", "message 1: a message has no role", 0},
	} {
		p, err := parse(t, c.source).Render(context.Background(), c.request)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: error %v, expected %q", c.name, err, c.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if p.Text() != c.want || len(p.Notes) != c.notes {
			t.Errorf("%s: %q with notes %q, expected %q", c.name, p.Text(), p.Notes, c.want)
		}
	}
	var raised *jinja.RaisedError
	if _, err := parse(t, "{{ raise_exception('x') }}").Render(context.Background(), Request{Messages: []Message{hi}}); !errors.As(err, &raised) || raised.Msg != "x" {
		t.Errorf("error %v, expected the template's", err)
	}
}
