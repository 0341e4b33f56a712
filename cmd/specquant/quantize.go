package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/specquant/specquant"
	"github.com/specquant/specquant/internal/pipeline"
	"github.com/specquant/specquant/internal/plural"
)

type quantizeCmd struct {
	jobFlags
	Out     newFolder `help:"Folder to write; must not exist." short:"o" required:"" placeholder:"OUT"`
	Restart bool      `help:"Delete the unfinished work of an earlier run instead of resuming it."`
	KeepBad bool      `help:"Accept a result that fails the comparison with full precision."`
	Verbose bool      `short:"v" xor:"loud" help:"Print a line for each layer at the end, instead of one for each kind of layer."`
	Quiet   bool      `short:"q" xor:"loud" help:"Print errors and warnings only."`
	Profile bool      `help:"Print where time and floating-point operations went, and write that to OUT/profile.json."`
	JSON    bool      `name:"json" xor:"loud" help:"Write the result as JSON."`
}

// newFolder is the name of a folder to write. It must not be empty, because that would mean the
// current folder.
type newFolder string

func (f *newFolder) UnmarshalText(text []byte) error {
	if *f = newFolder(text); strings.TrimSpace(string(*f)) == "" {
		return errors.New("found an empty name, expected that of a folder to write")
	}
	return nil
}

func (c *quantizeCmd) Run(e *env) error {
	out := filepath.Clean(string(c.Out))
	if err := pipeline.CheckTarget(out); err != nil {
		return err
	}
	if err := e.readPipes(c.Calib); err != nil {
		return err
	}
	imported, err := c.fromGGUF(e, out)
	if err != nil {
		return err
	}
	o := c.options()
	o.Restart, o.KeepBad, o.Profile = c.Restart, c.KeepBad, c.Profile
	plan, err := specquant.PlanQuantize(c.Dir, o)
	if err != nil {
		return err
	}
	if err := pipeline.CheckSpace(out, &pipeline.Plan{Disk: plan.Disk, Artefact: plan.Artefact, Spill: plan.Spill}); err != nil {
		return err
	}
	printWarnings(e, plan.Warnings)
	// The planned memory is kept only if garbage is collected in time.
	defer plan.Limit()()
	if !c.Quiet {
		fmt.Fprintf(e.err, "%s → %s: %s at %s, %s of memory, takes %s%s\n", c.Dir, out, plan.Recipe, plan.Bits, bytesText(plan.Peak), spanText(plan.Least, plan.Most), busyText(plan))
	}
	p := newProgress(e, plan.Blocks, c.Quiet)
	finished := 0
	o.Progress = func(v specquant.Event) {
		finished = v.Block
		p.event(v)
	}
	r, err := specquant.Quantize(e.ctx, c.Dir, out, o)
	p.done()
	if err != nil {
		if finished > 0 && resumable(e, err) {
			fmt.Fprintf(e.err, "%d of %s finished and kept in %s; the same command continues from there\n", finished, plural.Of(plan.Blocks, "block"), out+pipeline.PartialSuffix)
		}
		return err
	}
	if imported != "" {
		if err := os.RemoveAll(imported); err != nil {
			return err
		}
	}
	if c.JSON {
		return e.writeJSON(r)
	}
	c.printReport(e, r, out)
	if r.Profile != nil {
		printProfile(e.out, r.Profile)
	}
	return nil
}

// resumable reports whether a job that was stopped by err can succeed if the same command is
// repeated: it was interrupted, or the machine failed. All other errors (a damaged checkpoint,
// a rejected result) would come again.
func resumable(e *env, err error) bool {
	var path *fs.PathError
	var link *os.LinkError
	var no syscall.Errno
	return e.ctx.Err() != nil || errors.As(err, &path) || errors.As(err, &link) || errors.As(err, &no)
}

func (c *quantizeCmd) printReport(e *env, r *specquant.Report, out string) {
	tooClose := ""
	if k := r.Check; k != nil && k.Overfitted() {
		tooClose = fmt.Sprintf("warning: the divergence on held-out text is %.1f times that on the text the weights were fitted to, on %s of each, so they may be overfitted; specquant compare tells by more text; give more or other text to fit to (--calib), or use a recipe that fits less\n", k.Ratio(), plural.Of(k.Tokens, "token"))
	}
	if c.Quiet {
		fmt.Fprint(e.err, tooClose)
		return
	}
	if c.Verbose {
		printLayers(e.out, r.Layers)
	} else {
		printSummary(e.out, r.Layers)
		fmt.Fprintf(e.out, "every layer: specquant inspect %s, or as a page: specquant report %s -o report.html\n", out, out)
	}
	fmt.Fprintf(e.out, "\n%s: %.3f bits a weight (scales and branch counted)", out, r.BitsPerWeight)
	if k := r.Check; k != nil {
		fmt.Fprintf(e.out, "; reopened and compared on %d %s tokens: perplexity %.4g, full precision %.4g, KL divergence %.3g ± %.1g, top-1 agreement %.1f %%",
			k.Tokens, tokensOf(k), k.Perplexity, k.PerplexityRef, k.KL, k.KLErr, 100*k.Top1)
		if ratio := k.Ratio(); ratio > 0 {
			fmt.Fprintf(e.out, "; KL on the text it was fitted to %.3g ± %.1g, generalization ratio %.2f", k.KLFitted, k.KLFittedErr, ratio)
		}
	}
	fmt.Fprintln(e.out)
	fmt.Fprint(e.out, tooClose)
	printFallbacks(e.out, r.Fallbacks)
}

// printWarnings prints warnings that come before the work.
func printWarnings(e *env, warnings []string) {
	for _, w := range warnings {
		fmt.Fprintln(e.err, "warning:", w)
	}
}

// tokensOf names the kind of tokens that a comparison used.
func tokensOf(k *specquant.Check) string {
	if k.HeldOut {
		return "held-out"
	}
	return "calibration"
}

// printFallbacks lists where a job deviated from its recipe.
func printFallbacks(w io.Writer, all []specquant.Fallback) {
	for i, line := range specquant.FallbackLines(all) {
		if i == 0 {
			fmt.Fprintln(w, "fallbacks:")
		}
		fmt.Fprintf(w, "  %s\n", line)
	}
}
