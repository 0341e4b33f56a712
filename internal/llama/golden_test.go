package llama

import (
	"math"
	"testing"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/testdata"
)

// TestGolden holds the float32 model to float64 references, made by an
// independent program, on trained models of four shapes.
func TestGolden(t *testing.T) {
	for _, name := range []string{"tinystories-656k", "books-1m", "books-5m"} {
		t.Run(name, func(t *testing.T) {
			dir := testdata.Path(t, "models", name)
			golden(t, dir, testdata.ReadGolden(t, testdata.Path(t, "models", name, "golden_f64.json")))
		})
	}
}

func golden(t *testing.T, dir string, g testdata.Golden) {
	ck, err := checkpoint.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer ck.Close()
	if err := ck.Check(); err != nil {
		t.Fatal(err)
	}
	pool := parallel.NewPool(2)
	defer pool.Close()
	vocab := ck.Config.VocabSize

	logits, err := Logits(ck, pool, g.PromptIDs, nil)
	if err != nil {
		t.Fatal(err)
	}
	last := logits[len(logits)-vocab:]
	near := func(what string, got, want float64) {
		t.Helper()
		if !(math.Abs(got-want) <= 1e-4) {
			t.Errorf("%s: got %v, want %v", what, got, want)
		}
	}
	for i, v := range g.First8 {
		near("logit", float64(last[i]), v)
	}
	for _, p := range g.Top5 {
		near("top logit", float64(last[int(p[0])]), p[1])
	}
	for i, v := range g.PromptLast {
		near("logit", float64(last[i]), v)
	}

	// One pass over the greedy ids: each must be the argmax of what precedes it.
	ids := g.GreedyIDs
	if len(ids) > ck.Config.MaxPositions {
		ids = ids[:ck.Config.MaxPositions]
	}
	if logits, err = Logits(ck, pool, ids, nil); err != nil {
		t.Fatal(err)
	}
	for i := len(g.PromptIDs); i < len(ids); i++ {
		row := logits[(i-1)*vocab : i*vocab]
		best := 0
		for j, v := range row {
			if v > row[best] {
				best = j
			}
		}
		if best != ids[i] {
			t.Fatalf("greedy token %d: got %d, want %d", i, best, ids[i])
		}
	}

	if g.TextIDs != nil {
		if logits, err = Logits(ck, pool, g.TextIDs, nil); err != nil {
			t.Fatal(err)
		}
		var sum float64
		for i, id := range g.TextIDs[1:] {
			nll := nll(logits[i*vocab:][:vocab], id)
			sum += nll
			if i < len(g.TextNLL4) {
				near("nll", nll, g.TextNLL4[i])
			}
		}
		near("mean nll", sum/float64(len(g.TextIDs)-1), g.TextNLLMean)
	}
}

func nll(logits []float32, id int) float64 {
	top := float64(logits[0])
	for _, v := range logits {
		top = max(top, float64(v))
	}
	var sum float64
	for _, v := range logits {
		sum += math.Exp(float64(v) - top)
	}
	return top + math.Log(sum) - float64(logits[id])
}
