package main

import (
	"bufio"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/specquant/specquant"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/compare"
	"github.com/specquant/specquant/internal/eval"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/plural"
	"github.com/specquant/specquant/internal/report"
)

type reportCmd struct {
	Dir        string   `arg:"" help:"Folder of a quantized model or of a checkpoint." placeholder:"OUT|DIR"`
	Out        string   `help:"HTML file to write." short:"o" required:"" placeholder:"FILE.html"`
	Against    string   `help:"The checkpoint that the model was made from: adds spectral energy, surfaces and, with --text, measured quality." placeholder:"DIR"`
	Text       string   `help:"Evaluation text file, UTF-8." placeholder:"FILE"`
	Measured   string   `help:"A table that compare has written with --json and that has this model (--also OUT): adds a picture of quality against size." placeholder:"FILE.json"`
	MaxWindows int      `help:"Evaluate on the first windows only. 0: all." default:"0"`
	Calib      []string `help:"Text files for the pictures. Default: the embedded text." placeholder:"FILE" sep:"none"`
	Threads    int      `help:"Threads. 0: one for each CPU." default:"0"`
}

func (c *reportCmd) Run(e *env) error {
	pool := parallel.NewPool(c.Threads)
	defer pool.Close()
	s, err := report.Open(c.Dir, pool)
	if err != nil {
		return err
	}
	defer s.Checkpoint.Close()
	if err := e.verify(s.Checkpoint); err != nil {
		return err
	}
	if err := c.check(s.Quantization != nil); err != nil {
		return err
	}
	full := c.Against
	if s.Quantization == nil {
		full = c.Dir
	}
	p := &report.Page{Subject: s, Tool: "specquant " + specquant.Version, Against: c.Against}
	if c.Measured != "" {
		if p.Table, err = compare.Read(c.Measured); err != nil {
			return err
		}
	}
	if full != "" {
		o := report.LookOptions{Pool: pool, Calibration: c.Calib, Pictures: true}
		if s.Quantization != nil {
			o.Of = s
		}
		if p.Look, err = lookAt(e, full, o); err != nil {
			return err
		}
	}
	if c.Text != "" {
		text, err := e.readText(c.Text)
		if err != nil {
			return err
		}
		p.Quality, err = report.Measure(e.ctx, c.Dir, c.Against, filepath.Base(c.Text), text, c.MaxWindows, pool, e.tokensDone)
		if err != nil {
			return err
		}
		if p.Overlaps, err = eval.Overlaps(c.Dir, text); err != nil {
			return err
		}
	}
	if err := writePage(c.Out, p); err != nil {
		return err
	}
	fmt.Fprintln(e.out, c.Out)
	return nil
}

// check returns an error for flags that do not fit the model.
func (c *reportCmd) check(quantized bool) error {
	switch {
	case !quantized && c.Against != "":
		return fmt.Errorf("--against %s: %s is in full precision itself; leave it out", c.Against, c.Dir)
	case c.Text != "" && c.Against == "":
		return errors.New("--text measures a quantized model and its checkpoint; give the checkpoint with --against DIR")
	case quantized && c.Against == "" && len(c.Calib) > 0:
		return errors.New("--calib is the text for the pictures, which need the checkpoint in full precision; give that with --against DIR, or leave --calib out")
	case !quantized && c.Measured != "":
		return fmt.Errorf("--measured is about a quantized model; %s is in full precision", c.Dir)
	}
	return nil
}

// tokensDone shows how far a measurement is, on a terminal.
func (e *env) tokensDone(done, all int) {
	if !e.isTerm {
		return
	}
	fmt.Fprintf(e.err, "\r%d of %s", done, plural.Of(all, "token"))
	if done == all {
		fmt.Fprint(e.err, "\r\x1b[K")
	}
}

// writePage writes a report to a file that appears only when it is complete.
func writePage(path string, p *report.Page) error {
	f, err := checkpoint.CreateAtomic(path, 0)
	if err != nil {
		return err
	}
	defer f.Abort()
	w := bufio.NewWriter(f)
	if err := p.Write(w); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Commit()
}
