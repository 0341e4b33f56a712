package main

import (
	"fmt"
	"strings"

	"github.com/specquant/specquant/internal/compare"
)

// november are the divergences that this ledger had for the recipe called specquant-fast until
// 28 November 2026, which was specquant-klt with solve.correct: stream: measured on 22
// November with the same windows of the same texts.
var november = []struct {
	Model, Bits string
	KL          float64
}{
	{"tinystories-656k", "4-4-4", 0.07850}, {"tinystories-656k", "4-8-8", 0.03181}, {"tinystories-656k", "2-8-8", 0.43537},
	{"stories260k", "4-4-4", 0.11439}, {"stories260k", "4-8-8", 0.04634}, {"stories260k", "2-8-8", 1.03278},
	{"books-1m", "4-4-4", 0.01094}, {"books-1m", "4-8-8", 0.00285}, {"books-1m", "2-8-8", 0.04790},
	{"books-5m", "4-4-4", 0.00194}, {"books-5m", "4-8-8", 0.00032}, {"books-5m", "2-8-8", 0.00489},
	{"planted-tinystories-656k", "4-4-4", 0.07942}, {"planted-stories260k", "4-4-4", 0.12098},
	{"planted-books-1m", "4-4-4", 0.01066}, {"planted-books-5m", "4-4-4", 0.00196},
}

// novemberSizes are the sizes of the folders of that recipe at 4-8-8, which the default fills
// beside it.
var novemberSizes = map[string]string{"tinystories-656k": "1.35MB", "stories260k": "0.47MB", "books-1m": "1.00MB", "books-5m": "5.95MB"}

// allowedRatio is how much more than in November the default may lose by the project's target.
const allowedRatio = 1.2

// novemberTable shows the default beside what was called so before: that recipe then and now,
// and the default at the same bits and, at ownSize, in the same size.
func novemberTable(all rows) string {
	var s strings.Builder
	s.WriteString("| model | bits | November | the same recipe now (bits of linears, MB) | specquant-fast | ÷ November | in the same size | ÷ November |\n|---|---|---|---|---|---|---|---|\n")
	within, cells := 0, 0
	for _, n := range november {
		now, ok := all[cell{n.Model, n.Bits, fast}]
		if !ok {
			continue
		}
		cells++
		if now.KL.Mean <= allowedRatio*n.KL {
			within++
		}
		entry := func(r compare.Row) string {
			return fmt.Sprintf("%s (%.2f, %.2f)", digits(r.KL.Mean, n.KL), r.BitsPerWeight, float64(r.TotalBytes)/1e6)
		}
		over := func(r compare.Row) string { return fmt.Sprintf("%.2f", r.KL.Mean/n.KL) }
		entries := []string{n.Bits, digits(n.KL, n.KL), "", entry(now), over(now), "", ""}
		if r, ok := all[cell{n.Model, n.Bits, fitted}]; ok {
			entries[2] = entry(r)
		}
		if r, ok := all[cell{n.Model, novemberSizes[n.Model], fast}]; ok && n.Bits == ownSize {
			entries[5], entries[6] = entry(r), over(r)
		}
		line(&s, model{Name: n.Model}.title(), entries)
	}
	if cells == 0 {
		return ""
	}
	fmt.Fprintf(&s, "\nAt the same bits %d of %d are within %.1f times November's.\n", within, cells, allowedRatio)
	return s.String()
}
