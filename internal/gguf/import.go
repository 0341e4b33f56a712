// Package gguf combines the parts of a model in a GGUF file: weights and architecture, from
// package checkpoint, with the tokenizer and the chat template.
package gguf

import (
	"path/filepath"

	"github.com/specquant/specquant/internal/checkpoint"
)

// Import writes the model in the file src to the Hugging Face folder dst, which must
// not exist. Quantized weights become F16.
func Import(src, dst string) error {
	return checkpoint.ImportGGUF(src, dst, func(dir string, g *checkpoint.GGUF) error {
		files, err := TokenizerFiles(g)
		for name, data := range files {
			if err == nil {
				err = checkpoint.WriteFileAtomic(filepath.Join(dir, name), data)
			}
		}
		return err
	})
}
