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
		BitsPerWeight: bits, TotalBytes: 1_234_567, Seconds: 1.25, Build: "a", Made: time.Date(2026, 11, 22, 1, 0, 0, 0, time.UTC)}
}

func fakeRows() rows {
	return rows{
		{Model: "books-1m"}:                               fake(0, 16),
		{"books-1m", "4-4-4", "rtn"}:                      fake(0.4, 4.1),
		{"books-1m", "4-4-4", "quarot"}:                   fake(0.2, 4.1),
		{"books-1m", "4-4-4", "resq"}:                     fake(0.09, 5.1),
		{"books-1m", "4-4-4", ourGrids}:                   fake(0.15, 4.1),
		{"books-1m", "4-4-4", "flatquant"}:                fake(0.18, 4.1),
		{"books-1m", "4-4-4", klt}:                        fake(0.21, 4.35),
		{"books-1m", "4-4-4", fast}:                       fake(0.1, 4.25),
		{"books-1m", "4-4-4", best}:                       fake(0.05, 4.35),
		{"books-1m", "4-4-4", fitted}:                     fake(0.01234, 4.35),
		{"books-1m", "4-4-4", fast + "-clip-mse"}:         fake(0.1236, 4.3),
		{"books-1m", "2-8-8", fast + "-clip-mse"}:         fake(0.0123, 2.3),
		{"books-1m", "4-8-8", "rtn"}:                      fake(0.04, 4.1),
		{"books-1m", "4-8-8", ourGrids}:                   fake(0.03, 4.1),
		{"books-1m", "4-8-8", fast}:                       fake(0.003, 4.25),
		{"books-1m", compare.DefaultBits, fast}:           fake(0.002, 5.25),
		{"planted-books-1m", "4-4-4", "rtn"}:              fake(5, 4.1),
		{"planted-books-1m", "4-4-4", "gptq"}:             fake(1.5, 4.1),
		{"planted-books-1m", "4-4-4", fast}:               fake(0.1, 4.25),
		{"tinystories-656k", "4-4-4", "rtn"}:              fake(0.4, 4.1), // no line of the summary
		{"tinystories-656k", "4-4-4", fast + "-clip-mse"}: fake(0.5, 4.1),
	}
}

func TestSummary(t *testing.T) {
	_, got, _ := strings.Cut(summary(fakeRows()), "|---|---|---|---|---|---|---|---|---|---|---|---|\n")
	const want = "| `books-1m` | 4-4-4 | .4000 | .2000 (quarot) | .1500 | .1800 (flatquant) |  | .2100 | .1000 | .0500 | 0.50 | 1.05 |\n" +
		"| `books-1m` | 4-8-8 | .0400 | .0400 (rtn) |  |  |  |  | .00300 |  | 0.07 |  |\n" +
		"| planted `books-1m` | 4-4-4 | 5.00 | 1.50 (gptq) |  |  |  |  | .1000 |  | 0.07 |  |\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestDigits(t *testing.T) {
	for _, c := range []struct {
		v, like float64
		want    string
	}{{1.234, 1.234, "1.23"}, {0.12345, 0.12345, ".1235"}, {0.00033, 0.00033, ".00033"}, {0.00012, 0.5, ".0001"}, {0.0004, 7, ".00"}} {
		if got := digits(c.v, c.like); got != c.want {
			t.Errorf("%v like %v: got %s, want %s", c.v, c.like, got, c.want)
		}
	}
}

func TestTables(t *testing.T) {
	got := tables(fakeRows())
	const head = " bits of linears | MB | `tinystories-656k`: KL | `stories260k`: KL | `books-1m`: KL | `books-5m`: KL | perplexity | top-1, % |\n|---|---|---|---|---|---|---|---|---|\n"
	for _, want := range []string{
		"#### 4-4-4\n\n| recipe |" + head +
			"| full precision | | –, –, 1.23, – | | | | | –, –, 30, – | |\n" +
			"| rtn | 4.10, –, 4.10, – | 1.23, –, 1.23, – | **.4000** ± .0010 | | .4000 ± .0010 | | 30, –, 30, – | 75.0, –, 75.0, – |\n",
		"| quarot, activations in 16s | –, –, 4.10, – | –, –, 1.23, – | | | .1500 ± .0010 | | –, –, 30, – | –, –, 75.0, – |\n",
		"| specquant-klt, fitted | –, –, 4.35, – | –, –, 1.23, – | | | **.0123** ± .0010 |",
		"| specquant-fast | –, –, 4.25, – | –, –, 1.23, – | | | .00300 ± .00100 |",
		"| specquant-fast at its own size | –, –, 5.25, – | –, –, 1.23, – | | | **.00200** ± .00100 |",
		"#### 4-4-4, planted outliers\n\n| recipe | bits of linears | MB | planted `tinystories-656k`: KL |",
		"| gptq | –, –, 4.10, – | –, –, 1.23, – | | | 1.50 ± .00 |",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
	if n := strings.Count(got, "**"); n != 2*4 {
		t.Errorf("%d marks of bold, want two for each of four", n)
	}
	if strings.Contains(got, "2-8-8") || strings.Contains(got, "clip") {
		t.Errorf("rows that are not of the tables, or a table without rows:\n%s", got)
	}
}

func TestPartTable(t *testing.T) {
	variants, _, err := partRecipes()
	if err != nil {
		t.Fatal(err)
	}
	got := partTable(fakeRows(), variants)
	const want = "| change | bits of linears | MB | `books-1m` 4-4-4 | `tinystories-656k` 4-4-4 | `books-1m` 4-8-8 | `tinystories-656k` 4-8-8 | `books-1m` 2-8-8 | `tinystories-656k` 2-8-8 |\n|---|---|---|---|---|---|---|---|---|\n" +
		"| none | 4.25 | 1.23 | .1000 |  | .00300 |  |  |  |\n| clip mse | 4.30 | 1.23 | .1236 | .5000 |  |  | .0123 |  |\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestNovember(t *testing.T) {
	all := fakeRows()
	all[cell{"books-1m", novemberSizes["books-1m"], fast}] = fake(0.001, 7)
	_, got, _ := strings.Cut(novemberTable(all), "|---|---|---|---|---|---|---|---|\n")
	const want = "| `books-1m` | 4-4-4 | .0109 | .0123 (4.35, 1.23) | .1000 (4.25, 1.23) | 9.14 |  |  |\n" +
		"| `books-1m` | 4-8-8 | .00285 |  | .00300 (4.25, 1.23) | 1.05 | .00100 (7.00, 1.23) | 0.35 |\n" +
		"| planted `books-1m` | 4-4-4 | .0107 |  | .1000 (4.25, 1.23) | 9.38 |  |  |\n" +
		"\nAt the same bits 1 of 3 are within 1.2 times November's.\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if got := novemberTable(rows{}); got != "" {
		t.Errorf("of nothing: %q", got)
	}
}

func TestClaimTable(t *testing.T) {
	got := claimTable(fakeRows())
	for _, want := range []string{
		"| `specquant-fast` loses less than every baseline without gradients | 3 of 3 |  |\n",
		"| … than half of the best one's at 4-4-4 (the target of 22 November) | 1 of 2 | `books-1m` 4-4-4 (1.00) |\n",
		"| … than `resq`, of .6 to .8 bits more | 0 of 1 | `books-1m` 4-4-4 (1.11) |\n",
		"| `specquant-klt` loses less than every baseline without gradients | 0 of 1 | `books-1m` 4-4-4 (1.05) |\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
	if strings.Contains(got, "the paper") {
		t.Errorf("a claim of cells that there are not:\n%s", got)
	}
}

func TestMadeBy(t *testing.T) {
	all := fakeRows()
	newer := fake(1, 2)
	newer.Build, newer.Made = "b", time.Date(2026, 12, 1, 23, 0, 0, 0, time.UTC)
	all[cell{"books-5m", "4-4-4", "rtn"}] = newer
	if got, want := madeBy(all), "22 rows, made with specquant "+specquant.Version+" by 2 programs, the newest on 1 December 2026.\n"; got != want {
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
		"specquant-fast is measured in 3 cells; less divergence than it have 2:\n",
		"  books-1m 4-4-4: resq 0.09000 (5.100 bits a weight) against 0.10000 (4.250), 7.1 standard errors\n",
		"  books-1m 4-4-4: specquant-best 0.05000",
		"specquant-best is measured in 1 cells; less divergence than it have 0:\n",
		"specquant-fast ÷ best baseline without gradients at 4-4-4: books-1m 0.50, planted-books-1m 0.07\n",
		"specquant-klt ÷ best baseline without gradients at 4-4-4: books-1m 1.05 (more)\n",
		"specquant-fast ÷ quarot with our activation grids at 4-4-4: books-1m 0.67\n",
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
