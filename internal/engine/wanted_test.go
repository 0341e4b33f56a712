package engine_test

import (
	"math"
	"slices"
	"testing"

	"github.com/specquant/specquant/internal/engine"
	"github.com/specquant/specquant/internal/testdata"
)

// TestWanted: the last block leaves out rows of which nothing is asked for. What is asked for
// must be the same bits as if everything were, in one batch of sequences that ask for different
// things, and the keys and values left in the cache must be the same too.
func TestWanted(t *testing.T) {
	g := testdata.ReadGolden(t, testdata.Path(t, "models", "books-1m", "golden_f64.json"))
	m, err := engine.Open(testdata.Path(t, "models", "books-1m"), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	ids := g.TextIDs
	if ids == nil {
		ids = g.GreedyIDs
	}
	ids = ids[:min(len(ids), m.Context-1, 150)]
	type result struct {
		logits, hidden [][]float32 // of each token that they were given for
		tokens         []int
	}
	// ask runs steps in one batch and then gives every sequence the same token more.
	ask := func(wants ...engine.Want) (first, second []result) {
		steps := make([]engine.Step, len(wants))
		for i, w := range wants {
			steps[i] = engine.Step{Seq: m.NewSequence(), IDs: ids[i:], Want: w}
		}
		forward := func() []result {
			out := make([]result, len(steps))
			err := m.Forward(t.Context(), steps, func(step, token int, values []float32) error {
				r := &out[step]
				r.tokens = append(r.tokens, token)
				if steps[step].Want == engine.WantHidden {
					r.hidden = append(r.hidden, slices.Clone(values))
				} else {
					r.logits = append(r.logits, slices.Clone(values))
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		first = forward()
		for i := range steps {
			steps[i].IDs, steps[i].Want = ids[:1], engine.WantLast
		}
		return first, forward()
	}
	same := func(what string, got, want []float32) {
		t.Helper()
		for i := range want {
			if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
				t.Fatalf("%s: number %d is %v, want %v", what, i, got[i], want[i])
			}
		}
	}
	all, allNext := ask(engine.WantAll, engine.WantAll, engine.WantAll, engine.WantAll, engine.WantAll)
	hidden, _ := ask(engine.WantHidden, engine.WantHidden, engine.WantHidden, engine.WantHidden, engine.WantHidden)
	some, next := ask(engine.WantNone, engine.WantLast, engine.WantHidden, engine.WantLast, engine.WantNone)
	for i, wants := range [][]int{nil, {len(ids) - 2}, nil, {len(ids) - 4}, nil} {
		if len(some[i].logits) != len(wants) {
			t.Fatalf("sequence %d gave logits of %d tokens, want %d", i, len(some[i].logits), len(wants))
		}
		for k, token := range wants {
			if some[i].tokens[k] != token {
				t.Errorf("sequence %d gave logits of token %d, want %d", i, some[i].tokens[k], token)
			}
			same("the last token's logits", some[i].logits[k], all[i].logits[token])
		}
		same("a token more", next[i].logits[0], allNext[i].logits[0])
	}
	if n := len(some[2].hidden); n != len(ids)-2 {
		t.Fatalf("hidden states of %d tokens, want %d", n, len(ids)-2)
	}
	for token, h := range some[2].hidden {
		same("a hidden state", h, hidden[2].hidden[token])
	}
	// Nothing at all is asked for.
	_, next = ask(engine.WantNone, engine.WantNone)
	_, want := ask(engine.WantAll, engine.WantAll)
	for i := range next {
		same("after a batch that asked for nothing", next[i].logits[0], want[i].logits[0])
	}
}
