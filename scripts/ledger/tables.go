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
		if own, is := all[cell{model, compare.DefaultBits, r.Name}]; is && bits == ownSize && (len(kinds) == 0 || slices.Contains(kinds, ours)) {
			out = append(out, measured{atOwnSize, own})
		}
	}
	return out
}

// least is the recipe with the least divergence; there is at least one.
func least(list []measured) measured {
	return slices.MinFunc(list, func(a, b measured) int { return cmp.Compare(a.Row.KL.Mean, b.Row.KL.Mean) })
}

// digits writes a divergence with as many digits as like, a divergence near it, needs.
func digits(v, like float64) string {
	n := 4
	switch {
	case like >= 1:
		n = 2
	case like < 0.01:
		n = 5
	}
	return strings.TrimPrefix(fmt.Sprintf("%.*f", n, v), "0")
}

// tables writes one table for each setting, with the models side by side, and one of the
// models with planted outliers. The least divergence of a model is in bold.
func tables(all rows) string {
	var s strings.Builder
	for _, bits := range settings {
		s.WriteString(table(all, bits, bits, slices.DeleteFunc(slices.Clone(models), func(m model) bool { return m.planted() || !slices.Contains(m.Settings, bits) })))
	}
	for _, bits := range planted {
		s.WriteString(table(all, bits+", planted outliers", bits, slices.DeleteFunc(slices.Clone(models), func(m model) bool { return !m.planted() })))
	}
	return s.String()
}

func table(all rows, title, bits string, side []model) string {
	found := map[string][]measured{} // label → rows, one a model; nothing where there is none
	var labels []string
	lowest := make([]string, len(side))
	for i, m := range side {
		list := of(all, m.Name, bits)
		for _, r := range list {
			if found[r.label()] == nil {
				found[r.label()] = make([]measured, len(side))
			}
			found[r.label()][i] = r
		}
		if len(list) > 0 {
			l := least(list).Row.KL.Mean
			lowest[i] = digits(l, l)
		}
	}
	for _, r := range append(slices.Clone(recipes[:len(recipes)-1]), atOwnSize, recipes[len(recipes)-1]) {
		if found[r.label()] != nil {
			labels = append(labels, r.label())
		}
	}
	if len(labels) == 0 {
		return ""
	}
	var s strings.Builder
	fmt.Fprintf(&s, "#### %s\n\n| recipe | bits of linears | MB |", title)
	for _, m := range side {
		fmt.Fprintf(&s, " %s: KL |", m.title())
	}
	s.WriteString(" perplexity | top-1, % |\n|---|---|---|" + strings.Repeat("---|", len(side)) + "---|---|\n")
	// each writes what is listed for all models in one column.
	each := func(list []measured, value func(r compare.Row) string) string {
		var out []string
		for _, r := range list {
			v := "–"
			if r.Row.BitsPerWeight > 0 {
				v = value(r.Row)
			}
			out = append(out, v)
		}
		return strings.Join(out, ", ")
	}
	perplexity := func(r compare.Row) string { return fmt.Sprintf("%.4g", r.Perplexity.Mean) }
	size := func(r compare.Row) string { return fmt.Sprintf("%.2f", float64(r.TotalBytes)/1e6) }
	full := make([]measured, len(side))
	for i, m := range side {
		full[i].Row = all[cell{Model: m.Name}]
	}
	fmt.Fprintf(&s, "| full precision | | %s |%s %s | |\n", each(full, size), strings.Repeat(" |", len(side)), each(full, perplexity))
	for _, label := range labels {
		list := found[label]
		fmt.Fprintf(&s, "| %s | %s | %s |", label, each(list, func(r compare.Row) string { return fmt.Sprintf("%.2f", r.BitsPerWeight) }), each(list, size))
		for i, r := range list {
			mean, k := digits(r.Row.KL.Mean, r.Row.KL.Mean), r.Row.KL
			switch {
			case r.Row.BitsPerWeight == 0:
				s.WriteString(" |")
				continue
			case mean == lowest[i]:
				mean = "**" + mean + "**"
			}
			fmt.Fprintf(&s, " %s ± %s |", mean, digits(k.StdErr, k.Mean))
		}
		fmt.Fprintf(&s, " %s | %s |\n", each(list, perplexity), each(list, func(r compare.Row) string { return fmt.Sprintf("%.1f", 100*r.Top1.Mean) }))
	}
	return s.String() + "\n"
}

// partTable shows variants of the default beside it: the divergence in each column, and the
// bits of the linear layers and the size in the first that has the row.
func partTable(all rows, variants []rowRecipe) string {
	var s strings.Builder
	s.WriteString("| change | bits of linears | MB |")
	for _, p := range partColumns {
		fmt.Fprintf(&s, " `%s` %s |", p.Model, p.Bits)
	}
	s.WriteString("\n|---|---|---|" + strings.Repeat("---|", len(partColumns)) + "\n")
	for _, v := range append([]rowRecipe{{Name: fast, Label: "none"}}, variants...) {
		size := []string{"", ""}
		var entries []string
		for _, p := range partColumns {
			row, ok := all[cell{p.Model, p.Bits, v.Name}]
			switch {
			case !ok:
				entries = append(entries, "")
				continue
			case size[0] == "":
				size = []string{fmt.Sprintf("%.2f", row.BitsPerWeight), fmt.Sprintf("%.2f", float64(row.TotalBytes)/1e6)}
			}
			entries = append(entries, digits(row.KL.Mean, row.KL.Mean))
		}
		if size[0] != "" {
			line(&s, v.Label, append(size, entries...))
		}
	}
	return s.String()
}

// line writes a row.
func line(s *strings.Builder, label string, entries []string) {
	fmt.Fprintf(s, "| %s | %s |\n", label, strings.Join(entries, " | "))
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
