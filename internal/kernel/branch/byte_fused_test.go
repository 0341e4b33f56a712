package branch

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// TestFusedCode holds the portable multiply-add to one rounding of the exact sum.
func TestFusedCode(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 200000 {
		code := int8(r.IntN(255) - 127)
		v := float32(math.Ldexp(r.Float64()*2-1, r.IntN(60)-30))
		sum := float32(math.Ldexp(r.Float64()*2-1, r.IntN(60)-30))
		if r.IntN(2) == 0 { // the sum half a unit beyond a number, or nearly
			sum = float32(code) * v * float32(math.Ldexp(1, 20+r.IntN(9)))
		}
		got := fusedCode(code, v, sum)
		exact := new(big.Float).SetPrec(200).SetFloat64(float64(code) * float64(v))
		exact.Add(exact, big.NewFloat(float64(sum)))
		if want, _ := exact.Float32(); got != want {
			t.Fatalf("%d·%v + %v = %v, want %v", code, v, sum, got, want)
		}
	}
	inf := float32(math.Inf(1))
	if v := fusedCode(1, inf, 1); v != inf {
		t.Error(v)
	}
	if v := fusedCode(1, inf, -inf); v == v {
		t.Error(v)
	}
}
