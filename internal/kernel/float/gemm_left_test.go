package float

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/specquant/specquant/internal/kernel/cpu"
	"github.com/specquant/specquant/internal/kernel/kerneltest"
	"github.com/specquant/specquant/internal/kernel/parallel"
)

func TestMulLeft(t *testing.T) {
	r := rand.New(rand.NewPCG(51, 52))
	pool := parallel.NewPool(1)
	defer pool.Close()
	for _, k := range []int{1, 3, 12, 28, 44, 63, 64, 160, 161} {
		for _, w := range []int{1, 4, 16, 32, 48, 128, 544} {
			const blocks = 2
			a, src := kerneltest.RandFloats(r, k*k), kerneltest.RandFloats(r, blocks*k*w)
			kerneltest.FloatTiers(t, func(t *testing.T) {
				const guard = 7
				accumulate := w != 32
				want, got := make([]float32, len(src)+1), make([]float32, len(src)+1)
				for i := range got {
					want[i], got[i] = guard, guard
				}
				for i := 0; i < len(src); i += k * w {
					MatMulNN(pool, want[i:], w, a, k, src[i:], w, k, w, k, accumulate)
				}
				does := k <= leftLimit && w <= leftWidth && w%microKernels[float32]().width == 0
				if done := MulLeft(got, a, src, k, w, accumulate); done != does {
					t.Fatalf("order %d, width %d: took it: %v", k, w, done)
				}
				if LeftInPlace(k, w) && !accumulate {
					own := append([]float32(nil), src...)
					if !MulLeft(own, a, own, k, w, false) {
						t.Fatalf("order %d, width %d: not in place", k, w)
					}
					kerneltest.SameBits(t, fmt.Sprintf("order %d, width %d, in place", k, w), own, want[:len(src)])
				}
				if does {
					kerneltest.SameBits(t, fmt.Sprintf("order %d, width %d", k, w), got, want)
				}
			})
		}
	}
	if MulLeft(nil, nil, nil, 0, 32, false) || MulLeft(nil, nil, nil, 4, 0, false) {
		t.Error("took blocks of nothing")
	}
}

// BenchmarkMulLeft compares products with a small matrix from the left.
func BenchmarkMulLeft(b *testing.B) {
	for _, c := range [][2]int{{44, 128}, {28, 512}, {148, 512}} {
		k, w := c[0], c[1]
		r := rand.New(rand.NewPCG(1, 1))
		m, x, y := kerneltest.RandFloats(r, k*k), kerneltest.RandFloats(r, k*w), make([]float32, k*w)
		pool := parallel.NewPool(1)
		defer pool.Close()
		for _, tier := range kerneltest.TiersTo(cpu.AVX512) {
			if tier == cpu.Portable {
				continue
			}
			run := func(name string, f func()) {
				b.Run(fmt.Sprintf("%dx%d/%s/%v", k, w, name, tier), func(b *testing.B) {
					defer cpu.SetTier(cpu.SetTier(tier))
					for b.Loop() {
						f()
					}
				})
			}
			run("in place", func() { MulLeft(y, m, x, k, w, false) })
			run("packed", func() { MatMulNN(pool, y, w, m, k, x, w, k, w, k, false) })
		}
	}
}
