package tokenizer

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/testdata"
)

func load(t testing.TB, elem ...string) *Tokenizer {
	t.Helper()
	tok, err := Load(testdata.Path(t, elem...))
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func readText(t testing.TB, elem ...string) string {
	t.Helper()
	data, err := os.ReadFile(testdata.Path(t, elem...))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// roundTrip checks decode(encode(text)), by Decode and by Stream.
func roundTrip(t testing.TB, tok *Tokenizer, text string) []int {
	t.Helper()
	ids, err := tok.Encode(text, false)
	if err != nil {
		t.Fatal(err)
	}
	if got := tok.Decode(ids); got != text {
		t.Errorf("round trip of %d bytes failed: %s", len(text), firstDifference(got, text))
	}
	if got := streamed(t, tok, ids); got != text {
		t.Errorf("streamed round trip of %d bytes failed: %s", len(text), firstDifference(got, text))
	}
	return ids
}

func firstDifference(got, want string) string {
	i := 0
	for i < len(got) && i < len(want) && got[i] == want[i] {
		i++
	}
	cut := func(s string) string { return strconv.Quote(s[i:min(i+30, len(s))]) }
	return "at byte " + strconv.Itoa(i) + " got " + cut(got) + ", want " + cut(want)
}

// TestSwiftVectors are Hugging Face's encodings of one French paragraph, as
// its swift-transformers tests with them.
func TestSwiftVectors(t *testing.T) {
	for _, c := range []struct{ file, model string }{
		{"llama_encoded.json", "llama2"}, {"llama_3.2_encoded.json", "llama3"}, {"gpt2_encoded_tokens.json", "gpt2"},
	} {
		t.Run(c.model, func(t *testing.T) {
			var v struct {
				Text    string   `json:"text"`
				Pieces  []string `json:"bpe_tokens"`
				IDs     []int    `json:"token_ids"`
				Decoded string   `json:"decoded_text"`
			}
			if err := json.Unmarshal([]byte(readText(t, "tokenizers", "vectors", c.file)), &v); err != nil {
				t.Fatal(err)
			}
			tok := load(t, "tokenizers", c.model)
			ids, err := tok.Encode(v.Text, true)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(ids, v.IDs) {
				t.Errorf("ids\n got %v\nwant %v", ids, v.IDs)
			}
			for i, id := range ids[len(ids)-len(v.Pieces):] {
				if tok.Token(id) != v.Pieces[i] {
					t.Errorf("piece %d is %q, expected %q", i, tok.Token(id), v.Pieces[i])
				}
			}
			// The files hold the text decoded with the special tokens shown.
			want := strings.TrimPrefix(strings.TrimPrefix(v.Decoded, "<s> "), "<|begin_of_text|>")
			if got := tok.Decode(ids); got != want {
				t.Errorf("decoded: %s", firstDifference(got, want))
			}
		})
	}
}

// TestTransformersVectors are the entries of tokenizer_tests.json whose
// vocabulary is here.
func TestTransformersVectors(t *testing.T) {
	var all map[string][]struct {
		Input   string `json:"input"`
		Encoded struct {
			IDs []int `json:"input_ids"`
		} `json:"encoded"`
		Decoded string `json:"decoded_without_special"`
	}
	if err := json.Unmarshal([]byte(readText(t, "tokenizers", "vectors", "tokenizer_tests.json")), &all); err != nil {
		t.Fatal(err)
	}
	for name, model := range map[string]string{
		"distilgpt2":                             "gpt2",
		"coreml-projects/Llama-2-7b-chat-coreml": "llama2",
		"pcuenq/Llama-3.2-1B-Instruct-tokenizer": "llama3",
	} {
		t.Run(model, func(t *testing.T) {
			if len(all[name]) == 0 {
				t.Fatalf("no entries for %s", name)
			}
			tok := load(t, "tokenizers", model)
			for _, c := range all[name] {
				ids, err := tok.Encode(c.Input, true)
				if err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(ids, c.Encoded.IDs) {
					t.Errorf("%q\n got %v\nwant %v", c.Input, ids, c.Encoded.IDs)
				}
				// Known difference: these were decoded with
				// clean_up_tokenization_spaces, which drops spaces before
				// punctuation that are in the text. Decode gives the text.
				if got := tok.Decode(ids); got != c.Input {
					t.Errorf("%q decodes to %q", c.Input, got)
				}
				if got := cleanUp(tok.Decode(ids)); got != c.Decoded && got != cleanUp(c.Decoded) {
					t.Errorf("%q, cleaned up, decodes to %q, expected %q", c.Input, got, c.Decoded)
				}
			}
		})
	}
}

// cleanUp is clean_up_tokenization_spaces of Hugging Face's transformers.
func cleanUp(s string) string {
	return replaceEach(s, " .", ".", " ?", "?", " !", "!", " ,", ",", " ' ", "'", " n't", "n't", " 'm", "'m", " 's", "'s", " 've", "'ve", " 're", "'re")
}

func replaceEach(s string, pairs ...string) string {
	for i := 0; i < len(pairs); i += 2 {
		s = strings.ReplaceAll(s, pairs[i], pairs[i+1])
	}
	return s
}

// TestLlamaCppVectors are llama.cpp's own: cases without BOS.
func TestLlamaCppVectors(t *testing.T) {
	for name, model := range map[string]string{"llama-spm": "llama2", "llama-bpe": "llama3", "gpt-2": "gpt2"} {
		t.Run(name, func(t *testing.T) {
			tok := load(t, "tokenizers", model)
			base := filepath.Join("vectors", "ggml-vocab-"+name+".gguf")
			const end = "\n__ggml_vocab_test__\n"
			in := strings.Split(strings.TrimSuffix(readText(t, "tokenizers", base+".inp"), end), end)
			out := strings.Split(strings.TrimSuffix(readText(t, "tokenizers", base+".out"), "\n"), "\n")
			if len(in) < 40 || len(in) != len(out) {
				t.Fatalf("%d cases and %d results", len(in), len(out))
			}
			for i, text := range in {
				want := []int{}
				for f := range strings.FieldsSeq(out[i]) {
					id, err := strconv.Atoi(f)
					if err != nil {
						t.Fatal(err)
					}
					want = append(want, id)
				}
				ids, err := tok.Encode(text, false)
				if err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(ids, want) {
					t.Errorf("case %d %q\n got %v\nwant %v", i, text, ids, want)
				}
				if got := tok.Decode(ids); got != text {
					t.Errorf("case %d %q decodes to %q", i, text, got)
				}
			}
		})
	}
}

// golden is what concerns the tokenizer in a model's golden file.
type golden struct {
	PromptIDs  []int  `json:"prompt_ids"`
	GreedyIDs  []int  `json:"greedy_ids"`
	GreedyText string `json:"greedy_text"`
	TextIDs    []int  `json:"text_ids"`
}

func readGolden(t testing.TB, model string) golden {
	t.Helper()
	var g golden
	if err := json.Unmarshal([]byte(readText(t, "models", model, "golden_f64.json")), &g); err != nil {
		t.Fatal(err)
	}
	return g
}

// checkGolden compares the first story with text_ids.
func checkGolden(t *testing.T, tok *Tokenizer, g golden) {
	t.Helper()
	ids, err := tok.Encode(firstStory(readText(t, "text", "tinystories.txt")), true)
	if err != nil {
		t.Fatal(err)
	}
	if len(g.TextIDs) == 0 || !slices.Equal(ids, g.TextIDs) {
		t.Errorf("first story\n got %v\nwant %v", ids, g.TextIDs)
	}
}

// firstStory cuts at the first single line end: paragraphs of a story have an
// empty line between them, stories have none.
func firstStory(text string) string {
	for i := 1; i+1 < len(text); i++ {
		if text[i] == '\n' && text[i-1] != '\n' && text[i+1] != '\n' {
			return text[:i]
		}
	}
	return text
}

func TestTinyStories(t *testing.T) {
	tok := load(t, "models", "tinystories-656k")
	g := readGolden(t, "tinystories-656k")
	checkGolden(t, tok, g)
	ids, err := tok.Encode("Once upon a time", true)
	if err != nil || !slices.Equal(ids[:1], g.PromptIDs[:1]) {
		t.Errorf("prompt: %v, %v", ids, err)
	}
	if got, want := tok.Decode(g.GreedyIDs), strings.TrimPrefix(g.GreedyText, "<|start_story|> "); got != want {
		t.Errorf("greedy text: %s", firstDifference(got, want))
	}
	if bos, ok := tok.BOS(); !ok || bos != 1 || !slices.Equal(tok.EOS(), []int{2}) || tok.VocabSize() != 2048 {
		t.Errorf("BOS %d, EOS %v, vocabulary %d", bos, tok.EOS(), tok.VocabSize())
	}
	if want := []string{"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "generation_config.json"}; !slices.Equal(tok.Files(), want) {
		t.Errorf("files %v", tok.Files())
	}
	if len(tok.Warnings()) != 0 {
		t.Errorf("warnings %q", tok.Warnings())
	}
}

// TestBooks: prompt_ids begin the first document, each document with BOS.
func TestBooks(t *testing.T) {
	text := readText(t, "text", "books-valid.txt")
	docs := strings.Split(text, "\n\n\n")
	for _, model := range []string{"books-1m", "books-5m"} {
		tok := load(t, "models", model)
		ids, err := tok.Encode(docs[0], true)
		if err != nil {
			t.Fatal(err)
		}
		want := readGolden(t, model).PromptIDs
		if len(want) == 0 || !slices.Equal(ids[:len(want)], want) {
			t.Errorf("%s: prompt\n got %v\nwant %v", model, ids[:len(want)], want)
		}
		if len(docs) != 12 {
			t.Errorf("%d documents, expected 12", len(docs))
		}
		roundTrip(t, tok, text)
	}
}

// TestRoundTrips over the texts, with every real vocabulary.
func TestRoundTrips(t *testing.T) {
	for _, c := range []struct{ dir, model string }{
		{"tokenizers", "llama2"}, {"tokenizers", "llama3"}, {"tokenizers", "gpt2"},
	} {
		tok := load(t, c.dir, c.model)
		for _, file := range []string{"tinystories.txt", "books-valid.txt"} {
			roundTrip(t, tok, readText(t, "text", file))
		}
		roundTrip(t, tok, readText(t, "text", "wikitext-2", "wiki.test.raw"))
	}
}

// TestLlama3Specials are the ids of Meta's reference.
func TestLlama3Specials(t *testing.T) {
	tok := load(t, "tokenizers", "llama3")
	for piece, want := range map[string]int{
		"<|begin_of_text|>": 128000, "<|end_of_text|>": 128001, "<|start_header_id|>": 128006, "<|end_header_id|>": 128007,
		"<|eom_id|>": 128008, "<|eot_id|>": 128009, "<|python_tag|>": 128010, "<|image|>": 128011,
		"<|reserved_special_token_2|>": 128012, "<|reserved_special_token_245|>": 128255,
	} {
		if id, ok := tok.ID(piece); !ok || id != want {
			t.Errorf("%s: %d, expected %d", piece, id, want)
		}
		if ids, err := tok.Encode("a"+piece+"b", false); err != nil || len(ids) != 3 || ids[1] != want {
			t.Errorf("%s in a text: %v, %v", piece, ids, err)
		}
	}
	if tok.VocabSize() != 128256 {
		t.Errorf("vocabulary of %d", tok.VocabSize())
	}
	if ids, _ := tok.Encode("a", true); len(ids) != 2 || ids[0] != 128000 {
		t.Errorf("with BOS: %v", ids)
	}
}
