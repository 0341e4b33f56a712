package integer

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/specquant/specquant/internal/kernel/parallel"
)

// BenchmarkMulIntTurns takes turns between the widths of weights, so that the
// ratios of the best turns hold on a machine that others use: x4 is the time over
// that of 4 bits.
func BenchmarkMulIntTurns(b *testing.B) {
	for _, threads := range []int{1, 0} {
		pool := parallel.NewPool(threads)
		for _, group := range []int{0, 128} {
			for _, s := range [][2]int{{2048, 2048}, {5632, 2048}} {
				for _, tokens := range []int{1, 4, 64} {
					name := fmt.Sprintf("%dthreads/g%d/%dx%d/t%d", pool.Threads(), group, s[0], s[1], tokens)
					b.Run(name, func(b *testing.B) { intTurns(b, pool, s[0], s[1], group, tokens) })
				}
			}
		}
		pool.Close()
	}
}

func intTurns(b *testing.B, pool *parallel.Pool, rows, cols, group, tokens int) {
	type turn struct {
		bits  int
		zero  []float32
		float bool
		ws    []*Matrix
		best  time.Duration
	}
	turns := []*turn{{bits: 4}, {bits: 2}, {bits: 3}, {bits: 5}, {bits: 6}, {bits: 7}, {bits: 8}, {bits: 2, zero: []float32{1.5}},
		{bits: 4, float: true}, {bits: 2, float: true}, {bits: 3, float: true}}
	for _, c := range turns {
		c.best = time.Hour
		c.ws = intBenchSome(b, c.bits, rows, cols, group, 32<<20)
		if c.zero != nil {
			for _, w := range c.ws {
				w.setZero(c.zero)
			}
		}
	}
	x := intRandomTokens(rand.New(rand.NewPCG(1, 1)), tokens, cols)
	var a Activations
	a.Quantize(pool, x, cols, tokens, cols, ActGrid{Bits: 8, Clip: 1}, group)
	y := make([]float32, tokens*rows)
	i := 0
	for b.Loop() {
		for _, c := range turns {
			w := c.ws[i%len(c.ws)]
			start := time.Now()
			if c.float {
				MulFloat(pool, y, rows, w, x, cols, tokens)
			} else {
				Mul(pool, y, rows, w, &a)
			}
			c.best = min(c.best, time.Since(start))
		}
		i++
	}
	four := turns[0].best
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(four.Nanoseconds())/1e3, "4bits-us")
	for _, c := range turns[1:] {
		base, name := four, fmt.Sprintf("w%d/w4", c.bits)
		if c.zero != nil {
			name += "-zero"
		}
		if c.float {
			name, base = fmt.Sprintf("f%d/f4", c.bits), turns[8].best
			if c.bits == 4 {
				name, base = "f4/w4", four
			}
		}
		b.ReportMetric(c.best.Seconds()/base.Seconds(), name)
	}
}
