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
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/calibration"
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

func (c *comparison) begin(ctx context.Context) error {
	if err := c.setDefaults(); err != nil {
		return err
	}
	if len(c.Texts) == 0 {
		return errors.New("no evaluation text is given")
	}
	if err := c.hashTexts(ctx); err != nil {
		return err
	}
	var err error
	if c.build, err = BuildOf(c.Version, ""); err != nil {
		return err
	}
	if c.Work == "" {
		c.temporary = true
		if c.Work, err = os.MkdirTemp("", "specquant-compare-"); err != nil {
			return err
		}
	} else if err := os.MkdirAll(c.Work, 0o755); err != nil {
		return err
	}
	c.pool = parallel.NewPool(c.Threads)
	if err := c.openReference(); err != nil {
		c.close()
		return err
	}
	t := &c.table
	t.Ablation, t.Windows, t.ModelHash = c.Ablation, len(c.ref.windows), hashJSON(c.inputs)
	for _, w := range c.ref.windows {
		t.Window, t.Tokens = max(t.Window, len(w)), t.Tokens+len(w)-1
	}
	t.Protocol = fmt.Sprintf("gptq protocol: %d windows of %d tokens, %d predicted in each row; sha256 of text %s, model %s, calibration %s; specquant %s; ± standard error",
		t.Windows, t.Window, t.Tokens, t.TextHash[:12], t.ModelHash[:12], shortHashes(t.Calibration), c.Version)
	return nil
}

// setDefaults fills in recipes and bits that are not given, and parses the bits.
func (c *comparison) setDefaults() error {
	switch {
	case len(c.Recipes) > 0:
	case c.Ablation != "":
		c.Recipes = []string{recipe.Paper}
	case len(c.Also) == 0:
		c.Recipes = []string{"rtn", recipe.Paper, recipe.Default}
	}
	if len(c.Bits) == 0 {
		c.Bits = []string{"4-16-16", "4-4-16", "4-4-4"}
		if c.Ablation != "" {
			c.Bits = []string{"4-4-16"}
		}
	}
	for _, b := range c.Bits {
		s, err := parseSetting(b)
		if err != nil {
			return err
		}
		c.settings = append(c.settings, s)
	}
	return nil
}

// hashTexts records the names and hashes of the evaluation and calibration texts in the
// table, and warns of an evaluation text that is a calibration text.
func (c *comparison) hashTexts(ctx context.Context) error {
	t := &c.table
	hashes := make([]string, len(c.Texts))
	for i, text := range c.Texts {
		hashes[i] = hashText(text.Content)
		t.Texts = append(t.Texts, text.Name)
	}
	t.TextHash = hashes[0]
	if len(hashes) > 1 {
		t.TextHash = hashJSON(hashes)
	}
	texts, err := calibration.ReadFiles(ctx, c.Calibration)
	if err != nil {
		return err
	}
	for _, text := range texts {
		c.sources = append(c.sources, text.Source)
		t.Calibration = append(t.Calibration, text.Source.SHA256)
		if slices.Contains(hashes, text.Source.SHA256) {
			t.Warnings = append(t.Warnings, fmt.Sprintf("the evaluation text is the calibration text %s; rows of recipes that calibrate look better than they are", text.Source.Name))
		}
	}
	if c.Strict && len(t.Warnings) > 0 {
		return errors.New(t.Warnings[0])
	}
	return nil
}

// openReference opens the full-precision model, checks its weights and hashes its files.
func (c *comparison) openReference() (err error) {
	if c.ref, err = newReference(c.dir, c.pool, c.Texts, c.Window, c.MaxWindows); err != nil {
		return err
	}
	ck := c.ref.model.Checkpoint
	if _, err := ck.Scan(); err != nil {
		return err
	}
	c.ref.files = append([]string{filepath.Join(c.dir, "config.json")}, ck.Files()...)
	for _, f := range c.ref.tok.Files() {
		c.ref.files = append(c.ref.files, filepath.Join(c.dir, f))
	}
	c.inputs, err = checkpoint.HashFiles(c.ref.files...)
	return err
}

func shortHashes(hashes []string) string {
	var out []string
	for _, h := range hashes {
		out = append(out, h[:12])
	}
	return strings.Join(out, "+")
}

func (c *comparison) close() {
	c.ref.close()
	if c.pool != nil {
		c.pool.Close()
	}
	if c.temporary {
		os.RemoveAll(c.Work)
	}
}

// recipes returns the recipes of the rows, in their order.
func (c *comparison) recipes() ([]*recipe.Recipe, error) {
	var out []*recipe.Recipe
	for _, name := range c.Recipes {
		r, err := recipe.Load(name)
		if err != nil {
			return nil, err
		}
		if strings.HasSuffix(name, ".yaml") || strings.HasSuffix(name, ".yml") {
			r.Name = name // two recipe files may have the same name inside
		}
		if c.Ablation == "" {
			out = append(out, r)
			continue
		}
		variants, err := variants(r, c.Ablation, &c.ref.model.Checkpoint.Config)
		if err != nil {
			return nil, err
		}
		out = append(out, variants...)
	}
	return out, nil
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

// keep writes a finished row to the work folder.
func (c *comparison) keep(row *Row, key string) error {
	if row.Reused {
		return nil
	}
	data, err := json.MarshalIndent(row, "", "  ")
	if err != nil {
		return err
	}
	if data, err = checkpoint.Seal(append(data, '\n')); err != nil {
		return err
	}
	if err := checkpoint.WriteFileAtomic(filepath.Join(c.Work, key+".json"), data); err != nil {
		return err
	}
	row.Made, row.Build = time.Now(), c.build
	return nil
}

// append adds a row to the table.
func (c *comparison) append(row Row) {
	c.table.Rows = append(c.table.Rows, row)
	if c.Cell != nil {
		c.Cell(row)
	}
}

// addModels appends the rows of the existing models. Those that are not finished are measured
// together, so that the full-precision model runs once for all of them.
func (c *comparison) addModels(ctx context.Context) error {
	rows := make([]Row, len(c.Also))
	keys := make([]string, len(c.Also))
	var paths []string
	var at []int
	errs := make([]error, len(c.Also))
	for i, path := range c.Also {
		files, err := modelFiles(path)
		if err != nil {
			errs[i] = err
			continue
		}
		x := cell{also: path, files: files}
		if rows[i], err = c.find(x); err != nil {
			return err
		}
		if keys[i], _ = c.key(x, c.build); !rows[i].Reused {
			paths, at = append(paths, path), append(at, i)
		}
	}
	if len(paths) > 0 && !c.Kept {
		measured, failed := c.measure(ctx, paths)
		for k, i := range at {
			rows[i], errs[i] = measured[k], failed[k]
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for i, row := range rows {
		if errs[i] != nil {
			c.fail(c.Also[i], AsItIs, errs[i])
			continue
		}
		if !row.Reused && c.Kept {
			continue
		}
		row.Recipe = c.Also[i]
		if err := c.keep(&row, keys[i]); err != nil {
			return err
		}
		c.append(row)
	}
	return nil
}

// measure compares models with full precision in one pass over the texts. If that fails, it
// measures them one by one, so that only the rows of bad models are missing.
func (c *comparison) measure(ctx context.Context, paths []string) ([]Row, []error) {
	rows, errs := make([]Row, len(paths)), make([]error, len(paths))
	var progress func(int)
	if c.Measuring != nil {
		progress = func(tokens int) { c.Measuring(tokens, c.table.Tokens) }
	}
	together, err := c.ref.measure(ctx, paths, progress)
	switch {
	case err == nil:
		return together, errs
	case len(paths) == 1:
		errs[0] = err
		return rows, errs
	}
	for i := range paths {
		one, err := c.ref.measure(ctx, paths[i:i+1], progress)
		if err != nil {
			errs[i] = err
			continue
		}
		rows[i] = one[0]
	}
	return rows, errs
}

// find reads a finished cell, of this build or else of one in Builds. [Row.Reused] is false if
// there is none.
func (c *comparison) find(x cell) (row Row, err error) {
	for _, build := range append([]string{c.build}, c.Builds...) {
		key, _ := c.key(x, build)
		path := filepath.Join(c.Work, key+".json")
		data, err := input.ReadFile(path, input.MaxSmall)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return Row{}, err
		}
		if err := checkpoint.CheckSeal(data); errors.Is(err, checkpoint.ErrDamaged) || err != nil && build == c.build {
			c.note("%s %v; the cell is made again", path, err)
			continue
		} // cells of early versions have no checksums
		if err := input.JSON(data, &row); err != nil {
			return Row{}, fmt.Errorf("%s: %w; remove the file", path, err)
		}
		info, err := os.Stat(path)
		if err != nil {
			return Row{}, err
		}
		row.Reused, row.Made, row.Build = true, info.ModTime(), build
		return row, nil
	}
	return Row{}, nil
}

// note calls Note with a warning.
func (c *comparison) note(format string, a ...any) {
	if c.Note != nil {
		c.Note(fmt.Sprintf(format, a...))
	}
}

// key returns a hash of everything that the row of a cell depends on, which names its file, and
// the folder in which the cell is made. The folder's name also depends on what only the
// manifest records: the names of the recipe and of the calibration files.
func (c *comparison) key(x cell, build string) (key, out string) {
	id := map[string]any{"build": build, "inputs": c.inputs, "text": c.table.TextHash, "window": c.table.Window, "windows": c.table.Windows,
		"prefill": c.Ablation == "groups"}
	if len(c.Texts) > 1 {
		id["texts"] = c.ref.perText()
	}
	if x.also != "" {
		id["also"] = x.files
	}
	if r := x.recipe; r != nil {
		content := *r
		content.Name, content.About = "", ""
		id["recipe"] = content
		if x.size > 0 {
			id["size"] = x.size
		}
		if r.NeedsCalibration() {
			id["calibration"] = c.table.Calibration
		}
	}
	key = hashJSON(id)[:32]
	return key, filepath.Join(c.Work, key+"-"+hashJSON([]any{x.recipe, c.sources})[:8])
}

// secondsSuffix is the suffix of the file that stores how long earlier runs of an unfinished
// cell took.
const secondsSuffix = ".seconds"

// secondsOf is what that file holds.
type secondsOf struct {
	Seconds float64 `json:"seconds"`
}

// checkKept removes an artefact that an earlier run has left if it is damaged, so that it is
// made again.
func (c *comparison) checkKept(out string) error {
	if _, err := os.Stat(out); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	err := artefact.Verify(out)
	if err == nil {
		return nil
	}
	c.note("%v; the cell is made again", err)
	return os.RemoveAll(out)
}

// make quantizes to the folder out, unless an earlier run has, and measures the result.
func (c *comparison) make(ctx context.Context, x cell, out string) (Row, error) {
	r := x.recipe
	var spent float64
	if data, err := input.ReadFile(out+secondsSuffix, input.MaxSmall); err == nil {
		var s secondsOf
		if err = checkpoint.CheckSeal(data); err == nil {
			err = input.JSON(data, &s)
		}
		if spent = s.Seconds; err != nil {
			c.note("%s %v; the seconds of earlier runs are left out of the cell's", out+secondsSuffix, err)
		}
	}
	if err := c.checkKept(out); err != nil {
		return Row{}, err
	}
	report, err := artefact.ReadManifest(out)
	if errors.Is(err, fs.ErrNotExist) {
		start, earlier := time.Now(), spent
		remember := func() error {
			spent = earlier + time.Since(start).Seconds()
			data, err := json.Marshal(secondsOf{spent})
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
		if report, err = pipeline.Run(ctx, job); err == nil {
			err = remember()
		}
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
