package serve

import (
	"bufio"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/responses"
)

// ask posts a body and gives the answer's fields.
func ask(t *testing.T, url, body string, into any) {
	t.Helper()
	status, _, text := call(t, "POST", url, body)
	if err := json.Unmarshal([]byte(text), into); status != 200 || err != nil {
		t.Fatalf("%s %s: status %d, %s", url, body, status, text)
	}
}

// sent are the events of a stream: their names, and their data.
func sent(t *testing.T, url, body string) (names []string, data []map[string]any) {
	t.Helper()
	status, header, text := call(t, "POST", url, body)
	if status != 200 || header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%s %s: status %d, %s", url, body, status, text)
	}
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		if name, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
			names = append(names, name)
		}
		if d, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			var v map[string]any
			if err := json.Unmarshal([]byte(d), &v); err != nil {
				t.Fatalf("%v: %s", err, d)
			}
			if len(names) == 0 || v["type"] != names[len(names)-1] {
				t.Errorf("event %v has type %v", names, v["type"])
			}
			data = append(data, v)
		}
	}
	return names, data
}

// greedy are fields by which the same request has the same answer of some length.
const greedy = `"temperature":0,`

// chatText is the answer of /v1/chat/completions, which the other APIs' are held against.
func chatText(t *testing.T, url, messages string, max string) string {
	t.Helper()
	var a struct {
		Choices []struct{ Message struct{ Content string } }
	}
	ask(t, url+"/v1/chat/completions", `{`+greedy+`"messages":`+messages+`,"max_tokens":`+max+`}`, &a)
	return a.Choices[0].Message.Content
}

// TestResponses: OpenAI's client gets of /v1/responses what it gets of a chat, whole and
// in events that are in order and numbered; what needs a store is refused by name.
func TestResponses(t *testing.T) {
	_, url, _ := server(t, Options{})
	want := chatText(t, url, `[{"role":"system","content":"Be brief."},{"role":"user","content":"Hello"}]`, "12")
	c := client(url)
	p := responses.ResponseNewParams{Model: "test", Instructions: openai.String("Be brief."), MaxOutputTokens: openai.Int(12), Temperature: openai.Float(0),
		Input: responses.ResponseNewParamsInputUnion{OfString: openai.String("Hello")}}
	whole, err := c.Responses.New(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if whole.OutputText() != want || whole.Status != "incomplete" || whole.IncompleteDetails.Reason != "max_output_tokens" || whole.Usage.OutputTokens != 12 || whole.Usage.TotalTokens != whole.Usage.InputTokens+12 {
		t.Errorf("%+v, expected %q", whole, want)
	}
	p.Input = responses.ResponseNewParamsInputUnion{OfInputItemList: responses.ResponseInputParam{responses.ResponseInputItemParamOfMessage("Hello", "user")}}
	stream := c.Responses.NewStreaming(t.Context(), p)
	var text, order string
	for i := int64(0); stream.Next(); i++ {
		e := stream.Current()
		if e.SequenceNumber != i {
			t.Errorf("event %d has number %d", i, e.SequenceNumber)
		}
		if e.Type == "response.output_text.delta" {
			text += e.Delta
			continue
		}
		order += strings.TrimPrefix(e.Type, "response.") + " "
		if e.Type == "response.incomplete" && (e.Response.OutputText() != want || e.Response.Usage.OutputTokens != 12) {
			t.Errorf("the last event: %+v", e.Response)
		}
	}
	if err := stream.Err(); err != nil || text != want || order != "created in_progress output_item.added content_part.added output_text.done content_part.done output_item.done incomplete " {
		t.Errorf("streamed %q, events %s, error %v; expected %q", text, order, err, want)
	}
	for field, says := range map[string]string{`"store":true`: "store", `"background":true`: "background", `"previous_response_id":"resp_1"`: "previous_response_id", `"conversation":"c"`: "conversation",
		`"tools":[{"type":"web_search","search_context_size":"low"}]`: "web_search", `"tools":[{"type":"function","name":"a b"}]`: "tools: item 0", `"tool_choice":"required"`: "there are no tools", `"tool_choice":{"type":"mcp","server_label":"x"}`: "mcp",
		`"tool_choice":{"type":"function","name":"f"}`: "no tool of the name", `"tool_choice":{"type":"allowed_tools","mode":"some","tools":[]}`: "mode", `"text":{"format":{"type":"xml"}}`: "text.format", `"text":{"format":{"type":"json_schema"}} `: "schema is missing", `"truncation":"auto"`: "truncation", `"include":["message.output_text.logprobs"]`: "include",
		`"reasoning":{"effort":"low"}`: "does not support reasoning", `"reasoning":{"effort":"some"}`: "reasoning.effort: found", `"reasoning":{"summary":"detailed"}`: "reasoning.summary", `"reasoning":{"size":1}`: "size", `"top_logprobs":2`: "top_logprobs", `"max_output_tokens":0`: "max_output_tokens: found 0"} {
		if status, _, body := call(t, "POST", url+"/v1/responses", `{"input":"a",`+field+`}`); status != 400 || !strings.Contains(body, says) {
			t.Errorf("%s: status %d, %s", field, status, body)
		}
	}
	for input, says := range map[string]string{`[{"type":"item_reference","id":"x"}]`: "item_reference", `[{"type":"function_call_output","call_id":"x","output":"y"}]`: "call_id", `[{"role":"user","content":[{"type":"input_image","image_url":"x"}]}]`: "input_image",
		`[{"role":"tool","content":"x"}]`: "role", `[{"type":"function_call","name":"f","arguments":"{}"}]`: "call_id", `[{"type":"function_call","call_id":"x","name":"f","arguments":"7"}]`: "arguments", `[{"type":"reasoning","summary":[]}]`: "no message",
		`[{"type":"function_call","call_id":"x","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"x","output":[{"type":"input_image"}]}]`: "item 1: output"} {
		if status, _, body := call(t, "POST", url+"/v1/responses", `{"input":`+input+`}`); status != 400 || !strings.Contains(body, "input: ") || !strings.Contains(body, says) {
			t.Errorf("%s: status %d, %s", input, status, body)
		}
	}
}

// TestAnthropic: /v1/messages gives what a chat gives, whole and in Anthropic's events; a
// stop sequence is named, the system prompt may be blocks, an assistant's last message is
// gone on with, and count_tokens counts what the answer's usage does.
func TestAnthropic(t *testing.T) {
	_, url, _ := server(t, Options{})
	want := chatText(t, url, `[{"role":"system","content":"Be brief."},{"role":"user","content":"Hello"}]`, "12")
	body := func(more string) string {
		return `{"model":"test",` + greedy + more + `"max_tokens":12,"system":[{"type":"text","text":"Be brief.","cache_control":{"type":"ephemeral"}}],"messages":[{"role":"user","content":[{"type":"text","text":"Hello"}]}]}`
	}
	type answer struct {
		ID, Type, Role, Model string
		Content               []struct{ Type, Text string }
		StopReason            string  `json:"stop_reason"`
		Stop                  *string `json:"stop_sequence"`
		Usage                 struct {
			Input  int `json:"input_tokens"`
			Cached int `json:"cache_read_input_tokens"`
			Output int `json:"output_tokens"`
		}
	}
	var a answer
	ask(t, url+"/v1/messages", body(""), &a)
	if a.Content[0].Text != want || a.StopReason != "max_tokens" || a.Stop != nil || a.Type != "message" || a.Role != "assistant" || a.Model != "test" || a.Usage.Output != 12 {
		t.Errorf("%+v, expected %q", a, want)
	}
	var count struct {
		Tokens int `json:"input_tokens"`
	}
	ask(t, url+"/v1/messages/count_tokens", body(""), &count)
	if count.Tokens != a.Usage.Input+a.Usage.Cached || count.Tokens < 20 {
		t.Errorf("%d tokens counted, usage %+v", count.Tokens, a.Usage)
	}
	names, data := sent(t, url+"/v1/messages", body(`"stream":true,`))
	text := ""
	for i, d := range data {
		if names[i] == "content_block_delta" {
			text += d["delta"].(map[string]any)["text"].(string)
		}
	}
	if names = slices.Compact(names); text != want || strings.Join(names, " ") != "message_start content_block_start content_block_delta content_block_stop message_delta message_stop" {
		t.Errorf("streamed %q in %v, expected %q", text, names, want)
	}
	if last := data[len(data)-2]; last["delta"].(map[string]any)["stop_reason"] != "max_tokens" || last["usage"].(map[string]any)["output_tokens"] != 12.0 {
		t.Errorf("the last event: %v", last)
	}
	stop := string([]rune(want)[4:6])
	quoted, _ := json.Marshal(stop)
	a = answer{}
	ask(t, url+"/v1/messages", body(`"stop_sequences":[`+string(quoted)+`],`), &a)
	if before, _, _ := strings.Cut(want, stop); a.Content[0].Text != before || a.StopReason != "stop_sequence" || a.Stop == nil || *a.Stop != stop {
		t.Errorf("stop %q: %+v, expected %q", stop, a, before)
	}
	// What has been said so far is gone on with: the same text comes out in two pieces.
	head := string([]rune(want)[:5])
	if head == strings.TrimSpace(head) {
		quoted, _ = json.Marshal(head)
		a = answer{}
		ask(t, url+"/v1/messages", `{`+greedy+`"max_tokens":7,"system":"Be brief.","messages":[{"role":"user","content":"Hello"},{"role":"assistant","content":`+string(quoted)+`}]}`, &a)
		if !strings.HasPrefix(head+a.Content[0].Text, head) || a.Content[0].Text == "" {
			t.Errorf("prefilled %q: %+v", head, a)
		}
	}
	for field, says := range map[string]string{`"tools":[{"type":"web_search_20250305","name":"web_search"}]`: "web_search_20250305", `"tools":[{"name":"f"}],"tool_choice":{"type":"some"}`: "tool_choice", `"thinking":{"type":"enabled","budget_tokens":2000}`: "thinking", `"mcp_servers":[{}]`: "mcp_servers",
		`"system":[{"type":"image"}]`: "system", `"stop_sequences":[""]`: "stop_sequences"} {
		if status, _, text := call(t, "POST", url+"/v1/messages", `{"max_tokens":1,`+hi+`,`+field+`}`); status != 400 || !strings.Contains(text, says) || errorText("/v1/messages", text) == "" {
			t.Errorf("%s: status %d, %s", field, status, text)
		}
	}
	ask(t, url+"/v1/messages", `{"max_tokens":1,`+hi+`,"thinking":{"type":"disabled"},"metadata":{"user_id":"x"}}`, &a)
}

// TestOllama: /api/chat and /api/generate give what a chat gives, whole and as lines.
func TestOllama(t *testing.T) {
	_, url, _ := server(t, Options{})
	want := chatText(t, url, `[{"role":"system","content":"Be brief."},{"role":"user","content":"Hello"}]`, "12")
	type line struct {
		Model    string
		Message  struct{ Role, Content string }
		Response string
		Done     bool
		Reason   string `json:"done_reason"`
		Count    int    `json:"eval_count"`
		Total    int64  `json:"total_duration"`
	}
	for path, in := range map[string]string{"/api/chat": `"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Hello"}]`, "/api/generate": `"system":"Be brief.","prompt":"Hello"`} {
		body := `{"model":"test:latest","keep_alive":"5m",` + in + `,"options":{"temperature":0,"num_predict":12,"num_ctx":2048}`
		var whole line
		ask(t, url+path, body+`,"stream":false}`, &whole)
		if text := whole.Message.Content + whole.Response; text != want || !whole.Done || whole.Reason != "length" || whole.Count != 12 || whole.Total <= 0 || whole.Model != "test:latest" {
			t.Errorf("%s: %+v, expected %q", path, whole, want)
		}
		status, header, text := call(t, "POST", url+path, body+`}`)
		if status != 200 || header.Get("Content-Type") != "application/x-ndjson" {
			t.Errorf("%s: status %d, %v", path, status, header)
		}
		got, last := "", line{}
		for one := range strings.Lines(text) {
			if last.Done {
				t.Errorf("%s: a line behind the last: %s", path, one)
			}
			last = line{}
			if err := json.Unmarshal([]byte(one), &last); err != nil {
				t.Fatal(err)
			}
			got += last.Message.Content + last.Response
		}
		if got != want || !last.Done || last.Count != 12 {
			t.Errorf("%s streamed: %q, %+v; expected %q", path, got, last, want)
		}
	}
	var raw struct {
		Choices []struct{ Text string }
	}
	ask(t, url+"/v1/completions", `{`+greedy+`"prompt":"Once","max_tokens":6}`, &raw)
	var l line
	ask(t, url+"/api/generate", `{"prompt":"Once","raw":true,"stream":false,"options":{"temperature":0,"num_predict":6}}`, &l)
	if l.Response != raw.Choices[0].Text {
		t.Errorf("raw: %q, expected %q", l.Response, raw.Choices[0].Text)
	}
	ask(t, url+"/api/generate", `{"model":"test"}`, &l)
	if !l.Done || l.Reason != "load" {
		t.Errorf("no prompt: %+v", l)
	}
	for field, says := range map[string]string{`"format":"xml"`: "format", `"format":{"type":7}`: "#/type", `"tools":[{}]`: "tools", `"think":true`: "does not support thinking", `"think":"some"`: "think: found", `"think":7`: "think: found", `"images":["x"]`: "images", `"options":{"mirostat":2}`: "options.mirostat", `"options":{"num_predict":-5}`: "options.num_predict"} {
		if status, _, text := call(t, "POST", url+"/api/chat", `{`+hi+`,`+field+`}`); status != 400 || !strings.Contains(text, says) {
			t.Errorf("%s: status %d, %s", field, status, text)
		}
	}
	var tags struct{ Models []struct{ Name string } }
	_, _, text := call(t, "GET", url+"/api/tags", "")
	if json.Unmarshal([]byte(text), &tags) != nil || len(tags.Models) != 1 || tags.Models[0].Name != "test" {
		t.Error(text)
	}
	var show struct {
		Template string
		Details  struct{ Family string }
	}
	if ask(t, url+"/api/show", `{"model":"test"}`, &show); show.Template != template || show.Details.Family != "llama" {
		t.Errorf("%+v", show)
	}
}
