package integer

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/specquant/specquant/internal/kernel/parallel"
)

// BenchmarkMulIntOne multiplies one token on one thread with weights that are in the cache, or
// so many that they come from memory, by groups, and with zero points that are the same
// everywhere, as centred grids have them. GB/s counts the weights' integers, without scales, in
// the fastest pass.
func BenchmarkMulIntOne(b *testing.B) {
	const rows, cols = 512, 2048
	pool := parallel.NewPool(1)
	defer pool.Close()
	var a Activations
	y := make([]float32, rows)
	for _, bits := range []int{4, 5} {
		for _, group := range []int{0, 128, 64, 32} {
			x := intRandomTokens(rand.New(rand.NewPCG(1, 1)), 1, cols)
			a.Quantize(pool, x, cols, 1, cols, ActGrid{Bits: 8, Clip: 1}, group)
			for _, zero := range []bool{false, true} {
				for _, at := range []struct {
					place string
					bytes int
				}{{"cache", 1}, {"memory", 64 << 20}} {
					b.Run(fmt.Sprintf("w%d/g%d/zero=%v/%s", bits, group, zero, at.place), func(b *testing.B) {
						ws := intBenchSome(b, bits, rows, cols, group, at.bytes)
						if zero {
							for _, w := range ws {
								w.setZero([]float32{float32(intOffset(bits)) - 0.5})
							}
						}
						best := time.Hour
						for b.Loop() {
							start := time.Now()
							for _, w := range ws {
								Mul(pool, y, rows, w, &a)
							}
							best = min(best, time.Since(start))
						}
						b.ReportMetric(float64(len(ws)*rows*cols*bits)/8e9/best.Seconds(), "GB/s")
					})
				}
			}
		}
	}
}

// BenchmarkMulIntMany multiplies 120 tokens on one thread with weights that are in the cache, as
// [BenchmarkMulIntOne] does one. GOPS counts two operations for each weight and token, in the
// fastest pass.
func BenchmarkMulIntMany(b *testing.B) {
	const rows, cols, tokens = 512, 2048, 120
	pool := parallel.NewPool(1)
	defer pool.Close()
	var a Activations
	y := make([]float32, rows*tokens)
	x := intRandomTokens(rand.New(rand.NewPCG(1, 1)), tokens, cols)
	for _, bits := range []int{4, 5} {
		for _, group := range []int{0, 128, 64, 32} {
			a.Quantize(pool, x, cols, tokens, cols, ActGrid{Bits: 8, Clip: 1}, group)
			for _, zero := range []bool{false, true} {
				b.Run(fmt.Sprintf("w%d/g%d/zero=%v", bits, group, zero), func(b *testing.B) {
					w := intBenchSome(b, bits, rows, cols, group, 1)[0]
					if zero {
						w.setZero([]float32{float32(intOffset(bits)) - 0.5})
					}
					best := time.Hour
					for b.Loop() {
						start := time.Now()
						Mul(pool, y, rows, w, &a)
						best = min(best, time.Since(start))
					}
					b.ReportMetric(2*rows*cols*tokens/1e9/best.Seconds(), "GOPS")
				})
			}
		}
	}
}
