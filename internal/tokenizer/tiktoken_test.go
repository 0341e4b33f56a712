package tokenizer

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func itoa(n int) string { return strconv.Itoa(n) }

// tinyRanks is a ranked vocabulary: all bytes, then some words.
func tinyRanks() []string {
	var out []string
	for b := range 256 {
		out = append(out, string([]byte{byte(b)}))
	}
	return append(out, "he", "ll", "hell", "lo", "llo", " he", "aa", "aaa", "hello!")
}

func tiktokenFile(tokens []string) string {
	var b strings.Builder
	for rank, tok := range tokens {
		fmt.Fprintf(&b, "%s %d\n", base64.StdEncoding.EncodeToString([]byte(tok)), rank)
	}
	return b.String()
}

func TestTiktoken(t *testing.T) {
	tokens, err := parseTiktoken([]byte(tiktokenFile(tinyRanks())))
	if err != nil {
		t.Fatal(err)
	}
	tok, err := newLlama3(tokens, &sidecar{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		text string
		want []int
	}{
		{"hello", []int{258, 'o'}}, // he+ll (256, 257) → hell (258), before lo (259)
		{" hello", []int{' ', 258, 'o'}},
		{"aaaa", []int{262, 262}},        // two of rank 262 before aaa of rank 263
		{"hello!", []int{258, 'o', '!'}}, // the split keeps ! apart
		{"<|eot_id|>", []int{len(tokens) + 9}},
		{"<|begin_of_text|>", []int{len(tokens)}},
	} {
		ids, err := tok.Encode(c.text, false)
		if err != nil || !slices.Equal(ids, c.want) {
			t.Errorf("%q: got %v, %v, want %v", c.text, ids, err, c.want)
		}
	}
	if bos, ok := tok.BOS(); !ok || bos != len(tokens) || !slices.Equal(tok.EOS(), []int{len(tokens) + 1}) {
		t.Errorf("BOS %d, EOS %v", bos, tok.EOS())
	}
}

func TestTiktokenRefusals(t *testing.T) {
	good := tiktokenFile(tinyRanks())
	for _, c := range []struct{ name, data, want string }{
		{"other size", good, "only Llama-3's, with 128000"},
		{"not base64", "!!!! 0\n", "base64"},
		{"no rank", "IQ==\n", "a space and a rank"},
		{"negative", "IQ== -1\n", "rank"},
		{"large", "IQ== 5\n", "rank 5 in a file of 2 lines"},
		{"twice", "IQ== 0\nIg== 0\n", "given twice"},
		{"gap", "IQ== 0\nIg== 2\n\n\n", "rank 1 is missing"},
		{"same token", strings.Replace(good, base64.StdEncoding.EncodeToString([]byte("ll")), base64.StdEncoding.EncodeToString([]byte("he")), 1), "only Llama-3's"},
	} {
		if _, err := newTiktoken([]byte(c.data), &sidecar{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", c.name, err, c.want)
		}
	}
	if _, err := rankBytes([]string{"a", "a"}); err == nil || !strings.Contains(err.Error(), "the same token") {
		t.Errorf("same token: %v", err)
	}
	if _, err := rankBytes([]string{"a"}); err == nil || !strings.Contains(err.Error(), "byte 0x00") {
		t.Errorf("bytes missing: %v", err)
	}
	if looksLikeTiktoken([]byte("\n\x0e\n\x05<unk>")) {
		t.Error("a SentencePiece file looks like tiktoken's")
	}
}
