package integer

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/specquant/specquant/internal/kernel/parallel"
)

// BenchmarkMulIntGroups takes turns between groups of channels, so that the
// ratios of the best turns hold on a machine that others use: ms is the best
// product, q-ms the best quantization of its tokens.
func BenchmarkMulIntGroups(b *testing.B) {
	for _, threads := range []int{1, 0} {
		pool := parallel.NewPool(threads)
		for _, bits := range []int{4, 3, 8} {
			for _, s := range intBenchShapes[:2] {
				for _, group := range []int{0, 128} {
					for _, tokens := range []int{1, 64, 512} {
						name := fmt.Sprintf("%dthreads/w%d/g%d/%dx%d/t%d", pool.Threads(), bits, group, s[0], s[1], tokens)
						b.Run(name, func(b *testing.B) { groupTurns(b, pool, bits, s[0], s[1], group, tokens) })
					}
				}
			}
		}
		pool.Close()
	}
}

func groupTurns(b *testing.B, pool *parallel.Pool, bits, rows, cols, group, tokens int) {
	sizes := []int{0, 128, 64, 32, 16}
	best, quantize := make([]time.Duration, len(sizes)), make([]time.Duration, len(sizes))
	x, y := intRandomTokens(rand.New(rand.NewPCG(1, 1)), tokens, cols), make([]float32, tokens*rows)
	ws := intBenchSome(b, bits, rows, cols, group, 64<<20)
	acts := make([]Activations, len(sizes))
	turn := 0
	for b.Loop() {
		for i, size := range sizes {
			start := time.Now()
			acts[i].Quantize(pool, x, cols, tokens, cols, ActGrid{Bits: 4, Clip: 1, Group: size}, group)
			middle := time.Now()
			Mul(pool, y, rows, ws[turn%len(ws)], &acts[i])
			end := time.Now()
			turn++
			for _, c := range []struct {
				best *time.Duration
				took time.Duration
			}{{&quantize[i], middle.Sub(start)}, {&best[i], end.Sub(middle)}} {
				if *c.best == 0 || c.took < *c.best {
					*c.best = c.took
				}
			}
		}
	}
	b.ReportMetric(0, "ns/op")
	for i, size := range sizes {
		b.ReportMetric(best[i].Seconds()*1e3, fmt.Sprintf("a%d-ms", size))
		b.ReportMetric(quantize[i].Seconds()*1e3, fmt.Sprintf("q%d-ms", size))
	}
}
