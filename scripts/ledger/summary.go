package main

import (
	"fmt"
	"strings"

	"github.com/specquant/specquant"
	"github.com/specquant/specquant/internal/compare"
)

// short writes a divergence in four digits behind the point.
func short(v float64) string {
	if v >= 1 {
		return fmt.Sprintf("%.2f", v)
	}
	return strings.TrimPrefix(fmt.Sprintf("%.4f", v), "0")
}

// named is a divergence with the recipe's name, or nothing where there is none.
func named(list []measured) string {
	if len(list) == 0 {
		return ""
	}
	b := least(list)
	return fmt.Sprintf("%s (%s)", digits(b.Row.KL.Mean, b.Row.KL.Mean), b.label())
}

// summary is one line for each model and setting on which the default and a baseline were
// run: the divergences that decide.
func summary(all rows) string {
	var s strings.Builder
	s.WriteString("| model | bits | rtn | best baseline without gradients | quarot with our activation grids | best learned baseline | specquant (paper) | specquant-klt | specquant-fast | specquant-best | fast ÷ best baseline without gradients | klt ÷ the same |\n")
	s.WriteString("|---|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, m := range models {
		for _, bits := range m.Settings {
			baselines := of(all, m.Name, bits, free)
			row := func(name string) (compare.Row, bool) { r, ok := all[cell{m.Name, bits, name}]; return r, ok }
			if _, ok := row(fast); !ok || len(baselines) == 0 {
				continue
			}
			value := func(name string) string {
				if r, ok := row(name); ok {
					return digits(r.KL.Mean, r.KL.Mean)
				}
				return ""
			}
			grids := ""
			if fourBitActivations(bits) { // elsewhere groups of activations have no effect
				grids = value(ourGrids)
			}
			against := least(baselines).Row
			fmt.Fprintf(&s, "| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", m.title(), bits, value(plainOnes), named(baselines), grids,
				named(of(all, m.Name, bits, learned)), value(paper), value(klt), value(fast), value(best), over(all, m.Name, bits, fast, against), over(all, m.Name, bits, klt, against))
		}
	}
	return s.String()
}

// over is a recipe's divergence over another's, or nothing where there is no row.
func over(all rows, model, bits, name string, against compare.Row) string {
	r, ok := all[cell{model, bits, name}]
	if !ok {
		return ""
	}
	return fmt.Sprintf("%.2f", r.KL.Mean/against.KL.Mean)
}

func fourBitActivations(bits string) bool {
	b, err := specquant.ParseBits(bits)
	return err == nil && b.Activations == 4
}
