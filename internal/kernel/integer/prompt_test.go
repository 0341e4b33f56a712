package integer

import (
	"math/rand/v2"
	"testing"

	"github.com/specquant/specquant/internal/kernel/cpu"
	"github.com/specquant/specquant/internal/kernel/parallel"
)

// TestPrompts: long rows, which fast tiers cut into chunks of columns, times many tokens, which they
// cut into blocks and panels, give the bits of the portable loops.
func TestPrompts(t *testing.T) {
	pool := parallel.NewPool(3)
	defer pool.Close()
	for _, s := range []struct{ rows, cols, tokens int }{
		{64, 512, 64}, {70, 640, 32}, {48, 1216, 97}, {96, 1536, 64}, {33, 2100, 75}, {32, 4864, 300}, {64, 600, 161}, {16, 1300, 40},
	} {
		r := rand.New(rand.NewPCG(73, 1))
		w, bytes := intRandomMultiples(t, r, 5, s.rows, s.cols, 16)
		x := intRandomTokens(r, s.tokens, s.cols)
		for name, w := range map[string]*Matrix{"multiples": w, "bytes": bytes} {
			product := func(tier cpu.Tier) []float32 {
				defer cpu.SetTier(cpu.SetTier(tier))
				var a Activations
				a.Quantize(pool, x, s.cols, s.tokens, s.cols, ActGrid{Bits: 8, Clip: 1}, 0)
				y := make([]float32, s.tokens*s.rows)
				Mul(pool, y, s.rows, w, &a)
				return y
			}
			want := product(cpu.Portable)
			for _, tier := range cpu.Tiers() {
				got := product(tier)
				if i := intDiffer(got, want); i >= 0 {
					t.Fatalf("%+v, %s, %v: token %d, row %d is %v, want %v", s, name, tier, i/s.rows, i%s.rows, got[i], want[i])
				}
			}
		}
	}
}
