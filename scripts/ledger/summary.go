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
	return fmt.Sprintf("%s (%s)", short(b.Row.KL.Mean), b.label())
}

// summary is one line for each model and setting on which specquant-klt and a
// baseline were run: the divergences that decide.
func summary(all rows) string {
	var s strings.Builder
	s.WriteString("| model | bits | rtn | best baseline without gradients | quarot with our activation grids | best learned baseline | specquant (paper) | specquant-klt | specquant-best | fast ÷ best baseline without gradients | best ÷ the same |\n")
	s.WriteString("|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, m := range models {
		for _, bits := range m.Settings {
			baselines := of(all, m.Name, bits, free)
			row := func(name string) (compare.Row, bool) { r, ok := all[cell{m.Name, bits, name}]; return r, ok }
			if _, ok := row(fast); !ok || len(baselines) == 0 {
				continue
			}
			value := func(name string) string {
				if r, ok := row(name); ok {
					return short(r.KL.Mean)
				}
				return ""
			}
			ratio := func(name string) string {
				if r, ok := row(name); ok {
					return fmt.Sprintf("%.2f", r.KL.Mean/least(baselines).Row.KL.Mean)
				}
				return ""
			}
			grids := ""
			if fourBitActivations(bits) { // elsewhere groups of activations have no effect
				grids = value(ourGrids)
			}
			fmt.Fprintf(&s, "| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", m.title(), bits, value(plainOnes), named(baselines), grids,
				named(of(all, m.Name, bits, learned)), value(paper), value(fast), value(best), ratio(fast), ratio(best))
		}
	}
	return s.String()
}

func fourBitActivations(bits string) bool {
	b, err := specquant.ParseBits(bits)
	return err == nil && b.Activations == 4
}
