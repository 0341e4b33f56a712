package serve

import (
	"strings"
	"testing"
)

// TestAnthropicThoughts: with thinking, what the model thinks is a block of /v1/messages, as it
// is a field of a chat's answer: whole and streamed. Without, it is text, or the model is asked not to think.
func TestAnthropicThoughts(t *testing.T) {
	url := templated(t, thinker)
	m, _ := askChat(t, url, `"temperature":0,"max_tokens":12`)
	off, _ := askChat(t, url, `"temperature":0,"max_tokens":12,"chat_template_kwargs":{"enable_thinking":false}`)
	type answer struct {
		Content []struct {
			Type, Text, Thinking string
			Signature            *string
		}
		StopReason string `json:"stop_reason"`
	}
	const fields = `{` + hi + `,"temperature":0,"max_tokens":12`
	const enabled = `,"thinking":{"type":"enabled","budget_tokens":11}`
	for _, thinking := range []string{enabled, `,"thinking":{"type":"adaptive","display":"summarized"}`} {
		var a answer
		ask(t, url+"/v1/messages", fields+thinking+`}`, &a)
		if len(a.Content) != 1 || a.Content[0].Type != "thinking" || a.Content[0].Thinking != m.Reasoning || a.Content[0].Signature == nil || a.StopReason != "max_tokens" || m.Reasoning == "" {
			t.Errorf("%s: %+v, expected %q", thinking, a, m.Reasoning)
		}
	}
	names, data := sent(t, url+"/v1/messages", fields+enabled+`,"stream":true}`)
	text, order := "", ""
	for i, name := range names {
		if name == "content_block_delta" {
			d := data[i]["delta"].(map[string]any)
			if d["type"] != "thinking_delta" {
				t.Errorf("%v", d)
			}
			text += d["thinking"].(string)
			continue
		}
		order += name + " "
	}
	if text != m.Reasoning || order != "message_start content_block_start content_block_stop message_delta message_stop " {
		t.Errorf("streamed %q, events %s; expected %q", text, order, m.Reasoning)
	}
	var a answer
	ask(t, url+"/v1/messages", fields+`,"thinking":{"type":"disabled"}}`, &a)
	if len(a.Content) != 1 || a.Content[0].Type != "text" || a.Content[0].Text != off.Content || off.Content == "" {
		t.Errorf("not thinking: %+v, expected %q", a, off.Content)
	}
	// Thoughts that are sent back are taken, also beside calls.
	const back = `{"max_tokens":2,"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":""},{"type":"text","text":"a"}]},{"role":"user","content":"go on"}]}`
	if status, _, body := call(t, "POST", url+"/v1/messages", back); status != 200 {
		t.Errorf("earlier thoughts: status %d, %s", status, body)
	}
	for _, c := range [][2]string{
		{`"thinking":{"type":"enabled"}`, "budget_tokens: expected"},
		{`"thinking":{"type":"enabled","budget_tokens":12}`, "less than max_tokens"},
		{`"thinking":{"type":"enabled","budget_tokens":-1}`, "budget_tokens: expected"},
		{`"thinking":{"type":"often"}`, "type: found"},
		{`"thinking":7`, "thinking"},
		{`"thinking":{"type":"adaptive","display":"omitted"}`, "display"},
	} {
		if status, _, body := call(t, "POST", url+"/v1/messages", fields+`,`+c[0]+`}`); status != 400 || !strings.Contains(body, c[1]) {
			t.Errorf("%s: status %d, %s; expected %q", c[0], status, body, c[1])
		}
	}
	const open = `{"max_tokens":12,"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"I"}]`
	if status, _, body := call(t, "POST", url+"/v1/messages", open+enabled+`}`); status != 400 || !strings.Contains(body, "goes on") {
		t.Errorf("an open answer: status %d, %s", status, body)
	}
	// A model that does not reason may be told to do as it likes, but not to think.
	plain := templated(t, template)
	if status, _, body := call(t, "POST", plain+"/v1/messages", fields+`,"thinking":{"type":"adaptive"}}`); status != 200 {
		t.Errorf("adaptive, of a model that does not reason: status %d, %s", status, body)
	}
	if status, _, body := call(t, "POST", plain+"/v1/messages", fields+enabled+`}`); status != 400 || !strings.Contains(body, "does not support thinking") {
		t.Errorf("enabled, of a model that does not reason: status %d, %s", status, body)
	}
}
