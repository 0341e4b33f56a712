package tokenizer

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// hfVariant is one tokenizer.json of testdata/hf_vectors.json with what Hugging
// Face's tokenizers made of the texts.
type hfVariant struct {
	Name          string          `json:"name"`
	Base          string          `json:"base"`
	AddedTokens   json.RawMessage `json:"added_tokens"`
	Normalizer    json.RawMessage `json:"normalizer"`
	PreTokenizer  json.RawMessage `json:"pre_tokenizer"`
	PostProcessor json.RawMessage `json:"post_processor"`
	Decoder       json.RawMessage `json:"decoder"`
	Model         map[string]any  `json:"model"`
	IDs           [][]int         `json:"ids"`
	Decoded       []string        `json:"decoded"`
}

type hfVectors struct {
	Bases map[string]struct {
		Vocab  []string `json:"vocab"`
		Merges []string `json:"merges"`
	} `json:"bases"`
	Texts    []string    `json:"texts"`
	Variants []hfVariant `json:"variants"`
}

func readHFVectors(t testing.TB) *hfVectors {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "hf_vectors.json"))
	if err != nil {
		t.Fatal(err)
	}
	v := &hfVectors{}
	if err := json.Unmarshal(data, v); err != nil {
		t.Fatal(err)
	}
	return v
}

// file writes the variant as a tokenizer.json.
func (v *hfVectors) file(t testing.TB, x hfVariant) []byte {
	t.Helper()
	base := v.Bases[x.Base]
	model := map[string]any{"type": "BPE", "merges": base.Merges}
	vocab := make(map[string]int)
	for id, p := range base.Vocab {
		vocab[p] = id
	}
	model["vocab"] = vocab
	for k, val := range x.Model {
		model[k] = val
	}
	data, err := json.Marshal(map[string]any{
		"version": "1.0", "truncation": nil, "padding": nil, "added_tokens": x.AddedTokens, "normalizer": x.Normalizer,
		"pre_tokenizer": x.PreTokenizer, "post_processor": x.PostProcessor, "decoder": x.Decoder, "model": model,
	})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func (v *hfVectors) variant(t testing.TB, name string) []byte {
	t.Helper()
	for _, x := range v.Variants {
		if x.Name == name {
			return v.file(t, x)
		}
	}
	t.Fatalf("no variant %q", name)
	return nil
}

// TestHuggingFaceVectors compares every supported component with what Hugging
// Face's own library gave.
func TestHuggingFaceVectors(t *testing.T) {
	v := readHFVectors(t)
	for _, x := range v.Variants {
		t.Run(x.Name, func(t *testing.T) {
			tok, err := parseHF(v.file(t, x), &sidecar{})
			if err != nil {
				t.Fatal(err)
			}
			for i, text := range v.Texts {
				got, err := tok.Encode(text, true)
				if err != nil {
					t.Fatalf("%q: %v", text, err)
				}
				if !slices.Equal(got, x.IDs[i]) {
					t.Errorf("%q: ids\n got %v\nwant %v", text, got, x.IDs[i])
				}
				// Known difference: version 0.23 does not recognise a special
				// token that is "normalized" when decoding, and prints it.
				// Skipping it is what skip_special_tokens says.
				want := x.Decoded[i]
				if x.Name == "llama-2 normalized specials" {
					want = strings.TrimPrefix(want, "<s>")
					want = strings.TrimSuffix(want, " </s>")
					if strings.HasPrefix(text, "<s>") { // the text's own, also a special token
						want = strings.ReplaceAll(want, " <s>", "")
					}
					want = strings.TrimPrefix(want, " ")
					if strings.ContainsAny(text, "<") {
						continue // which "<s>" is text and which is special cannot be told from the output
					}
				}
				if d := tok.Decode(x.IDs[i]); d != want {
					t.Errorf("%q: decoded\n got %q\nwant %q", text, d, want)
				}
			}
		})
	}
}

// TestMergesAsPairs reads merges written as ["a", "b"].
func TestMergesAsPairs(t *testing.T) {
	v := readHFVectors(t)
	x := v.Variants[0]
	var pairs [][]string
	for _, m := range v.Bases[x.Base].Merges {
		pairs = append(pairs, strings.Split(m, " "))
	}
	x.Model = map[string]any{"merges": pairs}
	tok, err := parseHF(v.file(t, x), &sidecar{})
	if err != nil {
		t.Fatal(err)
	}
	for i, text := range v.Texts {
		if got, err := tok.Encode(text, true); err != nil || !slices.Equal(got, x.IDs[i]) {
			t.Errorf("%q: got %v, %v, want %v", text, got, err, x.IDs[i])
		}
	}
}

// TestEncodeOrdinary takes special tokens as text, and finds added ones.
func TestEncodeOrdinary(t *testing.T) {
	v := readHFVectors(t)
	tok, err := parseHF(v.variant(t, "added tokens bytes"), &sidecar{})
	if err != nil {
		t.Fatal(err)
	}
	theme, _ := tok.ID("theme") // added, not special
	for _, c := range []struct {
		text string
		has  []int
		not  []int
	}{
		{"a <s>b</s>", nil, []int{1, 2}},
		{"a theme b</s>", []int{theme}, []int{2}},
	} {
		ids, err := tok.EncodeOrdinary(c.text)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range c.has {
			if !slices.Contains(ids, id) {
				t.Errorf("%q: no %d in %v", c.text, id, ids)
			}
		}
		for _, id := range c.not {
			if slices.Contains(ids, id) {
				t.Errorf("%q: %d in %v", c.text, id, ids)
			}
		}
		if got := tok.Decode(ids); got != c.text {
			t.Errorf("%q decodes to %q", c.text, got)
		}
	}
}

// TestEncodeErrors refuses text that has no ids.
func TestEncodeErrors(t *testing.T) {
	v := readHFVectors(t)
	x := v.Variants[0]
	tok, err := parseHF(v.file(t, x), &sidecar{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tok.Encode("ab\xffcd", false); err == nil || !strings.Contains(err.Error(), "byte 2 (0xff)") {
		t.Errorf("invalid UTF-8: %v", err)
	}
	small := []byte(`{"model":{"type":"BPE","vocab":{"a":0,"b":1},"merges":[]},
		"decoder":{"type":"Fuse"},"pre_tokenizer":null}`)
	if tok, err = parseHF(small, &sidecar{}); err != nil {
		t.Fatal(err)
	}
	if _, err := tok.Encode("abc", false); err == nil || !strings.Contains(err.Error(), `character 'c'`) {
		t.Errorf("character without a token: %v", err)
	}
	if ids, err := tok.Encode("abba", false); err != nil || !slices.Equal(ids, []int{0, 1, 1, 0}) {
		t.Errorf("abba: %v, %v", ids, err)
	}
}
