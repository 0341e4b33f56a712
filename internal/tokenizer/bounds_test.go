package tokenizer

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestRepeatedGroups: patterns that can take time exponential in the text are
// refused, those of published tokenizers are not.
func TestRepeatedGroups(t *testing.T) {
	for _, p := range []string{
		`(([a-zA-Z ]+)+)+!`, `(a+)+`, `(a*)*b`, `(?:a+)+$?`, `(a|ab)*c`, `(?:a|a)+!`, `(?:a?a?)+!`, `(a+){2,}`, `(a{1,3})+`, `((a)+)+`,
		`(?:\s*,)*x`, `(?:[^)]+)*`, `(?:\p{L}+ ?)+!`, `(?:(?=a)a+)+`, `((?:a+))+`, `(a+)*?b`, `x|(y+)+`, `(?:\(+)+`,
	} {
		if _, err := compileRegex(p); err == nil || !strings.Contains(err.Error(), "repeats a group") && !strings.Contains(err.Error(), "not supported") {
			t.Errorf("%s: %v", p, err)
		}
	}
	for _, p := range []string{
		patternGPT2, patternLlama3, patternQwen2,
		`\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N}))`, `(?:abc)+`, `(?:\p{L}\p{M}){2,5}`, `(?:a|b)?`, `[(+*|]+`, `\(+\)*`, `(?>a+)+b`, ` {2,}`, `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}]*[\p{Ll}]+(?:'[sS]|'[tT])?`, `(?<!a)b+`,
	} {
		if _, err := compileRegex(p); err != nil {
			t.Errorf("%s: %v", p, err)
		}
	}
}

// What is polynomial ends by its time, with the pattern and the limit named.
func TestSlowPattern(t *testing.T) {
	if testing.Short() {
		t.Skip("takes the time that is the limit")
	}
	re, err := compileRegex(`a*a*a*a*a*a*a*!`)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	_, err = regexSpans(re, strings.Repeat("a", 4000))
	if err == nil || !strings.Contains(err.Error(), `"a*a*a*a*a*a*a*!" took more than 5s on a text of 4000 bytes`) {
		t.Error(err)
	}
	if took := time.Since(start); took > 6*regexMatchTime {
		t.Errorf("took %v", took)
	}
}

func TestAddedTokenBounds(t *testing.T) {
	token := func(id int, s string) string {
		b, _ := json.Marshal(s)
		return fmt.Sprintf(`{"id":%d,"content":%s}`, id, b)
	}
	doc := func(added ...string) string {
		return `{"added_tokens":[` + strings.Join(added, ",") + `],"model":{"type":"BPE","vocab":{"a":0},"merges":[]},"decoder":{"type":"ByteLevel"}}`
	}
	_, err := Load(folder(t, map[string]string{"tokenizer.json": doc(token(1, strings.Repeat("b", MaxPieceBytes+1)))}))
	if err == nil || !strings.Contains(err.Error(), "has 1025 bytes, the limit is 1024") {
		t.Error(err)
	}
	var many []string
	for i := range maxAddedBytes/1000 + 1 {
		many = append(many, token(i+1, fmt.Sprintf("%01000d", i)))
	}
	if _, err = Load(folder(t, map[string]string{"tokenizer.json": doc(many...)})); err == nil || !strings.Contains(err.Error(), "bytes in total, the limit") {
		t.Error(err)
	}
	pieces := make([]Piece, 2100)
	for i := range pieces {
		pieces[i] = Piece{Text: fmt.Sprintf("%01020d", i), Type: PieceNormal}
	}
	pieces[0].Type = PieceUnknown
	if _, err = NewSentencePiece(pieces, SentencePieceOptions{BOS: -1, EOS: -1}); err == nil || !strings.Contains(err.Error(), "too long in total") {
		t.Error(err)
	}
}
