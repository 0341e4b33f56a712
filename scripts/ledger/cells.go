package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/specquant/specquant"
	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/compare"
)

// ledger finds and makes cells.
type ledger struct {
	Data, Work string
	Threads    int
	Builds     []string // whose cells count too
	Anew       []string // families of recipes of which only this program's do
	Log        io.Writer

	rows rows
}

// options are those of any comparison on the model, without recipes and bits.
func (l *ledger) options(m model) (dir string, o compare.Options, err error) {
	if dir, err = m.folder(l.Data, l.Work); err != nil {
		return "", o, err
	}
	evaluation, calibration, err := texts[m.Text].cut(l.Data, l.Work)
	if err != nil {
		return "", o, err
	}
	return dir, compare.Options{Version: specquant.Version, Calibration: []string{calibration}, Texts: []compare.Text{{Name: m.Text, Content: evaluation}}, MaxWindows: m.Windows, Threads: l.Threads, Work: l.Work}, nil
}

// find reads what is kept of the jobs' cells.
func (l *ledger) find(ctx context.Context, jobs []job) error {
	l.rows = rows{}
	for _, m := range models {
		for _, anew := range []bool{false, true} {
			for _, size := range []string{"", compare.DefaultBits, novemberSizes[m.Name]} {
				if err := l.findOf(ctx, m, anew, size, jobs); err != nil {
					return fmt.Errorf("%s: %w", m.Name, err)
				}
			}
		}
	}
	return nil
}

// findOf reads the cells of a model, of the recipes that other programs' cells
// will do for or of those that they will not, at given bits or, unless size is "", at those that
// a size gives.
func (l *ledger) findOf(ctx context.Context, m model, anew bool, size string, jobs []job) error {
	names := map[string]string{} // as the library calls it → ours
	wanted := map[cell]bool{}
	var files, bits []string
	for _, j := range jobs {
		if j.Model != m.Name || slices.Contains(l.Anew, j.recipe.family()) != anew || sized(j.Bits) != (size != "") || size != "" && j.Bits != size {
			continue
		}
		wanted[j.cell] = true
		file, err := j.recipe.write(filepath.Join(l.Work, "recipes"))
		if err != nil {
			return err
		}
		if names[file] == "" {
			names[file] = j.recipe.Name
			files = append(files, file)
		}
		if !slices.Contains(bits, j.Bits) {
			bits = append(bits, j.Bits)
		}
	}
	if len(files) == 0 {
		return nil
	}
	dir, o, err := l.options(m)
	if err != nil {
		return err
	}
	o.Recipes, o.Bits, o.Kept = files, bits, true
	if !anew {
		o.Builds = l.Builds
	}
	t, err := compare.Run(ctx, dir, o)
	if err != nil {
		return err
	}
	for _, r := range t.Rows {
		c := cell{m.Name, r.Bits, names[r.Recipe]}
		if size != "" {
			c.Bits = size // the row has the bits that were chosen
		}
		if r.Recipe == compare.FullPrecision {
			c = cell{m.Name, "", ""}
		} else if !wanted[c] {
			continue
		}
		l.rows[c] = r
	}
	return nil
}

// missing are the jobs without a row.
func (l *ledger) missing(jobs []job) (out []job) {
	for _, j := range jobs {
		if _, ok := l.rows[j.cell]; !ok {
			out = append(out, j)
		}
	}
	return out
}

// make computes the jobs one after the other. A job that fails does not keep the
// others back; the error is of all that did.
func (l *ledger) make(ctx context.Context, jobs []job) error {
	if len(jobs) > 0 {
		if err := remember(l.Work); err != nil {
			return err
		}
	}
	var failed []error
	for i, j := range jobs {
		start := time.Now()
		row, err := l.makeOne(ctx, j)
		if ctx.Err() != nil {
			return fmt.Errorf("%w; what is finished is kept in %s, the same command goes on", ctx.Err(), l.Work)
		}
		if err != nil {
			err = fmt.Errorf("%s %s: %w", j.Model, j.Bits, err)
			fmt.Fprintf(l.Log, "%d of %d: %v\n", i+1, len(jobs), err)
			failed = append(failed, err)
			continue
		}
		fmt.Fprintf(l.Log, "%d of %d: %s %s %s: KL divergence %.5f, %s\n", i+1, len(jobs), j.Model, j.Bits, j.Recipe, row.KL.Mean, time.Since(start).Round(time.Second))
		for _, line := range artefact.FallbackLines(row.Fallbacks) {
			fmt.Fprintf(l.Log, "  fallback: %s\n", line)
		}
	}
	return errors.Join(failed...)
}

func (l *ledger) makeOne(ctx context.Context, j job) (compare.Row, error) {
	m := models[slices.IndexFunc(models, func(m model) bool { return m.Name == j.Model })]
	dir, o, err := l.options(m)
	if err != nil {
		return compare.Row{}, err
	}
	file, err := j.recipe.write(filepath.Join(l.Work, "recipes"))
	if err != nil {
		return compare.Row{}, err
	}
	o.Recipes, o.Bits = []string{file}, []string{j.Bits}
	t, err := compare.Run(ctx, dir, o)
	if err != nil {
		return compare.Row{}, err
	}
	l.rows[cell{Model: j.Model}] = t.Rows[0]
	row := t.Rows[len(t.Rows)-1]
	l.rows[j.cell] = row
	return row, nil
}

// buildsFile lists in the work folder the programs that have made cells there,
// the last one last.
const buildsFile = "builds"

func recorded(work string) ([]string, error) {
	data, err := os.ReadFile(filepath.Join(work, buildsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return strings.FieldsFunc(string(data), func(r rune) bool { return r == '\n' }), err
}

// remember adds this program to the list.
func remember(work string) error {
	own, err := compare.BuildOf(specquant.Version, "")
	if err != nil {
		return err
	}
	list, err := recorded(work)
	if err != nil {
		return err
	}
	list = append(slices.DeleteFunc(list, func(b string) bool { return b == own }), own)
	return checkpoint.WriteFileAtomic(filepath.Join(work, buildsFile), []byte(strings.Join(list, "\n")+"\n"))
}

// buildsOf reads -from: paths of programs, builds by name, and "earlier" for all
// that the work folder lists, the last first.
func buildsOf(from []string, work string) (out []string, err error) {
	for _, f := range from {
		switch _, stat := os.Stat(f); {
		case f == "earlier":
			list, err := recorded(work)
			if err != nil {
				return nil, err
			}
			slices.Reverse(list)
			out = append(out, list...)
		case stat == nil:
			b, err := compare.BuildOf(specquant.Version, f)
			if err != nil {
				return nil, err
			}
			out = append(out, b)
		case strings.HasPrefix(f, specquant.Version+" "):
			out = append(out, f)
		default:
			return nil, fmt.Errorf("-from: found %q, expected earlier, the path of a program, or a build such as %q", f, specquant.Version+" v0.1.0")
		}
	}
	return out, nil
}
