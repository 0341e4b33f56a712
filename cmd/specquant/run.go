package main

import (
	"fmt"
	"time"

	"github.com/specquant/specquant"
)

type runCmd struct {
	Dir       string  `arg:"" help:"Folder of a quantized model or of a checkpoint." placeholder:"OUT"`
	Prompt    string  `short:"p" help:"Text to continue." default:""`
	N         int     `short:"n" help:"Tokens to generate, at most. 0: until the context is full." default:"256"`
	Temp      float64 `help:"Temperature; 0 always takes the most likely token." default:"0.8"`
	TopK      int     `help:"Draw from the k most likely tokens. 0: all." default:"40"`
	TopP      float64 `help:"Draw from the most likely tokens that together have this probability." default:"0.95"`
	MinP      float64 `help:"Never draw a token less likely than this share of the most likely one." default:"0.05"`
	Seed      uint64  `help:"Seed of the draw; the same seed gives the same text." default:"1"`
	Ctx       int     `help:"Context in tokens. 0: the model's own, at most 8192." default:"0"`
	Threads   int     `help:"Threads. 0: one for each CPU." default:"0"`
	IgnoreEOS bool    `name:"ignore-eos" help:"Go on past the end-of-text token."`
}

func (c *runCmd) Run(e *env) error {
	m, err := specquant.Open(c.Dir, specquant.Options{Threads: c.Threads, Context: c.Ctx})
	if err != nil {
		return err
	}
	defer m.Close()
	fmt.Fprint(e.out, c.Prompt)
	start, n := time.Now(), 0
	for token, err := range m.Generate(e.ctx, c.Prompt, specquant.GenerateOptions{
		MaxTokens: c.N, Temperature: c.Temp, TopK: c.TopK, TopP: c.TopP, MinP: c.MinP, Seed: c.Seed, IgnoreEOS: c.IgnoreEOS}) {
		if err != nil {
			fmt.Fprintln(e.out)
			return err
		}
		if _, err := fmt.Fprint(e.out, token.Text); err != nil {
			return err
		}
		n++
	}
	fmt.Fprintln(e.out)
	fmt.Fprintf(e.err, "%d tokens in %s, %.1f a second, bits %s\n", n, durationText(time.Since(start)), float64(n)/time.Since(start).Seconds(), m.Bits())
	return nil
}
