package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/gguf"
	"github.com/specquant/specquant/internal/input"
)

// importedSuffix is added to the target's name for the temporary folder into which a GGUF file
// is converted before it is quantized.
const importedSuffix = ".imported"

// fromGGUF converts the model to a folder if it is a GGUF file and returns the folder's name,
// or "" for other models. The folder of an earlier run that was stopped is reused. It warns of
// weights that are quantized already.
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
	if _, err := input.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		if err := gguf.Import(c.Dir, dir); err != nil {
			return "", err
		}
	} else if err != nil {
		return "", err
	}
	c.Dir = dir
	return dir, nil
}
