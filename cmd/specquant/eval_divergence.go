package main

import (
	"fmt"
	"strings"

	"github.com/specquant/specquant"
)

type divergenceCmd struct {
	Dir     string `arg:"" help:"Folder of a quantized model or of a checkpoint." placeholder:"OUT"`
	Against string `help:"Full-precision checkpoint to compare with." placeholder:"DIR" required:""`
	evalFlags
	Worst int `help:"Show this many of the tokens that have changed most." default:"0"`
}

func (c *divergenceCmd) Run(e *env) error {
	if c.Worst < 0 || c.Worst > 10000 {
		return fmt.Errorf("--worst is %d, expected 0 to 10000", c.Worst)
	}
	text, err := e.readText(c.Text)
	if err != nil {
		return err
	}
	m, err := specquant.Open(c.Dir, specquant.Options{Threads: c.Threads, Context: c.Ctx})
	if err != nil {
		return err
	}
	defer m.Close()
	ref, err := specquant.Open(c.Against, specquant.Options{Threads: c.Threads, Context: c.Ctx})
	if err != nil {
		return err
	}
	defer ref.Close()
	e.noteSums(m, ref)
	d, err := m.Divergence(e.ctx, ref, text, specquant.DivergenceOptions{Window: c.Ctx, MaxWindows: c.MaxWindows, Worst: c.Worst, Strict: c.Strict, Progress: e.tick("tokens")})
	if err != nil {
		return err
	}
	e.warnOverlap(d.Overlap)
	if c.JSON {
		return e.writeJSON(d)
	}
	fmt.Fprintf(e.out, "%s\n", d.Fingerprint)
	row := func(name string, v specquant.Estimate, scale float64, format string) {
		fmt.Fprintf(e.out, "%-34s %s\n", name, estimateText(v, scale, format))
	}
	row(fmt.Sprintf("perplexity, %s", ref.Bits()), d.PerplexityRef, 1, "%.4f")
	row(fmt.Sprintf("perplexity, %s", m.Bits()), d.Perplexity, 1, "%.4f")
	fmt.Fprintf(e.out, "%-34s %s\n", "change (paired)", estimateText(d.Change, 1, "%+.4f"))
	row("KL divergence, nats a token", d.KL, 1, "%.5f")
	row("KL divergence, backwards", d.KLBack, 1, "%.5f")
	row("top-1 agreement, %", d.Top1, 100, "%.2f")
	row("top-5 agreement, %", d.Top5, 100, "%.2f")
	var shares, values []string
	for _, p := range d.KLPercentiles {
		shares, values = append(shares, fmt.Sprintf("%g", 100*p.Share)), append(values, fmt.Sprintf("%.5f", p.KL))
	}
	fmt.Fprintf(e.out, "KL percentiles %s, most\n%-34s %s, %.5f\n", strings.Join(shares, ", "), "", strings.Join(values, ", "), d.KLMax)
	for i, w := range d.Worst {
		fmt.Fprintf(e.out, "\n%d. KL %.4f, window %d, token %d: −log p %.3f → %.3f; full precision expects %q, this model %q\n   …%q → %q\n",
			i+1, w.KL, w.Window, w.At, w.NLLRef, w.NLL, w.Reference, w.Model, w.Before, w.Token)
	}
	return nil
}
