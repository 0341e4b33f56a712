package kv

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestAttendSoftCap holds capped attention against a direct computation.
func TestAttendSoftCap(t *testing.T) {
	const hd, positions, group = 6, 37, 3
	rng := rand.New(rand.NewPCG(3, 4))
	random := func(n int) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(3 * rng.NormFloat64())
		}
		return x
	}
	q, k, v := random(positions*group*hd), random(positions*hd), random(positions*hd)
	c := Cache{Bits: 16, Heads: 1, HeadDim: hd, SoftCap: 5}
	c.Reserve(positions, 0, positions)
	for p := range positions {
		c.Put(0, p, k[p*hd:][:hd], v[p*hd:][:hd])
	}
	for _, window := range []int{0, 9} {
		out := make([]float32, len(q))
		var s Scratch
		c.Attend(&s, out, q, group*hd, 0, group, 0, positions, window, 0.7)
		for r := range positions * group {
			p := r / group
			from := 0
			if window > 0 {
				from = max(0, p+1-window)
			}
			var sum float64
			want := make([]float64, hd)
			for j := from; j <= p; j++ {
				var dot float64
				for i := range hd {
					dot += float64(q[r*hd+i]) * float64(k[j*hd+i])
				}
				e := math.Exp(5 * math.Tanh(0.7*dot/5))
				sum += e
				for i := range hd {
					want[i] += e * float64(v[j*hd+i])
				}
			}
			for i := range hd {
				if d := math.Abs(float64(out[r*hd+i]) - want[i]/sum); !(d < 2e-5) {
					t.Fatalf("window %d, row %d, dim %d: %v, expected %v", window, r, i, out[r*hd+i], want[i]/sum)
				}
			}
		}
	}
}
