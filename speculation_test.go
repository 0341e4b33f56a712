package specquant

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/speculate"
	"github.com/specquant/specquant/internal/testmodel"
)

// TestGuessesChangeNothing: with guesses in every round, of the text itself and of a draft model,
// continuations and conversations are the same to the byte, greedily and at random, with
// penalties, stop strings, a form, and further choices.
func TestGuessesChangeNothing(t *testing.T) {
	dir, small := filepath.Join(t.TempDir(), "model"), filepath.Join(t.TempDir(), "small")
	if err := testmodel.Write(dir, testmodel.Options{Context: 256, Seed: 3}); err != nil {
		t.Fatal(err)
	}
	if err := testmodel.Write(small, testmodel.Options{Context: 128, Layers: 1, Seed: 4}); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"chat_template.jinja": `{% for m in messages %}<s>{{ m.role }}: {{ m.content }}</s>{% endfor %}`, "tokenizer_config.json": `{"bos_token": "<s>", "eos_token": "</s>"}`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	all := []GenerateOptions{
		{MaxTokens: 60}, {}, {Temperature: 1, Seed: 1, MaxTokens: 100, IgnoreEOS: true}, {Temperature: 1, TopK: 3, Seed: 2, FrequencyPenalty: 0.5, MaxTokens: 60, Choices: 3},
		{Temperature: 0.5, DRY: DRY{Multiplier: 0.8}, MaxTokens: 60}, {Temperature: 1, TopK: 2, MaxTokens: 90, Stop: []string{"e", "\x01"}},
		{Regexp: "(abc){20}(d|e)+", MaxTokens: 80, Temperature: 1}, {JSONSchema: []byte(`{"enum": ["abcabcabc", "abcabd"]}`)},
	}
	ask := func(forced int, draft string) (out string, s Speculation) {
		m, err := Open(dir, Options{Threads: 2, Draft: draft})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		m.guesser = speculate.New(m.engine, speculate.Options{Off: forced == 0, Forced: forced, Draft: m.draft, Failed: func(err error) { t.Error(err) }})
		chat, err := m.NewChat(ChatOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for i, o := range all {
			for token, err := range m.Generate(t.Context(), "abcabc abcabc the cat", o) {
				out += fmt.Sprint(token, err)
			}
			if o.Regexp == "" && o.JSONSchema == nil {
				n := 0
				for token, err := range chat.Say(t.Context(), "abc abc", GenerateOptions{Temperature: o.Temperature, Seed: o.Seed, MaxTokens: 12}) {
					out += fmt.Sprint(token, err)
					if n++; i == 2 && n == 5 {
						break
					}
				}
			}
			out += "\n"
		}
		return out, m.Speculation()
	}
	want, s := ask(0, "")
	if s != (Speculation{}) {
		t.Errorf("without guesses: %+v", s)
	}
	for _, draft := range []string{"", dir, small} {
		for _, forced := range []int{2, 7} {
			got, s := ask(forced, draft)
			if got != want {
				a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
				for i := range b {
					if a[i] != b[i] {
						t.Errorf("draft %q, %d guesses, options %d:\n%s\nexpected\n%s", draft, forced, i, a[i], b[i])
					}
				}
			}
			if s.Guessed == 0 || s.Right == 0 || (s.Drafted > 0) != (draft != "") || draft == dir && float64(s.DraftedRight) < 0.7*float64(s.Drafted) {
				t.Errorf("draft %q, %d guesses: %+v", draft, forced, s)
			}
		}
	}
}

// TestDraftOfAnotherVocabulary is refused by its first token that is different.
func TestDraftOfAnotherVocabulary(t *testing.T) {
	dir, other := filepath.Join(t.TempDir(), "model"), filepath.Join(t.TempDir(), "other")
	for _, d := range []string{dir, other} {
		if err := testmodel.Write(d, testmodel.Options{}); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(other, "tokenizer.json")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(string(text), `\u003cunk\u003e`, `\u003cUNK\u003e`, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{other: `token 256 is "<unk>" in one and "<UNK>" in the other`, filepath.Join(dir, "none"): "the draft model"} {
		if _, err := Open(dir, Options{Draft: path}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, expected %q", path, err, want)
		}
	}
}
