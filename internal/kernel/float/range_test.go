package float

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/specquant/specquant/internal/kernel/kerneltest"
)

// Every tier gives the bits of the definition, whatever is not finite or zero.
func TestMinMaxAbs(t *testing.T) {
	r := rand.New(rand.NewPCG(63, 64))
	odd := []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.Copysign(0, -1)), 0, math.MaxFloat32, -math.MaxFloat32, 1e-45}
	for n := range 300 {
		for trial := range 12 {
			x := kerneltest.RandFloats(r, n)
			switch {
			case n == 0 || trial == 0:
			case trial == 1:
				for i := range x { // all of one sign
					x[i] = float32(math.Abs(float64(x[i])))
				}
			case trial == 2:
				for i := range x {
					x[i] = odd[3]
				}
			default:
				x[r.IntN(n)] = odd[r.IntN(len(odd))]
				x[r.IntN(n)] = odd[r.IntN(len(odd))]
			}
			lo, hi, abs := minMaxAbsGo(x)
			kerneltest.FloatTiers(t, func(t *testing.T) {
				l, h, a := MinMaxAbs(x)
				if math.Float32bits(l) != math.Float32bits(lo) || math.Float32bits(h) != math.Float32bits(hi) || a != abs {
					t.Fatalf("%d numbers, trial %d: %v to %v, %#x; want %v to %v, %#x", n, trial, l, h, a, lo, hi, abs)
				}
			})
		}
	}
}
