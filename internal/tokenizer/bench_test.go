package tokenizer

import "testing"

// BenchmarkEncode measures whole texts with real vocabularies.
func BenchmarkEncode(b *testing.B) {
	for _, c := range []struct{ name, dir, model, text string }{
		{"tinystories", "models", "tinystories-656k", "tinystories.txt"},
		{"books-1m", "models", "books-1m", "books-valid.txt"},
		{"llama2", "tokenizers", "llama2", "war-and-peace.txt"},
		{"llama3", "tokenizers", "llama3", "war-and-peace.txt"},
		{"gpt2", "tokenizers", "gpt2", "war-and-peace.txt"},
	} {
		b.Run(c.name, func(b *testing.B) {
			tok, text := load(b, c.dir, c.model), readText(b, "text", c.text)
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				// A fresh state: a warm cache of words would flatter.
				tok.states.New = nil
				for tok.states.Get() != nil {
				}
				if _, err := tok.Encode(text, true); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkLoad(b *testing.B) {
	for _, c := range [][]string{{"models", "books-1m"}, {"tokenizers", "llama2"}, {"tokenizers", "llama3"}, {"tokenizers", "gpt2"}} {
		b.Run(c[1], func(b *testing.B) {
			for b.Loop() {
				load(b, c...)
			}
		})
	}
}
