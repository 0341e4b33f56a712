package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/gguf"
)

// importedSuffix is added to the target's name for the temporary folder into which a GGUF file
// is converted before it is quantized.
const importedSuffix = ".imported"

// fromGGUF converts the model to a folder if it is a GGUF file and returns the folder's name,
// or "" for other models. The folder of an earlier run that was stopped is made again, with the
// same bytes: it may be of another file, or damaged since. It warns of weights that are quantized
// already.
func (c *quantizeCmd) fromGGUF(e *env, out string) (string, error) {
	if !checkpoint.IsGGUF(c.Dir) {
		return "", nil
	}
	ck, err := checkpoint.Open(c.Dir)
	if err != nil {
		return "", err
	}
	again := ck.Quantized()
	ck.Close()
	if again {
		fmt.Fprintf(e.err, "warning: %s is quantized already, and quantizing it again loses accuracy a second time. Use the model in full precision if you can get it, or run the file as it is\n", c.Dir)
	}
	dir := out + importedSuffix
	if err := removeImported(dir); err != nil {
		return "", err
	}
	if err := gguf.Import(c.Dir, dir); err != nil {
		return "", err
	}
	c.Dir = dir
	return dir, nil
}

// removeImported removes what an earlier run has imported, and nothing else that may have this name.
func removeImported(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s, the folder for the converted file, is in the way: %w", dir, err)
	}
	for _, e := range entries {
		if !e.Type().IsRegular() || !slices.Contains(importedFiles, e.Name()) {
			return fmt.Errorf("%s, the folder for the converted file, is in the way: it has %s, which no import writes; move it away", dir, e.Name())
		}
	}
	return os.RemoveAll(dir)
}

// importedFiles are the files of an imported model.
var importedFiles = []string{"model.safetensors", "config.json", "generation_config.json", "tokenizer.json", "tokenizer.model", "tokenizer_config.json"}
