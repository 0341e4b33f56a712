package linalg

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"gonum.org/v1/gonum/mat"
)

func TestOrthonormalize(t *testing.T) {
	pool := parallel.NewPool(2)
	defer pool.Close()
	// By hand: (3,4,0), (3,4,5) -> (.6,.8,0), (0,0,1).
	x := []float64{3, 4, 0, 3, 4, 5}
	if dep, err := Orthonormalize(nil, x, 2, 3); err != nil || dep != 0 {
		t.Fatal(dep, err)
	}
	for i, want := range []float64{.6, .8, 0, 0, 0, 1} {
		if math.Abs(x[i]-want) > 1e-15 {
			t.Fatalf("got %v", x)
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct{ rows, n, rank int }{{1, 1, 1}, {5, 5, 5}, {40, 100, 40}, {40, 100, 7}, {100, 100, 100}, {50, 300, 0}} {
		x := make([]float64, c.rows*c.n)
		for i := range min(c.rank, c.rows) {
			for j := range c.n {
				x[i*c.n+j] = r.NormFloat64() * math.Pow(10, float64(i%30-15)) // sizes from 1e-15 to 1e15
			}
		}
		for i := c.rank; i < c.rows && c.rank > 0; i++ {
			axpy(x[i*c.n:][:c.n], 2, x[i%c.rank*c.n:][:c.n])
			axpy(x[i*c.n:][:c.n], -1, x[(i+1)%c.rank*c.n:][:c.n])
		}
		first := slices.Clone(x[:c.n])
		dep, err := Orthonormalize(pool, x, c.rows, c.n)
		if err != nil || dep != c.rows-c.rank {
			t.Errorf("%+v: %d dependent rows, %v", c, dep, err)
		}
		if d := orthogonality(pool, x, c.rows, c.n); !(d < 1e-14) {
			t.Errorf("%+v: off orthonormal by %g", c, d)
		}
		if c.rank > 0 && !(dot(first, x[:c.n]) > 0) {
			t.Errorf("%+v: the first row has turned", c)
		}
	}
	// Nearly dependent: a Hilbert matrix, condition 1e13 and beyond.
	for _, n := range []int{10, 20, 60} {
		x := hilbert(n)
		if _, err := Orthonormalize(pool, x, n, n); err != nil {
			t.Fatal(err)
		}
		if d := orthogonality(pool, x, n, n); !(d < 1e-14) {
			t.Errorf("hilbert %d: off orthonormal by %g", n, d)
		}
	}
	if _, err := Orthonormalize(nil, make([]float64, 6), 3, 2); err == nil {
		t.Error("3 orthonormal rows of 2")
	}
	var non *NonFinite
	if _, err := Orthonormalize(nil, []float64{1, math.Inf(1)}, 1, 2); !errors.As(err, &non) {
		t.Errorf("infinity: %v", err)
	}
}

func TestTopEigen(t *testing.T) {
	pool := parallel.NewPool(2)
	defer pool.Close()
	const n, k, tol = 600, 20, 1e-8
	spectra := map[string]func(i int) float64{
		"power":    func(i int) float64 { return 1 / float64(i+1) },
		"gentle":   func(i int) float64 { return math.Exp(-float64(i) / 100) },
		"outliers": func(i int) float64 { return 1 + 1e6*math.Exp2(-4*float64(i)) + math.Exp(-float64(i)/50) },
		"rank 5":   func(i int) float64 { return max(0, 5-float64(i)) },
		"identity": func(i int) float64 { return 3 },
		"pairs":    func(i int) float64 { return 1 / float64(i/2+1) },
		"zero":     func(i int) float64 { return 0 },
	}
	for name, f := range spectra {
		values := make([]float64, n)
		for i := range values {
			values[i] = f(i)
		}
		a := withSpectrum(pool, values, 11)
		top, err := TopEigen(pool, a, n, k, tol)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		t.Logf("%s: %d products, residual %.1e", name, top.Products, top.Residual)
		if !(top.Residual <= tol) {
			t.Errorf("%s: residual %g after %d products", name, top.Residual, top.Products)
		}
		if d := orthogonality(pool, top.Vectors, k, n); !(d < 1e-13) {
			t.Errorf("%s: off orthonormal by %g", name, d)
		}
		if d := residual(pool, a, n, top.Values, top.Vectors); !(d <= 2*tol) {
			t.Errorf("%s: residual is %g", name, d)
		}
		for i, v := range top.Values {
			if math.Abs(v-values[i]) > 1e-10*values[0] {
				t.Errorf("%s: value %d is %v, want %v", name, i, v, values[i])
			}
			if fixSign(slices.Clone(top.Vectors[i*n:][:n])) {
				t.Errorf("%s: the largest component of vector %d is negative", name, i)
			}
		}
		if name == "gentle" {
			other, err := TopEigen(nil, a, n, k, tol)
			if err != nil || !slices.Equal(other.Vectors, top.Vectors) || !slices.Equal(other.Values, top.Values) {
				t.Errorf("one thread differs (%v)", err)
			}
		}
	}
	// An indefinite matrix is refused, by both ways.
	for _, n := range []int{100, 600} {
		if _, err := TopEigen(pool, symmetric(n, 2), n, 5, tol); err == nil {
			t.Errorf("took an indefinite matrix of %d", n)
		}
	}
	for _, c := range []struct {
		n, k int
		tol  float64
	}{{4, 0, tol}, {4, 5, tol}, {4, 2, 0}, {4, 2, math.NaN()}, {3, 2, tol}} {
		if _, err := TopEigen(nil, make([]float64, 16), c.n, c.k, c.tol); err == nil {
			t.Errorf("took %+v", c)
		}
	}
}

func TestSVDTop(t *testing.T) {
	pool := parallel.NewPool(2)
	defer pool.Close()
	for _, c := range []struct{ m, n, k int }{{1, 1, 1}, {3, 2, 2}, {30, 50, 7}, {50, 30, 30}, {500, 450, 12}, {450, 700, 12}} {
		// Columns and rows of different sizes, so that the spectrum falls.
		w := randFloats(uint64(c.m), c.m*c.n)
		for i := range w {
			w[i] *= float32(math.Exp(-float64(i/c.n)/20) + 0.05)
		}
		got, err := SVDTop(pool, w, c.m, c.n, c.k, 1e-10)
		if err != nil {
			t.Fatal(err)
		}
		w64 := make([]float64, len(w))
		for i, v := range w {
			w64[i] = float64(v)
		}
		var svd mat.SVD
		if !svd.Factorize(mat.NewDense(c.m, c.n, w64), mat.SVDNone) {
			t.Fatal("gonum failed")
		}
		want := svd.Values(nil)
		for i, s := range got.S {
			if math.Abs(s-want[i]) > 1e-8*want[0] {
				t.Errorf("%v: singular value %d is %v, gonum %v", c, i, s, want[i])
			}
		}
		if d := max(orthogonality(pool, got.U, c.k, c.m), orthogonality(pool, got.V, c.k, c.n)); !(d < 1e-13) {
			t.Errorf("%v: off orthonormal by %g", c, d)
		}
		// The error of the approximation is what the other singular values hold.
		sv := slices.Clone(got.V)
		for i, s := range got.S {
			for j := range c.n {
				sv[i*c.n+j] *= s
			}
		}
		float.MatMulNN64(pool, w64, c.n, transposed(got.U, c.k, c.m), c.k, sv, c.n, c.m, c.n, c.k, float.Subtract)
		left, expect := dot(w64, w64), 0.0
		for _, s := range want[c.k:] {
			expect += s * s
		}
		if math.Abs(left-expect) > 1e-9*want[0]*want[0] {
			t.Errorf("%v: ‖W − USV‖² = %v, want %v", c, left, expect)
		}
	}
	if _, err := SVDTop(nil, make([]float32, 5), 2, 3, 1, 1e-6); err == nil {
		t.Error("took 5 numbers for 2 × 3")
	}
	var non *NonFinite
	if _, err := SVDTop(nil, []float32{1, 2, 3, float32(math.NaN()), 5, 6}, 2, 3, 1, 1e-6); !errors.As(err, &non) || non.Row != 1 || non.Col != 0 {
		t.Errorf("NaN: %v", err)
	}
	if zero, err := SVDTop(nil, make([]float32, 6), 2, 3, 2, 1e-6); err != nil || zero.S[0] != 0 || orthogonality(nil, zero.U, 2, 2) > 1e-15 {
		t.Errorf("zero: %+v, %v", zero, err)
	}
}

// hessian is the Gram matrix of activations of very different channels.
func hessian(p *parallel.Pool, n, tokens int) []float64 {
	x := randFloats(uint64(n), tokens*n)
	r := rand.New(rand.NewPCG(uint64(n), 5))
	scale := make([]float32, n)
	for i := range scale {
		scale[i] = float32(math.Exp(r.NormFloat64()))
	}
	for i := range x {
		x[i] *= scale[i%n]
	}
	h := make([]float64, n*n)
	float.SyrkTN(p, h, n, x, n, tokens)
	return h
}

func BenchmarkTopEigen(b *testing.B) {
	pool := parallel.NewPool(0)
	defer pool.Close()
	for _, n := range []int{2048, 4096, 14336} {
		if n > 4096 && testing.Short() {
			continue
		}
		h := hessian(pool, n, 2048)
		for _, tol := range []float64{1e-4, 1e-6} {
			b.Run(fmt.Sprintf("%d/%g", n, tol), func(b *testing.B) {
				for b.Loop() {
					top, err := TopEigen(pool, h, n, 64, tol)
					if err != nil {
						b.Fatal(err)
					}
					b.ReportMetric(float64(top.Products), "products")
					b.ReportMetric(top.Residual, "residual")
				}
			})
		}
	}
}

func BenchmarkSVDTop(b *testing.B) {
	pool := parallel.NewPool(0)
	defer pool.Close()
	for _, c := range [][2]int{{2048, 2048}, {5632, 2048}} {
		w := randFloats(1, c[0]*c[1])
		b.Run(fmt.Sprintf("%dx%d", c[0], c[1]), func(b *testing.B) {
			for b.Loop() {
				svd, err := SVDTop(pool, w, c[0], c[1], 32, 1e-4)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(svd.Residual, "residual")
			}
		})
	}
}
