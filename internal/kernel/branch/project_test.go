package branch_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/specquant/specquant/internal/kernel/branch"
	"github.com/specquant/specquant/internal/kernel/branch/branchtest"
	"github.com/specquant/specquant/internal/kernel/cpu"
	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/integer"
	"github.com/specquant/specquant/internal/kernel/kerneltest"
	"github.com/specquant/specquant/internal/kernel/parallel"
)

func TestProjection(t *testing.T) {
	three := parallel.NewPool(3)
	defer three.Close()
	r := rand.New(rand.NewPCG(31, 32))
	for _, s := range []struct {
		count, n int
		folded   bool
	}{{1, 64, true}, {31, 64, true}, {7, 128, true}, {31, 2048, true}, {70, 320, true}, {31, 5632, true}, {5, 48, false}, {31, 70, false}, {0, 64, true}} {
		f := branchtest.Waves(s.count, s.n)
		p := branch.NewProjection(f, s.count, s.n)
		if p.Folded() != s.folded {
			t.Fatalf("%d waves of %d: folded %v", s.count, s.n, p.Folded())
		}
		for _, tokens := range []int{0, 1, 2, 3, 5, 8, 40} {
			ldx, ldz := s.n+3, s.count+1
			x := kerneltest.RandFloats(r, tokens*ldx)
			var asm []float32
			kerneltest.FloatTiers(t, func(t *testing.T) {
				z, alone, fused := make([]float32, tokens*ldz), make([]float32, tokens*ldz), make([]float32, tokens*ldz)
				branch.Project(three, z, ldz, p, x, ldx, tokens)
				for i := range tokens {
					branch.Project(nil, alone[i*ldz:], ldz, p, x[i*ldx:], ldx, 1)
				}
				what := fmt.Sprint(s, tokens, " tokens")
				kerneltest.SameBits(t, what+", token by token", alone, z)
				var a, b integer.Activations
				a.QuantizeProject(three, x, ldx, tokens, s.n, integer.ActGrid{Bits: 8, Clip: 1}, 0, fused, ldz, p, nil)
				kerneltest.SameBits(t, what+", with quantization", fused, z)
				b.Quantize(nil, x, ldx, tokens, s.n, integer.ActGrid{Bits: 8, Clip: 1}, 0)
				for i := range tokens {
					if a.Scale[i] != b.Scale[i] || a.Zero[i] != b.Zero[i] || string(int8Bytes(a.Q[i*a.Stride:][:s.n])) != string(int8Bytes(b.Q[i*b.Stride:][:s.n])) {
						t.Fatalf("%s: token %d is quantized otherwise", what, i)
					}
				}
				if cpu.Active() > cpu.Portable {
					if asm == nil {
						asm = z
					}
					kerneltest.SameBits(t, what+", against the lowest tier with assembly", z, asm)
				}
				for i := range tokens {
					if z[i*ldz+s.count] != 0 {
						t.Fatalf("%s: written beyond the row", what)
					}
					for k := range s.count {
						var want, scale float64
						for j := range s.n {
							v := float64(x[i*ldx+j]) * float64(f[k*s.n+j])
							want += v
							scale += math.Abs(v)
						}
						if got := float64(z[i*ldz+k]); !(math.Abs(got-want) <= 1e-6*scale) {
							t.Fatalf("%s: z[%d][%d] = %v, want %v", what, i, k, got, want)
						}
					}
				}
			})
		}
	}
	// One value that breaks the symmetry, anywhere, and the rows don't fold.
	for range 50 {
		f := branchtest.Waves(9, 128)
		f[r.IntN(len(f))] += 0.5
		if branch.NewProjection(f, 9, 128).Folded() {
			t.Fatal("rows without symmetry are folded")
		}
	}
}

func int8Bytes(q []int8) []byte {
	b := make([]byte, len(q))
	for i, v := range q {
		b[i] = byte(v)
	}
	return b
}

func BenchmarkProject(b *testing.B) {
	pool := parallel.NewPool(0)
	defer pool.Close()
	r := rand.New(rand.NewPCG(1, 1))
	for _, n := range []int{2048, 5632} {
		const count = 31
		f := branchtest.Waves(count, n)
		p := branch.NewProjection(f, count, n)
		for _, tokens := range []int{1, 512} {
			x, z := kerneltest.RandFloats(r, tokens*n), make([]float32, tokens*count)
			b.Run(fmt.Sprintf("folded/%dx%d", n, tokens), func(b *testing.B) {
				for b.Loop() {
					branch.Project(pool, z, count, p, x, n, tokens)
				}
			})
			b.Run(fmt.Sprintf("dense/%dx%d", n, tokens), func(b *testing.B) {
				for b.Loop() {
					float.MatMulNT(pool, z, count, x, n, f, n, tokens, count, n, false)
				}
			})
		}
	}
}
