package float

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/specquant/specquant/internal/kernel/cpu"
	"github.com/specquant/specquant/internal/kernel/kerneltest"
	"github.com/specquant/specquant/internal/kernel/parallel"
)

func randFloats64(r *rand.Rand, n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = r.NormFloat64()
	}
	return x
}

// floatShapes are m, n, k: empty, single, odd, around the tiles and around blockK.
var floatShapes = [][3]int{
	{0, 3, 4}, {3, 0, 4}, {3, 4, 0}, {1, 1, 1}, {1, 2, 3}, {2, 1, 5}, {1, 33, 255}, {3, 31, 256}, {4, 32, 257},
	{5, 64, 16}, {6, 17, 40}, {7, 15, 33}, {11, 47, 100}, {12, 32, 32}, {13, 65, 300}, {24, 96, 513}, {25, 100, 17},
	{100, 70, 30}, {64, 64, 64}, {1, 300, 700}, {530, 37, 19}, {37, 530, 29}, {1030, 33, 3}, {1, 50, 528}, {2, 16, 48}, {3, 33, 272}, {4, 70, 512},
}

const pad = float32(12345) // stands in c between rows, and must survive

// kind of product: the way a and b lie.
var floatKinds = []string{"NT", "NN", "TN"}

func matMul(p *parallel.Pool, kind string, c []float32, ldc int, a []float32, lda int, b []float32, ldb, m, n, k int, acc bool) {
	switch kind {
	case "NT":
		MatMulNT(p, c, ldc, a, lda, b, ldb, m, n, k, acc)
	case "NN":
		MatMulNN(p, c, ldc, a, lda, b, ldb, m, n, k, acc)
	case "TN":
		MatMulTN(p, c, ldc, a, lda, b, ldb, m, n, k, acc)
	}
}

// product holds one case: operands in every layout, and the exact result.
type product struct {
	m, n, k int
	a, at   []float32 // [m×k+3], [k×m+3]
	b, bt   []float32 // [k×n+3], [n×k+3]
	want    []float64
	scale   []float64 // Σ |a·b|, what rounding errors are relative to
}

func newProduct(r *rand.Rand, m, n, k int) *product {
	q := &product{m: m, n: n, k: k,
		a: kerneltest.RandFloats(r, m*(k+3)), at: kerneltest.RandFloats(r, k*(m+3)), b: kerneltest.RandFloats(r, k*(n+3)), bt: kerneltest.RandFloats(r, n*(k+3)),
		want: make([]float64, m*n), scale: make([]float64, m*n)}
	for i := range m {
		for j := range n {
			for p := range k {
				q.at[p*(m+3)+i] = q.a[i*(k+3)+p]
				q.bt[j*(k+3)+p] = q.b[p*(n+3)+j]
				v := float64(q.a[i*(k+3)+p]) * float64(q.b[p*(n+3)+j])
				q.want[i*n+j] += v
				q.scale[i*n+j] += math.Abs(v)
			}
		}
	}
	return q
}

func (q *product) run(p *parallel.Pool, kind string, m, n int, acc bool, start float32) []float32 {
	c := make([]float32, m*(n+2))
	for i := range c {
		c[i] = pad
		if i%(n+2) < n {
			c[i] = start
		}
	}
	a, lda, b, ldb := q.a, q.k+3, q.b, q.n+3
	if kind == "NT" {
		b, ldb = q.bt, q.k+3
	}
	if kind == "TN" {
		a, lda = q.at, q.m+3
	}
	matMul(p, kind, c, n+2, a, lda, b, ldb, m, n, q.k, acc)
	return c
}

func TestMatMul(t *testing.T) {
	pool := parallel.NewPool(2)
	defer pool.Close()
	for _, s := range floatShapes {
		m, n, k := s[0], s[1], s[2]
		q := newProduct(rand.New(rand.NewPCG(uint64(m), uint64(n*1000+k))), m, n, k)
		var asm []float32 // of the first assembly tier
		kerneltest.FloatTiers(t, func(t *testing.T) {
			for _, kind := range floatKinds {
				for _, acc := range []bool{false, true} {
					c := q.run(pool, kind, m, n, acc, 2)
					for i := range m {
						for j := range n + 2 {
							got := c[i*(n+2)+j]
							if j >= n {
								if got != pad {
									t.Fatalf("%s %v: wrote beyond row %d", kind, s, i)
								}
								continue
							}
							want := q.want[i*n+j]
							if acc {
								want += 2
							}
							if diff := math.Abs(float64(got) - want); !(diff <= 4e-6*(q.scale[i*n+j]+2)) {
								t.Fatalf("%s %v accumulate=%v: c[%d][%d] = %v, want %v", kind, s, acc, i, j, got, want)
							}
						}
					}
					if !acc && cpu.Active() > cpu.Portable {
						if asm == nil {
							asm = c
						}
						kerneltest.SameBits(t, fmt.Sprint(kind, s, " against the lowest tier with assembly NT"), c, asm)
					}
				}
			}
		})
	}
}

// Every row and column must have the bits it has in the full product, whatever
// m, n, layout and number of threads.
func TestMatMulInvariance(t *testing.T) {
	one, three := parallel.NewPool(1), parallel.NewPool(3)
	defer one.Close()
	defer three.Close()
	const m, n, k = 41, 77, 700
	q := newProduct(rand.New(rand.NewPCG(1, 2)), m, n, k)
	kerneltest.FloatTiers(t, func(t *testing.T) {
		full := q.run(one, "NT", m, n, false, 0)
		for _, kind := range floatKinds {
			for _, pool := range []*parallel.Pool{nil, one, three} {
				kerneltest.SameBits(t, kind, q.run(pool, kind, m, n, false, 0), full)
			}
			for _, size := range [][2]int{{1, 77}, {2, 31}, {3, 77}, {5, 64}, {7, 1}, {12, 16}, {40, 33}, {41, 32}} {
				part := q.run(three, kind, size[0], size[1], false, 0)
				for i := range size[0] {
					kerneltest.SameBits(t, fmt.Sprint(kind, size, " row ", i), part[i*(size[1]+2):][:size[1]], full[i*(n+2):][:size[1]])
				}
			}
		}
	})
}

func TestMatMul64(t *testing.T) {
	pool := parallel.NewPool(2)
	defer pool.Close()
	r := rand.New(rand.NewPCG(3, 4))
	for _, s := range floatShapes {
		m, n, k := s[0], s[1], s[2]
		a, b, bt, start := randFloats64(r, m*(k+1)), randFloats64(r, k*(n+2)), make([]float64, n*(k+1)), randFloats64(r, m*n)
		for j := range n {
			for p := range k {
				bt[j*(k+1)+p] = b[p*(n+2)+j]
			}
		}
		var asm [SubtractLower + 1][]float64
		kerneltest.FloatTiers(t, func(t *testing.T) {
			for u := Set; u <= SubtractLower; u++ {
				for _, nt := range []bool{false, true} {
					c := append([]float64(nil), start...)
					if nt {
						MatMulNT64(pool, c, n, a, k+1, bt, k+1, m, n, k, u)
					} else {
						MatMulNN64(pool, c, n, a, k+1, b, n+2, m, n, k, u)
					}
					for i := range m {
						for j := range n {
							if u == SubtractLower && j > i {
								if c[i*n+j] != start[i*n+j] {
									t.Fatalf("%v NT=%v: c[%d][%d] above the diagonal has changed", s, nt, i, j)
								}
								continue
							}
							sum, scale := 0.0, math.Abs(start[i*n+j])
							for p := range k {
								sum += a[i*(k+1)+p] * b[p*(n+2)+j]
								scale += math.Abs(a[i*(k+1)+p] * b[p*(n+2)+j])
							}
							switch u {
							case Add:
								sum += start[i*n+j]
							case Subtract, SubtractLower:
								sum = start[i*n+j] - sum
							}
							if !(math.Abs(c[i*n+j]-sum) <= 1e-14*scale) {
								t.Fatalf("%v update %d NT=%v: c[%d][%d] = %v, want %v", s, u, nt, i, j, c[i*n+j], sum)
							}
						}
					}
					if cpu.Active() > cpu.Portable {
						if asm[u] == nil {
							asm[u] = c
						}
						for i := range c {
							if c[i] != asm[u][i] {
								t.Fatalf("%v update %d NT=%v: element %d differs from NN of the lowest tier with assembly", s, u, nt, i)
							}
						}
					}
				}
			}
		})
	}
}

func TestSyrkTN(t *testing.T) {
	one, three := parallel.NewPool(1), parallel.NewPool(3)
	defer one.Close()
	defer three.Close()
	r := rand.New(rand.NewPCG(5, 6))
	for _, s := range [][2]int{{0, 4}, {4, 0}, {1, 1}, {3, 2}, {31, 7}, {192, 5}, {193, 513}, {400, 30}, {65, 1100}} {
		n, tokens := s[0], s[1]
		x := kerneltest.RandFloats(r, tokens*(n+1))
		kerneltest.FloatTiers(t, func(t *testing.T) {
			h, h3 := make([]float64, n*n), make([]float64, n*n)
			for i := range h {
				h[i], h3[i] = 1, 1
			}
			SyrkTN(one, h, n, x, n+1, tokens)
			SyrkTN(three, h3, n, x, n+1, tokens)
			for i := range n {
				for j := range n {
					want, scale := 1.0, 1.0
					for p := range tokens {
						v := float64(x[p*(n+1)+i]) * float64(x[p*(n+1)+j])
						want += v
						scale += math.Abs(v)
					}
					got := h[i*n+j]
					if !(math.Abs(got-want) <= 2e-6*scale) {
						t.Fatalf("%v: h[%d][%d] = %v, want %v", s, i, j, got, want)
					}
					if got != h[j*n+i] || got != h3[i*n+j] {
						t.Fatalf("%v: h[%d][%d] = %v, mirrored %v, with three threads %v", s, i, j, got, h[j*n+i], h3[i*n+j])
					}
				}
			}
		})
	}
}

func BenchmarkMatMul(b *testing.B) {
	pool := parallel.NewPool(0)
	defer pool.Close()
	r := rand.New(rand.NewPCG(1, 1))
	for _, s := range [][3]int{{1024, 1024, 1024}, {512, 2048, 2048}, {128, 128, 64}, {8, 2048, 2048}, {1, 2048, 2048}} {
		m, n, k := s[0], s[1], s[2]
		x, w, c := kerneltest.RandFloats(r, m*k), kerneltest.RandFloats(r, n*k), make([]float32, m*n)
		for _, tier := range kerneltest.TiersTo(cpu.AVX512)[1:] {
			for _, kind := range floatKinds {
				lda, ldb := k, n
				if kind == "TN" {
					lda = m
				}
				if kind == "NT" {
					ldb = k
				}
				b.Run(fmt.Sprintf("%s/%dx%dx%d/%v", kind, m, n, k, tier), func(b *testing.B) {
					defer cpu.SetTier(cpu.SetTier(tier))
					for b.Loop() {
						matMul(pool, kind, c, n, x, lda, w, ldb, m, n, k, false)
					}
					kerneltest.ReportFlops(b, 2*float64(m)*float64(n)*float64(k))
				})
			}
		}
	}
}
