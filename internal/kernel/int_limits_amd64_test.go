package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// BenchmarkIntLimits measures arithmetic and memory alone, one thread and all.
func BenchmarkIntLimits(b *testing.B) {
	for _, threads := range []int{1, 0} {
		pool := NewPool(threads)
		name := map[int]string{1: "/1", 0: "/all"}[threads]
		b.Run("vnni"+name, func(b *testing.B) {
			if Best() < AVX512VNNI {
				b.Skip("no VNNI")
			}
			const n = 50000
			for b.Loop() {
				pool.Run(pool.Threads(), func(int) { intPeakVNNI(n) })
			}
			intRates(b, n*24*64*2*pool.Threads(), 0)
		})
		b.Run("read"+name, func(b *testing.B) {
			if Best() < AVX2 {
				b.Skip("no AVX2")
			}
			buf := make([]byte, 256<<20)
			for i := range buf {
				buf[i] = byte(i)
			}
			const part = 128 << 10
			for b.Loop() {
				pool.Run(len(buf)/part, func(i int) { intReadAVX2(&buf[i*part], part) })
			}
			intRates(b, 0, len(buf))
		})
		pool.Close()
	}
}

// BenchmarkIntShare takes turns between a product and the machine's limits, so
// that the ratio of the best turns holds on a machine that others use: %peak is the share of the
// VNNI rate on registers, %read the share of the memory's read rate.
func BenchmarkIntShare(b *testing.B) {
	if Best() < AVX512VNNI {
		b.Skip("no VNNI")
	}
	for _, threads := range []int{1, 0} {
		pool := NewPool(threads)
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

func intShare(b *testing.B, pool *Pool, ws []*IntMatrix, a *Activations, y []float32) {
	product, peak, read := time.Hour, time.Hour, time.Hour // the best of all turns
	const n = 10000
	i := 0
	next := func() *IntMatrix { i++; return ws[i%len(ws)] }
	for b.Loop() {
		start := time.Now()
		pool.Run(pool.Threads(), func(int) { intPeakVNNI(n) })
		peak = min(peak, time.Since(start))
		t := next().Tiles
		const part = 64 << 10
		start = time.Now()
		pool.Run(len(t)/part, func(i int) { intReadAVX2(&t[i*part], part) })
		read = min(read, time.Since(start))
		w := next()
		start = time.Now()
		pool.MulInt(y, w.Rows, w, a)
		product = min(product, time.Since(start))
	}
	w := ws[0]
	ops := float64(2*w.Rows*w.Cols*a.Tokens) / product.Seconds()
	bytes := float64(len(w.Tiles)+4*len(w.Scale)) / product.Seconds()
	peakOps := float64(n*24*64*2*pool.Threads()) / peak.Seconds()
	readBytes := float64(len(w.Tiles)) / read.Seconds()
	b.ReportMetric(ops/1e9, "GOPS")
	b.ReportMetric(100*ops/peakOps, "%peak")
	b.ReportMetric(bytes/1e9, "GB/s")
	b.ReportMetric(100*bytes/readBytes, "%read")
	b.ReportMetric(0, "ns/op")
}
