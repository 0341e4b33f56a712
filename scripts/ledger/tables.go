package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/specquant/specquant"
	"github.com/specquant/specquant/internal/compare"
)

// rows are the figures that there are; those of full precision have neither bits
// nor recipe.
type rows map[cell]compare.Row

// measured is a recipe with its row.
type measured struct {
	rowRecipe
	Row compare.Row
}

// of are a model's recipes at a setting, in the order of the tables.
func of(all rows, model, bits string, kinds ...kind) (out []measured) {
	for _, r := range recipes {
		row, ok := all[cell{model, bits, r.Name}]
		if ok && (len(kinds) == 0 || slices.Contains(kinds, r.Kind)) {
			out = append(out, measured{r, row})
		}
	}
	return out
}

// least is the recipe with the least divergence; there is at least one.
func least(list []measured) measured {
	return slices.MinFunc(list, func(a, b measured) int { return cmp.Compare(a.Row.KL.Mean, b.Row.KL.Mean) })
}

// kl is the divergence as the tables print it; what is compared is what is read.
func kl(r compare.Row) string { return fmt.Sprintf("%.5f", r.KL.Mean) }

// tables writes one table for each model and setting, full precision in the line
// above it, the least divergence in bold.
func tables(all rows) string {
	var s strings.Builder
	for _, m := range models {
		for _, bits := range m.Settings {
			s.WriteString(table(all, m, bits))
		}
	}
	return s.String()
}

func table(all rows, m model, bits string) string {
	here := of(all, m.Name, bits)
	if len(here) == 0 {
		return ""
	}
	least := kl(least(here).Row)
	title := m.title()
	var s strings.Builder
	fmt.Fprintf(&s, "#### %s at %s\n\n", strings.ToUpper(title[:1])+title[1:], bits)
	if full, ok := all[cell{Model: m.Name}]; ok {
		fmt.Fprintf(&s, "Full precision: perplexity %.3f ± %.3f.\n\n", full.Perplexity.Mean, full.Perplexity.StdErr)
	}
	s.WriteString("| recipe | bits/weight | perplexity | KL divergence | top-1 | seconds |\n|---|---|---|---|---|---|\n")
	for _, r := range here {
		mean := kl(r.Row)
		if mean == least {
			mean = "**" + mean + "**"
		}
		fmt.Fprintf(&s, "| %s | %.3f | %.3f ± %.3f | %s ± %.5f | %.1f ± %.1f %% | %.1f |\n", r.label(), r.Row.BitsPerWeight,
			r.Row.Perplexity.Mean, r.Row.Perplexity.StdErr, mean, r.Row.KL.StdErr, 100*r.Row.Top1.Mean, 100*r.Row.Top1.StdErr, r.Row.Seconds)
	}
	return s.String() + "\n"
}

// partTable shows variants of specquant-klt beside it: divergence and bits.
func partTable(all rows, variants []rowRecipe) string {
	entry := func(model, recipe string) string {
		row, ok := all[cell{model, partBits, recipe}]
		if !ok {
			return ""
		}
		return fmt.Sprintf("%.4f (%.3f)", row.KL.Mean, row.BitsPerWeight)
	}
	var s strings.Builder
	s.WriteString("| change |")
	for _, m := range partModels {
		fmt.Fprintf(&s, " `%s` %s |", m, partBits)
	}
	s.WriteString("\n|---|" + strings.Repeat("---|", len(partModels)) + "\n")
	for _, v := range append([]rowRecipe{{Name: fast, Label: "none"}}, variants...) {
		var entries []string
		for _, m := range partModels {
			entries = append(entries, entry(m, v.Name))
		}
		line(&s, v.Label, entries)
	}
	return s.String()
}

// seedTable shows each recipe's divergence for every seed.
func seedTable(all rows, seeds []rowRecipe) string {
	var s strings.Builder
	s.WriteString("| recipe |")
	for _, m := range partModels {
		fmt.Fprintf(&s, " `%s` |", m)
	}
	s.WriteString("\n|---|" + strings.Repeat("---|", len(partModels)) + "\n")
	var families []string
	for _, r := range seeds {
		if slices.Contains(families, r.Base) {
			continue
		}
		families = append(families, r.Base)
		var entries []string
		for _, m := range partModels {
			var values []string
			for _, v := range seeds {
				if row, ok := all[cell{m, partBits, v.Name}]; ok && v.Base == r.Base {
					values = append(values, fmt.Sprintf("%.4f", row.KL.Mean))
				}
			}
			entries = append(entries, strings.Join(values, ", "))
		}
		line(&s, r.Label, entries)
	}
	return s.String()
}

// line writes a row unless it has no entry.
func line(s *strings.Builder, label string, entries []string) {
	if slices.ContainsFunc(entries, func(e string) bool { return e != "" }) {
		fmt.Fprintf(s, "| %s | %s |\n", label, strings.Join(entries, " | "))
	}
}

// madeBy says which programs made the figures and when the newest was made.
func madeBy(all rows) string {
	var newest time.Time
	count := map[string]int{}
	for _, r := range all {
		if r.Made.After(newest) {
			newest = r.Made
		}
		count[r.Build]++
	}
	if newest.IsZero() {
		return ""
	}
	programs := "one program"
	if len(count) > 1 {
		programs = fmt.Sprintf("%d programs", len(count))
	}
	return fmt.Sprintf("%d rows, made with specquant %s by %s, the newest on %s.\n", len(all), specquant.Version, programs, newest.UTC().Format("2 January 2006"))
}
