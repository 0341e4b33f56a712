package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/specquant/specquant"
	"github.com/specquant/specquant/internal/plural"
)

type compareCmd struct {
	Dir        string   `arg:"" help:"Folder of the checkpoint." placeholder:"DIR"`
	Recipes    []string `help:"Recipes: embedded names or .yaml files. Default: rtn,specquant,specquant-fast, but none beside --also; for an ablation: specquant." placeholder:"RECIPE"`
	Bits       []string `help:"Bit settings: W-A-KV such as 4-8-8, a size such as 92MB, for which the bits are chosen, or 'default' for the recipe's own. Default: 4-16-16,4-4-16,4-4-4; for an ablation: 4-4-16." placeholder:"BITS"`
	Also       []string `help:"Existing models to measure as well: quantized folders, GGUF files." placeholder:"MODEL" sep:"none"`
	Ablation   string   `help:"Variants of the recipes instead of the recipes: components, groups, importance or axis." enum:"components,groups,importance,axis," default:"" placeholder:"WHAT"`
	Calib      []string `help:"Calibration text files, UTF-8. Default: the embedded text." placeholder:"FILE" sep:"none"`
	Text       []string `help:"Evaluation text files, UTF-8. Each of several has its own column." required:"" placeholder:"FILE" sep:"none"`
	MaxWindows int      `help:"Evaluate on the first windows of each text only. 0: all." default:"0"`
	Ctx        int      `help:"Tokens of a window. 0: the model's own context, at most 2048." default:"0"`
	Work       string   `help:"Folder that keeps finished rows and unfinished quantizations, from which an interrupted run continues. Default: specquant/compare in the user's cache folder." placeholder:"DIR"`
	MaxMemory  size     `help:"Most memory that a quantization may take, such as 16GB. 0: no limit." default:"0" placeholder:"SIZE"`
	Strict     bool     `help:"${strict} Also of evaluation text that was used for calibration."`
	Threads    int      `help:"Threads. 0: one for each CPU." default:"0"`
	JSON       bool     `name:"json" help:"Write JSON."`
	Markdown   bool     `help:"Write Markdown."`
}

func (c *compareCmd) Run(e *env) error {
	texts := make([]specquant.EvaluationText, len(c.Text))
	for i, path := range c.Text {
		content, err := e.readText(path)
		if err != nil {
			return err
		}
		texts[i] = specquant.EvaluationText{Name: strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)), Content: content}
	}
	if c.Work == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return fmt.Errorf("no cache folder: %w; name one with --work", err)
		}
		c.Work = filepath.Join(cache, "specquant", "compare")
	}
	o := specquant.CompareOptions{Recipes: c.Recipes, Bits: c.Bits, Also: c.Also, Ablation: c.Ablation, Calibration: c.Calib, Texts: texts,
		Window: c.Ctx, MaxWindows: c.MaxWindows, Threads: c.Threads, MaxMemory: int64(c.MaxMemory), Work: c.Work, Strict: c.Strict,
		Cell: func(r specquant.Row) {
			reused := ""
			if r.Reused {
				reused = ", kept from an earlier run"
			}
			fmt.Fprintf(e.err, "%s%s %s: perplexity %.4g, KL divergence %.4g%s\n", e.clear(), r.Recipe, r.Bits, r.Perplexity.Mean, r.KL.Mean, reused)
		}}
	o.Note = func(s string) { fmt.Fprintf(e.err, "%snote: %s\n", e.clear(), s) }
	if e.isTerm {
		o.Measuring = func(tokens, of int) {
			fmt.Fprintf(e.err, "%smeasuring existing models: %d of %s", e.clear(), tokens, plural.Of(of, "token"))
		}
		o.Progress = func(recipe, bits string, v specquant.Event) {
			fmt.Fprintf(e.err, "%s%s %s: block %d of %d %s", e.clear(), recipe, bits, v.Block, v.Blocks, v.Stage)
		}
	}
	t, failed := specquant.CompareRecipes(e.ctx, c.Dir, o)
	if t == nil {
		if e.ctx.Err() != nil {
			fmt.Fprintf(e.err, "%sfinished rows and blocks are kept in %s; the same command continues from there\n", e.clear(), c.Work)
		}
		return failed
	}
	for _, w := range t.Warnings {
		fmt.Fprintln(e.err, "warning:", w)
	}
	for _, r := range t.Rows {
		for _, line := range specquant.FallbackLines(r.Fallbacks) {
			fmt.Fprintf(e.err, "fallback: %s %s: %s\n", r.Recipe, r.Bits, line)
		}
	}
	if c.JSON {
		enc := json.NewEncoder(e.out)
		enc.SetIndent("", "  ")
		return errors.Join(failed, enc.Encode(t))
	}
	fmt.Fprintf(e.out, "%s on %s, %s\n", c.Dir, strings.Join(c.Text, ", "), t.Protocol)
	if c.Markdown {
		fmt.Fprintln(e.out)
	}
	printTable(e.out, t, c.Markdown)
	return failed
}

// clear returns the control sequence that clears the terminal's line; "" if there is no
// terminal.
func (e *env) clear() string {
	if e.isTerm {
		return "\r\x1b[K"
	}
	return ""
}

// printTable writes a comparison, with the standard error of each estimate.
func printTable(w io.Writer, t *specquant.Table, markdown bool) {
	tw := newTable()
	tw.AppendHeader(tableHead(t))
	without := map[string]specquant.Row{} // rows without a branch
	for _, r := range t.Rows {
		row := tableRow(t, r)
		if t.Ablation == "groups" && r.Recipe != specquant.FullPrecision {
			base, k, _ := strings.Cut(r.Recipe, " components ")
			if k == "0" {
				without[base+r.Bits] = r
			}
			zero := without[base+r.Bits]
			row = append(row, fmt.Sprintf("%+.1f %%", 100*(r.BitsPerWeight/zero.BitsPerWeight-1)), fmt.Sprintf("%.3g ms", 1e3*r.Prefill),
				fmt.Sprintf("%+.1f %%", 100*(r.Prefill/zero.Prefill-1)))
		}
		tw.AppendRow(row)
	}
	if markdown {
		fmt.Fprintln(w, tw.RenderMarkdown())
	} else {
		fmt.Fprintln(w, tw.Render())
	}
}

// tableHead is the first line of a comparison.
func tableHead(t *specquant.Table) table.Row {
	head := table.Row{"recipe"}
	if t.Ablation == "components" {
		head = append(head, "quant", "smooth", "branch")
	}
	head = append(head, "bits W-A-KV", "perplexity", "KL divergence")
	if len(t.Texts) > 1 {
		for _, name := range t.Texts {
			head = append(head, "KL, "+name)
		}
	}
	head = append(head, "top-1 agreement", "bits/weight", "size")
	if len(t.Texts) > 1 {
		head = append(head, "unlike ÷ held out")
	}
	head = append(head, "seconds")
	if t.Ablation == "groups" {
		head = append(head, "size overhead", "prefill", "latency overhead")
	}
	return head
}

// tableRow is a line of a comparison, without what only the ablation of groups has.
func tableRow(t *specquant.Table, r specquant.Row) table.Row {
	kl, top1, ratio, seconds := "", "", "", ""
	if r.Recipe != specquant.FullPrecision {
		kl = estimateText(r.KL, 1, "%.5f")
		top1 = estimateText(r.Top1, 100, "%.1f") + " %"
	}
	if g := r.Generalization(); g > 0 {
		ratio = fmt.Sprintf("%.2f", g)
	}
	if r.Seconds > 0 {
		seconds = fmt.Sprintf("%.1f", r.Seconds)
	}
	row := table.Row{r.Recipe}
	if t.Ablation == "components" {
		row = append(row, tick(r.Recipe != specquant.FullPrecision), tick(strings.Contains(r.Recipe, "+ smoothing")), tick(strings.Contains(r.Recipe, "+ branch")))
	}
	row = append(row, r.Bits, estimateText(r.Perplexity, 1, "%.3f"), kl)
	for _, m := range r.ByText {
		cell := ""
		if r.Recipe != specquant.FullPrecision {
			cell = estimateText(m.KL, 1, "%.5f")
		}
		row = append(row, cell)
	}
	row = append(row, top1, fmt.Sprintf("%.3f", r.BitsPerWeight), bytesText(r.TotalBytes))
	if len(t.Texts) > 1 {
		row = append(row, ratio)
	}
	return append(row, seconds)
}

func tick(is bool) string {
	if is {
		return "✓"
	}
	return ""
}
