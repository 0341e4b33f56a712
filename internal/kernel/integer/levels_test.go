package integer

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/specquant/specquant/internal/kernel/cpu"
	"github.com/specquant/specquant/internal/kernel/parallel"
)

// intRandomLevels returns a matrix of indices into a table, and the matrix of 8 bits with the
// same weights.
func intRandomLevels(t testing.TB, r *rand.Rand, rows, cols, group int) (w, bytes *Matrix) {
	t.Helper()
	levels := [16]int8{-128, 127} // extremes and others, in no order
	for i := range levels[2:] {
		levels[2+i] = int8(r.IntN(256) - 128)
	}
	index, value := make([]int8, rows*cols), make([]int8, rows*cols)
	for i := range index {
		u := r.IntN(16)
		index[i], value[i] = int8(u-8), levels[u]
	}
	n, _ := intGroups(cols, group)
	rowScale := make([]float32, rows*n)
	for i := range rowScale {
		rowScale[i] = r.Float32() * 0.02
	}
	halveSome(rowScale, rows+cols)
	scale := make([]float32, ScaleLen(rows, cols, group))
	PackScales(scale, rowScale, rows, cols, group)
	four, eight := make([]byte, TileBytes(4, rows, cols)), make([]byte, TileBytes(8, rows, cols))
	PackTiles(four, 4, index, rows, cols)
	PackTiles(eight, 8, value, rows, cols)
	w, err := NewLevelsMatrix(&levels, rows, cols, group, four, scale)
	if err != nil {
		t.Fatal(err)
	}
	if bytes, err = NewMatrix(8, rows, cols, group, eight, scale, nil); err != nil {
		t.Fatal(err)
	}
	return w, bytes
}

// TestLevels: indices into a table of levels multiply to the bits of the same weights in 8
// bits, in every tier and with every number of tokens.
func TestLevels(t *testing.T) {
	pool := parallel.NewPool(3)
	defer pool.Close()
	shapes := append([]struct{ rows, cols, group, act int }{
		{70, 256, 32, 32}, {37, 512, 16, 32}, {100, 40, 8, 8}, {33, 96, 32, 0}, {853, 64, 32, 32}, {16, 2080, 32, 32},
	}, groupShapes...)
	intTiers(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(51, 1))
		for n, s := range shapes {
			if testing.Short() && n%4 != 0 {
				continue
			}
			w, bytes := intRandomLevels(t, r, s.rows, s.cols, s.group)
			if i := intDiffer(w.RowSum, bytes.RowSum); i >= 0 {
				t.Fatalf("%v: sum %d is %v, want %v", s, i, w.RowSum[i], bytes.RowSum[i])
			}
			for i, tokens := range []int{1, 2, 3, 4, 5, 7, 8, 9, 12, 13, 25} {
				x := intRandomTokens(r, tokens, s.cols)
				grids := []ActGrid{{Bits: 8, Clip: 1}, {Bits: []int{4, 8}[(i+n)%2], Clip: 1, Group: s.act}, {Bits: 8, Clip: 1, Group: s.act}}
				for _, grid := range grids {
					var a Activations
					a.Quantize(pool, x, s.cols, tokens, s.cols, grid, s.group)
					got, want := make([]float32, tokens*s.rows), make([]float32, tokens*s.rows)
					Mul(pool, got, s.rows, w, &a)
					Mul(pool, want, s.rows, bytes, &a)
					if i := intDiffer(got, want); i >= 0 {
						t.Fatalf("%v, %d tokens, %+v: output %d is %v, want %v", s, tokens, grid, i, got[i], want[i])
					}
				}
				got, want := make([]float32, tokens*s.rows), make([]float32, tokens*s.rows)
				MulFloat(pool, got, s.rows, w, x, s.cols, tokens)
				MulFloat(pool, want, s.rows, bytes, x, s.cols, tokens)
				if i := intDiffer(got, want); i >= 0 {
					t.Fatalf("%v, %d float tokens: output %d is %v, want %v", s, tokens, i, got[i], want[i])
				}
			}
		}
	})
}

// BenchmarkLevelsTurns takes turns between weights of 4 bits, indices of 4 bits into a
// table of levels, and the levels in 8 bits, as GGUF files have them (groups of 32), so that
// the ratios of the best turns hold on a machine that others use.
func BenchmarkLevelsTurns(b *testing.B) {
	pool := parallel.NewPool(1)
	defer pool.Close()
	const cols, group = 2048, 32
	for _, rows := range []int{2048, 512} {
		for _, tokens := range []int{1, 2, 4, 8, 12, 64, 256} {
			for _, tier := range []cpu.Tier{cpu.Active(), cpu.AVXVNNI} {
				if tier > cpu.Best() {
					continue
				}
				b.Run(fmt.Sprintf("%v/%dx%d/t%d", tier, rows, cols, tokens), func(b *testing.B) {
					defer cpu.SetTier(cpu.SetTier(tier))
					if !ByteGroups() {
						b.Skip("no fast products with activations of 8 bits in groups")
					}
					size := 96 << 20
					if rows == 512 {
						size = 0 // stays in the cache
					}
					kinds := [3][]*Matrix{intBenchSome(b, 4, rows, cols, group, size), intBenchSome(b, 4, rows, cols, group, size), intBenchSome(b, 8, rows, cols, group, size)}
					for _, w := range kinds[1] {
						w.levels = newIntLevels(&[16]int8{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113})
					}
					var a Activations
					a.Quantize(pool, intRandomTokens(rand.New(rand.NewPCG(1, 1)), tokens, cols), cols, tokens, cols, ActGrid{Bits: 8, Clip: 1, Group: 32}, group)
					y := make([]float32, tokens*rows)
					var best [3]time.Duration
					for n := 0; b.Loop(); n++ {
						for i, ws := range kinds {
							start := time.Now()
							Mul(pool, y, rows, ws[n%len(ws)], &a)
							if took := time.Since(start); best[i] == 0 || took < best[i] {
								best[i] = took
							}
						}
					}
					b.ReportMetric(0, "ns/op")
					b.ReportMetric(float64(best[0].Nanoseconds())/1e3, "4bits-us")
					b.ReportMetric(best[1].Seconds()/best[0].Seconds(), "levels/4bits")
					b.ReportMetric(best[2].Seconds()/best[0].Seconds(), "8bits/4bits")
				})
			}
		}
	}
}
