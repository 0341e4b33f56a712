package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// waves makes the lowest vectors of the real Fourier basis of length n: DC,
// then cosine and sine of each frequency, mirror images equal to the bit.
func waves(count, n int) []float32 {
	turn := func(num int) float64 { // cos(2π·num/4n)
		num = ((num % (4 * n)) + 4*n) % (4 * n)
		num = min(num, 4*n-num)
		if num > n {
			return -math.Cos(2 * math.Pi * float64(2*n-num) / float64(4*n))
		}
		if num == n {
			return 0
		}
		return math.Cos(2 * math.Pi * float64(num) / float64(4*n))
	}
	f := make([]float32, count*n)
	for i := range count {
		k := (i + 1) / 2
		for j := range n {
			angle := 4 * (k * j % n)
			if i > 0 && i%2 == 0 {
				angle -= n
			}
			f[i*n+j] = float32(math.Sqrt(2/float64(n)) * turn(angle))
		}
	}
	return f
}

func TestProjection(t *testing.T) {
	three := NewPool(3)
	defer three.Close()
	r := rand.New(rand.NewPCG(31, 32))
	for _, s := range []struct {
		count, n int
		folded   bool
	}{{1, 64, true}, {31, 64, true}, {7, 128, true}, {31, 2048, true}, {70, 320, true}, {31, 5632, true}, {5, 48, false}, {31, 70, false}, {0, 64, true}} {
		f := waves(s.count, s.n)
		p := NewProjection(f, s.count, s.n)
		if p.Folded() != s.folded {
			t.Fatalf("%d waves of %d: folded %v", s.count, s.n, p.Folded())
		}
		for _, tokens := range []int{0, 1, 2, 3, 5, 8, 40} {
			ldx, ldz := s.n+3, s.count+1
			x := randFloats(r, tokens*ldx)
			var asm []float32
			floatTiers(t, func(t *testing.T) {
				z, alone, fused := make([]float32, tokens*ldz), make([]float32, tokens*ldz), make([]float32, tokens*ldz)
				three.Project(z, ldz, p, x, ldx, tokens)
				for i := range tokens {
					(*Pool)(nil).Project(alone[i*ldz:], ldz, p, x[i*ldx:], ldx, 1)
				}
				what := fmt.Sprint(s, tokens, " tokens")
				sameBits(t, what+", token by token", alone, z)
				var a, b Activations
				a.QuantizeProject(three, x, ldx, tokens, s.n, ActGrid{Bits: 8, Clip: 1}, 0, fused, ldz, p, nil)
				sameBits(t, what+", with quantization", fused, z)
				b.Quantize(nil, x, ldx, tokens, s.n, ActGrid{Bits: 8, Clip: 1}, 0)
				for i := range tokens {
					if a.Scale[i] != b.Scale[i] || a.Zero[i] != b.Zero[i] || string(int8Bytes(a.Q[i*a.Stride:][:s.n])) != string(int8Bytes(b.Q[i*b.Stride:][:s.n])) {
						t.Fatalf("%s: token %d is quantized otherwise", what, i)
					}
				}
				if Active() > Portable {
					if asm == nil {
						asm = z
					}
					sameBits(t, what+", against the lowest tier with assembly", z, asm)
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
		f := waves(9, 128)
		f[r.IntN(len(f))] += 0.5
		if NewProjection(f, 9, 128).Folded() {
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
	pool := NewPool(0)
	defer pool.Close()
	r := rand.New(rand.NewPCG(1, 1))
	for _, n := range []int{2048, 5632} {
		const count = 31
		f := waves(count, n)
		p := NewProjection(f, count, n)
		for _, tokens := range []int{1, 512} {
			x, z := randFloats(r, tokens*n), make([]float32, tokens*count)
			b.Run(fmt.Sprintf("folded/%dx%d", n, tokens), func(b *testing.B) {
				for b.Loop() {
					pool.Project(z, count, p, x, n, tokens)
				}
			})
			b.Run(fmt.Sprintf("dense/%dx%d", n, tokens), func(b *testing.B) {
				for b.Loop() {
					pool.MatMulNT(z, count, x, n, f, n, tokens, count, n, false)
				}
			})
		}
	}
}
