package main

import (
	"fmt"

	"github.com/specquant/specquant/internal/gguf"
)

type importCmd struct {
	File string    `arg:"" help:"GGUF file. Quantized weights become F16." placeholder:"FILE.gguf"`
	Out  newFolder `short:"o" required:"" help:"Folder to write; must not exist." placeholder:"DIR"`
}

func (c *importCmd) Run(e *env) error {
	if err := gguf.Import(c.File, string(c.Out)); err != nil {
		return err
	}
	fmt.Fprintf(e.out, "%s is a Hugging Face folder now\n", c.Out)
	return nil
}
