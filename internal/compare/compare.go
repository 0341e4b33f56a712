// Package compare makes tables of recipes at bit settings: each cell quantizes a
// checkpoint and measures the result against full precision, on the same texts by
// the same protocol. Existing models, such as GGUF files of another program, can be measured in
// the same table. Finished cells are kept in a folder and reused.
package compare

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/input"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/pipeline"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
)

// Options describe a table of recipes at bit settings, all measured on
// the same texts by one protocol.
type Options struct {
	Recipes     []string // none: rtn, the paper's and the default one, but none beside Also; for an ablation: the paper's
	Bits        []string // settings as [parseSetting] reads them; none: 4-16-16, 4-4-16, 4-4-4, the paper's settings; for an ablation: 4-4-16, as in its tables 3 and 4
	Also        []string // models measured as they are, beside those that are made: quantized folders, GGUF files
	Ablation    string   // "", or one of [Ablations]: the rows are then variants of the recipes
	Calibration []string // text files; none: the embedded text
	Texts       []Text   // evaluation texts
	Window      int      // tokens of a window; 0: 2048, at most the model's context
	MaxWindows  int      // of each text; 0: all
	Version     string   // of the program, for manifests and the names of cells
	Threads     int
	MaxMemory   int64 // bytes, of a quantization; 0: no limit
	Strict      bool  // make errors of an evaluation text that was calibrated on, and of a [artefact.Fallback]

	// Work is a folder that keeps finished cells and unfinished quantizations, so that an
	// interrupted comparison can continue; it is created if it is missing. "": a temporary
	// folder, removed at the end.
	Work string
	// Builds names other builds of the program, as [BuildOf] does, whose finished cells are
	// reused if this build has none: for results that take hours and that the changes since
	// are known not to affect.
	Builds []string
	// Kept leaves out cells that are not finished yet instead of making them.
	Kept bool

	// Cell is called with every finished row; it may be nil.
	Cell func(Row)
	// Note is called with warnings, such as that kept files are damaged and made again. It
	// may be nil.
	Note func(string)
	// Progress is called with the progress of each quantization; it may be nil.
	Progress func(recipe, bits string, e pipeline.Event)
	// Measuring is called while the models of Also are measured, with the number of tokens
	// done and their total. It may be nil.
	Measuring func(tokens, of int)
}

// Text is an evaluation text with the name that tables give it.
type Text struct{ Name, Content string }

// Run quantizes the checkpoint in dir by every recipe at every bit
// setting and measures each against full precision. Cells that the work folder
// holds are not computed again, and a comparison that was interrupted, even
// inside a quantization, continues where it stopped. If a row can't be made, the table lacks it
// and comes with a [FailedError]; the others are still made.
func Run(ctx context.Context, dir string, o Options) (*Table, error) {
	c := &comparison{Options: o, dir: dir}
	if err := c.begin(ctx); err != nil {
		return nil, err
	}
	defer c.close()
	recipes, err := c.recipes()
	if err != nil {
		return nil, err
	}
	if err := c.add(ctx, cell{}); err != nil {
		return nil, err
	}
	if err := c.addModels(ctx); err != nil {
		return nil, err
	}
	for _, s := range c.settings {
		for _, r := range recipes {
			x, err := s.cell(r)
			if err == nil {
				err = c.add(ctx, x)
			}
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			if err != nil {
				c.fail(r.Name, s.text, err)
			}
		}
	}
	if len(c.table.Failed) > 0 {
		return &c.table, &FailedError{c.table.Failed}
	}
	return &c.table, nil
}

// fail records that a row could not be made, and calls Note.
func (c *comparison) fail(recipe, bits string, err error) {
	f := Failure{recipe, bits, err}
	c.table.Failed = append(c.table.Failed, f)
	c.note("%s; the other rows go on", f)
}

// comparison is the state of [Run].
type comparison struct {
	Options
	dir       string
	settings  []setting
	temporary bool // Work is removed at the end
	pool      *parallel.Pool
	ref       *reference
	inputs    []checkpoint.FileHash // the checkpoint's files
	sources   []checkpoint.FileHash // calibration texts
	build     string
	table     Table
}

// cell is a row to be made: a recipe at a bit setting, or an existing model. If recipe and also
// are empty, it is the full-precision model.
type cell struct {
	recipe *recipe.Recipe
	size   int64                 // largest size of the artefact in bytes, which decides the bits; 0: as the recipe says
	also   string                // path of an existing model
	files  []checkpoint.FileHash // its files
}

// add appends the row of a cell, and makes the cell unless it is finished.
func (c *comparison) add(ctx context.Context, x cell) error {
	row, err := c.find(x)
	key, out := c.key(x, c.build)
	switch {
	case err != nil:
		return err
	case row.Reused:
		if c.Strict && len(row.Fallbacks) > 0 {
			return &pipeline.StrictError{Fallbacks: row.Fallbacks}
		}
	case c.Kept:
		return nil
	}
	if !row.Reused {
		// Only one process at a time makes cells in a folder, because two that make the
		// same cell would write the same files. A cell that another process has made
		// meanwhile is reused.
		unlock, err := lockFolder(ctx, c.Work)
		if err != nil {
			return err
		}
		defer unlock()
		if row, err = c.find(x); err != nil {
			return err
		}
	}
	switch {
	case row.Reused:
	case x.recipe == nil:
		if row, err = c.ref.row(ctx); err != nil {
			return err
		}
	default:
		if row, err = c.make(ctx, x, out); err != nil {
			return err
		}
	}
	if r := x.recipe; r != nil {
		row.Recipe = r.Name
	} else {
		row.Recipe, row.Bits = FullPrecision, quant.Full.String()
	}
	if err := c.keep(&row, key); err != nil {
		return err
	}
	if !row.Reused {
		// The artefact is removed only after the row is written, so that a run that is
		// killed before need not make it again.
		for _, left := range []string{out, out + secondsSuffix} {
			if err := os.RemoveAll(left); err != nil {
				return err
			}
		}
	}
	c.append(row)
	return nil
}

// append adds a row to the table.
func (c *comparison) append(row Row) {
	c.table.Rows = append(c.table.Rows, row)
	if c.Cell != nil {
		c.Cell(row)
	}
}

// note calls Note with a warning.
func (c *comparison) note(format string, a ...any) {
	if c.Note != nil {
		c.Note(fmt.Sprintf(format, a...))
	}
}

// secondsSuffix is the suffix of the file that stores how long earlier runs of an unfinished
// cell took.
const secondsSuffix = ".seconds"

// make quantizes to the folder out, unless an earlier run has, and measures the result.
func (c *comparison) make(ctx context.Context, x cell, out string) (Row, error) {
	spent := c.spentEarlier(out)
	if err := c.checkKept(out); err != nil {
		return Row{}, err
	}
	report, err := artefact.ReadManifest(out)
	if errors.Is(err, fs.ErrNotExist) {
		report, err = c.quantize(ctx, x, out, &spent)
	}
	if err != nil {
		return Row{}, err
	}
	if c.Strict && len(report.Fallbacks) > 0 { // quantized by an earlier run
		return Row{}, &pipeline.StrictError{Fallbacks: report.Fallbacks}
	}
	rows, err := c.ref.measure(ctx, []string{out}, nil)
	if err != nil {
		return Row{}, err
	}
	row := rows[0]
	row.Seconds, row.Fallbacks = spent, report.Fallbacks
	if c.Ablation == "groups" {
		row.Prefill, err = c.ref.prefill(ctx, out)
	}
	return row, err
}

// spentEarlier returns how many seconds earlier runs spent on an unfinished cell.
func (c *comparison) spentEarlier(out string) float64 {
	data, err := input.ReadFile(out+secondsSuffix, input.MaxSmall)
	if err != nil {
		return 0
	}
	var s secondsOf
	if err = checkpoint.CheckSeal(data); err == nil {
		err = input.JSON(data, &s)
	}
	if err != nil {
		c.note("%s %v; the seconds of earlier runs are left out of the cell's", out+secondsSuffix, err)
	}
	return s.Seconds
}

// quantize runs a cell's job. It adds the seconds to spent, and stores the sum after each block.
func (c *comparison) quantize(ctx context.Context, x cell, out string, spent *float64) (*artefact.Manifest, error) {
	r := x.recipe
	start, earlier := time.Now(), *spent
	remember := func() error {
		*spent = earlier + time.Since(start).Seconds()
		data, err := json.Marshal(secondsOf{*spent})
		if err == nil {
			data, err = checkpoint.Seal(data)
		}
		if err != nil {
			return err
		}
		return checkpoint.WriteFileAtomic(out+secondsSuffix, data)
	}
	job := pipeline.Options{Dir: c.dir, Out: out, Recipe: r, Size: x.size, Pool: c.pool, MaxMemory: c.MaxMemory, Strict: c.Strict, Tool: "specquant " + c.Version,
		Progress: func(e pipeline.Event) {
			if e.Note != "" {
				c.note("%s", e.Note)
			}
			if c.Progress != nil {
				c.Progress(r.Name, r.Bits.String(), e)
			}
			if e.Layers != nil && !e.Resumed {
				_ = remember() // the time is informative only, so an error does not fail the job
			}
		}}
	if r.NeedsCalibration() { // a recipe that does not is timed without
		job.Calibration = c.Calibration
	}
	report, err := pipeline.Run(ctx, job)
	if err != nil {
		return nil, err
	}
	return report, remember()
}
