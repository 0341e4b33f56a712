package float

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/specquant/specquant/internal/kernel/parallel"
)

func TestGeGLU(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, 15, 16, 17, 255, 256, 257, 1000, 40000} {
		gate, up := make([]float32, n), make([]float32, n)
		for i := range gate {
			gate[i], up[i] = float32(4*rng.NormFloat64()), float32(rng.NormFloat64())
		}
		for i, v := range []float32{0, 9.99, 10.01, -9.99, -10.01, 1e4, -1e4, 1e-20, 3e18, -3e18} {
			if i < n {
				gate[i] = v
			}
		}
		got := append([]float32(nil), gate...)
		GeGLU(got, up)
		p := parallel.NewPool(2)
		again := append([]float32(nil), gate...)
		GeGLUOn(p, again, up)
		p.Close()
		for i := range gate {
			want := gelu64(float64(gate[i])) * float64(up[i])
			if d := math.Abs(float64(got[i]) - want); !(d <= 1e-6*math.Abs(float64(gate[i])*float64(up[i]))) {
				t.Fatalf("n %d: gelu(%v)·%v = %v, expected %v", n, gate[i], up[i], got[i], want)
			}
			if got[i] != again[i] {
				t.Fatalf("n %d: %v with one thread, %v with two", n, got[i], again[i])
			}
		}
	}
}

func TestSoftCap(t *testing.T) {
	var x []float32
	for v := float32(-400); v <= 400; v += 0.37 {
		x = append(x, v)
	}
	x = append(x, 0, 1e-6, -1e-6, 1e30, -1e30)
	for _, c := range []float32{1, 30, 50} {
		got := append([]float32(nil), x...)
		SoftCap(got, 0.25, c)
		for i, v := range x {
			want := float64(c) * math.Tanh(0.25*float64(v)/float64(c))
			if d := math.Abs(float64(got[i]) - want); !(d <= 5e-7*float64(c)) {
				t.Fatalf("cap %v of %v: %v, expected %v", c, v, got[i], want)
			}
		}
	}
}
