package cpu

import (
	"fmt"
	"testing"

	"github.com/specquant/specquant/internal/kernel/parallel"
)

// The limits to which the other benchmarks compare, on all threads and on one.
func BenchmarkPeak(b *testing.B) {
	if Best() < AVX2 {
		b.Skip("needs AVX2")
	}
	const rounds = 20000
	for _, threads := range []int{1, 0} {
		pool := parallel.NewPool(threads)
		defer pool.Close()
		for _, tier := range Tiers()[1:] {
			if tier == AVXVNNI || tier > AVX512 {
				continue
			}
			b.Run(fmt.Sprintf("FMA/%v/threads=%d", tier, pool.Threads()), func(b *testing.B) {
				fn, flops := peakFMAavx2, 12*8*2
				if tier == AVX512 {
					fn, flops = peakFMAavx512, 24*16*2
				}
				for b.Loop() {
					pool.Run(4*pool.Threads(), func(int) { fn(rounds) })
				}
				b.ReportMetric(float64(4*pool.Threads()*rounds*flops)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
			})
		}
		b.Run(fmt.Sprintf("int8/threads=%d", pool.Threads()), func(b *testing.B) {
			if Best() < AVX512VNNI {
				b.Skip("no VNNI")
			}
			for b.Loop() {
				pool.Run(pool.Threads(), func(int) { intPeakVNNI(rounds) })
			}
			b.ReportMetric(float64(rounds*24*64*2*pool.Threads())*float64(b.N)/b.Elapsed().Seconds()/1e9, "GOP/s")
		})
		b.Run(fmt.Sprintf("read/threads=%d", pool.Threads()), func(b *testing.B) {
			const chunk, chunks = 1 << 20, 256
			data := make([]byte, chunk*chunks)
			for i := range data {
				data[i] = 1
			}
			for b.Loop() {
				pool.Run(chunks, func(i int) { intReadAVX2(&data[i*chunk], chunk) })
			}
			b.ReportMetric(chunk*chunks*float64(b.N)/b.Elapsed().Seconds()/1e9, "GB/s")
		})
	}
}
