package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/specquant/specquant"
	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/compare"
	"github.com/specquant/specquant/internal/eval"
)

func fake(kl, bits float64) compare.Row {
	return compare.Row{Perplexity: eval.Estimate{Mean: 30, StdErr: 0.5}, KL: eval.Estimate{Mean: kl, StdErr: 0.001}, Top1: eval.Estimate{Mean: 0.75, StdErr: 0.004},
		BitsPerWeight: bits, Seconds: 1.25, Build: "a", Made: time.Date(2026, 11, 22, 1, 0, 0, 0, time.UTC)}
}

func fakeRows() rows {
	return rows{
		{Model: "books-1m"}:                                     fake(0, 16),
		{"books-1m", "4-4-4", "rtn"}:                            fake(0.4, 4.1),
		{"books-1m", "4-4-4", "quarot"}:                         fake(0.2, 4.1),
		{"books-1m", "4-4-4", "resq"}:                           fake(0.09, 5.1),
		{"books-1m", "4-4-4", ourGrids}:                         fake(0.15, 4.1),
		{"books-1m", "4-4-4", "flatquant"}:                      fake(0.18, 4.1),
		{"books-1m", "4-4-4", fast}:                             fake(0.1, 4.35),
		{"books-1m", "4-4-4", best}:                             fake(0.05, 4.35),
		{"books-1m", "4-4-4", "specquant-klt-without-branch"}:   fake(0.1236, 4.1),
		{"books-1m", "4-4-4", "quarot-seed-1"}:                  fake(0.21, 4.1),
		{"books-1m", "4-4-4", "quarot-seed-3"}:                  fake(0.23, 4.1),
		{"books-1m", "4-8-8", "rtn"}:                            fake(0.04, 4.1),
		{"books-1m", "4-8-8", ourGrids}:                         fake(0.03, 4.1),
		{"books-1m", "4-8-8", fast}:                             fake(0.02, 4.35),
		{"planted-books-1m", "4-4-4", "rtn"}:                    fake(5, 4.1),
		{"planted-books-1m", "4-4-4", "gptq"}:                   fake(1.5, 4.1),
		{"planted-books-1m", "4-4-4", fast}:                     fake(0.1, 4.35),
		{"tinystories-656k", "4-4-4", "rtn"}:                    fake(0.4, 4.1), // no line of the summary
		{"tinystories-656k", "4-4-4", "specquant-klt-clip-mse"}: fake(0.5, 4.1),
	}
}

func TestSummary(t *testing.T) {
	_, got, _ := strings.Cut(summary(fakeRows()), "|---|---|---|---|---|---|---|---|---|---|---|\n")
	const want = "| `books-1m` | 4-4-4 | .4000 | .2000 (quarot) | .1500 | .1800 (flatquant) |  | .1000 | .0500 | 0.50 | 0.25 |\n" +
		"| `books-1m` | 4-8-8 | .0400 | .0400 (rtn) |  |  |  | .0200 |  | 0.50 |  |\n" +
		"| planted `books-1m` | 4-4-4 | 5.00 | 1.50 (gptq) |  |  |  | .1000 |  | 0.07 |  |\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestTables(t *testing.T) {
	got := tables(fakeRows())
	for _, want := range []string{
		"#### `books-1m` at 4-4-4\n\nFull precision: perplexity 30.000 ± 0.500.\n\n| recipe | bits/weight | perplexity | KL divergence | top-1 | seconds |\n|---|---|---|---|---|---|\n" +
			"| rtn | 4.100 | 30.000 ± 0.500 | 0.40000 ± 0.00100 | 75.0 ± 0.4 % | 1.2 |\n",
		"| quarot, activations in 16s | 4.100 | 30.000 ± 0.500 | 0.15000 ± 0.00100 | 75.0 ± 0.4 % | 1.2 |\n",
		"| specquant-best | 4.350 | 30.000 ± 0.500 | **0.05000** ± 0.00100 | 75.0 ± 0.4 % | 1.2 |\n",
		"#### Planted `books-1m` at 4-4-4\n\n| recipe", // its full precision is not measured
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
	if n := strings.Count(got, "**"); n != 2*4 {
		t.Errorf("%d marks of bold, want two in each of four tables", n)
	}
	if strings.Contains(got, "2-8-8") || strings.Contains(got, "without") || strings.Contains(got, "seed") {
		t.Errorf("rows that are not of the tables, or a table without rows:\n%s", got)
	}
}

func TestVariantTables(t *testing.T) {
	variants, _, err := partRecipes()
	if err != nil {
		t.Fatal(err)
	}
	got := partTable(fakeRows(), variants)
	const want = "| change | `books-1m` 4-4-4 | `tinystories-656k` 4-4-4 |\n|---|---|---|\n| none | 0.1000 (4.350) |  |\n| clip mse |  | 0.5000 (4.100) |\n| without branch | 0.1236 (4.100) |  |\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	got = seedTable(fakeRows(), seedRecipes())
	const seeds = "| recipe | `books-1m` | `tinystories-656k` |\n|---|---|---|\n| quarot | 0.2100, 0.2300 |  |\n"
	if got != seeds {
		t.Errorf("got\n%swant\n%s", got, seeds)
	}
}

func TestMadeBy(t *testing.T) {
	all := fakeRows()
	newer := fake(1, 2)
	newer.Build, newer.Made = "b", time.Date(2026, 12, 1, 23, 0, 0, 0, time.UTC)
	all[cell{"books-5m", "4-4-4", "rtn"}] = newer
	if got, want := madeBy(all), "20 rows, made with specquant "+specquant.Version+" by 2 programs, the newest on 1 December 2026.\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := madeBy(nil); got != "" {
		t.Errorf("of nothing: %q", got)
	}
}

func TestClaims(t *testing.T) {
	all := fakeRows()
	odd := all[cell{"books-1m", "4-8-8", "rtn"}]
	odd.Fallbacks = []artefact.Fallback{{Kind: "group", Where: "input of o", Cause: "too wide"}}
	all[cell{"books-1m", "4-8-8", "rtn"}] = odd
	var b bytes.Buffer
	claims(&b, all)
	for _, want := range []string{
		"specquant-klt is measured in 3 cells; less divergence than it have 2:\n",
		"  books-1m 4-4-4: resq 0.09000 (5.100 bits a weight) against 0.10000 (4.350), 7.1 standard errors\n",
		"  books-1m 4-4-4: specquant-best 0.05000",
		"specquant-best is measured in 1 cells; less divergence than it have 0:\n",
		"specquant-klt ÷ best baseline without gradients at 4-4-4: books-1m 0.50, planted-books-1m 0.07\n",
		"specquant-klt ÷ quarot with our activation grids at 4-4-4: books-1m 0.67\n",
		"specquant-best ÷ best learned baseline at 4-4-4: books-1m 0.28\n",
		"1 fallbacks:\n  books-1m rtn: group, input of o: too wide (at 4-8-8)\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in\n%s", want, &b)
		}
	}
	if strings.Contains(b.String(), "activation grids at 4-8-8") {
		t.Error("groups of activations are told of where they have no effect")
	}
}
