package main

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/compare"
)

// claims prints what the prose around the tables may say: where another recipe
// loses less than ours, and the ranges of the ratios.
func claims(w io.Writer, all rows) {
	for _, name := range []string{fast, klt, best} {
		lesser(w, all, name)
	}
	for _, name := range []string{fast, klt, best} {
		for _, bits := range settings {
			ratios(w, all, name, bits)
		}
	}
	fallbacks(w, all)
}

// lesser lists the cells in which a recipe's divergence is not the least.
func lesser(w io.Writer, all rows, name string) {
	var lines []string
	cells := 0
	for _, m := range models {
		for _, bits := range m.Settings {
			own, ok := all[cell{m.Name, bits, name}]
			if !ok {
				continue
			}
			cells++
			for _, r := range of(all, m.Name, bits) {
				if r.Name == name || r.Name == fitted || r.Row.KL.Mean >= own.KL.Mean {
					continue
				}
				lines = append(lines, fmt.Sprintf("  %s %s: %s %.5f (%.3f bits a weight) against %.5f (%.3f), %.1f standard errors", m.Name, bits, r.label(),
					r.Row.KL.Mean, r.Row.BitsPerWeight, own.KL.Mean, own.BitsPerWeight, apartBy(r.Row, own)))
			}
		}
	}
	fmt.Fprintf(w, "%s is measured in %d cells; less divergence than it have %d:\n", name, cells, len(lines))
	for _, l := range lines {
		fmt.Fprintln(w, l)
	}
}

// apartBy is the difference of two divergences in standard errors of a
// difference, as if the rows were independent: they share their tokens, so it is
// rather more.
func apartBy(a, b compare.Row) float64 {
	return (b.KL.Mean - a.KL.Mean) / math.Hypot(a.KL.StdErr, b.KL.StdErr)
}

// ratios prints how a recipe stands to the best baselines at a setting, over the
// models.
func ratios(w io.Writer, all rows, name, bits string) {
	against := []struct {
		what string
		of   func(model string) []measured
	}{
		{"best baseline without gradients", func(model string) []measured { return of(all, model, bits, free) }},
		{"best learned baseline", func(model string) []measured { return of(all, model, bits, learned) }},
		{"quarot with our activation grids", func(model string) []measured {
			return slices.DeleteFunc(of(all, model, bits, otherFormat), func(m measured) bool { return m.Name != ourGrids || !fourBitActivations(bits) })
		}},
	}
	for _, a := range against {
		var list []string
		for _, m := range models {
			own, ok := all[cell{m.Name, bits, name}]
			if others := a.of(m.Name); ok && len(others) > 0 {
				ratio := own.KL.Mean / least(others).Row.KL.Mean
				failed := ""
				if ratio > 1 {
					failed = " (more)"
				}
				list = append(list, fmt.Sprintf("%s %.2f%s", m.Name, ratio, failed))
			}
		}
		if len(list) > 0 {
			fmt.Fprintf(w, "%s ÷ %s at %s: %s\n", name, a.what, bits, strings.Join(list, ", "))
		}
	}
}

// fallbacks lists the cells whose recipe could not be carried out to the letter.
func fallbacks(w io.Writer, all rows) {
	where := map[string][]string{} // what was done instead → settings
	for c, r := range all {
		for _, line := range artefact.FallbackLines(r.Fallbacks) {
			what := fmt.Sprintf("%s %s: %s", c.Model, c.Recipe, line)
			where[what] = append(where[what], c.Bits)
		}
	}
	fmt.Fprintf(w, "%d fallbacks:\n", len(where))
	for _, what := range slices.Sorted(maps.Keys(where)) {
		slices.Sort(where[what])
		fmt.Fprintf(w, "  %s (at %s)\n", what, strings.Join(where[what], ", "))
	}
}
