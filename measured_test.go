package specquant

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestAddMeasured: rows of the plan's recipe go to the setting with their bits, all others
// nowhere; a table of another model is refused.
func TestAddMeasured(t *testing.T) {
	plan := func() *Plan {
		return &Plan{Recipe: "gptq", Bits: "4-8-8", Read: 1000, Choices: &Choices{All: []Choice{
			{Bits: 16, BitsPerWeight: 16}, {Bits: 5, Group: 32, BitsPerWeight: 5.5}, {Bits: 5, BitsPerWeight: 5.01}, {Bits: 4, BitsPerWeight: 4.01}, {Bits: 4, Filled: true, BitsPerWeight: 4.03}}}}
	}
	row := func(recipe, bits string, perWeight, kl float64) Row {
		return Row{Recipe: recipe, Bits: bits, BitsPerWeight: perWeight, KL: Estimate{Mean: kl}, Bytes: 1000}
	}
	for _, c := range []struct {
		name string
		rows []Row
		want [5]float64 // KL of each choice; −1: not measured
		err  string
	}{
		{"all", []Row{row(FullPrecision, "16-16-16", 16, 0), row("gptq", "5-8-8", 5.53, 1), row("my/gptq.yaml", "5-8-8", 5, 2), row("gptq", "4-8-8", 4.02, 3)}, [5]float64{0, 1, 2, 3, -1}, ""},
		{"others", []Row{row(FullPrecision, "16-16-16", 16, 0), row("rtn", "5-8-8", 5.5, 1), row("gptq", "5-8-16", 5.5, 1), row("gptq", "5-8-8", 5.25, 1), row("gptq", AsItIs, 4, 1)}, [5]float64{0, -1, -1, -1, -1}, ""},
		{"first", []Row{row("gptq", "4-8-8", 4.01, 1), row("gptq", "4-8-8", 4.01, 2)}, [5]float64{-1, -1, -1, 1, -1}, ""},
		{"filled", []Row{row("gptq", "default", 4.02, 1), row("gptq", "92MB", 5.02, 2)}, [5]float64{-1, -1, -1, -1, 1}, ""},
		{"another model", []Row{{Recipe: FullPrecision, Bytes: 999}}, [5]float64{-1, -1, -1, -1, -1}, "999 bytes"},
	} {
		p := plan()
		found, err := p.AddMeasured(&Table{Rows: c.rows})
		if c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) || c.err == "" && err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		count := 0
		for i, want := range c.want {
			m := p.Choices.All[i].Measured
			if m == nil != (want < 0) || m != nil && m.KL != want {
				t.Errorf("%s: choice %d: %+v, want %v", c.name, i, m, want)
			}
			if m != nil {
				count++
			}
		}
		if found != count {
			t.Errorf("%s: says %d, has %d", c.name, found, count)
		}
	}
}

// TestReadTable: what is no table is said to be none.
func TestReadTable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "t.json")
	for text, want := range map[string]string{
		`{"rows": [{"recipe": "full precision", "bits": "16-16-16", "ppl": 7}], "failed": [{"recipe": "x", "bits": "y", "error": "z"}]}`: "",
		`{"rows": []}`: `has no row "full precision"`,
		`[]`:           "specquant compare",
		`{"rows": 3}`:  "specquant compare",
	} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		table, err := ReadTable(path)
		if want == "" && (err != nil || table.Rows[0].Perplexity.Mean != 7) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
