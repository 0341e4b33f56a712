package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/specquant/specquant"
	"github.com/specquant/specquant/internal/compare"
)

// realModel is a model that a flag names: trained by others, far larger than those of the data
// folder, and not part of it.
type realModel struct {
	Name  string
	Dir   string   // checkpoint in full precision
	Files []string // GGUF files of the same model, measured beside it
}

// parseReal reads NAME=DIR,FILE.gguf,…
func parseReal(s string) (realModel, error) {
	name, paths, ok := strings.Cut(s, "=")
	list := strings.Split(paths, ",")
	if !ok || name == "" || slices.Contains(list, "") || strings.ContainsAny(name, `/\`) {
		return realModel{}, fmt.Errorf("found %q, expected NAME=DIR, or NAME=DIR,FILE.gguf,…", s)
	}
	return realModel{name, list[0], list[1:]}, nil
}

// Protocol of the real models: windows of each text, their tokens, and how much of the embedded
// text every baseline is calibrated on, which is what the default takes.
const (
	realWindows = 5
	realWindow  = 512
	realSamples = 48
)

const defaultRecipe = specquant.DefaultRecipe

// realSettings are the tables of real models: a setting, the recipes of its rows, and whether
// the GGUF files are rows too. The first makes a file of the size of llama.cpp's Q4_0.
var realSettings = []struct {
	Bits    string
	Recipes []string
	Files   bool
}{
	{compare.DefaultBits, []string{defaultRecipe}, true},
	{"3-8-8", []string{"gptq", "quarot", defaultRecipe}, false},
	{"4-4-16", baselines, false},
	{"4-4-4", baselines, false},
}

var baselines = []string{"smoothquant", "gptq", "awq", "quarot", "svdquant", "resq", "flatquant", "spinquant", paper, defaultRecipe}

// realRecipe is a recipe with the calibration of the protocol.
func realRecipe(name string) rowRecipe {
	if name == defaultRecipe {
		return rowRecipe{Name: name}
	}
	return rowRecipe{Name: name + "-24k", Base: name, Changes: []change{{"calibration.samples", realSamples}, {"calibration.tokens", realWindow}}}
}

// realRow is a row of a table of real models.
type realRow struct {
	Model, Bits, Recipe string // Recipe: its name, that of a GGUF file, or compare.FullPrecision
	compare.Row
}

// real makes what is missing of the tables of the real models and returns all rows that there
// are. complete is false if rows are missing. Models that are absent are skipped with a message.
func (l *ledger) real(ctx context.Context, f flags) (out []realRow, complete bool, err error) {
	complete = true
	for _, m := range f.real {
		if _, err := os.Stat(filepath.Join(m.Dir, "config.json")); errors.Is(err, fs.ErrNotExist) {
			fmt.Fprintf(l.Log, "%s is skipped: %s has no config.json\n", m.Name, m.Dir)
			complete = false
			continue
		}
		texts, err := domains(ctx, l.Data, l.Work, f.real[0].Dir, l.Threads)
		if err != nil {
			return nil, false, err
		}
		var failed []error
		for _, s := range realSettings {
			if err := l.quantizeReal(ctx, f, m, s.Bits, s.Recipes); err != nil {
				failed = append(failed, err)
			}
			if ctx.Err() != nil {
				return nil, false, ctx.Err()
			}
		}
		rows, all, err := l.measureReal(ctx, f, m, texts)
		if err = errors.Join(append(failed, err)...); ctx.Err() != nil {
			return nil, false, err
		}
		if err != nil {
			fmt.Fprintf(l.Log, "%s: %v\n", m.Name, err)
		}
		out, complete = append(out, rows...), complete && all && err == nil
	}
	return out, complete && len(out) > 0, nil
}

// realFolder is where a quantized real model is kept.
func (l *ledger) realFolder(m realModel, recipe, bits string) string {
	return filepath.Join(l.Work, "real", m.Name, recipe+"-"+bits)
}

// quantizeReal makes the models of a table that are not kept and that the flags ask for.
func (l *ledger) quantizeReal(ctx context.Context, f flags, m realModel, bits string, recipes []string) error {
	var failed []error
	for _, name := range recipes {
		out := l.realFolder(m, name, bits)
		if _, err := os.Stat(out); err == nil || f.kept || f.check || !f.wants(m.Name, bits, name) {
			continue
		}
		file, err := realRecipe(name).write(filepath.Join(l.Work, "recipes"))
		if err != nil {
			return err
		}
		o := specquant.QuantizeOptions{Recipe: file, Bits: bits, Threads: l.Threads, KeepBad: true}
		if bits == compare.DefaultBits {
			o.Bits = ""
		}
		if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
			return err
		}
		fmt.Fprintf(l.Log, "%s %s %s\n", m.Name, bits, name)
		if _, err := specquant.Quantize(ctx, m.Dir, out, o); err != nil {
			failed = append(failed, fmt.Errorf("%s %s %s: %w", m.Name, bits, name, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(failed...)
}

// measureReal compares everything kept of a model with it, in one pass over the texts.
func (l *ledger) measureReal(ctx context.Context, f flags, m realModel, texts []compare.Text) (out []realRow, complete bool, err error) {
	complete = true
	var paths []string
	var rows []realRow
	for _, s := range realSettings {
		for _, name := range s.Recipes {
			dir := l.realFolder(m, name, s.Bits)
			if _, err := os.Stat(dir); err != nil {
				complete = false
				continue
			}
			paths, rows = append(paths, dir), append(rows, realRow{Model: m.Name, Bits: s.Bits, Recipe: name})
		}
		if s.Files {
			for _, file := range m.Files {
				paths, rows = append(paths, file), append(rows, realRow{Model: m.Name, Bits: s.Bits, Recipe: filepath.Base(file)})
			}
		}
	}
	if len(paths) == 0 {
		return nil, false, nil
	}
	t, err := compare.Run(ctx, m.Dir, compare.Options{Version: specquant.Version, Also: paths, Texts: texts, Window: realWindow, MaxWindows: realWindows, Threads: l.Threads,
		Work: l.Work, Builds: l.Builds, Kept: f.kept || f.check})
	if t == nil {
		return nil, false, err
	}
	for _, r := range t.Rows {
		if r.Recipe == compare.FullPrecision {
			out = append(out, realRow{m.Name, "", r.Recipe, r})
		} else if i := slices.Index(paths, r.Recipe); i >= 0 {
			rows[i].Row = r
			out = append(out, rows[i])
		}
	}
	return out, complete && len(out) == len(paths)+1, err
}

// wants reports whether the flags ask for a cell of a real model.
func (f flags) wants(model, bits, recipe string) bool {
	return in(f.models, model) && in(f.bits, bits) && in(f.recipes, recipe) && in(f.tables, realTable)
}

// realTable is the section of the file with the tables of real models.
const realTable = "real"

// realTables writes one table for each model and setting, with the divergence on each text.
func realTables(all []realRow) string {
	var s strings.Builder
	for _, full := range all {
		if full.Recipe != compare.FullPrecision {
			continue
		}
		for _, setting := range realSettings {
			rows := slices.DeleteFunc(slices.Clone(all), func(r realRow) bool { return r.Model != full.Model || r.Bits != setting.Bits })
			if len(rows) > 0 {
				s.WriteString(realTableOf(full, setting.Bits, rows))
			}
		}
	}
	return s.String()
}

func realTableOf(full realRow, bits string, rows []realRow) string {
	var s strings.Builder
	tokens := 0
	if len(full.ByText) > 0 {
		tokens = full.ByText[0].Tokens
	}
	size := bits
	if bits == compare.DefaultBits {
		size = "the size of Q4_0"
	}
	fmt.Fprintf(&s, "#### `%s` at %s, %s tokens of each text\n\n| recipe | bits of linears | MB |", full.Model, size, thousands(tokens))
	for _, m := range full.ByText {
		fmt.Fprintf(&s, " %s |", m.Text)
	}
	s.WriteString(" all | top-1 | worst thousandth's share | of held-out KL |\n|---|---|---|" + strings.Repeat("---|", len(full.ByText)) + "---|---|---|---|\n")
	for _, r := range rows {
		fmt.Fprintf(&s, "| %s | %.2f | %.1f |", r.Recipe, r.BitsPerWeight, float64(r.TotalBytes)/1e6)
		for _, m := range r.ByText {
			fmt.Fprintf(&s, " %s ± %s |", short(m.KL.Mean), short(m.KL.StdErr))
		}
		ratio := "–"
		if g := r.Generalization(); g > 0 {
			ratio = fmt.Sprintf("%.2f", g)
		}
		fmt.Fprintf(&s, " %s ± %s | %.1f %% | %.1f %% | %s |\n", short(r.KL.Mean), short(r.KL.StdErr), 100*r.Top1.Mean, 100*r.WorstShare, ratio)
	}
	return s.String() + "\n"
}

// thousands writes a number with commas.
func thousands(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}
