package branch_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/specquant/specquant/internal/kernel/branch"
	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/integer"
	"github.com/specquant/specquant/internal/kernel/kerneltest"
	"github.com/specquant/specquant/internal/kernel/parallel"
)

// byteBasis are random vectors in 8 bits, each with its scale, of about unit length.
func byteBasis(r *rand.Rand, count, n int) (codes []int8, scale []float32) {
	codes, scale = make([]int8, count*n), make([]float32, count)
	for i := range codes {
		codes[i] = int8(r.IntN(255) - 127)
	}
	for i := range scale {
		scale[i] = float.FromF16(float.ToF16(float32((1 + r.Float64()) / (100 * math.Sqrt(float64(n))))))
	}
	return codes, scale
}

// TestByteProjection holds products with stored bases in 8 bits, and what is left
// of the tokens, to float64, and batches, threads and all tiers to the same bits.
func TestByteProjection(t *testing.T) {
	three := parallel.NewPool(3)
	defer three.Close()
	r := rand.New(rand.NewPCG(41, 42))
	shapes := []struct{ count, n int }{{0, 64}, {1, 1}, {3, 15}, {8, 16}, {16, 2048}, {21, 100}, {9, 1040}, {5, 3000}, {20, 6600}}
	for count := range 18 {
		shapes = append(shapes, struct{ count, n int }{count, 33 + count})
	}
	for _, s := range shapes {
		codes, scale := byteBasis(r, s.count, s.n)
		for _, remove := range []bool{false, true} {
			p := branch.NewByteProjection(codes, scale, s.count, s.n, remove)
			if p.Removes() != remove || p.Folded() && s.count > 0 {
				t.Fatal("is another kind of projection")
			}
			if p.Bytes() != s.count*(s.n+4) {
				t.Fatalf("%v: reads %d bytes", s, p.Bytes())
			}
			for _, tokens := range []int{0, 1, 2, 3, 12} {
				ldx, ldz := s.n+3, s.count+1
				start := kerneltest.RandFloats(r, tokens*ldx)
				var firstZ, firstX []float32
				kerneltest.FloatTiers(t, func(t *testing.T) {
					what := fmt.Sprint(s, remove, tokens, " tokens")
					x, one, fused := append([]float32(nil), start...), append([]float32(nil), start...), append([]float32(nil), start...)
					z, alone, fusedZ := make([]float32, tokens*ldz), make([]float32, tokens*ldz), make([]float32, tokens*ldz)
					branch.Project(three, z, ldz, p, x, ldx, tokens)
					for i := range tokens {
						branch.Project(nil, alone[i*ldz:], ldz, p, one[i*ldx:], ldx, 1)
					}
					var a, b integer.Activations
					a.QuantizeProject(three, fused, ldx, tokens, s.n, integer.ActGrid{Bits: 8, Clip: 1}, 0, fusedZ, ldz, p, nil)
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
					if firstZ == nil {
						firstZ, firstX = z, x
					}
					kerneltest.SameBits(t, what+", z against the other tiers", z, firstZ)
					kerneltest.SameBits(t, what+", x against the other tiers", x, firstX)
					for i := range tokens {
						row := start[i*ldx:][:s.n]
						for k := range s.count {
							var sum, size float64
							for j, w := range row {
								c := float64(w) * float64(codes[k*s.n+j]) * float64(scale[k])
								sum += c
								size += math.Abs(c)
							}
							if got := float64(z[i*ldz+k]); !(math.Abs(got-sum) <= 1e-6*size) {
								t.Fatalf("%s: z[%d][%d] = %v, want %v", what, i, k, got, sum)
							}
						}
						for j, v := range row {
							w, size := float64(v), math.Abs(float64(v))
							for k := range s.count {
								if remove {
									c := float64(z[i*ldz+k]) * float64(codes[k*s.n+j]) * float64(scale[k])
									w -= c
									size += math.Abs(c)
								}
							}
							if got := float64(x[i*ldx+j]); !(math.Abs(got-w) <= 1e-6*size) {
								t.Fatalf("%s: x[%d][%d] = %v, want %v", what, i, j, got, w)
							}
						}
						for j := s.n; j < ldx; j++ {
							if x[i*ldx+j] != start[i*ldx+j] {
								t.Fatalf("%s: written beyond the token", what)
							}
						}
					}
				})
			}
		}
	}
}

func BenchmarkByteProjection(b *testing.B) {
	pool := parallel.NewPool(0)
	defer pool.Close()
	r := rand.New(rand.NewPCG(1, 1))
	for _, n := range []int{2048, 5632} {
		const count = 16
		codes, scale := byteBasis(r, count, n)
		half := make([]uint16, len(codes))
		for i, c := range codes {
			half[i] = float.ToF16(float32(c) * scale[i/n])
		}
		for _, tokens := range []int{1, 8, 512} {
			x, z := kerneltest.RandFloats(r, tokens*n), make([]float32, tokens*count)
			for name, p := range map[string]*branch.Projection{"bytes": branch.NewByteProjection(codes, scale, count, n, true), "halves": branch.NewStoredProjection(half, count, n, true)} {
				b.Run(fmt.Sprintf("%s/%dx%d", name, n, tokens), func(b *testing.B) {
					for b.Loop() {
						branch.Project(pool, z, count, p, x, n, tokens)
					}
				})
			}
		}
	}
}
