package stage

import (
	"testing"

	"github.com/specquant/specquant/internal/kernel/parallel"
)

func TestTransposeSquare(t *testing.T) {
	for _, n := range []int{1, 31, 32, 33, 100} {
		for _, threads := range []int{1, 3} {
			pool := parallel.NewPool(threads)
			h := make([]float64, n*n)
			for i := range h {
				h[i] = float64(i)
			}
			transposeSquare(pool, h, n)
			pool.Close()
			for i := range h {
				if want := float64(i%n*n + i/n); h[i] != want {
					t.Fatalf("%d × %d, %d threads: found %v at %d, expected %v", n, n, threads, h[i], i, want)
				}
			}
		}
	}
}
