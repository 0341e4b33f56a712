package branch_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/specquant/specquant/internal/kernel/branch"
	"github.com/specquant/specquant/internal/kernel/cpu"
	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/integer"
	"github.com/specquant/specquant/internal/kernel/kerneltest"
	"github.com/specquant/specquant/internal/kernel/parallel"
)

// TestStoredProjection holds products with stored bases, and what is left of the
// tokens, to float64, and batches, threads and tiers to the same bits.
func TestStoredProjection(t *testing.T) {
	three := parallel.NewPool(3)
	defer three.Close()
	r := rand.New(rand.NewPCG(41, 42))
	for _, s := range []struct{ count, n int }{{0, 64}, {1, 1}, {3, 15}, {8, 16}, {16, 2048}, {21, 100}, {9, 1040}, {5, 3000}, {20, 3400}} {
		v := make([]uint16, s.count*s.n)
		for i := range v {
			v[i] = float.ToF16(float32(r.NormFloat64() / math.Sqrt(float64(s.n))))
		}
		for _, remove := range []bool{false, true} {
			p := branch.NewStoredProjection(v, s.count, s.n, remove)
			if p.Removes() != remove || p.Folded() && s.count > 0 {
				t.Fatal("is another kind of projection")
			}
			for _, tokens := range []int{0, 1, 2, 3, 5, 8, 40} {
				ldx, ldz := s.n+3, s.count+1
				start := kerneltest.RandFloats(r, tokens*ldx)
				twice := func(x []float32, from, end int) {
					for k := from * ldx; k < end*ldx; k++ {
						x[k] *= 2
					}
				}
				var asmZ, asmX []float32
				kerneltest.FloatTiers(t, func(t *testing.T) {
					what := fmt.Sprint(s, remove, tokens, " tokens")
					x, one, fused := append([]float32(nil), start...), append([]float32(nil), start...), append([]float32(nil), start...)
					twice(x, 0, tokens)
					twice(one, 0, tokens)
					z, alone, fusedZ := make([]float32, tokens*ldz), make([]float32, tokens*ldz), make([]float32, tokens*ldz)
					want := make([]float64, tokens*s.n)
					for i := range want {
						want[i] = float64(x[i/s.n*ldx+i%s.n])
					}
					branch.Project(three, z, ldz, p, x, ldx, tokens)
					for i := range tokens {
						branch.Project(nil, alone[i*ldz:], ldz, p, one[i*ldx:], ldx, 1)
					}
					var a, b integer.Activations
					a.QuantizeProject(three, fused, ldx, tokens, s.n, integer.ActGrid{Bits: 8, Clip: 1}, 0, fusedZ, ldz, p, func(from, end int) { twice(fused, from, end) })
					b.Quantize(nil, x, ldx, tokens, s.n, integer.ActGrid{Bits: 8, Clip: 1}, 0)
					kerneltest.SameBits(t, what+", z token by token", alone, z)
					kerneltest.SameBits(t, what+", x token by token", one, x)
					kerneltest.SameBits(t, what+", z with quantization", fusedZ, z)
					kerneltest.SameBits(t, what+", x with quantization", fused, x)
					for i := range tokens {
						if a.Scale[i] != b.Scale[i] || a.Zero[i] != b.Zero[i] || string(int8Bytes(a.Q[i*a.Stride:][:s.n])) != string(int8Bytes(b.Q[i*b.Stride:][:s.n])) {
							t.Fatalf("%s: token %d is quantized otherwise", what, i)
						}
					}
					if cpu.Active() > cpu.Portable {
						if asmZ == nil {
							asmZ, asmX = z, x
						}
						kerneltest.SameBits(t, what+", z against the lowest tier with assembly", z, asmZ)
						kerneltest.SameBits(t, what+", x against the lowest tier with assembly", x, asmX)
					}
					for i := range tokens {
						row := want[i*s.n:][:s.n]
						for k := range s.count {
							var sum, scale float64
							for j, w := range row {
								c := w * float64(float.FromF16(v[k*s.n+j]))
								sum += c
								scale += math.Abs(c)
							}
							if got := float64(z[i*ldz+k]); !(math.Abs(got-sum) <= 1e-6*scale) {
								t.Fatalf("%s: z[%d][%d] = %v, want %v", what, i, k, got, sum)
							}
						}
						for j, w := range row {
							scale := math.Abs(w)
							for k := range s.count {
								if remove {
									c := float64(z[i*ldz+k]) * float64(float.FromF16(v[k*s.n+j]))
									w -= c
									scale += math.Abs(c)
								}
							}
							if got := float64(x[i*ldx+j]); !(math.Abs(got-w) <= 1e-6*scale) {
								t.Fatalf("%s: x[%d][%d] = %v, want %v", what, i, j, got, w)
							}
						}
						for j := s.n; j < ldx; j++ {
							if x[i*ldx+j] != 2*start[i*ldx+j] {
								t.Fatalf("%s: written beyond the token", what)
							}
						}
					}
				})
			}
		}
	}
}

func BenchmarkStoredProjection(b *testing.B) {
	pool := parallel.NewPool(0)
	defer pool.Close()
	r := rand.New(rand.NewPCG(1, 1))
	for _, n := range []int{2048, 5632} {
		const count = 16
		v := make([]uint16, count*n)
		for i := range v {
			v[i] = float.ToF16(float32(r.NormFloat64() / math.Sqrt(float64(n))))
		}
		for _, tokens := range []int{1, 8, 512} {
			x, z := kerneltest.RandFloats(r, tokens*n), make([]float32, tokens*count)
			floats, minus := make([]float32, len(v)), make([]float32, len(v))
			float.F16ToF32(floats, v)
			for i := range v {
				minus[i] = -floats[i]
			}
			p := branch.NewStoredProjection(v, count, n, true)
			b.Run(fmt.Sprintf("halves/%dx%d", n, tokens), func(b *testing.B) {
				for b.Loop() {
					branch.Project(pool, z, count, p, x, n, tokens)
				}
			})
			b.Run(fmt.Sprintf("matrix/%dx%d", n, tokens), func(b *testing.B) {
				for b.Loop() {
					float.MatMulNT(pool, z, count, x, n, floats, n, tokens, count, n, false)
					float.MatMulNN(pool, x, n, z, count, minus, n, tokens, n, count, true)
				}
			})
		}
	}
}
