package serve

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestConnectionsAreBounded: one more connection than are allowed waits until one of them ends.
func TestConnectionsAreBounded(t *testing.T) {
	_, url, _ := server(t, Options{Connections: 2})
	get := func() (net.Conn, error) {
		c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		fmt.Fprint(c, "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
		c.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
		_, err = http.ReadResponse(bufio.NewReader(c), nil)
		return c, err
	}
	// Under load an answer may take longer than the deadline: only the third must fail.
	first, _ := get()
	get()
	third, err := get()
	if err == nil {
		t.Fatal("a third connection was answered")
	}
	first.Close()
	third.SetReadDeadline(time.Now().Add(30 * time.Second))
	if resp, err := http.ReadResponse(bufio.NewReader(third), nil); err != nil || resp.StatusCode != 200 {
		t.Errorf("after one has ended: %v, %v", resp, err)
	}
}

// TestHeadersAreBounded: headers that are too long are refused.
func TestHeadersAreBounded(t *testing.T) {
	_, url, _ := server(t, Options{})
	for size, want := range map[int]int{16 << 10: 200, 36 << 10: 431, 200 << 10: 431} {
		c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprint(c, "GET /health HTTP/1.1\r\nHost: localhost\r\nX-Long: ")
		go fmt.Fprint(c, strings.Repeat("x", size)+"\r\n\r\n") // the server need not read all of it
		c.SetReadDeadline(time.Now().Add(30 * time.Second))
		if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || resp.StatusCode != want {
			t.Errorf("%d bytes of headers: %v, %v; expected status %d", size, resp, err, want)
		}
	}
}

// TestImagesAreRefused: what is no text is refused on every path that takes a conversation,
// with the name that the client gave it.
func TestImagesAreRefused(t *testing.T) {
	s, url, _ := server(t, Options{})
	for _, c := range [][3]string{
		{"/v1/chat/completions", `{"messages":[{"role":"user","content":[{"type":"text","text":"x"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]}]}`, `part 1 is \"image_url\"`},
		{"/v1/chat/completions", `{"messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"AAAA","format":"wav"}}]}]}`, `\"input_audio\"`},
		{"/v1/responses", `{"input":[{"role":"user","content":[{"type":"input_image","image_url":"data:image/png;base64,AAAA"}]}]}`, `\"input_image\"`},
		{"/v1/responses", `{"input":[{"role":"user","content":[{"type":"input_file","file_id":"x"}]}]}`, `\"input_file\"`},
		{"/v1/messages", `{"max_tokens":1,"messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}}]}]}`, `\"image\"`},
		{"/v1/messages", `{"max_tokens":1,"messages":[{"role":"user","content":[{"type":"document","source":{"type":"text","data":"x"}}]}]}`, `\"document\"`},
		{"/v1/messages", `{"max_tokens":1,"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":[{"type":"image","source":{}}]}]}]}`, `\"image\"`},
		{"/v1/messages/count_tokens", `{"messages":[{"role":"user","content":[{"type":"image","source":{}}]}]}`, `\"image\"`},
		{"/api/chat", `{"messages":[{"role":"user","content":"x","images":["AAAA"]}]}`, "images: is not supported"},
		{"/api/generate", `{"prompt":"x","images":["AAAA"]}`, "images: is not supported"},
	} {
		if status, _, body := call(t, "POST", url+c[0], c[1]); status != 400 || !strings.Contains(body, c[2]) {
			t.Errorf("%s %s: status %d, %s; expected %s", c[0], c[1], status, body, c[2])
		}
	}
	if n := s.stats().Generated; n != 0 {
		t.Errorf("%d tokens were generated for them", n)
	}
}

// TestMetrics: what was served is counted, by the patterns of paths and never by what clients wrote.
func TestMetrics(t *testing.T) {
	_, url, _ := server(t, Options{})
	call(t, "POST", url+"/v1/completions", `{"prompt":"abc","max_tokens":3,"temperature":0,"seed":1}`)
	call(t, "POST", url+"/v1/completions", `{"prompt":"abc","max_tokens":-3}`)
	call(t, "GET", url+"/SECRETWORD", "")
	_, _, text := call(t, "GET", url+"/metrics", "")
	for _, want := range []string{
		`specquant_requests_total{path="POST /v1/completions",status="200"} 1`, `specquant_requests_total{path="POST /v1/completions",status="400"} 1`, `specquant_requests_total{path="/",status="404"} 1`,
		`specquant_request_seconds_count{path="POST /v1/completions"} 2`, `specquant_first_token_seconds_count{model="test"} 1`, `specquant_model_loaded{model="test"} 1`,
		`specquant_texts_active{model="test"} 0`, `specquant_texts_waiting{model="test"} 0`, `specquant_prompt_tokens_total{model="test"} `, `specquant_cached_tokens_total{model="test"} `,
		`specquant_generated_tokens_total{model="test"} `, `specquant_cache_bytes{model="test"} `, `specquant_rounds_total{model="test"} `, "process_resident_memory_bytes ", "go_goroutines ",
	} {
		if !strings.Contains(text, "\n"+want) {
			t.Errorf("without %s", want)
		}
	}
	if strings.Contains(text, "SECRETWORD") {
		t.Error("a path that a client wrote is in the metrics")
	}
}

// TestStreamedChoices: several choices with log-probabilities, streamed, have what they
// have in one piece, and their tokens' bytes are their text.
func TestStreamedChoices(t *testing.T) {
	_, url, _ := server(t, Options{})
	type drawn struct {
		Bytes   []int
		Logprob float64
		Top     []struct{ Logprob float64 } `json:"top_logprobs"`
	}
	type choice struct {
		Index          int
		Delta, Message struct{ Content string }
		Logprobs       *struct{ Content []drawn }
		FinishReason   *string `json:"finish_reason"`
	}
	const fields = `{` + hi + `,"n":3,"seed":5,"temperature":1.5,"max_tokens":12,"logprobs":true,"top_logprobs":2`
	var one struct{ Choices []choice }
	ask(t, url+"/v1/chat/completions", fields+`}`, &one)
	_, _, body := call(t, "POST", url+"/v1/chat/completions", fields+`,"stream":true}`)
	texts, tokens, ends := map[int]string{}, map[int][]drawn{}, map[int]string{}
	for line := range strings.Lines(body) {
		data, ok := strings.CutPrefix(line, "data: ")
		if !ok || strings.HasPrefix(data, "[DONE]") {
			continue
		}
		var chunk struct{ Choices []choice }
		if err := json.Unmarshal([]byte(data), &chunk); err != nil {
			t.Fatalf("%v: %s", err, data)
		}
		for _, c := range chunk.Choices {
			texts[c.Index] += c.Delta.Content
			if c.Logprobs != nil {
				tokens[c.Index] = append(tokens[c.Index], c.Logprobs.Content...)
			}
			if c.FinishReason != nil {
				ends[c.Index] = *c.FinishReason
			}
		}
	}
	if len(one.Choices) != 3 || len(texts) != 3 || one.Choices[0].Message.Content == one.Choices[1].Message.Content {
		t.Fatalf("%d choices, %d streamed: %s", len(one.Choices), len(texts), body)
	}
	for _, c := range one.Choices {
		i := c.Index
		if texts[i] != c.Message.Content || !reflect.DeepEqual(tokens[i], c.Logprobs.Content) || ends[i] != *c.FinishReason {
			t.Errorf("choice %d: %q and %v streamed, %+v at once", i, texts[i], tokens[i], c)
		}
		written := ""
		for _, d := range tokens[i] {
			for _, b := range d.Bytes {
				written += string([]byte{byte(b)})
			}
			if d.Logprob > 0 || len(d.Top) != 2 {
				t.Errorf("choice %d: %+v", i, d)
			}
		}
		// The test's tokens are single bytes: most are no text by themselves.
		if strings.ToValidUTF8(written, "") != strings.ReplaceAll(texts[i], "\uFFFD", "") {
			t.Errorf("choice %d: tokens %q, text %q", i, written, texts[i])
		}
	}
}
