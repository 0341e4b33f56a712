package kernel

import (
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"testing"
)

func TestHadamard(t *testing.T) {
	r := rand.New(rand.NewPCG(17, 18))
	for n := 1; n <= 8192; n *= 2 {
		x := randFloats(r, n)
		want := append([]float32(nil), x...)
		hadamardGo(want, 0.3)
		if n <= 512 { // element (i, j) of the matrix is (-1)^popcount(i&j)
			for i := range want {
				sum := 0.0
				for j, v := range x {
					sum += 0.3 * float64(v) * float64(1-2*(bits.OnesCount(uint(i&j))&1))
				}
				if math.Abs(sum-float64(want[i])) > 1e-5*math.Sqrt(float64(n)) {
					t.Fatalf("portable transform of %d: element %d is %v, want %v", n, i, want[i], sum)
				}
			}
		}
		floatTiers(t, func(t *testing.T) {
			y := append([]float32(nil), x...)
			if !Hadamard(y, 0.3) {
				t.Fatal("refused")
			}
			sameBits(t, fmt.Sprint("length ", n), y, want)
		})
	}
	for _, n := range []int{0, 3, 12, 172} {
		x := randFloats(r, n)
		y := append([]float32(nil), x...)
		if Hadamard(y, 2) {
			t.Errorf("took length %d", n)
		}
		sameBits(t, fmt.Sprint("length ", n), y, x)
	}
}

func BenchmarkHadamard(b *testing.B) {
	for _, n := range []int{128, 4096, 16384} {
		x := make([]float32, n)
		for tier := Portable; tier <= min(Best(), AVX512); tier++ {
			b.Run(fmt.Sprintf("%d/%v", n, tier), func(b *testing.B) {
				defer SetTier(SetTier(tier))
				for b.Loop() {
					Hadamard(x, 0.5)
				}
			})
		}
	}
}
