package engine

import (
	"context"
	"math"
	"testing"

	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/testmodel"
)

// TestFamilies holds the runtime in full precision to the goldens of each family:
// a text at once, one token at a time, and in pieces, blocks read ahead or one by one.
func TestFamilies(t *testing.T) {
	for _, f := range testmodel.Families() {
		t.Run(f.Name, func(t *testing.T) {
			dir := t.TempDir()
			if err := f.Write(dir); err != nil {
				t.Fatal(err)
			}
			pool := parallel.NewPool(2)
			defer pool.Close()
			for _, o := range []Options{{Pool: pool, Context: len(f.IDs)}, {Context: len(f.IDs), Stream: true}} {
				m, err := Open(dir, o)
				if err != nil {
					t.Fatal(err)
				}
				defer m.Close()
				for _, piece := range []int{len(f.IDs), 1, 7} {
					seq, at := m.NewSequence(), 0
					for first := 0; first < len(f.IDs); first += piece {
						part := f.IDs[first:min(first+piece, len(f.IDs))]
						err := m.Forward(context.Background(), []Step{{Seq: seq, IDs: part, Want: WantAll}}, func(_, token int, logits []float32) error {
							want := f.First4[at]
							if at == len(f.IDs)-1 {
								want = f.Last
							}
							for i, v := range want {
								if d := math.Abs(float64(logits[i]) - v); !(d <= 1e-4) {
									t.Fatalf("pieces of %d, token %d, logit %d: %v, expected %v", piece, at, i, logits[i], v)
								}
							}
							at++
							return nil
						})
						if err != nil {
							t.Fatal(err)
						}
					}
				}
			}
		})
	}
}
