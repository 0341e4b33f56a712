package quant

import (
	"fmt"
	"math"
	"testing"
)

// TestZeroGroups: groups and rows of zeros come out as zeros, and leave their
// neighbours alone. A centred grid has no zero: its levels nearest to it are ±½
// of the smallest scale there is, 3e-8.
func TestZeroGroups(t *testing.T) {
	const rows, cols, group = 4, 80, 32 // the last group is short
	w := make([]float32, rows*cols)
	for i := range w {
		w[i] = float32(math.Sin(float64(i)))
	}
	dead := func(r, c int) bool { return r == 1 || r == 2 && c/group == 1 || r == 3 && c/group == 2 }
	for i := range w {
		if dead(i/cols, i%cols) {
			w[i] = float32(math.Copysign(0, float64(i%2)-0.5))
		}
	}
	importance := make([]float64, cols)
	for i := range importance {
		importance[i] = float64(i % 3) // some count for nothing
	}
	for bits := 2; bits <= 8; bits++ {
		for _, zero := range []ZeroKind{ZeroSymmetric, ZeroCentred, ZeroAsymmetric} {
			for _, clip := range []Clip{ClipNone, ClipMSE, ClipHessian} {
				for _, size := range []int{0, group} {
					t.Run(fmt.Sprint(bits, zero, clip, size), func(t *testing.T) {
						g := Grid{Bits: bits, Group: size, Zero: zero}
						steps, err := g.WeightedScales(w, importance, rows, cols, clip, inSequence)
						if err != nil {
							t.Fatal(err)
						}
						for i, s := range steps.Scale {
							if !(s > 0) {
								t.Errorf("scale %d is %v", i, s)
							}
						}
						q, back := make([]int8, len(w)), make([]float32, len(w))
						g.RTN(q, w, steps, rows, cols, inSequence)
						g.Dequantize(back, q, steps, rows, cols, inSequence)
						limit := float32(0)
						if zero == ZeroCentred {
							limit = smallestScale / 2
						}
						var off float64
						for i, v := range back {
							r, c := i/cols, i%cols
							if dead(r, c) && (size > 0 || r == 1) {
								if !(v >= -limit && v <= limit) {
									t.Fatalf("row %d, column %d: %v, want zero within %v", r, c, v, limit)
								}
								continue
							}
							off = max(off, math.Abs(float64(v-w[i])))
						}
						if most := 2.0 / float64(int(1)<<bits-1) * 4; off > most {
							t.Errorf("live weights are off by up to %v", off)
						}
					})
				}
			}
		}
	}
}
