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

// TestMulByteTiles holds tiers, threads and numbers of tokens to the same bits,
// and those to float64.
func TestMulByteTiles(t *testing.T) {
	one, three := parallel.NewPool(1), parallel.NewPool(3)
	defer one.Close()
	defer three.Close()
	r := rand.New(rand.NewPCG(11, 12))
	shapes := [][3]int{{0, 1, 1}, {16, 4, 0}, {17, 5, 3}, {100, 33, 8}, {500, 64, 13}, {31, 300, 4}, {1000, 16, 30}}
	for count := range 18 {
		shapes = append(shapes, [3]int{1 + 37*count%150, count, 1 + 5*count%14})
	}
	for _, s := range shapes {
		rows, count, tokens := s[0], s[1], s[2]
		w, dense := branchtest.RandomByteTiles(r, rows, count)
		if err := w.Check(count); err != nil {
			t.Fatal(err)
		}
		ldz, ldy := count+2, rows+1
		z, start := kerneltest.RandFloats(r, tokens*ldz), kerneltest.RandFloats(r, tokens*ldy)
		var first []float32
		kerneltest.FloatTiers(t, func(t *testing.T) {
			y, y3, alone := append([]float32(nil), start...), append([]float32(nil), start...), append([]float32(nil), start...)
			branch.MulByteTiles(one, y, ldy, w, z, ldz, tokens)
			branch.MulByteTiles(three, y3, ldy, w, z, ldz, tokens)
			for i := range tokens {
				branch.MulByteTiles(one, alone[i*ldy:], ldy, w, z[i*ldz:], ldz, 1)
			}
			kerneltest.SameBits(t, fmt.Sprint(s, " three threads"), y3, y)
			kerneltest.SameBits(t, fmt.Sprint(s, " token by token"), alone, y)
			if first == nil {
				first = y
			}
			kerneltest.SameBits(t, fmt.Sprint(s, " against the other tiers"), y, first)
			for i := range tokens {
				for j := range ldy {
					want := float64(start[i*ldy+j])
					scale := math.Abs(want)
					if j < rows {
						for p := range count {
							v := float64(dense[j*count+p]) * float64(z[i*ldz+p])
							want += v
							scale += math.Abs(v)
						}
					}
					if got := float64(y[i*ldy+j]); !(math.Abs(got-want) <= 2e-6*scale) {
						t.Fatalf("%v: y[%d][%d] = %v, want %v", s, i, j, got, want)
					}
				}
			}
		})
	}
}

func TestByteTilesCheck(t *testing.T) {
	good := func() *branch.ByteTiles {
		return &branch.ByteTiles{Rows: 17, Count: 3, Codes: make([]int8, 96), Scale: make([]float32, 3)}
	}
	for name, spoil := range map[string]func(w *branch.ByteTiles){
		"short codes":    func(w *branch.ByteTiles) { w.Codes = w.Codes[:95] },
		"long codes":     func(w *branch.ByteTiles) { w.Codes = make([]int8, 97) },
		"count above k":  func(w *branch.ByteTiles) { w.Count = 4 },
		"negative count": func(w *branch.ByteTiles) { w.Count = -1 },
		"rows":           func(w *branch.ByteTiles) { w.Rows = 33 },
		"negative rows":  func(w *branch.ByteTiles) { w.Rows = -1 },
		"scales":         func(w *branch.ByteTiles) { w.Scale = w.Scale[:2] },
	} {
		w := good()
		if err := w.Check(3); err != nil {
			t.Fatal(err)
		}
		spoil(w)
		if w.Check(3) == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func BenchmarkMulByteTiles(b *testing.B) {
	pool := parallel.NewPool(0)
	defer pool.Close()
	r := rand.New(rand.NewPCG(1, 1))
	const rows, k = 4096, 16
	w, _ := branchtest.RandomByteTiles(r, rows, k)
	for _, tokens := range []int{1, 128} {
		z, y := kerneltest.RandFloats(r, tokens*k), make([]float32, tokens*rows)
		for tier := cpu.AVX2; tier <= min(cpu.Best(), cpu.AVX512); tier++ {
			b.Run(fmt.Sprintf("%d/%v", tokens, tier), func(b *testing.B) {
				defer cpu.SetTier(cpu.SetTier(tier))
				for b.Loop() {
					branch.MulByteTiles(pool, y, rows, w, z, k, tokens)
				}
				kerneltest.ReportFlops(b, 2*float64(len(w.Codes))*float64(tokens))
			})
		}
	}
}
