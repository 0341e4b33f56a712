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

// statements are what is claimed of cells. than gives the divergence that a recipe's is not to
// exceed, or 0 where a cell does not bear on it.
var statements = []struct {
	What, Recipe string
	Bits         string // of one setting only; "": of all
	than         func(all rows, model, bits string) float64
}{
	{"`specquant-fast` loses less than every baseline without gradients", fast, "", bestOf(1, free)},
	{"… than half of the best one's at 4-4-4 (the target of 22 November)", fast, "4-4-4", bestOf(0.5, free)},
	{"… than `quarot` with our activation grids, weights in 32s too", fast, "4-4-4", bestOf(1, otherFormat, "resq")},
	{"… than `resq`, of .6 to .8 bits more", fast, "", recipeOf("resq")},
	{"… than every baseline with gradients (in minutes, not GPU hours)", fast, "", bestOf(1, learned)},
	{"… than `specquant-klt`", fast, "", recipeOf(klt)},
	{"`specquant-klt` loses less than every baseline without gradients", klt, "", bestOf(1, free)},
	{"`specquant`, the paper, loses less than plain rounding", paper, "", recipeOf(plainOnes)},
	{"… than `gptq`", paper, "", recipeOf("gptq")},
	{"… than every baseline without gradients", paper, "", bestOf(1, free)},
}

// bestOf is a share of the least divergence of recipes of a kind, without the one named.
func bestOf(share float64, k kind, without ...string) func(all rows, model, bits string) float64 {
	return func(all rows, model, bits string) float64 {
		list := slices.DeleteFunc(of(all, model, bits, k), func(m measured) bool { return slices.Contains(without, m.Name) })
		if len(list) == 0 {
			return 0
		}
		return share * least(list).Row.KL.Mean
	}
}

// recipeOf is the divergence of a recipe.
func recipeOf(name string) func(all rows, model, bits string) float64 {
	return func(all rows, model, bits string) float64 { return all[cell{model, bits, name}].KL.Mean }
}

// claimTable says of each statement in how many cells it holds, and where it fails.
func claimTable(all rows) string {
	var s strings.Builder
	s.WriteString("| claim | holds in | fails |\n|---|---|---|\n")
	for _, c := range statements {
		var failed []string
		cells := 0
		for _, m := range models {
			for _, bits := range m.Settings {
				own, ok := all[cell{m.Name, bits, c.Recipe}]
				limit := c.than(all, m.Name, bits)
				if !ok || limit == 0 || c.Bits != "" && c.Bits != bits {
					continue
				}
				cells++
				if own.KL.Mean >= limit {
					failed = append(failed, fmt.Sprintf("%s %s (%.2f)", m.title(), bits, own.KL.Mean/limit))
				}
			}
		}
		if cells > 0 {
			line(&s, c.What, []string{fmt.Sprintf("%d of %d", cells-len(failed), cells), strings.Join(failed, ", ")})
		}
	}
	return s.String()
}

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
