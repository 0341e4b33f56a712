package eval

import (
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/engine"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/pipeline"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
	"github.com/specquant/specquant/internal/testmodel"
)

func TestPlanOfPasses(t *testing.T) {
	none, last, all := engine.WantNone, engine.WantLast, engine.WantAll
	for _, c := range []struct {
		name  string
		group []Span
		want  []pass
	}{
		{"one token scored", []Span{{[]int{1, 2, 3}, 2}}, []pass{{-1, 0, []int{1, 2}, last}}},
		{"all scored", []Span{{[]int{1, 2, 3}, 1}}, []pass{{-1, 0, []int{1, 2}, all}}},
		{"the end scored", []Span{{[]int{1, 2, 3, 4, 5}, 3}}, []pass{{-1, 0, []int{1, 2}, none}, {-1, 2, []int{3, 4}, all}}},
		{"answers of one token", []Span{{[]int{1, 2, 3}, 2}, {[]int{1, 2, 4}, 2}}, []pass{{-1, 0, []int{1, 2}, last}}},
		{"answers of two tokens", []Span{{[]int{1, 2, 3, 4}, 2}, {[]int{1, 2, 5, 6}, 2}},
			[]pass{{-1, 0, []int{1, 2}, last}, {0, 2, []int{3}, all}, {1, 2, []int{5}, all}}},
		{"answers that begin alike", []Span{{[]int{1, 2, 3, 4}, 2}, {[]int{1, 2, 3, 5, 6}, 2}},
			[]pass{{-1, 0, []int{1}, none}, {-1, 1, []int{2, 3}, all}, {1, 3, []int{5}, all}}},
		{"contexts that differ", []Span{{[]int{1, 2, 7, 8}, 3}, {[]int{1, 3, 4, 7, 8}, 4}},
			[]pass{{-1, 0, []int{1}, none}, {0, 1, []int{2, 7}, all}, {1, 1, []int{3, 4, 7}, all}}},
		{"nothing in common", []Span{{[]int{1, 2}, 1}, {[]int{3, 4}, 1}}, []pass{{0, 0, []int{1}, all}, {1, 0, []int{3}, all}}},
	} {
		if got := plan(c.group); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// quantize rounds a model to the given bits.
func quantize(t *testing.T, dir, bits string) string {
	t.Helper()
	recipe, err := recipe.Load("rtn")
	if err != nil {
		t.Fatal(err)
	}
	b, err := quant.ParseBits(bits)
	if err != nil {
		t.Fatal(err)
	}
	if err := recipe.SetBits(b); err != nil {
		t.Fatal(err)
	}
	pool := parallel.NewPool(1)
	defer pool.Close()
	out := filepath.Join(t.TempDir(), bits)
	if _, err := pipeline.Run(context.Background(), pipeline.Options{Dir: dir, Out: out, Recipe: recipe, Pool: pool, Tool: "test"}); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestPredict compares groups of random spans, sharing and batched in all ways,
// with one forward pass a span, bit by bit.
func TestPredict(t *testing.T) {
	plain := filepath.Join(t.TempDir(), "m")
	if err := testmodel.Write(plain, testmodel.Options{Layers: 2, Context: 48}); err != nil {
		t.Fatal(err)
	}
	for _, bits := range []string{"16-16-16", "4-4-4", "8-8-8"} {
		dir := plain
		if bits != "16-16-16" {
			dir = quantize(t, plain, bits)
		}
		r, _ := open(t, dir, 2)
		rng := rand.New(rand.NewPCG(3, 4))
		draw := func(n int) []int {
			out := make([]int, n)
			for i := range out {
				out[i] = rng.IntN(8)
			}
			return out
		}
		var groups [][]Span
		for range 40 {
			var g []Span
			head := draw(1 + rng.IntN(20))
			for range 1 + rng.IntN(4) {
				ids := append(append([]int(nil), head[:max(1, len(head)-rng.IntN(3))]...), draw(1+rng.IntN(8))...)
				g = append(g, Span{ids, 1 + rng.IntN(len(ids)-1)})
			}
			groups = append(groups, g)
		}
		want := make([][][]Prediction, len(groups))
		for i, g := range groups {
			for _, s := range g {
				var p []Prediction
				err := r.Model.Forward(context.Background(), []engine.Step{{Seq: r.Model.NewSequence(), IDs: s.IDs, Want: engine.WantAll}}, func(_, at int, logits []float32) error {
					if at+1 >= s.From && at+1 < len(s.IDs) {
						id := s.IDs[at+1]
						p = append(p, Prediction{NLL(logits, id), argmax(logits) == id})
					}
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
				want[i] = append(want[i], p)
			}
		}
		for _, batch := range []int{1, 50, 300, 0} {
			r.BatchTokens = batch
			got, err := r.Predict(context.Background(), groups)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("%s, batches of %d: the predictions differ", bits, batch)
			}
		}
	}
}

func TestSpanErrors(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "m")
	if err := testmodel.Write(dir, testmodel.Options{Layers: 1, Context: 8}); err != nil {
		t.Fatal(err)
	}
	r, _ := open(t, dir, 1)
	run := func(groups ...[]Span) error {
		_, err := r.Predict(context.Background(), groups)
		return err
	}
	if err := run([]Span{{upTo(1, 9), 1}}); err != nil { // the last token is not fed
		t.Errorf("a span of context + 1 tokens: %v", err)
	}
	var long *engine.ContextError
	if err := run([]Span{{upTo(1, 10), 1}}); !errors.As(err, &long) {
		t.Errorf("a span that is too long: %v", err)
	}
	for _, s := range []Span{{nil, 0}, {[]int{1}, 1}, {[]int{1, 2}, 0}, {[]int{1, 2}, 2}} {
		if err := run([]Span{s}); err == nil || !strings.Contains(err.Error(), "at least one token before") {
			t.Errorf("%v: %v", s, err)
		}
	}
	if err := run([]Span{}); err == nil {
		t.Error("an empty group is accepted")
	}
	if err := run([]Span{{[]int{1, 259}, 1}}, []Span{{[]int{259, 1}, 1}}); err == nil {
		t.Error("a token outside the vocabulary is accepted")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := r.Predict(ctx, [][]Span{{{[]int{1, 2}, 1}}}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
