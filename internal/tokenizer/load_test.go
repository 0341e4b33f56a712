package tokenizer

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// folder writes files into a new folder.
func folder(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestLoadNothing(t *testing.T) {
	_, err := Load(t.TempDir())
	for _, name := range []string{"tokenizer.json", "tokenizer.model", "vocab.json", "merges.txt"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("error %v does not name %s", err, name)
		}
	}
	dir := folder(t, nil)
	if err := os.Mkdir(filepath.Join(dir, "tokenizer.json"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), "tokenizer.json: is a folder") {
		t.Errorf("a folder named tokenizer.json: %v", err)
	}
}

// TestSidecars: what the files beside the vocabulary decide.
func TestSidecars(t *testing.T) {
	v := readHFVectors(t)
	withTemplate := string(v.variant(t, "gpt2 prefix space")) // <s> before the text
	without := string(v.variant(t, "qwen2 NFC"))
	var spm bytes.Buffer
	sv := readSPMVectors(t)
	if err := WriteSentencePiece(&spm, sv.pieces(0), sv.Variants[0].Options); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		files   map[string]string
		prefix  []int
		suffix  []int
		bos     int
		eos     []int
		warning string
		err     string
	}{
		{name: "template alone", files: map[string]string{"tokenizer.json": withTemplate}, prefix: []int{1}, bos: 1},
		{name: "template decides", files: map[string]string{"tokenizer.json": withTemplate, "tokenizer_config.json": `{"add_bos_token":false,"bos_token":"<s>"}`},
			prefix: []int{1}, bos: 1, warning: "the template is followed"},
		{name: "no template, no word", files: map[string]string{"tokenizer.json": without}, bos: -1},
		{name: "no template, add_bos_token", files: map[string]string{"tokenizer.json": without,
			"tokenizer_config.json": `{"add_bos_token":true,"add_eos_token":true,"bos_token":{"content":"<s>"},"eos_token":"</s>"}`},
			prefix: []int{1}, suffix: []int{2}, bos: 1, eos: []int{2}},
		{name: "add_bos_token without a token", files: map[string]string{"tokenizer.json": without, "tokenizer_config.json": `{"add_bos_token":true}`}, err: "no bos_token"},
		{name: "special_tokens_map", files: map[string]string{"tokenizer.json": without, "special_tokens_map.json": `{"bos_token":"<s>","eos_token":{"content":"</s>"}}`},
			bos: 1, eos: []int{2}},
		{name: "generation_config before config", files: map[string]string{"tokenizer.json": without, "tokenizer_config.json": `{"eos_token":"</s>"}`,
			"generation_config.json": `{"bos_token_id":1,"eos_token_id":[7,2]}`, "config.json": `{"eos_token_id":9}`}, bos: 1, eos: []int{2, 7}},
		{name: "config", files: map[string]string{"tokenizer.json": without, "config.json": `{"bos_token_id":1,"eos_token_id":2}`}, bos: 1, eos: []int{2}},
		{name: "null ids", files: map[string]string{"tokenizer.json": without, "config.json": `{"bos_token_id":null,"eos_token_id":null}`}, bos: -1},
		{name: "ids outside", files: map[string]string{"tokenizer.json": without, "config.json": `{"bos_token_id":99999,"eos_token_id":-1}`}, bos: -1, warning: "99999"},
		{name: "broken", files: map[string]string{"tokenizer.json": without, "tokenizer_config.json": `{`}, err: "tokenizer_config.json"},
		{name: "added_tokens_decoder with another id", files: map[string]string{"tokenizer.json": without,
			"tokenizer_config.json": `{"added_tokens_decoder":{"5":{"content":"<s>"}}}`}, err: `"<s>" has id 5 here and id 1`},
		{name: "added_tokens_decoder without an id", files: map[string]string{"tokenizer.json": without,
			"tokenizer_config.json": `{"added_tokens_decoder":{"x":{"content":"<s>"}}}`}, err: `"x" is not an id`},
		{name: "flags differ", files: map[string]string{"tokenizer.json": without,
			"tokenizer_config.json": `{"added_tokens_decoder":{"1":{"content":"<s>","rstrip":true,"special":true}}}`}, bos: -1, warning: "flags"},
		{name: "sentencepiece default", files: map[string]string{"tokenizer.model": spm.String()}, prefix: []int{1}, bos: 1, eos: []int{2}},
		{name: "sentencepiece without BOS", files: map[string]string{"tokenizer.model": spm.String(), "tokenizer_config.json": `{"add_bos_token":false,"add_eos_token":true}`},
			suffix: []int{2}, bos: 1, eos: []int{2}},
		{name: "gpt-2", files: map[string]string{"vocab.json": `{"a":0,"b":1,"ab":2,"<|endoftext|>":3}`, "merges.txt": "#version: 0.2\na b\n"}, bos: -1, eos: []int{3}},
		{name: "gpt-2 class", files: map[string]string{"vocab.json": `{"a":0}`, "merges.txt": "", "tokenizer_config.json": `{"tokenizer_class":"RobertaTokenizer"}`}, err: `"RobertaTokenizer" is not supported`},
		{name: "gpt-2 merges", files: map[string]string{"vocab.json": `{"a":0}`, "merges.txt": "a\n"}, err: "merges.txt: merge 0"},
		{name: "gpt-2 vocab", files: map[string]string{"vocab.json": `{"a":0`, "merges.txt": ""}, err: "vocab.json"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tok, err := Load(folder(t, c.files))
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("got %v, want an error with %q", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(tok.prefix, c.prefix) || !slices.Equal(tok.suffix, c.suffix) {
				t.Errorf("adds %v and %v, expected %v and %v", tok.prefix, tok.suffix, c.prefix, c.suffix)
			}
			if bos, ok := tok.BOS(); bos != c.bos || ok != (bos >= 0) || !slices.Equal(tok.EOS(), c.eos) {
				t.Errorf("BOS %d %v, EOS %v, expected %d, %v", bos, ok, tok.EOS(), c.bos, c.eos)
			}
			if got := strings.Join(tok.Warnings(), "; "); (c.warning == "") != (got == "") || !strings.Contains(got, c.warning) {
				t.Errorf("warnings %q, expected %q", got, c.warning)
			}
			if len(tok.Files()) == 0 || slices.Contains(tok.Files(), "config.json") {
				t.Errorf("files %v", tok.Files())
			}
		})
	}
}

// TestAddedBesideModel: tokens behind a tokenizer.model's own.
func TestAddedBesideModel(t *testing.T) {
	v := readSPMVectors(t)
	var spm bytes.Buffer
	if err := WriteSentencePiece(&spm, v.pieces(0), v.Variants[0].Options); err != nil {
		t.Fatal(err)
	}
	n := len(v.pieces(0))
	id := func(k int) string { return strings.TrimSpace(strings.Join([]string{itoa(n + k)}, "")) }
	good := map[string]string{"tokenizer.model": spm.String(), "tokenizer_config.json": `{"added_tokens_decoder":{"0":{"content":"<unk>","special":true},"` +
		id(0) + `":{"content":"<|im_start|>","special":true},"` + id(1) + `":{"content":"<tool>","normalized":true}}}`}
	tok, err := Load(folder(t, good))
	if err != nil {
		t.Fatal(err)
	}
	a, _ := tok.ID("▁a")
	ids, err := tok.Encode("<|im_start|>a<tool>", false)
	if want := []int{n, a, n + 1}; err != nil || !slices.Equal(ids, want) {
		t.Errorf("got %v, %v, want %v", ids, err, want)
	}
	if got := tok.Decode(ids); got != "a<tool>" {
		t.Errorf("decoded %q", got)
	}
	if tok.VocabSize() != n+2 {
		t.Errorf("vocabulary %d, expected %d", tok.VocabSize(), n+2)
	}
	// added_tokens.json, the older way.
	tok, err = Load(folder(t, map[string]string{"tokenizer.model": spm.String(), "added_tokens.json": `{"[PAD]":` + id(0) + `}`}))
	if err != nil || tok.Token(n) != "[PAD]" {
		t.Errorf("added_tokens.json: %v", err)
	}
	// A gap in the ids.
	if _, err = Load(folder(t, map[string]string{"tokenizer.model": spm.String(), "added_tokens.json": `{"[PAD]":` + id(3) + `}`})); err == nil ||
		!strings.Contains(err.Error(), "would number it") {
		t.Errorf("a gap: %v", err)
	}
}
