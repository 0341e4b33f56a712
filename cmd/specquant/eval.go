package main

import (
	"fmt"
	"os"
	"unicode/utf8"

	"github.com/specquant/specquant"
)

type evalCmd struct {
	PPL pplCmd `cmd:"" name:"ppl" help:"Perplexity on a text, and divergence from another model."`
}

type pplCmd struct {
	Dir     string `arg:"" help:"Folder of a quantized model or of a checkpoint." placeholder:"OUT"`
	Text    string `help:"Text file, UTF-8." required:"" placeholder:"FILE"`
	Against string `help:"Full-precision checkpoint to compare with." placeholder:"DIR"`
	Ctx     int    `help:"Tokens of a window. 0: the model's own context, at most 2048." default:"0"`
	Threads int    `help:"Threads; the result does not depend on them. 0: one for each CPU." default:"0"`
}

// maxText bounds an evaluation text.
const maxText = 1 << 30

func readText(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if info.Size() > maxText {
		return "", fmt.Errorf("%s: has %d bytes, more than %d", path, info.Size(), maxText)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	if len(data) == 0 {
		return "", fmt.Errorf("%s: is empty", path)
	}
	if !utf8.Valid(data) {
		return "", fmt.Errorf("%s: is not UTF-8; convert it first", path)
	}
	return string(data), nil
}

func (c *pplCmd) Run(e *env) error {
	text, err := readText(c.Text)
	if err != nil {
		return err
	}
	m, err := specquant.Open(c.Dir, specquant.Options{Threads: c.Threads, Context: c.Ctx})
	if err != nil {
		return err
	}
	defer m.Close()
	tick := func(done, all int) {
		if e.isTerm {
			fmt.Fprintf(e.err, "\r%d of %d tokens", done, all)
			if done == all {
				fmt.Fprint(e.err, "\r\x1b[K")
			}
		}
	}
	if c.Against == "" {
		r, err := m.Perplexity(e.ctx, text, tick)
		if err != nil {
			return err
		}
		fmt.Fprintf(e.out, "perplexity  %.4f ± %.4f  [%s, %s protocol, %d windows of %d tokens, %d scored, bits %s]\n",
			r.Perplexity.Mean, r.Perplexity.StdErr, c.Text, r.Protocol, r.Windows, r.Window, r.Scored, m.Bits())
		return nil
	}
	ref, err := specquant.Open(c.Against, specquant.Options{Threads: c.Threads, Context: c.Ctx})
	if err != nil {
		return err
	}
	defer ref.Close()
	d, err := m.CompareWith(e.ctx, ref, text, tick)
	if err != nil {
		return err
	}
	fmt.Fprintf(e.out, "[%s, gptq protocol, %d windows of %d tokens, %d scored]\n", c.Text, d.Windows, d.Window, d.Tokens)
	row := func(name string, v specquant.Estimate, scale float64, format string) {
		fmt.Fprintf(e.out, "%-34s "+format+" ± "+format+"\n", name, scale*v.Mean, scale*v.StdErr)
	}
	row(fmt.Sprintf("perplexity, %s", ref.Bits()), d.PerplexityRef, 1, "%.4f")
	row(fmt.Sprintf("perplexity, %s", m.Bits()), d.Perplexity, 1, "%.4f")
	row("KL divergence, nats a token", d.KL, 1, "%.5f")
	row("KL divergence, backwards", d.KLBack, 1, "%.5f")
	row("top-1 agreement, %", d.Top1, 100, "%.2f")
	fmt.Fprintf(e.out, "%-34s %.5f, %.5f, %.5f\n", "KL median, 99th percentile, most", d.KLMedian, d.KL99, d.KLMax)
	return nil
}
