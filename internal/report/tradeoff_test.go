package report

import (
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/compare"
	"github.com/specquant/specquant/internal/eval"
	"github.com/specquant/specquant/internal/recipe"
)

// row is a line of a comparison.
func row(name, bits string, megabytes int64, kl, seconds float64) compare.Row {
	return compare.Row{Recipe: name, Bits: bits, TotalBytes: megabytes * 1e6, KL: eval.Estimate{Mean: kl}, Seconds: seconds}
}

// TestScatter: every row but full precision is a point, this model's has a ring, existing
// models have a mark of their own, and names are escaped.
func TestScatter(t *testing.T) {
	table := &compare.Table{Rows: []compare.Row{row(compare.FullPrecision, "16-16-16", 300, 0, 0), row("rtn", "4-8-8", 80, .5, 3), row("a/<b>.yaml", "5-8-8", 90, .03, 9), row("x/q4.gguf", compare.AsItIs, 91, .2, 0)}}
	picture := string(scatter(table, 2))
	for text, times := range map[string]int{
		`class="dot s1"`: 1, `class="dot s2"`: 1, `class="dot s3"`: 1, `class="ring"`: 1, ">&lt;b&gt; 5-8-8</text>": 1, ">rtn 4-8-8</text>": 1, ">q4.gguf</text>": 1, "<b>": 0, "full precision 16": 0,
	} {
		if got := strings.Count(picture, text); got != times {
			t.Errorf("%q is %d times in the picture, expected %d\n%s", text, got, times, picture)
		}
	}
}

// TestFrontier: the stair begins at the smallest row and falls at each that loses less than all
// smaller ones.
func TestFrontier(t *testing.T) {
	table := &compare.Table{Rows: []compare.Row{row("c", "", 30, 5, 0), row("b", "", 20, 7, 0), row("a", "", 10, 6, 0), row("d", "", 40, 5.5, 0), row("e", "", 40, 1, 0), row("f", "", 10, 6.5, 0)}}
	at := func(bytes int64) float64 { return float64(bytes) / 1e6 }
	same := func(kl float64) float64 { return kl }
	if got, want := frontier(table, []int{0, 1, 2, 3, 4, 5}, at, same, 100), "M10.0 6.0H30.0V5.0H40.0V1.0H100.0"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := frontier(table, nil, at, same, 100); got != "" {
		t.Errorf("of nothing: %s", got)
	}
}

// TestLabels: a label lies beside its point, or below those that it would cover.
func TestLabels(t *testing.T) {
	var l labelled
	for i, x := range []struct{ x, y, want float64 }{{10, 50, 53.5}, {500, 50, 53.5}, {12, 52, 64.5}, {12, 49, 75.5}, {12, 90, 93.5}} {
		if got := l.place(x.x, x.y, "a long label"); got != x.want {
			t.Errorf("label %d: %v, want %v", i, got, x.want)
		}
	}
}

// TestTradeoffOwn: the model is found by its bytes with its recipe's name or its own; a table
// without it is an error that says how to measure it.
func TestTradeoffOwn(t *testing.T) {
	s := &Subject{Dir: "some/out", Checkpoint: &checkpoint.Checkpoint{}, Manifest: &artefact.Manifest{Recipe: &recipe.Recipe{Name: "gptq"}}}
	bytes := s.Checkpoint.Bytes()
	for _, c := range []struct {
		name  string
		bytes int64
		ok    bool
	}{{"gptq", bytes, true}, {"../out", bytes, true}, {"rtn", bytes, false}, {"gptq", bytes + 1, false}} {
		r := row(c.name, "4-8-8", 80, .5, 3)
		r.Bytes = c.bytes
		got, err := newTradeoff(&compare.Table{Protocol: "p", Rows: []compare.Row{r}}, s)
		if c.ok != (err == nil) || err == nil && got.Protocol != "p" || err != nil && !strings.Contains(err.Error(), "--also some/out") {
			t.Errorf("%s of %d bytes: %v", c.name, c.bytes, err)
		}
	}
}
