package integer

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/specquant/specquant/internal/kernel/cpu"
	"github.com/specquant/specquant/internal/kernel/parallel"
)

// BenchmarkMulIntTierTurns takes turns between the tiers, so that the ratios of
// the best turns hold on a machine that others use: the time of each over that
// of the lowest with assembly.
func BenchmarkMulIntTierTurns(b *testing.B) {
	tiers := cpu.Tiers()[1:]
	if len(tiers) < 2 {
		b.Skip("only one tier with assembly")
	}
	pool := parallel.NewPool(1)
	defer pool.Close()
	for _, bits := range []int{2, 3, 4, 8} {
		for _, c := range []struct{ tokens, mb int }{{1, 1}, {1, 64}, {4, 1}, {64, 1}} {
			const rows, cols, group = 512, 2048, 128
			b.Run(fmt.Sprintf("w%d/t%d/%dMB", bits, c.tokens, c.mb), func(b *testing.B) {
				defer cpu.SetTier(cpu.SetTier(cpu.Best()))
				ws := intBenchSome(b, bits, rows, cols, group, (c.mb-1)<<20)
				x := intRandomTokens(rand.New(rand.NewPCG(1, 1)), c.tokens, cols)
				var a Activations
				a.Quantize(pool, x, cols, c.tokens, cols, ActGrid{Bits: 8, Clip: 1}, group)
				y := make([]float32, c.tokens*rows)
				best := make([]time.Duration, len(tiers))
				for i := range best {
					best[i] = time.Hour
				}
				n := 0
				for b.Loop() {
					for i, tier := range tiers {
						cpu.SetTier(tier)
						start := time.Now()
						for range 8 {
							Mul(pool, y, rows, ws[n%len(ws)], &a)
							n++
						}
						best[i] = min(best[i], time.Since(start)/8)
					}
				}
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(float64(best[0].Nanoseconds())/1e3, tiers[0].String()+"-us")
				for i, tier := range tiers[1:] {
					b.ReportMetric(best[i+1].Seconds()/best[0].Seconds(), fmt.Sprintf("%v/%v", tier, tiers[0]))
				}
			})
		}
	}
}
