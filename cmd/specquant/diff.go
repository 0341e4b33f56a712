package main

import (
	"fmt"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/specquant/specquant"
	"github.com/specquant/specquant/internal/checkpoint"
)

type diffCmd struct {
	Dir        string `arg:"" help:"Folder of a quantized model." placeholder:"A"`
	Against    string `arg:"" help:"Folder of the model to compare with, usually the checkpoint it was made from." placeholder:"B"`
	Text       string `help:"Text file to run both on, UTF-8." required:"" placeholder:"FILE"`
	Ctx        int    `help:"Tokens of a window. 0: 512, at most the context." default:"0"`
	MaxWindows int    `help:"Windows; their activations are held in memory." default:"8"`
	JSON       bool   `name:"json" help:"Write JSON, with the whole fingerprint."`
	Threads    int    `help:"Threads; the result does not depend on them. 0: one for each CPU." default:"0"`
}

func (c *diffCmd) Run(e *env) error {
	text, err := e.readText(c.Text)
	if err != nil {
		return err
	}
	for _, dir := range []string{c.Dir, c.Against} {
		ck, err := checkpoint.Open(dir)
		if err != nil {
			return err
		}
		e.noteUnsummed(ck.Unsummed, dir)
		ck.Close()
	}
	o := specquant.DiffOptions{Window: c.Ctx, MaxWindows: c.MaxWindows, Threads: c.Threads}
	if e.isTerm {
		o.Block = func(b specquant.BlockError) { fmt.Fprintf(e.err, "\r\x1b[Kblock %d", b.Block) }
	}
	r, err := specquant.Diff(e.ctx, c.Dir, c.Against, text, o)
	if e.isTerm {
		fmt.Fprint(e.err, "\r\x1b[K")
	}
	if err != nil {
		return err
	}
	e.warnOverlap(r.Overlap)
	if c.JSON {
		return e.writeJSON(r)
	}
	tw := newTable()
	tw.AppendHeader(table.Row{"block", "relative error", "cosine", "SNR, dB", "own error", "own cosine", "own SNR, dB"})
	for _, b := range r.Blocks {
		tw.AppendRow(table.Row{b.Block, fmt.Sprintf("%.5f", b.Stream.Relative), fmt.Sprintf("%.6f", b.Stream.Cosine), decibels(b.Stream.SNR),
			fmt.Sprintf("%.5f", b.Own.Relative), fmt.Sprintf("%.6f", b.Own.Cosine), decibels(b.Own.SNR)})
	}
	fmt.Fprintln(e.out, tw.Render())
	fmt.Fprintf(e.out, "%s\nThe first three columns compare the residual stream after each block; \"own\" compares what the block adds when it\nreads the other model's stream.\n", r.Fingerprint)
	return nil
}

// decibels writes a signal-to-noise ratio. The value 999 stands for infinity (no noise), which
// JSON can't represent.
func decibels(snr float64) string {
	if snr >= 999 {
		return "∞"
	}
	return fmt.Sprintf("%.2f", snr)
}
