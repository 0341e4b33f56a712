package main

import (
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"github.com/specquant/specquant"
)

type quantizeCmd struct {
	jobFlags
	Out     string `help:"Folder to write; must not exist." short:"o" required:"" placeholder:"OUT"`
	Restart bool   `help:"Throw away the unfinished work of an earlier run instead of taking it up."`
	KeepBad bool   `help:"Accept a result that fails the comparison with full precision."`
}

func (c *quantizeCmd) Run(e *env) error {
	o := c.options()
	o.Restart, o.KeepBad = c.Restart, c.KeepBad
	plan, err := specquant.PlanQuantize(c.Dir, o)
	if err != nil {
		return err
	}
	// The plan's figure holds only if garbage does not pile up beside what is
	// planned.
	debug.SetGCPercent(10)
	fmt.Fprintf(e.err, "%s → %s: %s at %s, %s of memory, about %s\n", c.Dir, c.Out, plan.Recipe, plan.Bits, bytesText(plan.Peak), durationText(plan.Duration))
	p := newProgress(e, plan.Blocks)
	o.Progress = p.event
	r, err := specquant.Quantize(e.ctx, c.Dir, c.Out, o)
	p.done()
	if err != nil {
		if _, statErr := os.Stat(c.Out + ".partial"); statErr == nil {
			fmt.Fprintf(e.err, "finished blocks are kept in %s.partial; the same command takes them up\n", c.Out)
		}
		return err
	}
	printReport(e, r, c.Out)
	return nil
}

func printReport(e *env, r *specquant.Report, out string) {
	printLayers(e.out, r.Layers)
	fmt.Fprintf(e.out, "\n%s: %.3f bits a weight (scales and branch counted)", out, r.BitsPerWeight)
	if k := r.Check; k != nil {
		fmt.Fprintf(e.out, "; reopened and compared on %d calibration tokens: perplexity %.4g, full precision %.4g, KL divergence %.3g, top-1 agreement %.1f %%",
			k.Tokens, k.Perplexity, k.PerplexityRef, k.KL, 100*k.Top1)
	}
	fmt.Fprintln(e.out)
	printFallbacks(e.out, r.Fallbacks)
}

// printFallbacks lists where a job did not do what its recipe says.
func printFallbacks(w io.Writer, all []specquant.Fallback) {
	for i, line := range specquant.FallbackLines(all) {
		if i == 0 {
			fmt.Fprintln(w, "fallbacks:")
		}
		fmt.Fprintf(w, "  %s\n", line)
	}
}
