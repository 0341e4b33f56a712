package float

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/specquant/specquant/internal/kernel/cpu"
	"github.com/specquant/specquant/internal/kernel/kerneltest"
)

// dense returns the entries of a matrix of signs.
func (m *signedMatrix) dense() []float32 {
	k := len(m.rows)
	a := make([]float32, k*k)
	for i := range a {
		a[i] = float32(1 - 2*int(m.rows[i/k]>>(i%k)&1))
	}
	return a
}

// The definition against the dense product, and the routines against the definition: zeros of
// either sign, infinities and other numbers.
func TestSigned(t *testing.T) {
	r := rand.New(rand.NewPCG(61, 62))
	for i := range signedMatrices {
		list := &signedMatrices[i]
		k, a := len(list.rows), list.dense()
		m := NewSigned(a, k, list.pairs)
		if m == nil || m.routine != i {
			t.Fatalf("order %d: not found", k)
		}
		order := k
		if list.pairs {
			order *= 2
		}
		for _, w := range []int{16, 48, 128} {
			const blocks, guard = 2, 7
			src := kerneltest.RandFloats(r, blocks*order*w)
			want := make([]float32, len(src))
			newSigned(a, k, list.pairs).MulLeft(want, src, w)
			for i, v := range want {
				block, row, col := i/(order*w)*order*w, i/w%order, i%w
				sum := 0.0
				for j := range order {
					var entry float32
					if list.pairs { // a ⊗ [1 1; 1 −1] + I ⊗ [2 0; 0 −2]
						entry = a[row/2*k+j/2] * float32(1-2*(row&j&1))
						if row == j {
							entry += float32(2 - 4*(row&1))
						}
					} else {
						entry = a[row*k+j]
					}
					sum += float64(entry) * float64(src[block+j*w+col])
				}
				if math.Abs(sum-float64(v)) > 1e-5*math.Sqrt(float64(order)) {
					t.Fatalf("order %d, width %d: element %d of column %d is %v, want %v", order, w, row, col, v, sum)
				}
			}
			for range order * w / 4 {
				src[r.IntN(len(src))] = [4]float32{0, float32(math.Copysign(0, -1)), 1, -1}[r.IntN(4)]
			}
			for j := range order {
				src[j*w], src[j*w+1], src[j*w+2] = 0, float32(math.Copysign(0, -1)), 1
			}
			src[3] = float32(math.Inf(1))
			newSigned(a, k, list.pairs).MulLeft(want, src, w)
			kerneltest.FloatTiers(t, func(t *testing.T) {
				what := fmt.Sprintf("order %d, width %d", order, w)
				if (signedRoutine(i) != nil) != (cpu.Active() > cpu.Portable) {
					t.Errorf("%s: no routine", what)
				}
				got := make([]float32, len(src)+1)
				got[len(src)] = guard
				in := append([]float32(nil), src...)
				if !m.MulLeft(got, in, w) {
					t.Fatalf("%s: not taken", what)
				}
				kerneltest.SameBits(t, what, got, append(append([]float32(nil), want...), guard))
				kerneltest.SameBits(t, what+", what was multiplied", in, src)
				if !list.pairs {
					m.MulLeft(in, in, w)
					kerneltest.SameBits(t, what+", in place", in, want)
				}
			})
		}
		if m.MulLeft(nil, nil, 0) || m.MulLeft(nil, nil, 8) {
			t.Error("took rows of 0 or 8")
		}
		a[k] = -a[k]
		if NewSigned(a, k, list.pairs) != nil || NewSigned(list.dense(), k, !list.pairs) != nil {
			t.Errorf("order %d: found another matrix", k)
		}
	}
}

// BenchmarkSigned multiplies the blocks of a row of a model's width.
func BenchmarkSigned(b *testing.B) {
	for i := range signedMatrices {
		list := &signedMatrices[i]
		k := len(list.rows)
		m := NewSigned(list.dense(), k, list.pairs)
		order := k
		if list.pairs {
			order *= 2
		}
		for _, w := range []int{16, 32, 128} {
			x, y := make([]float32, order*w), make([]float32, order*w)
			for _, tier := range kerneltest.TiersTo(cpu.AVX512) {
				b.Run(fmt.Sprintf("%dx%d/%v", order, w, tier), func(b *testing.B) {
					defer cpu.SetTier(cpu.SetTier(tier))
					for b.Loop() {
						m.MulLeft(y, x, w)
					}
				})
			}
		}
	}
}
