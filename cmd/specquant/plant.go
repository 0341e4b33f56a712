package main

import (
	"fmt"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/plural"
	"github.com/specquant/specquant/internal/tokenizer"
)

type plantCmd struct {
	Dir      string  `arg:"" help:"Folder of the checkpoint." placeholder:"DIR"`
	Out      string  `short:"o" required:"" help:"Folder to write; must not exist." placeholder:"DIR"`
	Channels int     `help:"Outlier channels." default:"4"`
	Factor   float32 `help:"How much their gains grow." default:"30"`
	Seed     uint64  `help:"Seed of the choice of channels." default:"1"`
}

func (c *plantCmd) Run(e *env) error {
	ck, err := checkpoint.OpenFolder(c.Dir)
	if err != nil {
		return err
	}
	defer ck.Close()
	if err := ck.Check(); err != nil {
		return err
	}
	tok, err := tokenizer.Load(c.Dir)
	if err != nil {
		return err
	}
	if err := llama.Plant(ck, c.Out, c.Channels, c.Factor, c.Seed, tok.Files()); err != nil {
		return err
	}
	fmt.Fprintf(e.out, "%s computes what %s does, with %s of factor %g\n", c.Out, c.Dir, plural.Of(c.Channels, "outlier channel"), c.Factor)
	return nil
}
