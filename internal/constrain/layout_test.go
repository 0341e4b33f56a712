package constrain

import (
	"strings"
	"testing"
)

// TestCalls: calls in the layouts of models, with the arguments that the schemas ask for.
func TestCalls(t *testing.T) {
	tools := []Tool{{"add", []byte(`{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]}`)}, {"now", nil}}
	hermes := Layout{Open: "<tool_call>", Close: "</tool_call>", Arguments: "arguments"}
	several, free, begun, instead := hermes, hermes, hermes, hermes
	several.Several, free.Free, begun.Begun = true, true, true
	instead.Instead = []byte(`{"type":"array","maxItems":0}`)
	list := Layout{Open: "[TOOL_CALLS]", List: true, Several: true, Arguments: "arguments"}
	bare := Layout{Arguments: "parameters"}
	add, now := `{"name": "add", "arguments": {"a": 1}}`, `{"name":"now","arguments":{}}`
	one := "<tool_call>\n" + add + "\n</tool_call>"
	for i, c := range []struct {
		layout  Layout
		yes, no []string
	}{
		{hermes, []string{one, "<tool_call>" + now + "</tool_call>"}, []string{"", add, one + "\n" + one, "Well. " + one, strings.Replace(one, "1", `"x"`, 1), strings.Replace(one, "add", "sub", 1), "<tool_call>\n" + add}},
		{several, []string{one, one + "\n" + one + one}, []string{"", one + "\n", one + "x"}},
		{free, []string{"", "Hello.", one, "Well: " + one, "a < b, <tool", "<tool_c<tool_call>" + now + "</tool_call>"}, []string{"<tool_call>", "x<tool_call>y", one + "x"}},
		{begun, []string{"\n" + add + "\n</tool_call>", now + "</tool_call>"}, []string{one, add}},
		{instead, []string{one, "[]"}, []string{"[1]", one + "[]"}},
		{list, []string{"[TOOL_CALLS][" + now + "]", "[TOOL_CALLS][" + now + ", " + add + "]"}, []string{"[TOOL_CALLS]" + now, "[" + now + "]"}},
		{bare, []string{strings.Replace(add, "arguments", "parameters", 1)}, []string{add, ""}},
	} {
		p, err := Calls(c.layout, tools)
		if err != nil {
			t.Fatal(err)
		}
		g := p.Grammar(testVocabulary())
		for _, s := range c.yes {
			if !read(g, s) {
				t.Errorf("layout %d: %q is refused", i, s)
			}
		}
		for _, s := range c.no {
			if read(g, s) {
				t.Errorf("layout %d: %q is allowed", i, s)
			}
		}
	}
	_, err := Calls(hermes, []Tool{{"f", []byte(`{"properties":{"x":{"type":"int"}}}`)}})
	if err == nil || !strings.HasPrefix(err.Error(), "f#/properties/x/type: ") {
		t.Errorf("error %v", err)
	}
	p, err := Calls(hermes, []Tool{{"f", []byte(`{"type":"object","not":{}}`)}})
	if err != nil || len(p.Warnings) != 1 || !strings.HasPrefix(p.Warnings[0], "f#: not") {
		t.Errorf("%v, %v", p, err)
	}
}

// TestThinking: anything may be thought before the answer, and nothing else comes before.
func TestThinking(t *testing.T) {
	p, err := Schema([]byte(`{"type":"integer"}`))
	if err != nil {
		t.Fatal(err)
	}
	may, must := p.Thinking(false).Grammar(testVocabulary()), p.Thinking(true).Grammar(testVocabulary())
	for text, want := range map[string][2]bool{"1": {true, false}, "<think>a</thi</think>\n\n1": {true, true}, "hm </think>1": {false, true}, "<think>1": {false, false}, "<think></think>": {false, false}, "x1": {false, false}, "<think></think></think>1": {false, false}} {
		if got := [2]bool{read(may, text), read(must, text)}; got != want {
			t.Errorf("%q: %v, expected %v", text, got, want)
		}
	}
}
