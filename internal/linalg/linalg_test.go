package linalg

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/specquant/specquant/internal/kernel/cpu"
	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"gonum.org/v1/gonum/mat"
)

var sizes = []int{1, 2, 3, 10, 63, 64, 65, 127, 129, 200, 500}

// gram is a positive definite matrix: XᵀX of random rows whose columns have
// sizes from 1 down to floor, plus a damping of 1e-2 of the mean diagonal.
func gram(n int, floor, damp float64) []float64 {
	r := rand.New(rand.NewPCG(uint64(n), 9))
	x := make([]float64, 2*n*n)
	for i := range x {
		x[i] = r.NormFloat64() * math.Pow(floor, float64(i%n)/float64(n))
	}
	h := make([]float64, n*n)
	float.MatMulNT64(nil, h, n, transposed(x, 2*n, n), 2*n, transposed(x, 2*n, n), 2*n, n, n, 2*n, float.Set)
	mean := 0.0
	for i := range n {
		mean += h[i*n+i] / float64(n)
	}
	for i := range n {
		h[i*n+i] += damp * mean
	}
	return h
}

func transposed(x []float64, rows, cols int) []float64 {
	t := make([]float64, len(x))
	for i := range rows {
		for j := range cols {
			t[j*rows+i] = x[i*cols+j]
		}
	}
	return t
}

func hilbert(n int) []float64 {
	h := make([]float64, n*n)
	for i := range n {
		for j := range n {
			h[i*n+j] = 1 / float64(i+j+1)
		}
	}
	return h
}

func eachTier(t *testing.T, f func(t *testing.T)) {
	for _, tier := range cpu.Tiers() {
		t.Run(tier.String(), func(t *testing.T) {
			defer cpu.SetTier(cpu.SetTier(tier))
			f(t)
		})
	}
}

func TestCholesky(t *testing.T) {
	pool := parallel.NewPool(2)
	defer pool.Close()
	eachTier(t, func(t *testing.T) {
		for _, n := range sizes {
			for name, a := range map[string][]float64{"plain": gram(n, 1, 0.01), "graded": gram(n, 1e-6, 1e-13)} {
				l := append([]float64(nil), a...)
				for i := range n {
					for j := i + 1; j < n; j++ {
						l[i*n+j] = 777 // must not be read
					}
				}
				if err := Cholesky(pool, l, n); err != nil {
					t.Fatalf("%s %d: %v", name, n, err)
				}
				for i := range n {
					for j := i + 1; j < n; j++ {
						if l[i*n+j] != 0 {
							t.Fatalf("%s %d: element above the diagonal is %v", name, n, l[i*n+j])
						}
					}
				}
				// Backward error, element by element: |A − LLᵀ| ≤ c·ε·|L||Lᵀ|,
				// and the last factor is at most √(a_ii·a_jj).
				back := make([]float64, n*n)
				float.MatMulNT64(pool, back, n, l, n, l, n, n, n, n, float.Set)
				for i := range n {
					for j := range i + 1 {
						if d := math.Abs(back[i*n+j] - a[i*n+j]); !(d <= 1e-13*math.Sqrt(a[i*n+i]*a[j*n+j])) {
							t.Fatalf("%s %d: (LLᵀ)[%d][%d] is off by %g", name, n, i, j, d)
						}
					}
				}
				if name == "plain" {
					var c mat.Cholesky
					if !c.Factorize(mat.NewSymDense(n, a)) {
						t.Fatal("gonum cannot factor it")
					}
					var want mat.TriDense
					c.LTo(&want)
					for i := range n {
						for j := range i + 1 {
							if w := want.At(i, j); !(math.Abs(l[i*n+j]-w) <= 1e-11*math.Sqrt(a[i*n+i])) {
								t.Fatalf("%d: L[%d][%d] = %v, gonum %v", n, i, j, l[i*n+j], w)
							}
						}
					}
				}
			}
		}
	})
}

func TestInverseUpper(t *testing.T) {
	pool := parallel.NewPool(2)
	defer pool.Close()
	eachTier(t, func(t *testing.T) {
		for _, n := range sizes {
			for _, c := range []struct {
				name string
				h    []float64
				tol  float64
			}{
				{"plain", gram(n, 1, 0.01), 1e-10},
				{"graded", gram(n, 1e-4, 1e-9), 1e-5}, // condition about 1e9
			} {
				u := append([]float64(nil), c.h...)
				for i := range n {
					for j := range i {
						u[i*n+j] = 777 // must not be read
					}
				}
				if err := InverseUpper(pool, u, n); err != nil {
					t.Fatalf("%s %d: %v", c.name, n, err)
				}
				var ch mat.Cholesky
				if !ch.Factorize(mat.NewSymDense(n, c.h)) {
					t.Fatal("gonum cannot factor it")
				}
				var inv mat.SymDense
				if err := ch.InverseTo(&inv); err != nil {
					var cond mat.Condition
					if !errors.As(err, &cond) {
						t.Fatal(err)
					}
				}
				var invCh mat.Cholesky
				if !invCh.Factorize(&inv) {
					t.Fatal("gonum cannot factor the inverse")
				}
				var want mat.TriDense
				invCh.UTo(&want)
				for i := range n {
					for j := range n {
						w := want.At(i, j)
						if got := u[i*n+j]; !(math.Abs(got-w) <= c.tol*math.Sqrt(inv.At(j, j))) || j < i && got != 0 {
							t.Fatalf("%s %d: U[%d][%d] = %v, gonum %v", c.name, n, i, j, got, w)
						}
					}
				}
			}
		}
	})
}

// On ill-conditioned matrices the residual is the test: U·h·Uᵀ is the identity
// up to ε·cond(h).
func TestInverseUpperIllConditioned(t *testing.T) {
	pool := parallel.NewPool(2)
	defer pool.Close()
	for name, c := range map[string]struct {
		h    []float64
		n    int
		cond float64
	}{
		"hilbert 8":  {hilbert(8), 8, 1.6e10},
		"hilbert 11": {hilbert(11), 11, 5.3e14},
		"graded 200": {gram(200, 1e-5, 1e-11), 200, 1e11},
	} {
		n := c.n
		u := append([]float64(nil), c.h...)
		if err := InverseUpper(pool, u, n); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		uh, id := make([]float64, n*n), make([]float64, n*n)
		float.MatMulNN64(pool, uh, n, u, n, c.h, n, n, n, n, float.Set)
		float.MatMulNT64(pool, id, n, uh, n, u, n, n, n, n, float.Set)
		worst := 0.0
		for i := range n {
			for j := range n {
				want := 0.0
				if i == j {
					want = 1
				}
				worst = max(worst, math.Abs(id[i*n+j]-want))
			}
		}
		if limit := 2.2e-16 * c.cond * 10; !(worst <= limit) {
			t.Errorf("%s: U·h·Uᵀ is off the identity by %g, want at most %g", name, worst, limit)
		}
	}
}

func TestThreadsGiveTheSameBits(t *testing.T) {
	const n = 333
	var want []float64
	for _, threads := range []int{1, 2, 3} {
		pool := parallel.NewPool(threads)
		u := gram(n, 1e-2, 0.01)
		if err := InverseUpper(pool, u, n); err != nil {
			t.Fatal(err)
		}
		pool.Close()
		if want == nil {
			want = u
		}
		for i := range u {
			if u[i] != want[i] {
				t.Fatalf("%d threads: element %d is %v, with one thread %v", threads, i, u[i], want[i])
			}
		}
	}
}

func TestErrors(t *testing.T) {
	const n = 130
	for _, f := range []struct {
		name string
		fn   func(*parallel.Pool, []float64, int) error
	}{{"Cholesky", Cholesky}, {"InverseUpper", InverseUpper}} {
		for _, at := range []int{0, 5, 64, 100, n - 1} {
			a := gram(n, 1, 0.01)
			a[at*n+at] = -1
			var not *NotPositiveDefinite
			if err := f.fn(nil, a, n); !errors.As(err, &not) || not.Pivot != at || !(not.Value <= -1) {
				t.Errorf("%s with a negative diagonal at %d: %v", f.name, at, err)
			}
			for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
				a := gram(n, 1, 0.01)
				a[at*n+3] = v
				var non *NonFinite
				if err := f.fn(nil, a, n); !errors.As(err, &non) || non.Row != at || non.Col != 3 {
					t.Errorf("%s with %v at [%d][3]: %v", f.name, v, at, err)
				}
			}
		}
		if err := f.fn(nil, make([]float64, 5), 2); err == nil {
			t.Errorf("%s took 5 elements for 2×2", f.name)
		}
		if err := f.fn(nil, nil, 0); err != nil {
			t.Errorf("%s of an empty matrix: %v", f.name, err)
		}
	}
}

func BenchmarkCholesky(b *testing.B)     { benchmark(b, Cholesky, 1.0/3) }
func BenchmarkInverseUpper(b *testing.B) { benchmark(b, InverseUpper, 2.0/3) }

func benchmark(b *testing.B, fn func(*parallel.Pool, []float64, int) error, flops float64) {
	pool := parallel.NewPool(0)
	defer pool.Close()
	for _, n := range []int{256, 1024, 2048, 4096} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			h, a := diagonallyHeavy(n), make([]float64, n*n)
			for b.Loop() {
				copy(a, h)
				if err := fn(pool, a, n); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(flops*math.Pow(float64(n), 3)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
		})
	}
}

// diagonallyHeavy is positive definite and cheap to make.
func diagonallyHeavy(n int) []float64 {
	r := rand.New(rand.NewPCG(uint64(n), 1))
	h := make([]float64, n*n)
	for i := range n {
		for j := range i {
			v := r.Float64() - 0.5
			h[i*n+j], h[j*n+i] = v, v
		}
		h[i*n+i] = float64(n)
	}
	return h
}
