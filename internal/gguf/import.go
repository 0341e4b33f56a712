// Package gguf turns GGUF models into Hugging Face folders, weights by package
// checkpoint and vocabulary by package tokenizer.
package gguf

import (
	"bytes"
	"fmt"
	"path/filepath"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/tokenizer"
)

// Import writes the model in the file src to the folder dst, which must not
// exist. Weights must be F32, F16 or BF16, the vocabulary SentencePiece's.
func Import(src, dst string) error {
	return checkpoint.ImportGGUF(src, dst, writeTokenizer)
}

func writeTokenizer(dir string, g *checkpoint.GGUF) error {
	tokens, scores, types, model, bos, eos, err := g.Vocabulary()
	if err != nil {
		return err
	}
	if model != "llama" || scores == nil {
		return fmt.Errorf("the file's tokenizer is %q, expected \"llama\" (SentencePiece with scores); take the model's original Hugging Face folder instead", model)
	}
	pieces := make([]tokenizer.Piece, len(tokens))
	for i, t := range tokens {
		pieces[i] = tokenizer.Piece{Text: t, Score: scores[i], Type: tokenizer.PieceNormal}
		if types != nil {
			pieces[i].Type = tokenizer.PieceType(types[i])
		}
	}
	o := tokenizer.DefaultSentencePieceOptions()
	o.BOS, o.EOS = bos, eos
	o.AddBOS = bos >= 0
	var b bytes.Buffer
	if err := tokenizer.WriteSentencePiece(&b, pieces, o); err != nil {
		return err
	}
	return checkpoint.WriteFileAtomic(filepath.Join(dir, "tokenizer.model"), b.Bytes())
}
