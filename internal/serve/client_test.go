package serve

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/specquant/specquant/internal/serve/scheduler"
)

func client(url string) openai.Client {
	return openai.NewClient(option.WithBaseURL(url+"/v1"), option.WithAPIKey("none"), option.WithMaxRetries(0))
}

func params(text string, seed, tokens int64) openai.ChatCompletionNewParams {
	return openai.ChatCompletionNewParams{Model: "test", Seed: openai.Int(seed), MaxCompletionTokens: openai.Int(tokens), LogitBias: map[string]int64{"258": -100},
		Messages: []openai.ChatCompletionMessageParamUnion{openai.SystemMessage("Be brief."), openai.UserMessage(text)}}
}

// TestOpenAIClient: OpenAI's own client lists models, chats and streams; a stream put
// together by its accumulator is the answer given at once; choices, log-probabilities,
// usage and kept tokens are where it looks for them.
func TestOpenAIClient(t *testing.T) {
	_, url, _ := server(t, Options{})
	c := client(url)
	models, err := c.Models.List(t.Context())
	if err != nil || len(models.Data) != 1 || models.Data[0].ID != "test" {
		t.Fatal(models, err)
	}
	p := params("Hello", 7, 24)
	p.N, p.Logprobs, p.TopLogprobs = openai.Int(2), openai.Bool(true), openai.Int(3)
	whole, err := c.Chat.Completions.New(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if len(whole.Choices) != 2 || whole.Usage.CompletionTokens != 48 || whole.Usage.TotalTokens != whole.Usage.PromptTokens+48 || whole.Choices[0].FinishReason != "length" ||
		len(whole.Choices[1].Logprobs.Content) != 24 || len(whole.Choices[1].Logprobs.Content[0].TopLogprobs) != 3 || whole.Choices[0].Message.Content == whole.Choices[1].Message.Content {
		t.Errorf("%+v", whole)
	}
	p.StreamOptions.IncludeUsage = openai.Bool(true)
	stream := c.Chat.Completions.NewStreaming(t.Context(), p)
	var acc openai.ChatCompletionAccumulator
	for stream.Next() {
		if !acc.AddChunk(stream.Current()) {
			t.Fatal("the accumulator refuses a chunk")
		}
	}
	if err := stream.Err(); err != nil {
		t.Fatal(err)
	}
	for i := range whole.Choices {
		if acc.Choices[i].Message.Content != whole.Choices[i].Message.Content || acc.Choices[i].FinishReason != whole.Choices[i].FinishReason {
			t.Errorf("choice %d streamed:\n%q\nat once:\n%q", i, acc.Choices[i].Message.Content, whole.Choices[i].Message.Content)
		}
	}
	if acc.Usage.CompletionTokens != 48 || acc.Usage.PromptTokensDetails.CachedTokens != whole.Usage.PromptTokens-1 {
		t.Errorf("usage of the stream: %+v", acc.Usage)
	}

	// A stop string that is in the answer ends it before the string.
	text := whole.Choices[0].Message.Content
	stop := string([]rune(text)[8:10])
	p = params("Hello", 7, 24)
	p.Stop = openai.ChatCompletionNewParamsStopUnion{OfString: openai.String(stop)}
	stopped, err := c.Chat.Completions.New(t.Context(), p)
	if want, _, _ := strings.Cut(text, stop); err != nil || stopped.Choices[0].Message.Content != want || stopped.Choices[0].FinishReason != "stop" {
		t.Errorf("stop %q: %+v, expected %q; error %v", stop, stopped, want, err)
	}

	done, err := c.Completions.New(t.Context(), openai.CompletionNewParams{Model: "test", Prompt: openai.CompletionNewParamsPromptUnion{OfArrayOfStrings: []string{"a", "b"}}, MaxTokens: openai.Int(5), Logprobs: openai.Int(2), LogitBias: map[string]int64{"258": -100}})
	if err != nil || len(done.Choices) != 2 || done.Usage.CompletionTokens != 10 || len(done.Choices[1].Logprobs.Tokens) != 5 {
		t.Errorf("%+v, error %v", done, err)
	}
	_, err = c.Chat.Completions.New(t.Context(), openai.ChatCompletionNewParams{Model: "other", Messages: p.Messages})
	if e, ok := err.(*openai.Error); !ok || e.StatusCode != 404 || e.Code != "model_not_found" {
		t.Errorf("another model's name: error %v", err)
	}
}

// TestOpenAIClientCancels: a client that goes away in the middle of a stream frees the one
// slot for the next.
func TestOpenAIClientCancels(t *testing.T) {
	s, url, _ := server(t, Options{Scheduler: scheduler.Options{Slots: 1}})
	c := client(url)
	ctx, cancel := context.WithCancel(t.Context())
	stream := c.Chat.Completions.NewStreaming(ctx, params("Hello", 1, 900))
	if !stream.Next() {
		t.Fatal(stream.Err())
	}
	cancel()
	for stream.Next() {
	}
	if _, err := c.Chat.Completions.New(t.Context(), params("Hi", 1, 3)); err != nil {
		t.Error(err)
	}
	for i := 0; s.stats().Active > 0; i++ {
		if i > 500 {
			t.Fatal("a slot is stuck")
		}
		time.Sleep(10 * time.Millisecond)
	}
	if n := s.stats().Generated; n > 800 {
		t.Errorf("%d tokens were generated, most of them for nobody", n)
	}
}

// TestAnswersDoNotDependOnLoad: over HTTP, a seeded request has the same answer alone
// and among 16 others, some of which go away.
func TestAnswersDoNotDependOnLoad(t *testing.T) {
	_, url, _ := server(t, Options{Scheduler: scheduler.Options{Slots: 5, Keep: 2}})
	c := client(url)
	ask := func(ctx context.Context, i int) (string, error) {
		got, err := c.Chat.Completions.New(ctx, params(strings.Repeat("word ", i+1), int64(i), 40))
		if err != nil {
			return "", err
		}
		return got.Choices[0].Message.Content, nil
	}
	const n = 17
	want := make([]string, n)
	for i := range n {
		var err error
		if want[i], err = ask(t.Context(), i); err != nil {
			t.Fatal(err)
		}
	}
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			if i%3 == 0 {
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
				ask(ctx, i)
				cancel()
			}
			if got, err := ask(t.Context(), i); err != nil || got != want[i] {
				t.Errorf("request %d: %q, expected %q; error %v", i, got, want[i], err)
			}
		})
	}
	all.Wait()
}
