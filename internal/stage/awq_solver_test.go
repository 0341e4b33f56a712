package stage

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/quant"
)

// TestAWQScale by hand: means 16, 1, 4 and r = ½ give 4, 1, 2, over √(4·1).
func TestAWQScale(t *testing.T) {
	for _, c := range []struct {
		mean  []float64
		ratio float64
		want  []float32
	}{
		{[]float64{16, 1, 4}, 0.5, []float32{2, 0.5, 1}},
		{[]float64{16, 1, 4}, 0, []float32{1, 1, 1}},
		{[]float64{16, 0, 1, 4}, 0.5, []float32{2, 1, 0.5, 1}}, // a dead channel is left alone
		{[]float64{0, 0}, 0.5, []float32{1, 1}},
		{[]float64{4, 1e-20}, 0.5, []float32{2 / float32(math.Sqrt(2e-4)), 1e-4 / float32(math.Sqrt(2e-4))}}, // the floor
		{[]float64{4, 0}, 0, []float32{1, 1}},
	} {
		if got := AWQScale(c.mean, c.ratio); !near(got, c.want, 1e-6) {
			t.Errorf("%v to the power %v: %v, want %v", c.mean, c.ratio, got, c.want)
		}
	}
	if r := AWQRatios(); len(r) != 20 || r[0] != 0 || r[19] != 0.95 {
		t.Errorf("exponents %v", r)
	}
}

// affine is the authors' rounding with a zero point, in float64, of one group.
func affine(w []float64, bits int) []float64 {
	lo, hi := 0.0, 0.0
	for _, v := range w {
		lo, hi = min(lo, v), max(hi, v)
	}
	top := float64(int(1)<<bits - 1)
	s := float64(float.FromF16(float.ToF16(float32((hi - lo) / top))))
	z := math.RoundToEven(-lo / s)
	out := make([]float64, len(w))
	for i, v := range w {
		out[i] = s * (min(max(math.RoundToEven(v/s)+z, 0), top) - z)
	}
	return out
}

// TestAWQRound: Q(w·s)/s against float64.
func TestAWQRound(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const rows, cols = 3, 40
	w, s := randomMatrix(rng, rows*cols), make([]float32, cols)
	for i := range s {
		s[i] = float32(math.Exp(rng.NormFloat64()))
	}
	g := quant.Grid{Bits: 4, Group: 32, Zero: quant.ZeroAsymmetric}
	dst, q := make([]float32, len(w)), make([]int8, len(w))
	if err := AWQRound(nil, g, dst, q, w, s, rows, cols); err != nil {
		t.Fatal(err)
	}
	off := 0
	for r := range rows {
		for lo := 0; lo < cols; lo += 32 {
			part := make([]float64, min(32, cols-lo))
			for i := range part {
				part[i] = float64(w[r*cols+lo+i] * s[lo+i])
			}
			for i, v := range affine(part, 4) {
				if want := v / float64(s[lo+i]); math.Abs(float64(dst[r*cols+lo+i])-want) > 1e-5*math.Abs(want)+1e-7 {
					off++
				}
			}
		}
	}
	if off > 1 { // float32 may break a tie otherwise
		t.Errorf("%d of %d weights differ from Q(w·s)/s", off, len(w))
	}
}

// TestAWQClip: the magnitude of each group is the one that a direct computation,
// token by token in float64, finds best, or one as good.
func TestAWQClip(t *testing.T) {
	for _, c := range []struct {
		rows, cols, tokens, group int
	}{{4, 64, 50, 32}, {3, 80, 33, 32}, {5, 24, 40, 128}, {2, 24, 40, 0}} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(5, uint64(c.cols)))
			w := randomMatrix(rng, c.rows*c.cols)
			for r := range c.rows { // something to clip
				w[r*c.cols+r] *= 6
			}
			x := correlated(rng, c.tokens, c.cols)
			g := quant.Grid{Bits: 4, Group: c.group, Zero: quant.ZeroAsymmetric}
			got := slices.Clone(w)
			if err := AWQClip(nil, g, got, c.rows, c.cols, x, c.tokens); err != nil {
				t.Fatal(err)
			}
			width := c.cols
			if g.Groups(c.cols) > 1 {
				width = c.group
			}
			clipped := 0
			for r := range c.rows {
				for lo := 0; lo < c.cols; lo += width {
					m := min(width, c.cols-lo)
					row := w[r*c.cols+lo:][:m]
					var amax float64
					for _, v := range row {
						amax = max(amax, math.Abs(float64(v)))
					}
					errorAt := func(limit float64) float64 {
						part := make([]float64, m)
						for i, v := range row {
							part[i] = min(max(float64(v), -limit), limit)
						}
						rounded := affine(part, 4)
						var sum float64
						for tok := range c.tokens {
							var e float64
							for i, v := range row {
								e += float64(x[tok*c.cols+lo+i]) * (rounded[i] - float64(v))
							}
							sum += e * e
						}
						return sum
					}
					least := math.Inf(1)
					for step := range 10 {
						least = min(least, errorAt(amax*(1-float64(step)/20)))
					}
					var limit float64
					for _, v := range got[r*c.cols+lo:][:m] {
						limit = max(limit, math.Abs(float64(v)))
					}
					for i, v := range got[r*c.cols+lo:][:m] {
						if want := min(max(float64(row[i]), -limit), limit); float64(v) != want {
							t.Fatalf("row %d, column %d: %v, want %v held within %v", r, lo+i, v, row[i], limit)
						}
					}
					if e := errorAt(limit); e > least*1.02 {
						t.Errorf("row %d, group at %d: clipped at %.3f of the largest, error %g; %g is possible", r, lo, limit/amax, e, least)
					}
					if limit < amax {
						clipped++
					}
				}
			}
			if clipped == 0 {
				t.Error("nothing was clipped")
			}
		})
	}
}
