package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/gguf"
)

// importedSuffix is added to the target's name for the folder that a GGUF file is
// turned into, to be quantized. It is there until that is done.
const importedSuffix = ".imported"

// fromGGUF makes a folder of the model if it is a GGUF file, and returns its name,
// which is then the model's; "" for others. A folder of an earlier run that was
// stopped is taken up. Weights that are quantized already are warned of.
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
		fmt.Fprintf(e.err, "warning: %s is quantized already; what that lost stays lost, and quantizing it again loses a second time. Take the model in full precision if you can get it, or run the file as it is\n", c.Dir)
	}
	dir := out + importedSuffix
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		if err := gguf.Import(c.Dir, dir); err != nil {
			return "", err
		}
	} else if err != nil {
		return "", err
	}
	c.Dir = dir
	return dir, nil
}
