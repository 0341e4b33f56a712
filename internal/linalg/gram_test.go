package linalg

import (
	"math/rand/v2"
	"testing"

	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
)

// TestTopEigenOfFewTokens: second moments whose products were taken in float32 have
// eigenvalues a little below zero where there are fewer tokens than channels; that
// is no reason to refuse them, and one far below is.
func TestTopEigenOfFewTokens(t *testing.T) {
	pool := parallel.NewPool(2)
	defer pool.Close()
	for _, n := range []int{40, 200, 500} { // all eigenvectors, and the leading ones by iteration
		for _, tokens := range []int{1, 6, n / 2} {
			rng := rand.New(rand.NewPCG(uint64(n), uint64(tokens)))
			x := make([]float32, tokens*n)
			for i := range x {
				x[i] = float32(rng.NormFloat64() * (1 + 100*float64(i%n%7/6)))
			}
			h := make([]float64, n*n)
			float.SyrkTN(pool, h, n, x, n, tokens)
			const k = 12
			got, err := TopEigen(pool, h, n, k, 1e-6)
			if err != nil {
				t.Errorf("%d tokens of %d channels: %v", tokens, n, err)
				continue
			}
			for i, v := range got.Values {
				if i >= tokens && v > 1e-5*got.Values[0] {
					t.Errorf("%d tokens of %d channels: eigenvalue %d is %g beside %g", tokens, n, i, v, got.Values[0])
				}
			}
			h[0] = -h[0]
			if _, err := TopEigen(pool, h, n, k, 1e-6); err == nil && n <= denseOrder {
				t.Errorf("%d tokens of %d channels: a matrix that is not of moments is accepted", tokens, n)
			}
		}
	}
}
