package tokenizer

import (
	"slices"
	"strings"
	"testing"
)

// promptDoc is a tokenizer.json with a template of <s> before a text and </s> behind
// it, and a normalized added token behind a Prepend normalizer.
const promptDoc = `{
 "added_tokens":[
  {"id":0,"content":"<unk>","special":true},
  {"id":1,"content":"<s>","special":true},
  {"id":2,"content":"</s>","special":true},
  {"id":11,"content":"<n>","normalized":true}],
 "normalizer":{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},{"type":"Replace","pattern":{"String":" "},"content":"▁"}]},
 "post_processor":{"type":"TemplateProcessing",
  "single":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}},{"SpecialToken":{"id":"</s>","type_id":0}}],
  "pair":[],"special_tokens":{"<s>":{"id":"<s>","ids":[1],"tokens":["<s>"]},"</s>":{"id":"</s>","ids":[2],"tokens":["</s>"]}}},
 "decoder":{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]},
 "model":{"type":"BPE","unk_token":"<unk>","fuse_unk":true,
  "vocab":{"<unk>":0,"<s>":1,"</s>":2,"▁":3,"a":4,"b":5,"<":6,"n":7,">":8,"▁a":9,"▁b":10},
  "merges":["▁ a","▁ b"]}}`

// TestEncodePrompt: nothing stands between a prompt and its continuation, and BOS
// stands before it once.
func TestEncodePrompt(t *testing.T) {
	tok, err := Load(folder(t, map[string]string{"tokenizer.json": promptDoc}))
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string][]int{
		"":             {1},
		"a b":          {1, 9, 10},
		"<s>a b":       {1, 9, 10},
		"<s>":          {1},
		"<s><s>a":      {1, 1, 9}, // the second was written twice
		"a b</s>":      {1, 9, 10, 2},
		"</s>a":        {1, 2, 9},
		"a<s>b":        {1, 9, 1, 10},
		"<s>a</s><s>b": {1, 9, 2, 1, 10},
		" <s>a":        {1, 3, 3, 1, 9}, // does not begin with it
	} {
		got, err := tok.EncodePrompt(text)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
	}
	if got, _ := tok.Encode("a b", true); !slices.Equal(got, []int{1, 9, 10, 2}) {
		t.Errorf("Encode: %v, expected the template's own", got)
	}
	// The same without a template, by add_bos_token and add_eos_token.
	i := strings.Index(promptDoc, ` "post_processor"`)
	j := strings.Index(promptDoc, ` "decoder"`)
	tok, err = Load(folder(t, map[string]string{"tokenizer.json": promptDoc[:i] + promptDoc[j:],
		"tokenizer_config.json": `{"bos_token":"<s>","eos_token":"</s>","add_bos_token":true,"add_eos_token":true}`}))
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := tok.Encode("a b", true); !slices.Equal(got, []int{1, 9, 10, 2}) {
		t.Errorf("Encode by add_eos_token: %v", got)
	}
	for _, text := range []string{"a b", "<s>a b"} {
		if got, _ := tok.EncodePrompt(text); !slices.Equal(got, []int{1, 9, 10}) {
			t.Errorf("EncodePrompt(%q) by add_eos_token: %v", text, got)
		}
	}
}

// TestNormalizedAddedToken: vectors made with Hugging Face tokenizers 0.23.3.
func TestNormalizedAddedToken(t *testing.T) {
	tok, err := Load(folder(t, map[string]string{"tokenizer.json": promptDoc}))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		text string
		ids  []int
		back string
	}{
		{"a <n> b", []int{9, 11, 10}, "a <n> b"},
		{"<n> b", []int{11, 10}, "<n> b"},
		{"a<n>b", []int{9, 6, 7, 8, 5}, "a<n>b"},
		{"a <n>b", []int{9, 11, 5}, "a <n>b"},
		{"<n>", []int{11}, "<n>"},
		{"<n> <n>", []int{11, 11}, "<n> <n>"},
		{"a  <n> b", []int{9, 3, 11, 10}, "a  <n> b"},
	} {
		ids, err := tok.Encode(c.text, false)
		if err != nil || !slices.Equal(ids, c.ids) || tok.Decode(ids) != c.back || streamed(t, tok, ids) != c.back {
			t.Errorf("%q: %v, %v, decoded %q; want %v and %q", c.text, ids, err, tok.Decode(ids), c.ids, c.back)
		}
	}
	if tok.Token(11) != "<n>" {
		t.Errorf("Token(11) = %q", tok.Token(11))
	}
}
