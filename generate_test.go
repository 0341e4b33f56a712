package specquant_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/specquant/specquant"
	"github.com/specquant/specquant/internal/testmodel"
)

// generated collects a continuation's text for each choice.
func generated(t *testing.T, m *specquant.Model, prompt string, o specquant.GenerateOptions) (texts []string, ids []int) {
	t.Helper()
	for token, err := range m.Generate(t.Context(), prompt, o) {
		if err != nil {
			t.Fatal(err)
		}
		for len(texts) <= token.Choice {
			texts = append(texts, "")
		}
		texts[token.Choice] += token.Text
		if token.ID >= 0 {
			ids = append(ids, token.ID)
		}
	}
	return texts, ids
}

// TestGenerateOptions checks what reaches the sampler, stop strings and choices.
func TestGenerateOptions(t *testing.T) {
	dir, _ := model(t, testmodel.Options{})
	m, err := specquant.Open(dir, specquant.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	letters := map[int]float64{}
	for id := range testmodel.Vocab { // only lower-case letters
		if text := m.Decode([]int{id}); len(text) != 1 || text[0] < 'a' || text[0] > 'z' {
			letters[id] = -1000
		}
	}
	o := specquant.GenerateOptions{MaxTokens: 20, Temperature: 1, Seed: 3, LogitBias: letters}
	one, ids := generated(t, m, "zebra", o)
	if len(ids) != 20 || len(one[0]) != 20 || strings.Trim(one[0], "abcdefghijklmnopqrstuvwxyz") != "" {
		t.Fatalf("the bias lets through %q", one)
	}
	o.Stop = []string{"#", one[0][5:8]}
	stopped, _ := generated(t, m, "zebra", o)
	if want := one[0][:strings.Index(one[0], one[0][5:8])]; stopped[0] != want {
		t.Errorf("stopped at %q: %q, expected %q", o.Stop[1], stopped[0], want)
	}
	o.Stop, o.Choices = nil, 3
	three, _ := generated(t, m, "zebra", o)
	if len(three) != 3 || three[0] != one[0] {
		t.Fatalf("choices %q, the first expected %q", three, one[0])
	}
	for i := range 3 {
		p := o
		p.Choices, p.Seed = 0, o.Seed+uint64(i)
		if alone, _ := generated(t, m, "zebra", p); alone[0] != three[i] {
			t.Errorf("choice %d is %q, alone %q", i, three[i], alone[0])
		}
	}
	o.Choices, o.Temperature, o.FrequencyPenalty = 0, 0, 50
	if _, ids := generated(t, m, "zebra", o); len(slices.Compact(slices.Sorted(slices.Values(ids)))) != 20 {
		t.Errorf("with a large frequency penalty tokens come again: %v", ids)
	}
	o.FrequencyPenalty, o.TopP = 0, 3
	for _, err := range m.Generate(t.Context(), "zebra", o) {
		if err == nil || !strings.Contains(err.Error(), "top-p") {
			t.Errorf("top-p 3: %v", err)
		}
	}
}

// chatModel writes a random model with a chat template.
func chatModel(t *testing.T, template string, context int) string {
	t.Helper()
	dir, _ := model(t, testmodel.Options{Context: context})
	path := filepath.Join(dir, "tokenizer_config.json")
	config := map[string]any{}
	if data, err := os.ReadFile(path); err == nil {
		if err := json.Unmarshal(data, &config); err != nil {
			t.Fatal(err)
		}
	}
	config["chat_template"] = template
	data, _ := json.Marshal(config)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

const turns = `{% for m in messages %}{{ m.role[0] }}:{{ m.content }}|{% endfor %}{% if add_generation_prompt %}a:{% endif %}`

// TestChat holds a conversation: what was computed is kept, and the answers are those
// that a fresh start gives.
func TestChat(t *testing.T) {
	m, err := specquant.Open(chatModel(t, turns, 256), specquant.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	letters := map[int]float64{}
	for id := range testmodel.Vocab {
		if text := m.Decode([]int{id}); len(text) != 1 || text[0] < 'a' || text[0] > 'z' {
			letters[id] = -1000
		}
	}
	o := specquant.GenerateOptions{MaxTokens: 12, Temperature: 1, Seed: 5, LogitBias: letters}
	say := func(c *specquant.Chat, text string) string {
		t.Helper()
		answer := ""
		for token, err := range c.Say(t.Context(), text, o) {
			if err != nil {
				t.Fatal(err)
			}
			answer += token.Text
		}
		return answer
	}
	c, err := m.NewChat(specquant.ChatOptions{System: "be"})
	if err != nil {
		t.Fatal(err)
	}
	first := say(c, "one")
	second := say(c, "two")
	if s := c.Stats(); s.Tokens != 12 || s.CachedTokens < 10 || s.CachedTokens >= s.PromptTokens || s.Finish != specquant.FinishLength || s.ContextFull {
		t.Errorf("stats %+v", s)
	}
	want := []specquant.Message{{"user", "one"}, {"assistant", first}, {"user", "two"}, {"assistant", second}}
	if !slices.Equal(c.Messages(), want) {
		t.Errorf("messages %v", c.Messages())
	}
	fresh, err := m.NewChat(specquant.ChatOptions{System: "be"})
	if err != nil {
		t.Fatal(err)
	}
	fresh.SetMessages(want[:2])
	if got := say(fresh, "two"); got != second {
		t.Errorf("from a fresh start %q, with what was kept %q", got, second)
	}
	c.SetMessages(want[:2]) // undo
	if got := say(c, "two"); got != second {
		t.Errorf("after an undo %q, expected %q", got, second)
	}

	// An answer that the caller breaks off is kept as far as it went.
	for range c.Say(t.Context(), "three", o) {
		break
	}
	if got := c.Messages(); len(got) != 6 || len(got[5].Content) != 1 {
		t.Errorf("after a break: %v", got)
	}

	// The oldest turns make room; what never fits is an error and changes nothing.
	for range 20 {
		say(c, "a longer question, so that it fills the context")
	}
	if s := c.Stats(); s.TurnsDropped == 0 || s.PromptTokens+s.Tokens > m.Context() {
		t.Errorf("stats %+v of a context of %d", s, m.Context())
	}
	n := len(c.Messages())
	for _, err := range c.Say(t.Context(), strings.Repeat("x", 300), o) {
		if err == nil || !strings.Contains(err.Error(), "does not fit the context of 256") {
			t.Errorf("a message that does not fit: %v", err)
		}
	}
	if len(c.Messages()) != n {
		t.Error("a message that failed has stayed")
	}
	o.MaxTokens = 0
	c.SetMessages(nil)
	if say(c, "one"); !c.Stats().ContextFull {
		t.Errorf("stats %+v, expected a full context", c.Stats())
	}
}

func TestNoChatTemplate(t *testing.T) {
	dir, _ := model(t, testmodel.Options{})
	m, err := specquant.Open(dir, specquant.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if _, err := m.NewChat(specquant.ChatOptions{}); err != specquant.ErrNoChatTemplate || m.HasChatTemplate() {
		t.Errorf("error %v", err)
	}
}
