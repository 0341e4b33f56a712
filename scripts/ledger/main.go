// Command ledger makes the tables of docs/REPRODUCTION.md: first those of real
// models, whose folders -real names, on text unlike the calibration text; then those
// of section 2, every recipe on every small model at every setting by one protocol, and
// what each part of the default is worth.
//
//	go run ./scripts/ledger -data ../shared/data -work DIR -real NAME=DIR,FILE.gguf docs/REPRODUCTION.md
//
// Cells are kept in DIR; a run that was stopped goes on with the same command.
// All of it takes hours. What is written between the file's markers is written
// when all cells are there; without a file the cells are made and the claims
// printed. A cell counts for the program that made it: -from names others whose
// cells will do, -anew the recipes for which they will not.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"

	"github.com/specquant/specquant/internal/compare"
)

// flags are the command line.
type flags struct {
	data, work, file              string
	models, bits, recipes, tables []string
	real                          []realModel
	from, anew                    []string
	kept, check, partial          bool
	threads                       int
}

func main() {
	var f flags
	list := func(to *[]string, name, usage string) {
		flag.Func(name, usage+"; a comma between", func(s string) error { *to = strings.Split(s, ","); return nil })
	}
	flag.StringVar(&f.data, "data", "../shared/data", "folder of models and texts")
	flag.StringVar(&f.work, "work", "", "folder that keeps finished cells, and what is made of the data")
	list(&f.models, "models", "make only cells of these models")
	list(&f.bits, "bits", "make only cells of these settings")
	list(&f.recipes, "recipes", "make only cells of these recipes, and of their variants")
	list(&f.tables, "tables", "make only cells of these tables: real, tables, parts")
	list(&f.from, "from", "take cells of these programs too: paths, builds, or earlier for all that the work folder lists")
	list(&f.anew, "anew", "take no other program's cells of these recipes and their variants")
	flag.Func("real", "a real model: NAME=DIR,FILE.gguf,…, its folder in full precision and GGUF files to measure beside; may be given several times", func(s string) error {
		m, err := parseReal(s)
		f.real = append(f.real, m)
		return err
	})
	flag.BoolVar(&f.kept, "kept", false, "make no cells, take those there are")
	flag.BoolVar(&f.check, "check", false, "write nothing, fail if the file is not what the kept cells give")
	flag.BoolVar(&f.partial, "partial", false, "write the file even if cells are missing, without them")
	flag.IntVar(&f.threads, "threads", 0, "threads; 0: one for each CPU")
	flag.Parse()
	f.file = flag.Arg(0)
	if f.work == "" || flag.NArg() > 1 || f.check && f.file == "" {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, f, os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "ledger:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, f flags, out, log io.Writer) error {
	if err := f.valid(); err != nil {
		return err
	}
	variants, idle, err := partRecipes()
	if err != nil {
		return err
	}
	if len(idle) > 0 {
		fmt.Fprintf(log, "%s has not what these would change: %s\n", fast, strings.Join(idle, "; "))
	}
	jobs := plan(variants)
	if err := os.MkdirAll(f.work, 0o755); err != nil {
		return err
	}
	l := &ledger{Data: f.data, Work: f.work, Threads: f.threads, Anew: f.anew, Log: log}
	if l.Builds, err = buildsOf(f.from, f.work); err != nil {
		return err
	}
	if len(f.real) == 0 {
		fmt.Fprintln(log, "no real model is given (-real NAME=DIR): their tables are left as they are")
	}
	real, complete, err := l.real(ctx, f)
	if err != nil {
		return err
	}
	d := document{file: f.file, check: f.check, partial: f.partial}
	if len(f.real) > 0 && in(f.tables, realTable) {
		d.add(map[string]string{realTable: realTables(real)}, len(real), complete, "rows of real models are missing")
	}
	if !in(f.tables, "tables", "parts") {
		return d.write(log)
	}
	if err := l.find(ctx, jobs); err != nil {
		return err
	}
	missing := l.missing(jobs)
	fmt.Fprintf(log, "%d of %d cells are kept\n", len(jobs)-len(missing), len(jobs))
	var failed error
	if !f.kept && !f.check {
		failed = l.make(ctx, f.selected(missing))
		if ctx.Err() != nil {
			return failed
		}
		missing = l.missing(jobs)
	}
	claims(out, l.rows)
	lacking := ""
	if len(missing) > 0 {
		lacking = fmt.Sprintf("%d cells are missing, the first %s %s %s", len(missing), missing[0].Model, missing[0].Bits, missing[0].Recipe)
	}
	d.add(map[string]string{"summary": summary(l.rows), "claims": claimTable(l.rows), "november": novemberTable(l.rows), "parts": partTable(l.rows, variants), "tables": tables(l.rows) + madeBy(l.rows)},
		len(l.rows), len(missing) == 0, lacking)
	return errors.Join(failed, d.write(log))
}

// in reports whether a flag's list, if there is one, has one of the names.
func in(list []string, names ...string) bool {
	return len(list) == 0 || slices.ContainsFunc(names, func(s string) bool { return slices.Contains(list, s) })
}

// selected are the jobs that the flags ask for.
func (f flags) selected(jobs []job) (out []job) {
	for _, j := range jobs {
		if in(f.models, j.Model) && in(f.bits, j.Bits) && in(f.recipes, j.recipe.family(), j.Recipe) && in(f.tables, j.Table) {
			out = append(out, j)
		}
	}
	return out
}

// valid says which name of a flag there is not.
func (f flags) valid() error {
	var modelNames, recipeNames []string
	for _, m := range models {
		modelNames = append(modelNames, m.Name)
	}
	for _, r := range recipes {
		recipeNames = append(recipeNames, r.Name)
	}
	for _, m := range f.real {
		modelNames = append(modelNames, m.Name)
	}
	bits := slices.Concat([]string{compare.DefaultBits}, slices.Sorted(maps.Values(novemberSizes)), settings)
	for _, s := range realSettings {
		if !slices.Contains(bits, s.Bits) {
			bits = append(bits, s.Bits)
		}
	}
	for _, x := range []struct {
		flag       string
		got, known []string
	}{{"models", f.models, modelNames}, {"bits", f.bits, bits}, {"recipes", f.recipes, recipeNames}, {"anew", f.anew, recipeNames}, {"tables", f.tables, []string{realTable, "tables", "parts"}}} {
		for _, s := range x.got {
			if !slices.Contains(x.known, s) {
				return fmt.Errorf("-%s: found %q, expected some of %s", x.flag, s, strings.Join(x.known, ", "))
			}
		}
	}
	return nil
}
