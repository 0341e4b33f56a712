package integer

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/specquant/specquant/internal/kernel/cpu"
	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
)

// gramTestTokens are tokens like those of a language model: channels of different sizes, a
// first token of each window with far larger values, a dead channel.
func gramTestTokens(r *rand.Rand, tokens, n int) []float32 {
	x := make([]float32, tokens*n)
	for t := range tokens {
		for i := range n {
			v := r.NormFloat64() * math.Exp(float64(i%7)-3)
			if t%500 == 0 {
				v *= 300
			}
			if i == 3 {
				v = 0
			}
			x[t*n+i] = float32(v)
		}
	}
	return x
}

// TestGram compares second moments with those summed in float64: each element is within
// two thousandths of the geometric mean of its two diagonal elements, on every tier with
// assembly with the same bits, and nothing above the diagonal is touched.
func TestGram(t *testing.T) {
	pool := parallel.NewPool(3)
	defer pool.Close()
	r := rand.New(rand.NewPCG(1, 1))
	for _, c := range []struct{ n, tokens int }{{1, 1}, {4, 3}, {17, 9}, {40, 512}, {100, 600}, {200, 513}, {16, 33}} {
		x := gramTestTokens(r, c.tokens, c.n)
		want := make([]float64, c.n*c.n)
		for tok := range c.tokens {
			row := x[tok*c.n:][:c.n]
			for i := range row {
				for j := range row {
					want[i*c.n+j] += float64(row[i]) * float64(row[j])
				}
			}
		}
		var first []float64
		for _, tier := range cpu.Tiers() {
			former := cpu.SetTier(tier)
			var g Gram
			got := make([]float64, c.n*c.n)
			for i := range got {
				if i%c.n > i/c.n {
					got[i] = 77
				}
			}
			g.AddLower(pool, got, c.n, x, c.n, c.tokens)
			cpu.SetTier(former)
			if i := slices.Index(cpu.Tiers(), tier); i <= 1 {
				first = got // the float32 products of portable Go do not fuse
			}
			for i := range c.n {
				for j := range c.n {
					v := got[i*c.n+j]
					switch mean := math.Sqrt(want[i*c.n+i] * want[j*c.n+j]); {
					case j > i:
						if v != 77 {
							t.Fatalf("%v, %v: [%d][%d], above the diagonal, is %v", c, tier, i, j, v)
						}
					case math.Abs(v-want[i*c.n+j]) > 2e-3*mean:
						t.Fatalf("%v, %v: [%d][%d] is %v, want %v", c, tier, i, j, v, want[i*c.n+j])
					}
					if v != first[i*c.n+j] {
						t.Fatalf("%v, %v: [%d][%d] is %v, on a lower tier %v", c, tier, i, j, v, first[i*c.n+j])
					}
				}
			}
		}
	}
}

// TestGramCross does the same for the moments of two kinds of rows, of which one has large
// tokens of its own.
func TestGramCross(t *testing.T) {
	pool := parallel.NewPool(3)
	defer pool.Close()
	r := rand.New(rand.NewPCG(2, 1))
	for _, c := range []struct{ m, n, tokens int }{{1, 1, 1}, {3, 17, 9}, {40, 16, 512}, {100, 37, 600}, {97, 200, 513}} {
		x, y := gramTestTokens(r, c.tokens, c.n), gramTestTokens(r, c.tokens, c.m)
		for i := range c.m {
			y[c.tokens/2*c.m+i] *= 100
		}
		want, yy, xx := make([]float64, c.m*c.n), make([]float64, c.m), make([]float64, c.n)
		for tok := range c.tokens {
			for i, v := range y[tok*c.m:][:c.m] {
				yy[i] += float64(v) * float64(v)
				for j, w := range x[tok*c.n:][:c.n] {
					want[i*c.n+j] += float64(v) * float64(w)
				}
			}
			for j, w := range x[tok*c.n:][:c.n] {
				xx[j] += float64(w) * float64(w)
			}
		}
		var first []float32
		for k, tier := range cpu.Tiers() {
			former := cpu.SetTier(tier)
			var g Gram
			got := make([]float32, c.m*c.n)
			for i := range got {
				got[i] = 1
			}
			g.AddCross(pool, got, y, c.m, x, c.n, c.tokens)
			cpu.SetTier(former)
			if k <= 1 {
				first = got // the float32 products of portable Go do not fuse
			}
			for i, v := range got {
				if mean := math.Sqrt(yy[i/c.n] * xx[i%c.n]); math.Abs(float64(v)-1-want[i]) > 2e-3*mean+1e-5 {
					t.Fatalf("%v, %v: [%d][%d] is %v, want 1 + %v", c, tier, i/c.n, i%c.n, v, want[i])
				}
				if v != first[i] {
					t.Fatalf("%v, %v: [%d][%d] is %v, on a lower tier %v", c, tier, i/c.n, i%c.n, v, first[i])
				}
			}
		}
	}
}

// BenchmarkGram takes turns with the product in float32.
func BenchmarkGram(b *testing.B) {
	pool := parallel.NewPool(1)
	defer pool.Close()
	const tokens = 512
	for _, n := range []int{576, 1536, 4864} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			x := gramTestTokens(rand.New(rand.NewPCG(1, 1)), tokens, n)
			h := make([]float64, n*n)
			var g Gram
			ints, floats := time.Hour, time.Hour
			for b.Loop() {
				start := time.Now()
				g.AddLower(pool, h, n, x, n, tokens)
				ints = min(ints, time.Since(start))
				start = time.Now()
				float.SyrkLower(pool, h, n, x, n, tokens)
				floats = min(floats, time.Since(start))
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(floats.Seconds()*1e3, "float32-ms")
			b.ReportMetric(ints.Seconds()*1e3, "int8-ms")
			b.ReportMetric(ints.Seconds()/floats.Seconds(), "int8/float32")
		})
	}
}
