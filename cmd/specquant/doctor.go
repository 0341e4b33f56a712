package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/eval"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/plural"
	"github.com/specquant/specquant/internal/report"
)

type doctorCmd struct {
	Dir     string   `arg:"" help:"Folder of a quantized model." placeholder:"OUT"`
	Against string   `help:"The checkpoint it was made from: a short run of it measures what the job did not." placeholder:"DIR"`
	Calib   []string `help:"Text files for that run. Default: the embedded text." placeholder:"FILE" sep:"none"`
	Text    string   `help:"Your evaluation text, to check whether the model was calibrated on it." placeholder:"FILE"`
	Threads int      `help:"Threads. 0: one for each CPU." default:"0"`
	JSON    bool     `name:"json" help:"Write JSON."`
}

// diagnosis is the JSON output of doctor.
type diagnosis struct {
	Model         string           `json:"model"`
	Recipe        string           `json:"recipe"`
	Bits          string           `json:"bits"`
	BitsPerWeight float64          `json:"bits_per_weight"`
	Basis         string           `json:"basis"`        // what was examined
	Healthy       bool             `json:"healthy"`      // no finding is bad
	ErrorsKnown   bool             `json:"errors_known"` // the layers' output errors are known; otherwise run doctor with --against
	Findings      []report.Finding `json:"findings"`
}

// Validate returns an error for a flag that would have no effect.
func (c *doctorCmd) Validate() error {
	if len(c.Calib) > 0 && c.Against == "" {
		return errors.New("--calib: the text is for a run of the checkpoint; give that with --against DIR")
	}
	return nil
}

func (c *doctorCmd) Run(e *env) error {
	pool := parallel.NewPool(c.Threads)
	defer pool.Close()
	s, err := report.Open(c.Dir, pool)
	if err != nil {
		return err
	}
	defer s.Checkpoint.Close()
	if s.Quantization == nil {
		return fmt.Errorf("%s: is a checkpoint in full precision, expected a quantized model; for checkpoints use specquant inspect or report", c.Dir)
	}
	if err := e.verify(s.Checkpoint); err != nil {
		return err
	}
	var look *report.Look
	if c.Against != "" {
		if look, err = lookAt(e, c.Against, report.LookOptions{Pool: pool, Calibration: c.Calib, Of: s}); err != nil {
			return err
		}
	}
	var overlaps []eval.Overlap
	if c.Text != "" {
		text, err := e.readText(c.Text)
		if err != nil {
			return err
		}
		if overlaps, err = eval.Overlaps(c.Dir, text); err != nil {
			return err
		}
	}
	found := report.Diagnose(s, look, overlaps)
	if c.JSON {
		d := diagnosis{s.Dir, s.Manifest.Recipe.Name, s.Quantization.Bits.String(), s.Manifest.BitsPerWeight, basisOf(look), report.Healthy(found), errorsKnown(s), found}
		if d.Findings == nil {
			d.Findings = []report.Finding{}
		}
		return e.writeJSON(d)
	}
	printFindings(e, s, look, found)
	return nil
}

// lookAt runs a checkpoint on a short text.
func lookAt(e *env, dir string, o report.LookOptions) (*report.Look, error) {
	ck, err := checkpoint.OpenFolder(dir)
	if err != nil {
		return nil, err
	}
	defer ck.Close()
	if e.isTerm {
		o.Progress = func(block, blocks int) {
			fmt.Fprintf(e.err, "\rexamining block %d of %d", block, blocks)
			if block == blocks {
				fmt.Fprint(e.err, "\r\x1b[K")
			}
		}
	}
	return report.LookAt(e.ctx, ck, o)
}

// basisOf describes what a diagnosis is based on.
func basisOf(look *report.Look) string {
	basis := "the job's own report"
	if look != nil {
		basis += fmt.Sprintf(" and %s of %s of %s", plural.Of(look.Windows, "window"), plural.Of(look.Tokens, "token"), look.Source)
	}
	return basis
}

// errorsKnown reports whether the output error of any layer is known.
func errorsKnown(s *report.Subject) bool {
	return slices.ContainsFunc(s.Layers, func(l report.Layer) bool {
		_, ok := l.OutputError()
		return ok
	})
}

func printFindings(e *env, s *report.Subject, look *report.Look, found []report.Finding) {
	fmt.Fprintf(e.out, "%s: recipe %s at %s, %.3f bits a weight; by %s\n\n", s.Dir, s.Manifest.Recipe.Name, s.Quantization.Bits, s.Manifest.BitsPerWeight, basisOf(look))
	if report.Healthy(found) {
		fmt.Fprintln(e.out, "healthy: nothing was found that explains bad output")
		if !errorsKnown(s) {
			fmt.Fprintln(e.out, "but the recipe needed no calibration, so the errors of its layers are not known; run doctor again with --against DIR")
		}
	}
	if len(found) == 0 {
		return
	}
	t := newTable()
	t.AppendHeader(table.Row{"#", "", "where", "channels", "cause", "what was seen"})
	t.SetColumnConfigs([]table.ColumnConfig{{Number: 3, WidthMax: 24, WidthMaxEnforcer: text.WrapSoft}, {Number: 4, WidthMax: 20, WidthMaxEnforcer: text.WrapSoft},
		{Number: 5, WidthMax: 22, WidthMaxEnforcer: text.WrapSoft}, {Number: 6, WidthMax: 48, WidthMaxEnforcer: text.WrapSoft}})
	t.Style().Options.SeparateRows = true
	var remedies []string // printed below the table as lines to copy
	rows := map[string][]string{}
	for i, f := range report.Fold(found, 4) {
		kind := "note"
		if f.Bad {
			kind = "bad"
		}
		t.AppendRow(table.Row{i + 1, kind, f.Where, f.Channel, f.Cause, f.Detail})
		if remedy := strings.Join(f.Remedy, "\n   or "); remedy != "" {
			if rows[remedy] == nil {
				remedies = append(remedies, remedy)
			}
			rows[remedy] = append(rows[remedy], fmt.Sprint(i+1))
		}
	}
	fmt.Fprintln(e.out, t.Render())
	if len(remedies) > 0 {
		fmt.Fprintln(e.out, "\nRemedies, as flags of quantize or sections of its recipe:")
	}
	for _, r := range remedies {
		fmt.Fprintf(e.out, "%s:\n      %s\n", strings.Join(rows[r], ", "), r)
	}
}
