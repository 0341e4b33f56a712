package integer

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/specquant/specquant/internal/kernel/parallel"
)

// intBenchMatrices returns enough matrices of a shape to exceed any L3 cache.
func intBenchMatrices(b *testing.B, bits, rows, cols, group int) []*Matrix {
	return intBenchSome(b, bits, rows, cols, group, 160<<20)
}

// intBenchSome returns matrices of a shape with at least so many bytes.
func intBenchSome(b *testing.B, bits, rows, cols, group, bytes int) []*Matrix {
	b.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	n := 1 + bytes/TileBytes(bits, rows, cols)
	ws := make([]*Matrix, n)
	for i := range ws {
		tiles := make([]byte, TileBytes(bits, rows, cols))
		for j := 0; j < len(tiles); j += 8 {
			v := r.Uint64()
			for k := range min(8, len(tiles)-j) {
				tiles[j+k] = byte(v >> (8 * k))
			}
		}
		scale := make([]float32, ScaleLen(rows, cols, group))
		for j := range scale {
			scale[j] = 1.0 / 128 // a 16-bit float, as in artefacts
		}
		w, err := NewMatrix(bits, rows, cols, group, tiles, scale, nil)
		if err != nil {
			b.Fatal(err)
		}
		ws[i] = w
	}
	return ws
}

var intBenchShapes = [][2]int{{2048, 2048}, {5632, 2048}, {2048, 5632}, {14336, 4096}} // rows, cols

func BenchmarkMulInt(b *testing.B) {
	pool := parallel.NewPool(0)
	defer pool.Close()
	for _, bits := range []int{2, 3, 4, 8} {
		for _, group := range []int{0, 128} {
			for _, s := range intBenchShapes {
				rows, cols := s[0], s[1]
				b.Run(fmt.Sprintf("w%d/g%d/%dx%d", bits, group, rows, cols), func(b *testing.B) {
					ws := intBenchMatrices(b, bits, rows, cols, group)
					for _, tokens := range []int{1, 4, 8, 64, 512} {
						var a Activations
						x := intRandomTokens(rand.New(rand.NewPCG(1, 1)), tokens, cols)
						a.Quantize(pool, x, cols, tokens, cols, ActGrid{Bits: 8, Clip: 1}, group)
						y := make([]float32, tokens*rows)
						b.Run(fmt.Sprintf("t%d", tokens), func(b *testing.B) {
							i := 0
							for b.Loop() {
								Mul(pool, y, rows, ws[i%len(ws)], &a)
								i++
							}
							intRates(b, 2*rows*cols*tokens, ws[0].Bytes())
						})
					}
				})
			}
		}
	}
}

// intRates reports operations (multiply and add are two) and weight bytes a
// second.
func intRates(b *testing.B, ops, bytes int) {
	sec := b.Elapsed().Seconds() / float64(b.N)
	b.ReportMetric(float64(ops)/sec/1e9, "GOPS")
	b.ReportMetric(float64(bytes)/sec/1e9, "GB/s")
}

func BenchmarkMulIntFloat(b *testing.B) {
	pool := parallel.NewPool(0)
	defer pool.Close()
	for _, bits := range []int{2, 3, 4, 8} {
		const rows, cols = 2048, 5632
		ws := intBenchMatrices(b, bits, rows, cols, 128)
		for _, tokens := range []int{1, 4, 64} {
			x := intRandomTokens(rand.New(rand.NewPCG(1, 1)), tokens, cols)
			y := make([]float32, tokens*rows)
			b.Run(fmt.Sprintf("w%d/t%d", bits, tokens), func(b *testing.B) {
				i := 0
				for b.Loop() {
					MulFloat(pool, y, rows, ws[i%len(ws)], x, cols, tokens)
					i++
				}
				intRates(b, 2*rows*cols*tokens, ws[0].Bytes())
			})
		}
	}
}

func BenchmarkQuantize(b *testing.B) {
	pool := parallel.NewPool(0)
	defer pool.Close()
	for _, tokens := range []int{1, 512} {
		for _, group := range []int{0, 128} {
			const cols = 2048
			x := intRandomTokens(rand.New(rand.NewPCG(1, 1)), tokens, cols)
			var a Activations
			b.Run(fmt.Sprintf("t%d/g%d", tokens, group), func(b *testing.B) {
				for b.Loop() {
					a.Quantize(pool, x, cols, tokens, cols, ActGrid{Bits: 8, Clip: 1}, group)
				}
				intRates(b, 0, 4*tokens*cols)
			})
		}
	}
}
