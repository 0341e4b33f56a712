package tokenizer

import (
	"encoding/json"
	"strings"
	"testing"
)

// edit changes one value of a JSON document; path names keys, and the last one
// is set, or deleted with value nil and the suffix "-".
func edit(t testing.TB, doc []byte, path string, value string) []byte {
	t.Helper()
	var root map[string]any
	if err := json.Unmarshal(doc, &root); err != nil {
		t.Fatal(err)
	}
	keys := strings.Split(path, ".")
	at := root
	for _, k := range keys[:len(keys)-1] {
		at = at[k].(map[string]any)
	}
	var v any
	if err := json.Unmarshal([]byte(value), &v); err != nil {
		t.Fatalf("%s: %v", value, err)
	}
	at[keys[len(keys)-1]] = v
	out, err := json.Marshal(root)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestRefusals: what is not supported is named; what is broken is told where.
func TestRefusals(t *testing.T) {
	v := readHFVectors(t)
	bytesDoc, metaDoc := v.variant(t, "gpt2"), v.variant(t, "llama-2")
	split := func(regex string) string {
		b, _ := json.Marshal(regex)
		return `{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":` + string(b) +
			`},"behavior":"Isolated","invert":false},{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false}]}`
	}
	for _, c := range []struct {
		doc         []byte
		path, value string
		want        string // in the error
	}{
		{bytesDoc, "model.type", `"Unigram"`, `model: "Unigram" is not supported; supported: BPE`},
		{bytesDoc, "model.type", `"WordPiece"`, `"WordPiece" is not supported`},
		{bytesDoc, "model.dropout", `0.1`, `dropout 0.1`},
		{bytesDoc, "model.continuing_subword_prefix", `"##"`, `continuing_subword_prefix "##"`},
		{bytesDoc, "model.end_of_word_suffix", `"</w>"`, `end_of_word_suffix "</w>"`},
		{bytesDoc, "model.new_option", `true`, `new_option`},
		{bytesDoc, "model.byte_fallback", `true`, `byte_fallback`},
		{bytesDoc, "model.vocab", `{}`, `empty`},
		{bytesDoc, "model.vocab", `{"a":1,"b":1}`, `id 1 is given to both`},
		{bytesDoc, "model.vocab", `{"a":-1}`, `whole number`},
		{bytesDoc, "model.vocab", `{"a":1.5}`, `whole number`},
		{bytesDoc, "model.vocab", `{"a":99999999}`, `id 99999999`},
		{bytesDoc, "model.vocab", `{"a":9999999999999}`, `whole number`},
		{bytesDoc, "model.vocab", `["a"]`, `not an object`},
		{bytesDoc, "model.merges", `["a b c"]`, `merge 0, "a b c"`},
		{bytesDoc, "model.merges", `[["a"]]`, `merge 0 has 1 part,`},
		{bytesDoc, "model.merges", `["a nosuch"]`, `"nosuch" is not in the vocabulary`},
		{bytesDoc, "model.merges", `null`, `missing`},
		{bytesDoc, "model.merges", `7`, `neither`},
		{bytesDoc, "normalizer", `{"type":"Lowercase"}`, `normalizer: "Lowercase" is not supported`},
		{bytesDoc, "normalizer", `{"type":"NFKC"}`, `"NFKC" is not supported`},
		{bytesDoc, "normalizer", `{"type":"Sequence","normalizers":[{"type":"Precompiled"}]}`, `step 0: "Precompiled"`},
		{bytesDoc, "normalizer", `{"type":"Replace","pattern":{"Regex":"a&&["},"content":""}`, `pattern`},
		{bytesDoc, "normalizer", `{}`, `has no type`},
		{bytesDoc, "pre_tokenizer", `{"type":"Whitespace"}`, `pre_tokenizer: "Whitespace" is not supported`},
		{bytesDoc, "pre_tokenizer", `{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true,"fancy":1}`, `fancy`},
		{bytesDoc, "pre_tokenizer", `{"type":"Sequence","pretokenizers":[{"type":"ByteLevel"},{"type":"Digits","individual_digits":true}]}`, `last step`},
		{bytesDoc, "pre_tokenizer", `{"type":"Split","pattern":{"Regex":"a"},"behavior":"Sometimes","invert":false}`, `"Sometimes" is not supported`},
		{bytesDoc, "pre_tokenizer", `{"type":"Split","pattern":{},"behavior":"Isolated","invert":false}`, `pattern is neither`},
		{bytesDoc, "pre_tokenizer", split(`\w+`), `\w is not supported`},
		{bytesDoc, "pre_tokenizer", split(`\bx`), `\b is not supported`},
		{bytesDoc, "pre_tokenizer", split(`[a-z&&[^x]]`), `set inside a set`},
		{bytesDoc, "pre_tokenizer", split(`[[:alpha:]]`), `set inside a set`},
		{bytesDoc, "pre_tokenizer", split(`^a`), `^ is not supported`},
		{bytesDoc, "pre_tokenizer", split(`(?i)abc`), `group`},
		{bytesDoc, "pre_tokenizer", split(`(?i:abc)`), `group`},
		{bytesDoc, "pre_tokenizer", split(`\p{L}++`), `not supported`},
		{bytesDoc, "pre_tokenizer", split(`\pL`), `braces`},
		{bytesDoc, "pre_tokenizer", split(`\p{Nonsense}`), `Nonsense`},
		{bytesDoc, "pre_tokenizer", split(`(a`), `split pattern`},
		{bytesDoc, "pre_tokenizer", split(`a{,3}`), `lower bound`},
		{bytesDoc, "pre_tokenizer", split(`a{3}+`), `"}+"`},
		{bytesDoc, "post_processor", `{"type":"BertProcessing","sep":["a",1],"cls":["b",2]}`, `post_processor: "BertProcessing" is not supported`},
		{bytesDoc, "post_processor", `{"type":"TemplateProcessing","single":[],"pair":[],"special_tokens":{}}`, `0 times`},
		{bytesDoc, "post_processor", `{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<x>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],"pair":[],"special_tokens":{}}`, `"<x>" is not in special_tokens`},
		{bytesDoc, "post_processor", `{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<x>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],"pair":[],"special_tokens":{"<x>":{"id":"<x>","ids":[7777],"tokens":["<x>"]}}}`, `id 7777, which is not in the vocabulary`},
		{bytesDoc, "decoder", `null`, `decoder: is null`},
		{bytesDoc, "decoder", `{"type":"WordPiece","prefix":"##","cleanup":true}`, `decoder: "WordPiece" is not supported`},
		{bytesDoc, "decoder", `{"type":"Fuse"}`, `needs a ByteLevel decoder`},
		{metaDoc, "decoder", `{"type":"Sequence","decoders":[{"type":"Strip","content":" ","start":1,"stop":0}]}`, `Strip is supported only`},
		{metaDoc, "pre_tokenizer", `{"type":"Metaspace","replacement":"▁","prepend_scheme":"sometimes"}`, `"sometimes" is not supported`},
		{metaDoc, "pre_tokenizer", `{"type":"Metaspace","replacement":"▁▁"}`, `not one character`},
		{metaDoc, "pre_tokenizer", `{"type":"Metaspace","replacement":"▁","add_prefix_space":false,"prepend_scheme":"always"}`, `contradicts`},
		{bytesDoc, "added_tokens", `[{"id":5,"content":"<s>"}]`, `"<s>" has id 5 here and id 1 in the vocabulary`},
		{bytesDoc, "added_tokens", `[{"id":900,"content":"<new>"}]`, `would number it 600`},
		{bytesDoc, "added_tokens", `[{"id":600,"content":""}]`, `content is empty`},
		{bytesDoc, "added_tokens", `[{"id":1,"content":"<s>"},{"id":1,"content":"<s>"}]`, `listed twice`},
		{bytesDoc, "model", `null`, `no model`},
	} {
		_, err := parseHF(edit(t, c.doc, c.path, c.value), &sidecar{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s = %s:\n got %v\nwant an error with %s", c.path, c.value, err, c.want)
		}
	}
	if _, err := parseHF([]byte(`{"model":`), &sidecar{}); err == nil {
		t.Error("cut-off JSON was read")
	}
	if _, err := parseHF([]byte(`{"model":{"type":"BPE","vocab":{"a":0,"a":1},"merges":[]},"decoder":{"type":"Fuse"}}`), &sidecar{}); err == nil || !strings.Contains(err.Error(), "both id 0 and id 1") {
		t.Errorf("a token given twice: %v", err)
	}
	for _, doc := range []string{
		`{"decoder":{"type":"ByteLevel"},"model":{"type":"BPE","vocab":{"a":0},"merges":[]},"decoder":{"type":"Fuse"}}`,
		`{"model":{"type":"BPE","vocab":{"a":0},"merges":[],"vocab":{"b":0}},"decoder":{"type":"Fuse"}}`,
	} {
		if _, err := parseHF([]byte(doc), &sidecar{}); err == nil || !strings.Contains(err.Error(), "appears twice") {
			t.Errorf("%s: %v", doc, err)
		}
	}
	for _, name := range []string{"tokenizer_config.json", "special_tokens_map.json", "generation_config.json"} {
		_, err := readSidecar(func(n string) ([]byte, error) {
			if n != name {
				return nil, nil
			}
			return []byte(`{"bos_token":"<s>","eos_token_id":1,"bos_token":"<t>","eos_token_id":2}`), nil
		})
		if err == nil || !strings.Contains(err.Error(), name+": key") || !strings.Contains(err.Error(), "appears twice") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
