package main

import (
	"fmt"
	"os"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/specquant/specquant/internal/kernel/cpu"
	"github.com/specquant/specquant/internal/measure"
	"github.com/specquant/specquant/internal/plural"
)

// clearlyFaster is the time, relative to that of the best kernels, below which lower ones are
// chosen: measurements of a busy machine differ by a few percent.
const clearlyFaster = .95

// measure measures the machine, and keeps the choice of kernels if it is not that of the best.
func (c infoCmd) measure(e *env, m *machine) error {
	threads := m.Threads
	if c.Threads > 0 {
		threads = min(threads, c.Threads)
	}
	if os.Getenv(cpu.EnvTier) == "" {
		cpu.SetTier(cpu.Best()) // an earlier choice is made anew
		m.Kernels = cpu.Active().String()
	}
	r, err := measure.Measure(e.ctx, threads)
	if err != nil {
		return err
	}
	m.Measured = r
	if os.Getenv(cpu.EnvTier) != "" {
		return nil // kernels that someone asked for say nothing about the best ones
	}
	if less := r.Faster(); less < clearlyFaster {
		choice := measure.Choice{CPU: cpuName(), Best: r.Tier, Tier: r.Lower, Less: less}
		if err := choice.Save(); err != nil {
			return fmt.Errorf("the choice of kernels %s could not be kept: %w", choice.Tier, err)
		}
		choice.Apply()
		m.Chosen, m.Kernels = r.Lower, r.Lower
		return nil
	}
	return measure.Forget()
}

// printMeasured prints the limits and the kernels.
func printMeasured(e *env, m machine) {
	r := m.Measured
	rate := func(v float64) string {
		if v == 0 {
			return ""
		}
		return fmt.Sprintf("%.1f", v/1e9)
	}
	t := newTable()
	t.AppendHeader(table.Row{"threads", "memory read, GB/s", "int8, GOPS", "float32, GFLOPS"})
	for _, l := range r.Limits {
		t.AppendRow(table.Row{l.Threads, rate(l.Read), rate(l.Int8), rate(l.FMA)})
	}
	fmt.Fprintf(e.out, "\nlimits, best of five\n%s\n", t.Render())

	t = newTable()
	header := table.Row{"weights", "tokens", "GB/s", "GOPS", "share of limit"}
	if r.Lower != "" {
		header = append(header, "time of "+r.Lower)
	}
	t.AppendHeader(header)
	for _, k := range r.Kernels {
		share := ""
		if k.Share > 0 {
			of := "read rate"
			if k.Tokens >= measure.PromptTokens {
				of = "int8 peak"
			}
			share = fmt.Sprintf("%.0f %% of %s", 100*k.Share, of)
		}
		row := table.Row{formatText(k.Format), k.Tokens, rate(k.Bytes), rate(k.Ops), share}
		if r.Lower != "" {
			row = append(row, fmt.Sprintf("%.2f", k.Below))
		}
		t.AppendRow(row)
	}
	last := r.Limits[len(r.Limits)-1]
	fmt.Fprintf(e.out, "\nproducts with kernels %s and %s: weights from memory with few tokens, from the caches with %d\n%s\n",
		r.Tier, plural.Of(last.Threads, "thread"), measure.PromptTokens, t.Render())
	switch {
	case m.Chosen != "":
		fmt.Fprintf(e.out, "kernels %s take %.0f %% of the time of %s here and are used from now on\n", m.Chosen, 100*r.Faster(), r.Tier)
	case r.Lower != "":
		fmt.Fprintf(e.out, "kernels %s take %.2f times as long as %s\n", r.Lower, r.Faster(), r.Tier)
	}
}

func formatText(f measure.Format) string {
	if f.Group == 0 {
		return plural.Of(f.Bits, "bit") + ", one scale a row"
	}
	if f.Multiples {
		return fmt.Sprintf("%s, multiples for groups of %d", plural.Of(f.Bits, "bit"), f.Group)
	}
	return fmt.Sprintf("%s, groups of %d", plural.Of(f.Bits, "bit"), f.Group)
}
