package float

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/specquant/specquant/internal/kernel/cpu"
)

// TestGather compares AddWide and MaxMagnitude on every tier with their definitions.
func TestGather(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, tier := range cpu.Tiers() {
		for _, n := range []int{0, 1, 7, 15, 16, 17, 31, 32, 48, 100, 192} {
			x, sums, top := make([]float32, n), make([]float64, n), make([]float32, n)
			for i := range x {
				x[i], sums[i], top[i] = float32(r.NormFloat64()), r.NormFloat64(), r.Float32()
			}
			if n > 7 {
				x[2], x[5], x[7] = float32(math.Inf(-1)), float32(math.NaN()), float32(math.Copysign(0, -1))
			}
			wantSums, wantTop := make([]float64, n), make([]float32, n)
			for i, v := range x {
				wantSums[i] = sums[i] + float64(v)
				wantTop[i] = math.Float32frombits(max(math.Float32bits(top[i]), math.Float32bits(v)&^(1<<31)))
			}
			former := cpu.SetTier(tier)
			AddWide(sums, x)
			MaxMagnitude(top, x)
			cpu.SetTier(former)
			for i := range x {
				if math.Float64bits(sums[i]) != math.Float64bits(wantSums[i]) && !math.IsNaN(wantSums[i]) || math.Float32bits(top[i]) != math.Float32bits(wantTop[i]) {
					t.Fatalf("%v, %d numbers: [%d] is %v and %v, want %v and %v", tier, n, i, sums[i], top[i], wantSums[i], wantTop[i])
				}
			}
		}
	}
}
