package checkpoint

import (
	"fmt"
	"math"

	"github.com/specquant/specquant/internal/plural"
)

// Vocabulary returns the tokenizer's data as stored in the file. model is "llama"
// (SentencePiece) or "gpt2" (byte-level BPE, with merges in
// Metadata["tokenizer.ggml.merges"]). scores and types are nil if absent, otherwise they
// have one element per token; types are those of SentencePiece: 1 normal, 2 unknown, 3
// control, 4 user-defined, 5 unused, 6 byte. bos and eos are -1 if absent.
func (g *GGUF) Vocabulary() (tokens []string, scores []float32, types []int32, model string, bos, eos int, err error) {
	fail := func(key, format string, a ...any) {
		if err == nil {
			err = malformed("%s: metadata %q: "+format, append([]any{g.path, key}, a...)...)
		}
	}
	const prefix = "tokenizer.ggml."
	read := func(key string) any { return g.Metadata[prefix+key] }
	var ok bool
	if model, ok = read("model").(string); !ok {
		fail(prefix+"model", "%s, expected a text: the tokenizer's kind, such as llama or gpt2", MetadataText(read("model")))
	}
	if tokens, ok = read("tokens").([]string); !ok || len(tokens) == 0 {
		fail(prefix+"tokens", "missing or not a list of strings")
	}
	if v := read("scores"); v != nil {
		if scores, ok = v.([]float32); !ok || len(scores) != len(tokens) {
			fail(prefix+"scores", "expected %s, one a token", plural.Of(len(tokens), "float"))
		}
		for i, s := range scores {
			if math.IsNaN(float64(s)) {
				fail(prefix+"scores", "score %d is NaN", i)
			}
		}
	}
	if v := read("token_type"); v != nil {
		if types, ok = v.([]int32); !ok || len(types) != len(tokens) {
			fail(prefix+"token_type", "expected %d int32, one a token", len(tokens))
		}
	}
	id := func(key string) int {
		v := read(key)
		if v == nil {
			return -1
		}
		n, isInt := asInt(v)
		if !isInt || n < 0 || n >= int64(len(tokens)) {
			fail(prefix+key, "%s, expected a token id below %d", MetadataText(v), len(tokens))
			return -1
		}
		return int(n)
	}
	bos, eos = id("bos_token_id"), id("eos_token_id")
	if err != nil {
		return nil, nil, nil, "", -1, -1, err
	}
	return tokens, scores, types, model, bos, eos, nil
}

// MetadataText is what an error says of a GGUF file's metadata value that is not as expected.
func MetadataText(v any) string {
	switch v := v.(type) {
	case nil:
		return "is missing"
	case string:
		return fmt.Sprintf("found the text %.60q", v)
	case bool, float32, float64:
		return fmt.Sprintf("found %v", v)
	}
	if n, ok := asInt(v); ok {
		return fmt.Sprintf("found %d", n)
	}
	return "found a list"
}

// TokenID is a token's id by its key in the tokenizer's metadata; -1 if it is absent.
func (g *GGUF) TokenID(key string) (int, error) {
	const prefix = "tokenizer.ggml."
	v, ok := g.Metadata[prefix+key]
	if !ok {
		return -1, nil
	}
	tokens, _ := g.Metadata[prefix+"tokens"].([]string)
	n, isInt := asInt(v)
	if !isInt || n < 0 || n >= int64(len(tokens)) {
		return -1, malformed("%s: metadata %q: %s, expected a token id below %d", g.path, prefix+key, MetadataText(v), len(tokens))
	}
	return int(n), nil
}

// Path is the path of the file; for a split model, of its first part.
func (g *GGUF) Path() string { return g.path }
