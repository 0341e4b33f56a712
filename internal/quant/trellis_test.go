package quant

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// This file is a study, not a part of the program: how much less error a trellis code has than
// a grid at 2 and 3 bits, and than any quantizer can have. docs/REPRODUCTION.md, "Two and three
// bits", shows its results. Weights that a random rotation has mixed are nearly normal, so
// normal numbers stand for them.

// trellis is a code of bits for each number whose values depend on the last length bits of the
// sequence (QTIP, Tseng et al., arXiv 2406.11235): the state after a number is that before it,
// shifted by bits, with new bits at the end, and the state's value stands for the number.
type trellis struct {
	bits, length int
	values       []float32 // by state, variance 1
}

// newTrellis computes the values from the states as QTIP's 1MAD does: four bytes of a linear
// congruential step are added up, which gives nearly normal numbers without a table.
func newTrellis(bits, length int) trellis {
	t := trellis{bits, length, make([]float32, 1<<length)}
	for s := range t.values {
		x := uint32(s)*34038481 + 76625530
		sum := x&255 + x>>8&255 + x>>16&255 + x>>24
		t.values[s] = (float32(sum) - 510) / 147.8
	}
	return t
}

// squaredError returns the smallest sum of squared errors of any sequence of states that stands
// for scale times its values (Viterbi's algorithm). The first state is free.
func (t trellis) squaredError(numbers []float32, scale float32) float64 {
	costs, next := make([]float32, len(t.values)), make([]float32, len(t.values))
	kept := t.length - t.bits // bits of a state that are left in the one after it
	for i, x := range numbers {
		for low := range 1 << kept {
			before := float32(0)
			if i > 0 {
				before = costs[low]
				for high := 1; high < 1<<t.bits; high++ {
					before = min(before, costs[high<<kept|low])
				}
			}
			for s := low << t.bits; s < (low+1)<<t.bits; s++ {
				d := x - scale*t.values[s]
				next[s] = before + d*d
			}
		}
		costs, next = next, costs
	}
	best := costs[0]
	for _, c := range costs {
		best = min(best, c)
	}
	return float64(best)
}

// gridError returns the sum of squared errors of a uniform grid with 2^bits values whose scale
// and zero point are the best of a search for the numbers, which are one group.
func gridError(numbers []float32, bits int) float64 {
	low, high := numbers[0], numbers[0]
	for _, x := range numbers {
		low, high = min(low, x), max(high, x)
	}
	best := math.Inf(1)
	top := float32(int(1)<<bits - 1)
	for shrink := float32(1); shrink > .4; shrink -= .02 {
		step := shrink * (high - low) / top
		middle := (high + low) / 2
		var sum float64
		for _, x := range numbers {
			q := float32(math.Round(float64((x-middle)/step + top/2)))
			d := x - middle - step*(min(max(q, 0), top)-top/2)
			sum += float64(d * d)
		}
		best = min(best, sum)
	}
	return best
}

// normals returns count sequences of normal numbers.
func normals(count, length int) [][]float32 {
	r := rand.New(rand.NewPCG(1, 2))
	out := make([][]float32, count)
	for i := range out {
		out[i] = make([]float32, length)
		for j := range out[i] {
			out[i][j] = float32(r.NormFloat64())
		}
	}
	return out
}

// distortion is the mean squared error of each quantizer in units of the variance.
func distortion(sequences [][]float32, squaredError func([]float32) float64) float64 {
	sum, n := 0.0, 0
	for _, s := range sequences {
		sum, n = sum+squaredError(s), n+len(s)
	}
	return sum / float64(n)
}

// TestTrellis: a trellis has less error than a grid of as many bits, more states have less, and
// none has less than 4^-bits, the limit of rate and distortion for normal numbers.
func TestTrellis(t *testing.T) {
	sequences := normals(8, 256)
	for _, bits := range []int{2, 3} {
		grid := distortion(sequences, func(s []float32) float64 { return gridError(s, bits) })
		small := distortion(sequences, func(s []float32) float64 { return newTrellis(bits, 8).squaredError(s, 1) })
		large := distortion(sequences, func(s []float32) float64 { return newTrellis(bits, 12).squaredError(s, 1) })
		limit := math.Pow(4, -float64(bits))
		if !(limit < large && large < small && small < grid) {
			t.Errorf("%d bits: error %.4f with 2^12 states, %.4f with 2^8, %.4f of a grid, limit %.4f: expected the limit below each and each below the next", bits, large, small, grid, limit)
		}
	}
}

// BenchmarkTrellis prints the mean squared error of grids and trellises, in units of the
// variance, as the metric mse.
func BenchmarkTrellis(b *testing.B) {
	rows, groups := normals(16, 1024), normals(512, 32)
	for _, bits := range []int{2, 3} {
		b.Run(fmt.Sprintf("bits=%d/grid/group=32", bits), func(b *testing.B) {
			report(b, func() float64 {
				return distortion(groups, func(s []float32) float64 { return gridError(s, bits) })
			})
		})
		b.Run(fmt.Sprintf("bits=%d/grid/group=1024", bits), func(b *testing.B) {
			report(b, func() float64 { return distortion(rows, func(s []float32) float64 { return gridError(s, bits) }) })
		})
		for _, length := range []int{8, 12, 16} {
			b.Run(fmt.Sprintf("bits=%d/trellis/states=2^%d", bits, length), func(b *testing.B) {
				t, some := newTrellis(bits, length), rows[:min(len(rows), 1<<(18-length))]
				report(b, func() float64 {
					best := math.Inf(1)
					for _, scale := range []float32{.88, .92, .96, 1} {
						best = min(best, distortion(some, func(s []float32) float64 { return t.squaredError(s, scale) }))
					}
					return best
				})
			})
		}
	}
}

func report(b *testing.B, mse func() float64) {
	var last float64
	for b.Loop() {
		last = mse()
	}
	b.ReportMetric(last, "mse")
}
