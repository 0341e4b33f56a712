package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/specquant/specquant"
)

type compareCmd struct {
	Dir        string   `arg:"" help:"Folder of the checkpoint." placeholder:"DIR"`
	Recipes    []string `help:"Recipes: embedded names or .yaml files." default:"rtn,specquant"`
	Bits       []string `help:"Bit settings W-A-KV." default:"4-16-16,4-4-16,4-4-4"`
	Calib      []string `help:"Calibration text files, UTF-8. Default: the embedded text." placeholder:"FILE" sep:"none"`
	Text       string   `help:"Evaluation text file, UTF-8." required:"" placeholder:"FILE"`
	MaxWindows int      `help:"Evaluate on the first windows only. 0: all." default:"0"`
	Ctx        int      `help:"Tokens of a window. 0: the model's own context, at most 2048." default:"0"`
	Threads    int      `help:"Threads. 0: one for each CPU." default:"0"`
	JSON       bool     `name:"json" help:"Write JSON."`
	Markdown   bool     `help:"Write Markdown."`
}

func (c *compareCmd) Run(e *env) error {
	text, err := readText(c.Text)
	if err != nil {
		return err
	}
	t, err := specquant.CompareRecipes(e.ctx, c.Dir, specquant.CompareOptions{
		Recipes: c.Recipes, Bits: c.Bits, Calibration: c.Calib, Text: text, Window: c.Ctx, MaxWindows: c.MaxWindows, Threads: c.Threads,
		Cell: func(r specquant.Row) {
			fmt.Fprintf(e.err, "%s %s: perplexity %.4g\n", r.Recipe, r.Bits, r.Perplexity.Mean)
		}})
	if err != nil {
		return err
	}
	if c.JSON {
		enc := json.NewEncoder(e.out)
		enc.SetIndent("", "  ")
		return enc.Encode(t)
	}
	fmt.Fprintf(e.out, "%s on %s, gptq protocol: %d windows of %d tokens, %d predicted\n", c.Dir, c.Text, t.Windows, t.Window, t.Tokens)
	printTable(e.out, t, c.Markdown)
	return nil
}

// printTable writes a comparison, with the standard error of each estimate.
func printTable(w io.Writer, t *specquant.Table, markdown bool) {
	tw := newTable()
	tw.AppendHeader(table.Row{"recipe", "bits W-A-KV", "perplexity", "KL divergence", "top-1 agreement", "bits/weight", "size", "seconds"})
	for _, r := range t.Rows {
		kl, top1, seconds := "", "", ""
		if r.KL.Mean != 0 {
			kl = fmt.Sprintf("%.4f ± %.4f", r.KL.Mean, r.KL.StdErr)
			top1 = fmt.Sprintf("%.1f ± %.1f %%", 100*r.Top1.Mean, 100*r.Top1.StdErr)
			seconds = fmt.Sprintf("%.1f", r.Seconds)
		}
		tw.AppendRow(table.Row{r.Recipe, r.Bits, fmt.Sprintf("%.3f ± %.3f", r.Perplexity.Mean, r.Perplexity.StdErr), kl, top1,
			fmt.Sprintf("%.3f", r.BitsPerWeight), bytesText(r.Bytes), seconds})
	}
	if markdown {
		fmt.Fprintln(w, tw.RenderMarkdown())
	} else {
		fmt.Fprintln(w, tw.Render())
	}
}
