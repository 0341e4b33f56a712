package linalg

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/specquant/specquant/internal/kernel/float"
)

// Products that are multiplied as transposes have the sums of the factors one after the
// other, to the bit, unless the factor is by Paley's second construction or multiplies by
// sums, both of which add up numbers first: then a row alone has the bits that it has among
// others.
func TestFlippedProducts(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, n := range []int{192, 320, 576} {
		h, err := NewHadamard(n)
		if err != nil {
			t.Fatal(err)
		}
		if h.terms[0].k != flipRows || h.terms[0].matrix != nil || len(h.terms) != 2 {
			t.Fatalf("width %d is %s: not what this test is for", n, h.Name())
		}
		f := h.terms[1]
		for rows := 1; rows <= 5; rows++ {
			for _, transpose := range []bool{false, true} {
				x := make([]float32, rows*n)
				for i := range x {
					x[i] = float32(rng.NormFloat64())
				}
				in, want := append([]float32(nil), x...), make([]float32, len(x))
				float.Hadamard(in, flipRows, f.k, h.scale)
				right := f.transposed()
				if transpose {
					right = f.matrix
				}
				float.MatMulNN(nil, want, f.k, in, f.k, right, f.k, rows*flipRows, f.k, f.k, false)
				apply := h.Apply
				if transpose {
					apply = h.ApplyT
				}
				alone := append([]float32(nil), x...)
				apply(nil, x, rows)
				if f.conference != nil || f.sums(flipRows, transpose) {
					for r := range rows {
						apply(nil, alone[r*n:][:n], 1)
					}
					for i, v := range want {
						if d := float64(alone[i] - v); math.Abs(d) > 1e-5 {
							t.Fatalf("width %d, %d rows, transpose %v: element %d is %v, want %v", n, rows, transpose, i, x[i], v)
						}
					}
					want = alone
				}
				for i := range x {
					if math.Float32bits(x[i]) != math.Float32bits(want[i]) {
						t.Fatalf("width %d, %d rows, transpose %v: element %d is %v, want %v", n, rows, transpose, i, x[i], want[i])
					}
				}
			}
		}
	}
}
