package integer

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/specquant/specquant/internal/kernel/cpu"
	"github.com/specquant/specquant/internal/kernel/parallel"
)

// BenchmarkIntShare takes turns between a product and the machine's limits, so
// that the ratio of the best turns holds on a machine that others use: %peak is the share of the
// VNNI rate on registers, %read the share of the memory's read rate.
func BenchmarkIntShare(b *testing.B) {
	if cpu.Best() < cpu.AVX512VNNI {
		b.Skip("no VNNI")
	}
	for _, threads := range []int{1, 0} {
		pool := parallel.NewPool(threads)
		for _, c := range []struct{ bits, group, rows, cols int }{
			{4, 0, 2048, 5632}, {4, 128, 2048, 5632}, {4, 128, 5632, 2048}, {4, 128, 14336, 4096}, {8, 0, 2048, 5632},
		} {
			ws := intBenchMatrices(b, c.bits, c.rows, c.cols, c.group)
			for _, tokens := range []int{1, 4, 8, 64, 512} {
				var a Activations
				x := intRandomTokens(rand.New(rand.NewPCG(1, 1)), tokens, c.cols)
				a.Quantize(pool, x, c.cols, tokens, c.cols, ActGrid{Bits: 8, Clip: 1}, c.group)
				y := make([]float32, tokens*c.rows)
				b.Run(fmt.Sprintf("%dthreads/w%d/g%d/%dx%d/t%d", pool.Threads(), c.bits, c.group, c.rows, c.cols, tokens), func(b *testing.B) {
					intShare(b, pool, ws, &a, y)
				})
			}
		}
		pool.Close()
	}
}

func intShare(b *testing.B, pool *parallel.Pool, ws []*Matrix, a *Activations, y []float32) {
	var best cpu.Limits
	product := time.Hour // the best of all turns
	meter := cpu.NewLimitMeter(pool)
	i := 0
	for b.Loop() {
		limits := meter.Measure()
		best = cpu.Limits{Int8: max(best.Int8, limits.Int8), Read: max(best.Read, limits.Read)}
		w := ws[i%len(ws)]
		i++
		start := time.Now()
		Mul(pool, y, w.Rows, w, a)
		product = min(product, time.Since(start))
	}
	w := ws[0]
	ops := float64(2*w.Rows*w.Cols*a.Tokens) / product.Seconds()
	bytes := float64(w.Bytes()) / product.Seconds()
	b.ReportMetric(ops/1e9, "GOPS")
	b.ReportMetric(100*ops/best.Int8, "%peak")
	b.ReportMetric(bytes/1e9, "GB/s")
	b.ReportMetric(100*bytes/best.Read, "%read")
	b.ReportMetric(0, "ns/op")
}
