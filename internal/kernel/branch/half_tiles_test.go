package branch_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/specquant/specquant/internal/kernel/branch"
	"github.com/specquant/specquant/internal/kernel/branch/branchtest"
	"github.com/specquant/specquant/internal/kernel/cpu"
	"github.com/specquant/specquant/internal/kernel/kerneltest"
	"github.com/specquant/specquant/internal/kernel/parallel"
)

func TestMulHalfTiles(t *testing.T) {
	one, three := parallel.NewPool(1), parallel.NewPool(3)
	defer one.Close()
	defer three.Close()
	r := rand.New(rand.NewPCG(11, 12))
	for _, s := range [][3]int{{1, 1, 1}, {0, 1, 1}, {16, 4, 0}, {16, 4, 1}, {17, 5, 3}, {100, 33, 8}, {500, 64, 13}, {31, 300, 4}, {64, 1, 30}} {
		rows, most, tokens := s[0], s[1], s[2]
		for _, ordered := range []bool{false, true} {
			w, dense := branchtest.RandomHalfTiles(r, rows, most, ordered)
			if err := w.Check(most); err != nil {
				t.Fatal(err)
			}
			z, start := kerneltest.RandFloats(r, tokens*(most+2)), kerneltest.RandFloats(r, tokens*(rows+1))
			var asm []float32
			kerneltest.FloatTiers(t, func(t *testing.T) {
				y, y3, alone := append([]float32(nil), start...), append([]float32(nil), start...), append([]float32(nil), start...)
				branch.MulHalfTiles(one, y, rows+1, w, z, most+2, tokens)
				branch.MulHalfTiles(three, y3, rows+1, w, z, most+2, tokens)
				for i := range tokens {
					branch.MulHalfTiles(one, alone[i*(rows+1):], rows+1, w, z[i*(most+2):], most+2, 1)
				}
				kerneltest.SameBits(t, fmt.Sprint(s, " three threads"), y3, y)
				kerneltest.SameBits(t, fmt.Sprint(s, " token by token"), alone, y)
				if cpu.Active() > cpu.Portable {
					if asm == nil {
						asm = y
					}
					kerneltest.SameBits(t, fmt.Sprint(s, " against the lowest tier with assembly"), y, asm)
				}
				for i := range tokens {
					for j := range rows + 1 {
						want := float64(start[i*(rows+1)+j])
						scale := math.Abs(want)
						if j < rows {
							for p := range most {
								v := float64(dense[j*most+p]) * float64(z[i*(most+2)+p])
								want += v
								scale += math.Abs(v)
							}
						}
						if got := float64(y[i*(rows+1)+j]); !(math.Abs(got-want) <= 2e-6*scale) {
							t.Fatalf("%v ordered=%v: y[%d][%d] = %v, want %v", s, ordered, i, j, got, want)
						}
					}
				}
			})
		}
	}
}

func TestHalfTilesCheck(t *testing.T) {
	good := func() branch.HalfTiles {
		return branch.HalfTiles{Rows: 17, Count: []int{2, 3}, Offset: []int{0, 32}, Data: make([]uint16, 80)}
	}
	for name, spoil := range map[string]func(w *branch.HalfTiles){
		"short data":     func(w *branch.HalfTiles) { w.Data = w.Data[:79] },
		"count above k":  func(w *branch.HalfTiles) { w.Count[0] = 4 },
		"negative count": func(w *branch.HalfTiles) { w.Count[1] = -1 },
		"offset":         func(w *branch.HalfTiles) { w.Offset[0] = -1 },
		"far offset":     func(w *branch.HalfTiles) { w.Offset[0] = math.MaxInt },
		"tiles":          func(w *branch.HalfTiles) { w.Count = w.Count[:1] },
		"rows":           func(w *branch.HalfTiles) { w.Rows = 33 },
		"short order":    func(w *branch.HalfTiles) { w.Order = make([]int32, 16) },
		"order twice":    func(w *branch.HalfTiles) { w.Order = make([]int32, 17) },
		"order":          func(w *branch.HalfTiles) { w.Order = make([]int32, 17); w.Order[4] = 17 },
	} {
		w := good()
		if err := w.Check(3); err != nil {
			t.Fatal(err)
		}
		spoil(&w)
		if w.Check(3) == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func BenchmarkMulHalfTiles(b *testing.B) {
	pool := parallel.NewPool(0)
	defer pool.Close()
	r := rand.New(rand.NewPCG(1, 1))
	const rows, k = 4096, 16
	w, _ := branchtest.RandomHalfTiles(r, rows, k, false)
	for _, tokens := range []int{1, 128} {
		z, y := kerneltest.RandFloats(r, tokens*k), make([]float32, tokens*rows)
		for _, tier := range kerneltest.TiersTo(cpu.AVX512)[1:] {
			b.Run(fmt.Sprintf("%d/%v", tokens, tier), func(b *testing.B) {
				defer cpu.SetTier(cpu.SetTier(tier))
				for b.Loop() {
					branch.MulHalfTiles(pool, y, rows, w, z, k, tokens)
				}
				kerneltest.ReportFlops(b, 2*float64(len(w.Data))*float64(tokens))
				b.ReportMetric(2*float64(len(w.Data))*float64(b.N)/b.Elapsed().Seconds()/1e9, "GB/s")
			})
		}
	}
}

// What one token runs through must not allocate.
func TestHalfTilesAllocation(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 16))
	tiles, _ := branchtest.RandomHalfTiles(r, 100, 20, true)
	x, y := kerneltest.RandFloats(r, 64), make([]float32, 100)
	kerneltest.FloatTiers(t, func(t *testing.T) {
		if n := testing.AllocsPerRun(50, func() { branch.MulHalfTiles(nil, y, 100, tiles, x, 64, 1) }); n > 2 {
			t.Errorf("%v allocations", n)
		}
	})
}
