package float

import (
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"testing"

	"github.com/specquant/specquant/internal/kernel/cpu"
	"github.com/specquant/specquant/internal/kernel/kerneltest"
)

// hadamardRef is the definition: stage by stage over one block at a time.
func hadamardRef(x []float32, n, w int, scale float32) {
	for i := range x {
		x[i] *= scale
	}
	for ; len(x) > 0; x = x[n*w:] {
		hadamardGo(x[:n*w], w, n*w)
	}
}

func TestHadamard(t *testing.T) {
	r := rand.New(rand.NewPCG(17, 18))
	for _, w := range []int{1, 2, 3, 16, 48, 100, 128} {
		for n := 1; n*w <= 8192; n *= 2 {
			blocks := 1 + r.IntN(1+2000/(n*w))
			x := kerneltest.RandFloats(r, blocks*n*w)
			want := append([]float32(nil), x...)
			hadamardRef(want, n, w, 0.3)
			if n <= 512 { // element (i, j) of the matrix is (-1)^popcount(i&j)
				col := r.IntN(w)
				for i := range n {
					sum := 0.0
					for j := range n {
						sum += 0.3 * float64(x[j*w+col]) * float64(1-2*(bits.OnesCount(uint(i&j))&1))
					}
					if got := float64(want[i*w+col]); math.Abs(sum-got) > 1e-5*math.Sqrt(float64(n)) {
						t.Fatalf("portable transform of %d × %d: element %d is %v, want %v", n, w, i, got, sum)
					}
				}
			}
			kerneltest.FloatTiers(t, func(t *testing.T) {
				y := append([]float32(nil), x...)
				Hadamard(y, n, w, 0.3)
				kerneltest.SameBits(t, fmt.Sprintf("%d blocks of %d × %d", blocks, n, w), y, want)
				if w == 1 {
					y, dst := append([]float32(nil), x...), make([]float32, len(x)+1)
					dst[len(x)] = 7
					HadamardTo(dst, y, n, 0.3)
					kerneltest.SameBits(t, fmt.Sprintf("%d vectors of %d", blocks, n), dst, append(append([]float32(nil), want...), 7))
					kerneltest.SameBits(t, "what was transformed", y, x)
				}
			})
		}
	}
	Hadamard(nil, 8, 4, 1)
	for _, c := range []struct{ length, n, w int }{{12, 12, 1}, {16, 0, 1}, {16, 4, 0}, {24, 16, 1}, {64, 16, 3}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("took %+v", c)
				}
			}()
			Hadamard(make([]float32, c.length), c.n, c.w, 1)
		}()
	}
}

func TestHadamardColumns(t *testing.T) {
	r := rand.New(rand.NewPCG(21, 22))
	for _, k := range []int{1, 4, 7, 12, 16, 20, 33, 36, 44, 64, 76} {
		x := kerneltest.RandFloats(r, 16*k)
		h := append([]float32(nil), x...)
		hadamardRef(h, 16, k, 0.7)
		kerneltest.FloatTiers(t, func(t *testing.T) {
			y, want := make([]float32, 16*k+1), make([]float32, 16*k+1)
			y[16*k], want[16*k] = 7, 7
			for i, v := range h {
				want[i%k*16+i/k] = v
			}
			HadamardColumns(y[:16*k], x, k, 0.7)
			kerneltest.SameBits(t, fmt.Sprintf("%d columns", k), y, want)
			back := make([]float32, 16*k+1)
			back[16*k] = 7
			ColumnsToRows(back[:16*k], y[:16*k], k)
			kerneltest.SameBits(t, fmt.Sprintf("%d columns to rows", k), back, append(append([]float32(nil), h...), 7))
		})
	}
}

func TestPaleyPairs(t *testing.T) {
	r := rand.New(rand.NewPCG(19, 20))
	for _, w := range []int{1, 5, 16, 48, 64, 100} {
		for _, pairs := range []int{0, 1, 2, 19} {
			x := kerneltest.RandFloats(r, 2*w*pairs)
			if pairs > 0 {
				clear(x[:w])
				clear(x[w:][:w/2])
			}
			kerneltest.FloatTiers(t, func(t *testing.T) {
				y, dst := append([]float32(nil), x...), make([]float32, len(x)+1)
				dst[len(x)] = 7
				PaleyPairs(dst, y, w)
				for i, v := range x {
					want, turned := v, v
					if a := i - w; i/w%2 == 0 {
						want, turned = v+x[i+w], v-x[i+w]
					} else {
						want, turned = x[a]-v, 0-(x[a]+v)
					}
					kerneltest.SameBits(t, fmt.Sprintf("rows of %d, element %d", w, i), []float32{y[i], dst[i]}, []float32{want, turned})
				}
				if dst[len(x)] != 7 {
					t.Fatal("wrote beyond the result")
				}
			})
		}
	}
}

func BenchmarkHadamard(b *testing.B) {
	for _, c := range []struct{ blocks, n, w int }{{1, 128, 1}, {44, 128, 1}, {1, 4096, 1}, {1, 16384, 1}, {1, 32, 128}, {512, 4096, 1}} {
		x := make([]float32, c.blocks*c.n*c.w)
		for _, tier := range kerneltest.TiersTo(cpu.AVX512) {
			b.Run(fmt.Sprintf("%dx%dx%d/%v", c.blocks, c.n, c.w, tier), func(b *testing.B) {
				defer cpu.SetTier(cpu.SetTier(tier))
				b.SetBytes(int64(4 * len(x)))
				for b.Loop() {
					Hadamard(x, c.n, c.w, 0.5)
				}
			})
		}
	}
}
