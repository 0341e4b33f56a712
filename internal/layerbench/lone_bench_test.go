package layerbench

import (
	"fmt"
	"testing"

	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/recipe"
)

// BenchmarkLoneLayer quantizes one wide layer by each recipe: with -cpuprofile it
// says which stage is a loop and not a product.
func BenchmarkLoneLayer(b *testing.B) {
	pool := parallel.NewPool(0)
	defer pool.Close()
	for _, n := range []int{1024, 4096} {
		for _, name := range recipe.Names() {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				r, err := recipe.Load(name)
				if err != nil {
					b.Fatal(err)
				}
				s, err := NewSynthetic(pool, SyntheticOptions{Out: n, In: n, HeldOut: 16})
				if err != nil {
					b.Fatal(err)
				}
				b.ResetTimer()
				for b.Loop() {
					if _, err := s.Quantize(b.Context(), pool, r); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
