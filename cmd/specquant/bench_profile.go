package main

import (
	"fmt"
	"io"
	"slices"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/specquant/specquant/internal/engine"
	"github.com/specquant/specquant/internal/meter"
)

// passPart is a part of a forward pass.
type passPart struct {
	Name         string  `json:"name"`
	Microseconds float64 `json:"microseconds"`            // of a pass
	Share        float64 `json:"share"`                   // of the pass's time
	GBs          float64 `json:"gb_per_second,omitempty"` // of its weights; 0: it has none, or this is a prompt
}

// passParts measures the parts of a pass, which fn makes so many of, in rounds calls of fn: means,
// where the rates of a measurement are medians. read is how many bytes a part reads, of a mixture
// for one token; nil where that is not what takes time.
func passParts(m *engine.Model, read map[string]int64, rounds, passes int, fn func() error) ([]passPart, error) {
	clock := meter.Clock()
	m.Measure(clock)
	defer m.Measure(nil)
	for range rounds {
		if err := fn(); err != nil {
			return nil, err
		}
	}
	var all float64
	for _, p := range clock.Parts() {
		all += p.Seconds
	}
	var parts []passPart
	for _, p := range clock.Parts() {
		seconds := p.Seconds / float64(rounds*passes)
		part := passPart{Name: p.Name, Microseconds: 1e6 * seconds, Share: p.Seconds / max(all, 1e-12)}
		if seconds > 0 {
			part.GBs = float64(read[p.Name]) / seconds / 1e9
		}
		parts = append(parts, part)
	}
	return parts, nil
}

// printPassParts prints where the time of a measurement's passes went, if that was measured.
func printPassParts(w io.Writer, r measurement, markdown bool) {
	if len(r.Parts) == 0 {
		return
	}
	t := newTable()
	t.AppendHeader(table.Row{"part of a pass: " + r.Name, "µs", "share", "GB/s of weights"})
	t.SetColumnConfigs([]table.ColumnConfig{{Number: 4, Hidden: !slices.ContainsFunc(r.Parts, func(p passPart) bool { return p.GBs > 0 })}})
	var all float64
	for _, p := range r.Parts {
		rate := ""
		if p.GBs > 0 {
			rate = fmt.Sprintf("%.1f", p.GBs)
		}
		all += p.Microseconds
		t.AppendRow(table.Row{p.Name, fmt.Sprintf("%.0f", p.Microseconds), fmt.Sprintf("%.1f %%", 100*p.Share), rate})
	}
	t.AppendFooter(table.Row{"all", fmt.Sprintf("%.0f", all), "100 %"})
	if markdown {
		fmt.Fprintf(w, "\n%s\n", t.RenderMarkdown()) // the line between two tables keeps them apart
		return
	}
	fmt.Fprintln(w, t.Render())
}
