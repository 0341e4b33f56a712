package compare

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/eval"
	"github.com/specquant/specquant/internal/pipeline"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
	"github.com/specquant/specquant/internal/testmodel"
)

// smallRecipe is the whole method on few tokens.
const smallRecipe = `
name: small
bits: 4-4-16
weights: {group: 0, clip: mse}
smooth: {alpha: [off, 0.5]}
branch: {basis: dft, axis: output, components: 2, overhead: 0, importance: interaction, temperature: 1, truncate: 0}
solve: {method: gptq, damp: 0.01, act-order: true}
activations: {clip: 1}
calibration: {samples: 4, tokens: 64, propagate: quantized}
`

func compareSetup(t *testing.T) (dir string, o Options) {
	t.Helper()
	tmp := t.TempDir()
	dir = filepath.Join(tmp, "model")
	if err := testmodel.Write(dir, testmodel.Options{Layers: 4}); err != nil {
		t.Fatal(err)
	}
	recipe := filepath.Join(tmp, "small.yaml")
	if err := os.WriteFile(recipe, []byte(smallRecipe), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir, Options{Version: "0.0.0", Recipes: []string{recipe}, Bits: []string{"4-4-16"}, Texts: []Text{{"some", strings.Repeat("Some text to be measured on, 1 2 3. ", 20)}}, Threads: 2, Work: filepath.Join(tmp, "work")}
}

// same holds two tables to each other but for how long they took.
func same(t *testing.T, what string, got, want *Table) {
	t.Helper()
	text := func(t Table) string {
		t.Rows = slices.Clone(t.Rows)
		for i := range t.Rows {
			t.Rows[i].Seconds = 0
		}
		data, err := json.MarshalIndent(t, "", " ")
		if err != nil {
			return err.Error()
		}
		return string(data)
	}
	if g, w := text(*got), text(*want); g != w {
		t.Errorf("%s: got %s, want %s", what, g, w)
	}
}

// TestCompareResumes interrupts a comparison inside a quantization: the rest is
// taken up, and the figures are those of a run that was left alone.
func TestCompareResumes(t *testing.T) {
	dir, o := compareSetup(t)
	alone := o
	alone.Work = ""
	want, err := Run(t.Context(), dir, alone)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stopped := o
	stopped.Progress = func(_, _ string, e pipeline.Event) {
		if e.Layers != nil && e.Block == 2 {
			cancel()
		}
	}
	if _, err := Run(ctx, dir, stopped); err != context.Canceled {
		t.Fatalf("interrupted: %v", err)
	}
	resumed, first := 0, true
	again := o
	again.Threads = 1
	again.Progress = func(_, _ string, e pipeline.Event) {
		if e.Resumed {
			resumed++
		}
	}
	again.Cell = func(r Row) {
		if r.Recipe == FullPrecision && !r.Reused {
			t.Error("full precision was measured again")
		}
		if r.Recipe != FullPrecision && r.Reused {
			first = false
		}
	}
	got, err := Run(t.Context(), dir, again)
	if err != nil {
		t.Fatal(err)
	}
	if resumed != 2 || !first {
		t.Errorf("%d blocks were taken up, want 2; the cell was found finished: %v", resumed, !first)
	}
	same(t, "resumed", got, want)
	again.Progress = func(_, _ string, e pipeline.Event) { t.Error("a finished cell is quantized again") }
	again.Cell = nil
	if got, err = Run(t.Context(), dir, again); err != nil {
		t.Fatal(err)
	}
	same(t, "reused", got, want)
	left, err := os.ReadDir(o.Work)
	if err != nil {
		t.Fatal(err)
	}
	if len(left) != 2 {
		t.Errorf("%d entries are left in the work folder, want two rows", len(left))
	}
	// Other weights are another model.
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := testmodel.Write(dir, testmodel.Options{Layers: 4, Seed: 9}); err != nil {
		t.Fatal(err)
	}
	if got, err = Run(t.Context(), dir, o); err != nil {
		t.Fatal(err)
	}
	if got.Rows[0].Reused || got.Rows[1].Reused {
		t.Error("rows of another model were taken")
	}
}

// TestCompareKept: cells of other programs are taken where they are asked for, and
// none is made where only kept ones are wanted.
func TestCompareKept(t *testing.T) {
	dir, o := compareSetup(t)
	o.Recipes = []string{"rtn"}
	made, err := Run(t.Context(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	own, err := BuildOf(o.Version, "")
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if b, err := BuildOf(o.Version, exe); err != nil || b != own {
		t.Errorf("the running program by its path is %q, %v, want %q", b, err, own)
	}
	if b, err := BuildOf(o.Version, o.Recipes[0]); err == nil {
		t.Errorf("what is no program is %q", b)
	}
	kept := func(build string, builds ...string) []Row {
		t.Helper()
		o := o
		o.Kept, o.Builds = true, builds
		c := &comparison{Options: o, dir: dir}
		if err := c.begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer c.close()
		c.build = build
		recipes, err := c.recipes()
		if err != nil {
			t.Fatal(err)
		}
		b, err := quant.ParseBits(o.Bits[0])
		if err != nil {
			t.Fatal(err)
		}
		if err := recipes[0].SetBits(b); err != nil {
			t.Fatal(err)
		}
		for _, x := range []cell{{}, {recipe: recipes[0]}} {
			if err := c.add(t.Context(), x); err != nil {
				t.Fatal(err)
			}
		}
		return c.table.Rows
	}
	for what, c := range map[string]struct {
		rows []Row
		want int
	}{
		"its own":             {kept(own), 2},
		"another's":           {kept("another"), 0},
		"another's with ours": {kept("another", "third", own), 2},
	} {
		if len(c.rows) != c.want {
			t.Errorf("%s: %d rows, want %d", what, len(c.rows), c.want)
		}
		for i, r := range c.rows {
			if r.Build != own || r.Made.IsZero() || !r.Reused || r.KL != made.Rows[i].KL {
				t.Errorf("%s: %+v", what, r)
			}
		}
	}
	if r := made.Rows[1]; r.Build != own || r.Made.IsZero() || r.Reused {
		t.Errorf("as made: %+v", r)
	}
}

func TestRowJSON(t *testing.T) {
	r := Row{Recipe: "a", Bits: "4-4-4", Perplexity: eval.Estimate{Mean: 1, StdErr: 2}, KL: eval.Estimate{Mean: 3, StdErr: 4}, Top1: eval.Estimate{Mean: 5, StdErr: 6}, BitsPerWeight: 7, Bytes: 8, Seconds: 9,
		Fallbacks: []artefact.Fallback{{Kind: "damping", Where: "b", Cause: "c"}}}
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"recipe":"a","bits":"4-4-4","ppl":1,"ppl_se":2,"kl":3,"kl_se":4,"top1":5,"top1_se":6,"bits_per_weight":7,"bytes":8,"seconds":9,"fallbacks":[{"kind":"damping","where":"b","cause":"c"}]}`
	if string(data) != want {
		t.Errorf("got %s", data)
	}
	var back Row
	if err := json.Unmarshal(data, &back); err != nil || !reflect.DeepEqual(back, r) {
		t.Errorf("read back as %+v, %v", back, err)
	}
}

func TestVariants(t *testing.T) {
	c := &checkpoint.Config{HiddenSize: 64, IntermediateSize: 96, Heads: 4, KVHeads: 2, HeadDim: 16, Layers: 1}
	for ablation, want := range map[string][]string{
		"components": {"specquant quantization only", "specquant + smoothing", "specquant + branch", "specquant + smoothing + branch"},
		"groups":     {"specquant components 0", "specquant components 1", "specquant components 2", "specquant components 4", "specquant components 8", "specquant components 16"},
		"axis":       {"specquant axis output", "specquant axis input", "specquant no branch"},
		"importance": {"specquant importance uniform", "specquant importance interaction", "specquant importance interaction-signed", "specquant importance abs-mean",
			"specquant importance abs-max", "specquant importance l2", "specquant importance spectral-entropy", "specquant importance hessian"},
	} {
		base, err := recipe.Load("specquant")
		if err != nil {
			t.Fatal(err)
		}
		before, _ := json.Marshal(base)
		out, err := variants(base, ablation, c)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		contents := map[string]bool{}
		for _, r := range out {
			names = append(names, r.Name)
			bare := *r
			bare.Name = ""
			contents[hashJSON(bare)] = true
		}
		if !slices.Equal(names, want) {
			t.Errorf("%s: %q", ablation, names)
		}
		if len(contents) != len(want) {
			t.Errorf("%s: %d different recipes of %d", ablation, len(contents), len(want))
		}
		if after, _ := json.Marshal(base); string(after) != string(before) {
			t.Errorf("%s: changes its base", ablation)
		}
	}
	rtn, err := recipe.Load("rtn")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := variants(rtn, "axis", c); err == nil {
		t.Error("an ablation of plain rounding")
	}
}

// TestComparesTogether: comparisons that work in one folder at once wait for each
// other's cells and take them, instead of writing to the same files.
func TestComparesTogether(t *testing.T) {
	dir, o := compareSetup(t)
	var mu sync.Mutex
	made := map[string]int{}
	o.Cell = func(r Row) {
		mu.Lock()
		defer mu.Unlock()
		if !r.Reused {
			made[r.Recipe]++
		}
	}
	var all [3]*Table
	var errs [3]error
	var wg sync.WaitGroup
	for i := range all {
		wg.Go(func() { all[i], errs[i] = Run(t.Context(), dir, o) })
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
		same(t, "together", all[i], all[0])
	}
	if len(made) != 2 {
		t.Errorf("made %v, expected two rows", made)
	}
	for name, n := range made {
		if n != 1 {
			t.Errorf("%s: made %d times", name, n)
		}
	}
	// Who waits can be stopped.
	unlock, err := lockFolder(t.Context(), o.Work)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	if _, err := lockFolder(ctx, o.Work); !errors.Is(err, context.DeadlineExceeded) {
		t.Skipf("folders can't be locked here: %v", err)
	}
}

// TestSeveralTexts: what is measured over all texts is what their own measures make, the
// first text's are those of a comparison on it alone, and a model that exists stands
// beside those that are made with the same figures.
func TestSeveralTexts(t *testing.T) {
	dir, o := compareSetup(t)
	o.Recipes = []string{"rtn"}
	o.Bits = []string{"8-8-8", DefaultBits}
	alone, err := Run(t.Context(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	o.Texts = append(o.Texts, Text{"other", strings.Repeat("Another text altogether; it is longer! ", 40)})
	o.Also = []string{filepath.Join(t.TempDir(), "made")}
	r, err := recipe.Load("rtn")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.SetBits(quant.Bits{Weights: 8, Activations: 8, KV: 8}); err != nil {
		t.Fatal(err)
	}
	if _, err := pipeline.Run(t.Context(), pipeline.Options{Dir: dir, Out: o.Also[0], Recipe: r, Tool: "specquant " + o.Version}); err != nil {
		t.Fatal(err)
	}
	table, err := Run(t.Context(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	if len(table.Rows) != 4 || len(alone.Rows) != 3 {
		t.Fatalf("%d and %d rows", len(table.Rows), len(alone.Rows))
	}
	for i, r := range table.Rows {
		var tokens int
		var kl float64
		for _, m := range r.ByText {
			tokens, kl = tokens+m.Tokens, kl+float64(m.Tokens)*m.KL.Mean
		}
		if len(r.ByText) != 2 || r.ByText[1].Text != "other" || tokens != table.Tokens || math.Abs(kl/float64(tokens)-r.KL.Mean) > 1e-9 {
			t.Errorf("row %d: %+v of %d tokens, KL %g", i, r.ByText, table.Tokens, r.KL.Mean)
		}
		if i > 0 && !(r.WorstShare > 0 && r.WorstShare <= 1) {
			t.Errorf("row %d: worst share %g", i, r.WorstShare)
		}
		if r.TotalBytes <= r.Bytes {
			t.Errorf("row %d: %d bytes in all, weights %d", i, r.TotalBytes, r.Bytes)
		}
	}
	also, made := table.Rows[1], table.Rows[2]
	if also.Recipe != o.Also[0] || also.Bits != "8-8-8" || also.KL != made.KL || also.BitsPerWeight != made.BitsPerWeight || also.TotalBytes == 0 {
		t.Errorf("as it is %+v, made %+v", also, made)
	}
	if made.ByText[0].KL != alone.Rows[1].KL {
		t.Errorf("the first text has KL %v among others, %v alone", made.ByText[0].KL, alone.Rows[1].KL)
	}
	if own := table.Rows[3]; own.Bits != "4-4-4" {
		t.Errorf("the recipe's own bits are %s", own.Bits)
	}
	told := 0
	o.Recipes, o.Work, o.Measuring = nil, t.TempDir(), func(tokens, of int) { told = tokens }
	if table, err = Run(t.Context(), dir, o); err != nil || len(table.Rows) != 2 || table.Rows[1].KL != also.KL || told != table.Tokens {
		t.Errorf("only what exists: %+v after %d tokens, %v", table, told, err)
	}
}

func TestParseSetting(t *testing.T) {
	for text, want := range map[string]setting{
		"4-8-8":     {text: "4-8-8", bits: quant.Bits{Weights: 4, Activations: 8, KV: 8}},
		DefaultBits: {text: DefaultBits},
		"92MB":      {text: "92MB", size: 92e6},
	} {
		if got, err := parseSetting(text); err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "4-8", "9-8-8", "-1MB", "much"} {
		if got, err := parseSetting(text); err == nil {
			t.Errorf("%q: %+v", text, got)
		}
	}
}
