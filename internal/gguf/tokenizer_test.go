package gguf

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/testdata"
)

// spm are the metadata of a small SentencePiece vocabulary, with byte pieces.
func spm(edit func(m map[string]any)) *checkpoint.GGUF {
	tokens, types, scores := []string{"<unk>", "<s>", "</s>"}, []int32{2, 3, 3}, []float32{0, 0, 0}
	for b := range 256 {
		tokens, types, scores = append(tokens, fmt.Sprintf("<0x%02X>", b)), append(types, 6), append(scores, 0)
	}
	for i, p := range []string{"▁a", "▁b", "a", "b", "▁"} {
		tokens, types, scores = append(tokens, p), append(types, 1), append(scores, float32(-i))
	}
	m := map[string]any{"tokenizer.ggml.model": "llama", "tokenizer.ggml.tokens": tokens, "tokenizer.ggml.scores": scores,
		"tokenizer.ggml.token_type": types, "tokenizer.ggml.bos_token_id": uint32(1), "tokenizer.ggml.eos_token_id": uint32(2)}
	if edit != nil {
		edit(m)
	}
	return &checkpoint.GGUF{Metadata: m}
}

// bpe are those of a small byte-level vocabulary.
func bpe(edit func(m map[string]any)) *checkpoint.GGUF {
	tokens, types := []string{"<s>", "</s>", "<|im_end|>"}, []int32{3, 3, 3}
	for _, p := range []string{"a", "b", "1", "2", "Ġ", "ab", "12", "Ġa"} {
		tokens, types = append(tokens, p), append(types, 1)
	}
	tokens, types = append(tokens, "[PAD]", "<tool>"), append(types, 5, 4)
	m := map[string]any{"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "gpt-2", "tokenizer.ggml.tokens": tokens,
		"tokenizer.ggml.token_type": types, "tokenizer.ggml.merges": []string{"a b", "1 2", "Ġ a"},
		"tokenizer.ggml.bos_token_id": uint32(0), "tokenizer.ggml.eos_token_id": uint32(1)}
	if edit != nil {
		edit(m)
	}
	return &checkpoint.GGUF{Metadata: m}
}

func set(key string, v any) func(m map[string]any) {
	return func(m map[string]any) { m["tokenizer.ggml."+key] = v }
}

func TestTokenizerObeysFlags(t *testing.T) {
	tests := []struct {
		name string
		g    *checkpoint.GGUF
		text string
		want string // pieces
	}{
		{"SentencePiece", spm(nil), "a  b", "<s> ▁a ▁ ▁b"},
		{"tokens of type unknown that fill up the vocabulary", spm(func(m map[string]any) {
			set("unknown_token_id", uint32(0))(m)
			m["tokenizer.ggml.tokens"] = append(m["tokenizer.ggml.tokens"].([]string), "[PAD1]", "[PAD2]")
			m["tokenizer.ggml.scores"] = append(m["tokenizer.ggml.scores"].([]float32), -1e4, -1e4)
			m["tokenizer.ggml.token_type"] = append(m["tokenizer.ggml.token_type"].([]int32), 2, 2)
		}), "a b", "<s> ▁a ▁b"},
		{"the unknown token of another type", spm(func(m map[string]any) {
			set("unknown_token_id", uint32(0))(m)
			m["tokenizer.ggml.token_type"].([]int32)[0] = 3
		}), "a b", "<s> ▁a ▁b"},
		{"no BOS", spm(set("add_bos_token", false)), "a", "▁a"},
		{"EOS", spm(set("add_eos_token", true)), "a", "<s> ▁a </s>"},
		{"no space before", spm(set("add_space_prefix", false)), "a b", "<s> a ▁b"},
		{"extra white space", spm(set("remove_extra_whitespaces", true)), "a  b ", "<s> ▁a ▁b"},
		{"nothing but blanks", spm(set("remove_extra_whitespaces", true)), "   ", "<s>"},
		{"blanks and no space before", spm(func(m map[string]any) { set("add_space_prefix", false)(m); set("remove_extra_whitespaces", true)(m) }), "  a  b ", "<s> a ▁b"},
		{"extra white space kept", spm(set("remove_extra_whitespaces", false)), " a", "<s> ▁ ▁a"},
		{"nothing at all before and behind", spm(func(m map[string]any) { set("add_bos_token", false)(m); set("add_space_prefix", false)(m) }), "a", "a"},
		{"no id of BOS", spm(func(m map[string]any) { delete(m, "tokenizer.ggml.bos_token_id") }), "a", "▁a"},
		{"BOS off where the kind has it", bpe(func(m map[string]any) { set("pre", "llama-bpe")(m); set("add_bos_token", false)(m) }), "a", "a"},
		{"EOS only", bpe(set("add_eos_token", true)), "ab", "ab </s>"},
		{"extra white space kept, byte level", bpe(set("remove_extra_whitespaces", false)), "a  a", "a Ġ Ġa"},
		{"a pre of SentencePiece changes nothing", spm(set("pre", "llama-bpe")), "a b", "<s> ▁a ▁b"},
		{"a user-defined piece", spm(func(m map[string]any) { m["tokenizer.ggml.token_type"].([]int32)[2] = 4 }), "a</s>b", "<s> ▁a </s> b"},
		{"a control piece", spm(nil), "a</s>b", "<s> ▁a </s> ▁b"},
		{"no types, byte level", bpe(func(m map[string]any) { delete(m, "tokenizer.ggml.token_type") }), "ab", "ab"},
		{"bytes", spm(set("add_space_prefix", false)), "é", "<s> <0xC3> <0xA9>"},
		{"byte level", bpe(nil), "ab a12", "ab Ġa 12"},
		{"BOS and EOS", bpe(func(m map[string]any) { set("add_bos_token", true)(m); set("add_eos_token", true)(m) }), "ab", "<s> ab </s>"},
		{"space before", bpe(set("add_space_prefix", true)), "ab", "Ġ ab"},
		{"digits by themselves", bpe(set("pre", "smollm")), "a12", "a 1 2"},
		{"Llama 3 begins with BOS", bpe(set("pre", "llama-bpe")), "a12", "<s> a 12"},
		{"Qwen 2 cuts digits", bpe(set("pre", "qwen2")), "a12", "a 1 2"},
		{"control and user-defined", bpe(nil), "a<|im_end|><tool>b", "a <|im_end|> <tool> b"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tok, err := Tokenizer(tt.g)
			if err != nil {
				t.Fatal(err)
			}
			ids, err := tok.Encode(tt.text, true)
			if err != nil {
				t.Fatal(err)
			}
			var pieces []string
			for _, id := range ids {
				pieces = append(pieces, tok.Token(id))
			}
			if got := strings.Join(pieces, " "); got != tt.want {
				t.Errorf("%q is %q, expected %q", tt.text, got, tt.want)
			}
		})
	}
	tok, err := Tokenizer(bpe(nil))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(tok.EOS(), []int{1, 2}) { // </s>, and what ends a turn
		t.Errorf("end tokens %v, expected 1 and 2", tok.EOS())
	}
	if _, ok := tok.ID("[PAD]"); ok {
		t.Error("an unused token is in the vocabulary")
	}
}

func TestTokenizerRefuses(t *testing.T) {
	tests := []struct {
		name  string
		g     *checkpoint.GGUF
		parts []string
	}{
		{"model", bpe(set("model", "t5")), []string{"tokenizer.ggml.model", `"t5"`}},
		{"pre", bpe(set("pre", "default")), []string{"tokenizer.ggml.pre", `"default"`, "qwen2"}},
		{"no merges", bpe(set("merges", nil)), []string{"tokenizer.ggml.merges"}},
		{"bad merge", bpe(set("merges", []string{"a q"})), []string{`"q"`, "not in the vocabulary"}},
		{"double token", bpe(func(m map[string]any) { m["tokenizer.ggml.tokens"].([]string)[4] = "a" }), []string{`"a"`, "token 3", "token 4"}},
		{"flag", bpe(set("add_bos_token", uint32(1))), []string{"add_bos_token", "true or false"}},
		{"BOS without id", spm(func(m map[string]any) { delete(m, "tokenizer.ggml.bos_token_id"); set("add_bos_token", true)(m) }), []string{"add_bos_token", "bos_token_id"}},
		{"no scores", spm(set("scores", nil)), []string{"scores"}},
		{"id", spm(set("unknown_token_id", uint32(9999))), []string{"unknown_token_id", "9999"}},
		{"no tokens", spm(set("tokens", []int32{1})), []string{"tokenizer.ggml.tokens"}},
		{"types", spm(set("token_type", []int32{1})), []string{"token_type"}},
		{"no types", spm(set("token_type", nil)), []string{"token_type", "is missing"}},
		{"no model", spm(set("model", nil)), []string{`"tokenizer.ggml.model": is missing`}},
		{"model a list", spm(set("model", []int32{1})), []string{`"tokenizer.ggml.model": found a list`}},
		{"end of turn outside", bpe(set("eot_token_id", uint32(9999))), []string{"eot_token_id", "9999"}},
		{"end of message a text", spm(set("eom_token_id", "x")), []string{"eom_token_id", `found the text "x"`}},
		{"padding negative", bpe(set("padding_token_id", int32(-5))), []string{"padding_token_id", "found -5"}},
		{"type", bpe(func(m map[string]any) { m["tokenizer.ggml.token_type"].([]int32)[4] = 99 }), []string{"token_type", `token 4, "b", has the type 99`}},
		{"negative type", spm(func(m map[string]any) { m["tokenizer.ggml.token_type"].([]int32)[5] = -1 }), []string{"token_type", "token 5", "type -1"}},
		{"pre a number", bpe(set("pre", uint32(3))), []string{"tokenizer.ggml.pre", "found 3"}},
		{"no pre", bpe(set("pre", "")), []string{"tokenizer.ggml.pre", `""`}},
		{"template a number", bpe(func(m map[string]any) { m["tokenizer.chat_template"] = uint32(3) }), []string{"tokenizer.chat_template", "found 3"}},
		{"space a text", spm(set("add_space_prefix", "true")), []string{"add_space_prefix", `found the text "true"`}},
		{"space a number, byte level", bpe(set("add_space_prefix", uint8(1))), []string{"add_space_prefix", "found 1"}},
		{"white space a float", spm(set("remove_extra_whitespaces", float32(1))), []string{"remove_extra_whitespaces", "found 1"}},
		{"white space of bytes", bpe(set("remove_extra_whitespaces", true)), []string{"remove_extra_whitespaces", "byte-level"}},
		{"EOS flag a list", bpe(set("add_eos_token", []int32{1})), []string{"add_eos_token", "found a list"}},
		{"EOS without id", bpe(func(m map[string]any) { delete(m, "tokenizer.ggml.eos_token_id"); set("add_eos_token", true)(m) }), []string{"add_eos_token", "eos_token_id"}},
		{"EOS without id, SentencePiece", spm(func(m map[string]any) { delete(m, "tokenizer.ggml.eos_token_id"); set("add_eos_token", true)(m) }), []string{"add_eos_token", "eos_token"}},
		{"id a text", spm(set("eos_token_id", "</s>")), []string{"eos_token_id", `found the text "</s>"`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Tokenizer(tt.g)
			for _, p := range tt.parts {
				if err == nil || !strings.Contains(err.Error(), p) {
					t.Errorf("error %v, expected one with %q", err, p)
				}
			}
		})
	}
}

// The tokenizer of a real file has the ids of its folder's.
func TestTokenizerOfFile(t *testing.T) {
	ck, err := checkpoint.Open(testdata.Path(t, "models", "stories260k", "stories260K-f32.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	defer ck.Close()
	tok, err := LoadTokenizer(ck)
	if err != nil {
		t.Fatal(err)
	}
	ids, err := tok.Encode("Once upon a time", true)
	if err != nil || len(ids) < 4 || ids[0] != 1 || tok.Decode(ids) != "Once upon a time" {
		t.Errorf("%v is %q (%v)", ids, tok.Decode(ids), err)
	}
}

func TestTemplate(t *testing.T) {
	g := bpe(func(m map[string]any) {
		m["tokenizer.chat_template"] = "{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}"
	})
	tm, err := LoadTemplate(&checkpoint.Checkpoint{GGUF: g})
	if err != nil || !strings.Contains(tm.Source, "bos_token") {
		t.Errorf("template %v (%v)", tm, err)
	}
	if _, err := LoadTemplate(&checkpoint.Checkpoint{GGUF: bpe(nil)}); err == nil {
		t.Error("a template of a file without one")
	}
}
