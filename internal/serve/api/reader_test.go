package api

import (
	"fmt"
	"strings"
	"testing"
)

// TestReader splits answers into what is thought, said and called, however the text
// comes in pieces.
func TestReader(t *testing.T) {
	names := map[string]bool{"f": true, "g": true}
	mistral, phi, granite, llama, generic := formatOf("[TOOL_CALLS]"), formatOf("<|tool_call|> <|/tool_call|>"), formatOf("<|tool_call|>"), formatOf("ipython"), formatOf("")
	if formatOf("<tool_call>") != hermes {
		t.Fatal("the format of <tool_call>")
	}
	tools := func(f *callFormat) reading { return reading{calls: f, names: names} }
	certain := func(f *callFormat) reading { return reading{calls: f, names: names, certain: true} }
	for _, c := range []struct {
		name                string
		reading             reading
		text                string
		thought, said, made string
	}{
		{"thinks", reading{thinks: true}, "<think>\na b\n</think>\n\nYes.", "a b", "Yes.", ""},
		{"thinks, opened by the prompt", reading{thinks: true, open: true}, "a\n\nb</think>Yes <think>", "a\n\nb", "Yes <think>", ""},
		{"does not think", reading{thinks: true}, "<thin ice", "", "<thin ice", ""},
		{"thinks only", reading{thinks: true}, "\n<think>a </thi", "a </thi", "", ""},
		{"thinks later", reading{thinks: true}, "x<think>a</think>", "", "x<think>a</think>", ""},
		{"thinks of calls", reading{thinks: true, calls: hermes, names: names}, "<think><tool_call>{}</tool_call></think>Yes", "<tool_call>{}</tool_call>", "Yes", ""},
		{"Hermes", tools(hermes), "Well:\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": 1}}\n</tool_call>\n<tool_call>{\"name\": \"g\"}</tool_call>", "", "Well:", `f{"x": 1} g{}`},
		{"Hermes, not closed", tools(hermes), `<tool_call>{"name": "f", "arguments": {}}`, "", "", `f{}`},
		{"Hermes, mark within the arguments", tools(hermes), `<tool_call>{"name": "f", "arguments": {"x": "</tool_call>"}}</tool_call>`, "", "", `f{"x": "</tool_call>"}`},
		{"Hermes, arguments as text", tools(hermes), `<tool_call>{"name": "f", "arguments": "{\"x\": 1}"}</tool_call>`, "", "", `f{"x": 1}`},
		{"Hermes, no JSON", tools(hermes), "<tool_call>f(1)</tool_call>", "", "<tool_call>f(1)</tool_call>", ""},
		{"Hermes, unknown tool", tools(hermes), `<tool_call>{"name": "h"}</tool_call>`, "", `<tool_call>{"name": "h"}</tool_call>`, ""},
		{"Hermes, no call", tools(hermes), "a < b, <tool", "", "a < b, <tool", ""},
		{"Hermes, begun", reading{calls: hermes, names: names, begun: true}, "{\"name\": \"f\"}\n</tool_call>", "", "", "f{}"},
		{"Mistral", tools(mistral), `[TOOL_CALLS] [{"name": "f", "arguments": {}}, {"name": "g", "arguments": {"y": [1]}}]`, "", "", `f{} g{"y": [1]}`},
		{"Mistral, by name", tools(mistral), `[TOOL_CALLS]f[ARGS]{"x": 1}[TOOL_CALLS]g{}`, "", "", `f{"x": 1} g{}`},
		{"Phi", tools(phi), `Ok <|tool_call|>[{"name": "f", "arguments": {}}]<|/tool_call|>`, "", "Ok", `f{}`},
		{"Granite", tools(granite), `<|tool_call|>[{"name": "f", "arguments": {"x": 2}}]`, "", "", `f{"x": 2}`},
		{"Llama", tools(llama), `{"name": "f", "parameters": {"x": 1}}`, "", "", `f{"x": 1}`},
		{"Llama, two", tools(llama), `{"name": "f", "parameters": {}}; {"name": "g", "parameters": {}}`, "", "", `f{} g{}`},
		{"Llama, other JSON", tools(llama), `{"x": 1}`, "", `{"x": 1}`, ""},
		{"Llama, text", tools(llama), `The object {"name": "f"}`, "", `The object {"name": "f"}`, ""},
		{"Hermes, in a fence", tools(hermes), "Well:\n```json\n{\"name\": \"f\", \"arguments\": {\"x\": 1}}\n```\nDone", "", "Well:Done", `f{"x": 1}`},
		{"in a fence without a language", tools(generic), "```\n[{\"name\": \"f\"}, {\"name\": \"g\"}]\n```", "", "", "f{} g{}"},
		{"other code in a fence", tools(generic), "So:\n\n```go\nfunc f() {}\n``` and\n```json\n{\"a\": 1}\n```\n", "", "So:\n\n```go\nfunc f() {}\n``` and\n```json\n{\"a\": 1}\n```\n", ""},
		{"a fence without an end", tools(hermes), "```json\n{\"name\": \"f\"}", "", "```json\n{\"name\": \"f\"}", ""},
		{"certain", certain(hermes), "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": \"}</tool_call>\\\"]\"}}\n</tool_call><tool_call>{\"name\": \"g\", \"arguments\": {\"y\": [{}]}}</tool_call>", "", "", `f{"x": "}</tool_call>\"]"} g{"y": [{}]}`},
		{"certain, in a list", certain(granite), `<|tool_call|>[{"name": "f", "arguments": {"x": 2}}, {"name": "g", "arguments": {}}]`, "", "", `f{"x": 2} g{}`},
		{"certain, without marks", certain(llama), `{"name": "f", "parameters": {"x": [1, 2]}}`, "", "", `f{"x": [1, 2]}`},
		{"certain, cut off", certain(hermes), `<tool_call>{"name": "f", "arguments": {"x": "lon`, "", "", `f{"x": "lon`},
		{"certain, cut off before the arguments", certain(hermes), `<tool_call>{"name": "f", "argu`, "", `<tool_call>{"name": "f", "argu`, ""},
		{"other", tools(generic), ` [{"name": "f", "arguments": {"x": 1}}]`, "", "", `f{"x": 1}`},
	} {
		for size := range 4 {
			if size == 0 {
				size = len(c.text)
			}
			r := newReader(&c.reading)
			var e event
			for at := 0; at < len(c.text); at += size {
				r.push(c.text[at:min(at+size, len(c.text))], false, &e)
			}
			r.push("", true, &e)
			var made []string
			for i, k := range merged(nil, e.calls) {
				if k.Index != i || k.ID == "" || c.reading.calls.shortID && len(k.ID) != 9 {
					t.Errorf("%s: %+v", c.name, k)
				}
				made = append(made, k.Function.Name+k.Function.Arguments)
			}
			if e.reasoning != c.thought || e.text != c.said || strings.Join(made, " ") != c.made {
				t.Errorf("%s in pieces of %d: thought %q, said %q, called %q", c.name, size, e.reasoning, e.text, made)
			}
		}
	}
}

// FuzzReader: nothing of an answer is lost, and pieces make no difference.
func FuzzReader(f *testing.F) {
	for _, s := range []string{"<think>a</think>b", `<tool_call>{"name": "f"}</tool_call>`, "<tool_call>x</tool_call>y", " <think>"} {
		f.Add(s, uint8(3))
	}
	names := map[string]bool{"f": true}
	f.Fuzz(func(t *testing.T, text string, size uint8) {
		read := func(size int) string {
			r := newReader(&reading{thinks: true, calls: hermes, names: names})
			var e event
			for at := 0; at < len(text); at += size {
				r.push(text[at:min(at+size, len(text))], false, &e)
			}
			r.push("", true, &e)
			return fmt.Sprintf("%q %q %d", e.reasoning, e.text, len(e.calls))
		}
		if a, b := read(len(text)+1), read(int(size)+1); a != b {
			t.Errorf("%q: whole %s, in pieces of %d %s", text, a, int(size)+1, b)
		}
	})
}
