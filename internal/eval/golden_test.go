package eval

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/engine"
	"github.com/specquant/specquant/internal/gguf"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/testdata"
	"github.com/specquant/specquant/internal/tokenizer"
)

// open opens a trained model and its tokenizer.
func open(t *testing.T, dir string, threads int) (*Runner, *tokenizer.Tokenizer) {
	t.Helper()
	pool := parallel.NewPool(threads)
	m, err := engine.Open(dir, engine.Options{Pool: pool})
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close(); pool.Close() })
	return &Runner{Model: m}, tok
}

func readFile(t *testing.T, elem ...string) string {
	t.Helper()
	data, err := os.ReadFile(testdata.Path(t, elem...))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// measured is the perplexity over all scored tokens of some spans.
func measured(t *testing.T, r *Runner, spans []Span) float64 {
	t.Helper()
	parts := make([]Part, len(spans))
	for i, s := range spans {
		parts[i].Span = s
	}
	nll, err := NLLs(context.Background(), r, parts, nil)
	if err != nil {
		t.Fatal(err)
	}
	return Perplexed(slices.Concat(nll...)).Mean
}

// storyText is how the file tells stories apart: paragraphs have a blank line
// between them, stories have none.
var storyText = regexp.MustCompile(`[^\n]\n[^\n]`)

func stories(t *testing.T, n int) []string {
	text := readFile(t, "text", "tinystories.txt")
	var out []string
	for len(out) < n {
		at := storyText.FindStringIndex(text)
		out = append(out, text[:at[0]+1])
		text = text[at[1]-1:]
	}
	return out
}

// TestStoriesPerplexity holds perplexities of two trained models to those of an
// independent float64 program: forty stories, each on its own with BOS, mean
// over tokens.
func TestStoriesPerplexity(t *testing.T) {
	imported := filepath.Join(t.TempDir(), "stories260k")
	if err := gguf.Import(testdata.Path(t, "models", "stories260k", "stories260K-f32.gguf"), imported); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, dir string
		want      float64
		digits    float64
	}{
		{"tinystories-656k", testdata.Path(t, "models", "tinystories-656k"), 18.90, 0.005},
		{"stories260k", imported, 3.691, 0.0005},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, tok := open(t, c.dir, 2)
			g := testdata.ReadGolden(t, testdata.Path(t, "models", c.name, "golden_f64.json"))
			var spans []Span
			for i, s := range stories(t, 40) {
				ids, err := tok.Encode(s, true)
				if err != nil {
					t.Fatal(err)
				}
				if i == 0 && !slices.Equal(ids, g.TextIDs) {
					t.Fatalf("the first story is %d tokens, the reference has %d", len(ids), len(g.TextIDs))
				}
				spans = append(spans, Span{ids[:min(len(ids), r.Model.Context)], 1})
			}
			if got := measured(t, r, spans[:1]); math.Abs(math.Log(got)-g.TextNLLMean) > 2e-6 {
				t.Errorf("mean NLL of the first story: %.7f, the reference has %.7f", math.Log(got), g.TextNLLMean)
			}
			if got := measured(t, r, spans); math.Abs(got-c.want) > c.digits {
				t.Errorf("perplexity %.5f, the reference has %v", got, c.want)
			} else {
				t.Logf("perplexity %.5f", got)
			}
		})
	}
}

// TestBooksWindows holds the mean NLL of each golden window, and by the way the
// batches: all windows go through the model together.
func TestBooksWindows(t *testing.T) {
	for _, name := range []string{"books-1m", "books-5m"} {
		t.Run(name, func(t *testing.T) {
			r, tok := open(t, testdata.Path(t, "models", name), 2)
			g := testdata.ReadGolden(t, testdata.Path(t, "models", name, "golden_f64.json"))
			bos, _ := tok.BOS()
			var ids []int
			for _, d := range strings.Split(readFile(t, "text", "books-valid.txt"), "\n\n\n") {
				doc, err := tok.Encode(d, false)
				if err != nil {
					t.Fatal(err)
				}
				ids = append(ids, doc...)
			}
			var parts []Part
			for i := range g.WindowNLL {
				parts = append(parts, Part{Span: Span{append([]int{bos}, ids[i*255:][:255]...), 1}})
			}
			nll, err := NLLs(context.Background(), r, parts, nil)
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range g.WindowNLL {
				if got := Mean(nll[i]).Mean; math.Abs(got-want) > 2e-6 {
					t.Errorf("window %d: mean NLL %.7f, the reference has %.7f", i, got, want)
				}
			}
			if got := Perplexed(slices.Concat(nll...)).Mean; math.Abs(got/g.Perplexity-1) > 1e-6 {
				t.Errorf("perplexity %.6f, the reference has %.6f", got, g.Perplexity)
			}
		})
	}
}

// TestLlamaPerplexity holds the llama.cpp protocol to what llama-perplexity
// (commit 3f545beccee6) prints for the same weights as GGUF F32:
// -c 512 --chunks 40 on the books' held-out text, 104.4581 ± 2.75799.
func TestLlamaPerplexity(t *testing.T) {
	r, tok := open(t, testdata.Path(t, "models", "books-5m"), 2)
	p, err := NewPlan(tok, readFile(t, "text", "books-valid.txt"), PlanOptions{Protocol: LlamaCPP, Context: r.Model.Context, MaxWindows: 40})
	if err != nil {
		t.Fatal(err)
	}
	v, err := p.Measure(context.Background(), r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := v.Perplexity; math.Abs(got.Mean-104.4581) > 5e-4 || math.Abs(got.StdErr-2.75799) > 1e-4 || v.Tokens != 40*255 {
		t.Errorf("perplexity %.4f ± %.5f over %d tokens, llama-perplexity has 104.4581 ± 2.75799 over 10200", got.Mean, got.StdErr, v.Tokens)
	}
}
