package llama

import (
	"math"
	"testing"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel"
	"github.com/specquant/specquant/internal/testmodel"
)

// TestFamilies holds a small random model of each family to Hugging Face
// transformers: logits to 1e-4, and the greedy tokens.
func TestFamilies(t *testing.T) {
	for _, f := range testmodel.Families() {
		t.Run(f.Name, func(t *testing.T) {
			dir := t.TempDir()
			if err := f.Write(dir); err != nil {
				t.Fatal(err)
			}
			ck, err := checkpoint.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer ck.Close()
			if err := ck.Check(); err != nil {
				t.Fatal(err)
			}
			pool := kernel.NewPool(2)
			defer pool.Close()
			vocab := ck.Config.VocabSize
			logits, err := Logits(ck, pool, f.IDs, nil)
			if err != nil {
				t.Fatal(err)
			}
			worst := 0.0
			compare := func(row []float32, want []float64) {
				for i, v := range want {
					worst = max(worst, math.Abs(float64(row[i])-v))
				}
			}
			for i, want := range f.First4 {
				compare(logits[i*vocab:], want)
			}
			compare(logits[len(logits)-vocab:], f.Last)
			t.Logf("largest deviation %.2g", worst)
			if !(worst <= 1e-4) {
				t.Errorf("logits deviate by %v, expected at most 1e-4", worst)
			}
			ids := append([]int(nil), f.IDs...)
			for i, want := range f.Greedy {
				if logits, err = Logits(ck, pool, ids, nil); err != nil {
					t.Fatal(err)
				}
				row, best := logits[len(logits)-vocab:], 0
				for j, v := range row {
					if v > row[best] {
						best = j
					}
				}
				if best != want {
					t.Fatalf("greedy token %d: got %d, expected %d", i, best, want)
				}
				ids = append(ids, want)
			}
		})
	}
}
