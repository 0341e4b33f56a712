package serve

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/responses"
)

// responseParams is a request of OpenAI's client with a function to call.
func responseParams(t *testing.T, input responses.ResponseNewParamsInputUnion) responses.ResponseNewParams {
	t.Helper()
	var parameters map[string]any
	if err := json.Unmarshal([]byte(cityArguments), &parameters); err != nil {
		t.Fatal(err)
	}
	tool := responses.ToolParamOfFunction("weather", parameters, true)
	tool.OfFunction.Description = openai.String("Weather of a city")
	return responses.ResponseNewParams{Model: "test", Temperature: openai.Float(0), MaxOutputTokens: openai.Int(300), Input: input, Tools: []responses.ToolUnionParam{tool}}
}

// TestResponsesTools: OpenAI's client gets a call that fits its schema, whole and in events,
// and an answer when it sends the call back with what the function gave: the one that a chat
// gives to the same conversation.
func TestResponsesTools(t *testing.T) {
	for name, source := range map[string]string{"no tools": template, "hermes": `{{ tools | tojson if tools }}<tool_call>` + template, "llama": `{{ tools | tojson if tools }}ipython` + template} {
		t.Run(name, func(t *testing.T) {
			url := templated(t, source)
			c := client(url)
			p := responseParams(t, responses.ResponseNewParamsInputUnion{OfString: openai.String("hi")})
			p.ToolChoice.OfFunctionTool = &responses.ToolChoiceFunctionParam{Name: "weather"}
			whole, err := c.Responses.New(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			if len(whole.Output) != 1 || whole.Output[0].Type != "function_call" || whole.Status != "completed" || len(whole.Tools) != 1 || whole.Tools[0].Name != "weather" || whole.ToolChoice.Name != "weather" {
				t.Fatalf("%+v", whole)
			}
			made := whole.Output[0].AsFunctionCall()
			if made.Name != "weather" || made.CallID == "" || made.ID == "" || made.Status != "completed" {
				t.Errorf("%+v", made)
			}
			fits(t, cityArguments, made.Arguments)

			stream := c.Responses.NewStreaming(t.Context(), p)
			arguments, order, pieces := "", "", 0
			for stream.Next() {
				e := stream.Current()
				if e.Type == "response.function_call_arguments.delta" {
					arguments += e.Delta
					pieces++
					continue
				}
				order += strings.TrimPrefix(e.Type, "response.") + " "
				switch e.Type {
				case "response.output_item.added":
					if e.Item.Name != "weather" || e.Item.Status != "in_progress" || e.Item.CallID == "" {
						t.Errorf("added: %+v", e.Item)
					}
				case "response.function_call_arguments.done":
					if e.Arguments != made.Arguments {
						t.Errorf("done: %s, expected %s", e.Arguments, made.Arguments)
					}
				case "response.completed":
					if len(e.Response.Output) != 1 || e.Response.Output[0].AsFunctionCall().Arguments != made.Arguments {
						t.Errorf("the last event: %+v", e.Response)
					}
				}
			}
			if err := stream.Err(); err != nil || arguments != made.Arguments || pieces < 3 || order != "created in_progress output_item.added function_call_arguments.done output_item.done completed " {
				t.Errorf("streamed %s in %d pieces, events %s, error %v; expected %s", arguments, pieces, order, err, made.Arguments)
			}

			result := responses.ResponseInputItemParamOfFunctionCallOutput("rain")
			result.OfFunctionCallOutput.CallID = openai.String(made.CallID)
			p = responseParams(t, responses.ResponseNewParamsInputUnion{OfInputItemList: responses.ResponseInputParam{
				responses.ResponseInputItemParamOfMessage("hi", "user"), responses.ResponseInputItemParamOfFunctionCall(made.Arguments, made.CallID, made.Name), result}})
			p.MaxOutputTokens, p.ToolChoice.OfToolChoiceMode = openai.Int(12), openai.Opt(responses.ToolChoiceOptionsNone)
			second, err := c.Responses.New(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			quoted, _ := json.Marshal(made.Arguments)
			want := chatText(t, url, `[{"role":"user","content":"hi"},{"role":"assistant","content":"","tool_calls":[{"index":0,"id":"`+made.CallID+`","type":"function","function":{"name":"weather","arguments":`+string(quoted)+`}}]},{"role":"tool","name":"weather","tool_call_id":"`+made.CallID+`","content":"rain"}]`, "12")
			if second.OutputText() != want || want == "" {
				t.Errorf("with the result %q, a chat gives %q", second.OutputText(), want)
			}
		})
	}
}

// TestResponsesChoice: allowed_tools limits which functions are called, and a call that
// max_output_tokens cuts off is incomplete.
func TestResponsesChoice(t *testing.T) {
	url := templated(t, `{{ tools | tojson if tools }}<tool_call>`+template)
	const tools = `"input":"hi","temperature":0,"tools":[{"type":"function","name":"weather","parameters":` + cityArguments + `},{"type":"function","name":"now","parameters":{"type":"object","additionalProperties":false}}]`
	type answer struct {
		Status   string
		Parallel bool `json:"parallel_tool_calls"`
		Output   []struct{ Type, Name, Status, Arguments string }
	}
	var a answer
	ask(t, url+"/v1/responses", `{`+tools+`,"parallel_tool_calls":false,"tool_choice":{"type":"allowed_tools","mode":"required","tools":[{"type":"function","name":"now"}]}}`, &a)
	if len(a.Output) != 1 || a.Output[0].Name != "now" || a.Output[0].Arguments != "{}" || a.Status != "completed" || a.Parallel {
		t.Errorf("%+v", a)
	}
	a = answer{}
	ask(t, url+"/v1/responses", `{`+tools+`,"max_output_tokens":70,"tool_choice":{"type":"function","name":"weather"}}`, &a)
	if len(a.Output) != 1 || a.Output[0].Type != "function_call" || a.Output[0].Status != "incomplete" || a.Status != "incomplete" || !strings.HasPrefix(a.Output[0].Arguments, "{") {
		t.Errorf("cut off: %+v", a)
	}
}

// thinker is a template that opens the model's reasoning, unless it is asked not to.
const thinker = template + `{% if enable_thinking is not defined or enable_thinking %}<think>{% endif %}`

// TestThoughts: what the model thinks is an item of responses, and a field of Ollama's
// answers, as it is a field of a chat's: whole and streamed.
func TestThoughts(t *testing.T) {
	url := templated(t, thinker)
	m, _ := askChat(t, url, `"temperature":0,"max_tokens":12`)
	if m.Reasoning == "" || m.Content != "" {
		t.Fatalf("a chat: %+v", m)
	}
	var r struct {
		Output []struct {
			Type    string
			Summary []any
			Content []struct{ Type, Text string }
		}
	}
	const input = `{"input":"hi","temperature":0,"max_output_tokens":12`
	ask(t, url+"/v1/responses", input+`}`, &r)
	if len(r.Output) != 1 || r.Output[0].Type != "reasoning" || r.Output[0].Summary == nil || r.Output[0].Content[0].Type != "reasoning_text" || r.Output[0].Content[0].Text != m.Reasoning {
		t.Errorf("%+v, expected %+v", r, m)
	}
	names, data := sent(t, url+"/v1/responses", input+`,"stream":true}`)
	text, order := "", ""
	for i, name := range names {
		if name == "response.reasoning_text.delta" {
			text += data[i]["delta"].(string)
			continue
		}
		order += strings.TrimPrefix(name, "response.") + " "
	}
	if text != m.Reasoning || order != "created in_progress output_item.added content_part.added reasoning_text.done content_part.done output_item.done incomplete " {
		t.Errorf("streamed %q, events %s; expected %q", text, order, m.Reasoning)
	}

	const options = `"options":{"temperature":0,"num_predict":12}`
	for path, said := range map[string]string{"/api/chat": hi, "/api/generate": `"prompt":"hi"`} {
		type line struct {
			Message            struct{ Content, Thinking string }
			Response, Thinking string
		}
		for _, think := range []string{"", `,"think":null`, `,"think":true`, `,"think":"high"`} {
			var l line
			if ask(t, url+path, `{"stream":false,`+said+`,`+options+think+`}`, &l); l.Thinking+l.Message.Thinking != m.Reasoning || l.Response+l.Message.Content != "" {
				t.Errorf("%s %s: %+v, expected %q", path, think, l, m.Reasoning)
			}
		}
		_, _, body := call(t, "POST", url+path, `{`+said+`,`+options+`}`)
		thoughts := ""
		for one := range strings.Lines(body) {
			var l line
			if err := json.Unmarshal([]byte(one), &l); err != nil {
				t.Fatal(err)
			}
			thoughts += l.Thinking + l.Message.Thinking
		}
		if thoughts != m.Reasoning {
			t.Errorf("%s streamed %q, expected %q", path, thoughts, m.Reasoning)
		}
		var l line
		off, _ := askChat(t, url, `"temperature":0,"max_tokens":12,"chat_template_kwargs":{"enable_thinking":false}`)
		if ask(t, url+path, `{"stream":false,"think":false,`+said+`,`+options+`}`, &l); l.Response+l.Message.Content != off.Content || off.Content == "" || l.Thinking+l.Message.Thinking != "" {
			t.Errorf("%s, not thinking: %+v, expected %q", path, l, off.Content)
		}
	}
	if status, _, body := call(t, "POST", url+"/api/chat", `{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"a","thinking":"b"},{"role":"user","content":"hi"}],`+options+`}`); status != 200 {
		t.Errorf("earlier thoughts: status %d, %s", status, body)
	}
}
