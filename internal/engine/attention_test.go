package engine_test

import (
	"math"
	"testing"

	"github.com/specquant/specquant/internal/engine"
	"github.com/specquant/specquant/internal/kernel/cpu"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/testdata"
)

// TestAttentionInvariance: a trained model gives a token the same logits, to
// the bit, however the sequence is cut, whatever shares the batch, at any number
// of threads, and after the cache was cut back.
func TestAttentionInvariance(t *testing.T) {
	dir := testdata.Path(t, "models", "books-1m")
	g := testdata.ReadGolden(t, testdata.Path(t, "models", "books-1m", "golden_f64.json"))
	open := func(pool *parallel.Pool) *engine.Model {
		m, err := engine.Open(dir, engine.Options{Pool: pool})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { m.Close() })
		return m
	}
	m := open(nil)
	ids := g.TextIDs
	if ids == nil {
		ids = g.GreedyIDs
	}
	ids = ids[:min(len(ids), m.Context, 150)]
	vocab := m.Config.VocabSize
	same := func(what string, got, want []float32) {
		t.Helper()
		for i := range want {
			if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
				t.Fatalf("%s: logit %d of token %d is %v, want %v", what, i%vocab, i/vocab, got[i], want[i])
			}
		}
	}
	for _, tier := range cpu.Tiers() {
		t.Run(tier.String(), func(t *testing.T) {
			defer cpu.SetTier(cpu.SetTier(tier))
			want := run(t, m, ids)
			same("one by one", run(t, m, ids, 1), want)
			same("in pieces", run(t, m, ids, 5, 33, 2), want)
			pool := parallel.NewPool(3)
			defer pool.Close()
			three := open(pool)
			same("three threads", run(t, three, ids, 64), want)

			// Three sequences in a batch, of which one continues, cut back.
			a, b, c := three.NewSequence(), three.NewSequence(), three.NewSequence()
			none := func(int, int, []float32) error { return nil }
			half := len(ids) / 2
			err := three.Forward(t.Context(), []engine.Step{{Seq: b, IDs: append(append([]int{}, ids[:half]...), ids[:20]...)}}, none)
			if err != nil {
				t.Fatal(err)
			}
			b.Truncate(half)
			got := [3][]float32{make([]float32, len(want)), make([]float32, len(want)), make([]float32, len(want))}
			steps := []engine.Step{{Seq: a, IDs: ids, Want: engine.WantAll}, {Seq: b, IDs: ids[half:], Want: engine.WantAll},
				{Seq: c, IDs: ids[:7], Want: engine.WantAll}}
			err = three.Forward(t.Context(), steps, func(step, k int, logits []float32) error {
				copy(got[step][k*vocab:], logits)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			same("batch, first", got[0], want)
			same("batch, continued", got[1], want[half*vocab:])
			same("batch, short", got[2], want[:7*vocab])
		})
	}
}
