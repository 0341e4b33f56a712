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

// symmetric is a random symmetric matrix of size 1.
func symmetric(n int, seed uint64) []float64 {
	r := rand.New(rand.NewPCG(seed, 77))
	a := make([]float64, n*n)
	for i := range n {
		for j := range i + 1 {
			a[i*n+j] = r.NormFloat64()
			a[j*n+i] = a[i*n+j]
		}
	}
	return a
}

// withSpectrum is Qᵀ·diag(values)·Q for a random orthogonal Q.
func withSpectrum(p *parallel.Pool, values []float64, seed uint64) []float64 {
	n := len(values)
	r := rand.New(rand.NewPCG(seed, 78))
	q := make([]float64, n*n)
	for i := range q {
		q[i] = r.NormFloat64()
	}
	if _, err := Orthonormalize(p, q, n, n); err != nil {
		panic(err)
	}
	scaled := slices.Clone(q)
	for i, v := range values {
		for j := range n {
			scaled[i*n+j] *= v
		}
	}
	a := make([]float64, n*n)
	float.MatMulNN64(p, a, n, transposed(q, n, n), n, scaled, n, n, n, n, float.Set)
	for i := range n {
		for j := range i {
			a[i*n+j] = a[j*n+i]
		}
	}
	return a
}

// orthogonality returns how far the rows are from orthonormal.
func orthogonality(p *parallel.Pool, x []float64, rows, n int) float64 {
	g := make([]float64, rows*rows)
	float.MatMulNT64(p, g, rows, x, n, x, n, rows, rows, n, float.Set)
	worst := 0.0
	for i, v := range g {
		if i%(rows+1) == 0 {
			v--
		}
		worst = max(worst, math.Abs(v))
	}
	return worst
}

// residual returns the residual ‖a·v − λ·v‖ / ‖a‖ of the worst pair.
func residual(p *parallel.Pool, a []float64, n int, values, vectors []float64) float64 {
	k := len(values)
	av := make([]float64, k*n)
	float.MatMulNN64(p, av, n, vectors, n, a, n, k, n, n, float.Set)
	worst, size := 0.0, 0.0
	for i, l := range values {
		axpy(av[i*n:][:n], -l, vectors[i*n:][:n])
		worst = max(worst, math.Sqrt(dot(av[i*n:][:n], av[i*n:][:n])))
		size = max(size, math.Abs(l))
	}
	if size == 0 {
		return worst
	}
	return worst / size
}

func TestSymEigenByHand(t *testing.T) {
	for _, c := range []struct {
		a               []float64
		values, vectors []float64
	}{
		{[]float64{-3}, []float64{-3}, []float64{1}},
		{[]float64{2, 1, 1, 2}, []float64{3, 1}, []float64{1, 1, 1, -1}},
		{[]float64{0, 5, 5, 0}, []float64{5, -5}, []float64{1, 1, 1, -1}},
		{[]float64{1, 0, 0, 0, 7, 0, 0, 0, 4}, []float64{7, 4, 1}, []float64{0, 1, 0, 0, 0, 1, 1, 0, 0}},
		// The path of three: eigenvalues ±√2 and 0.
		{[]float64{0, 1, 0, 1, 0, 1, 0, 1, 0}, []float64{math.Sqrt2, 0, -math.Sqrt2},
			[]float64{1, math.Sqrt2, 1, 1, 0, -1, -1, math.Sqrt2, -1}},
	} {
		n := len(c.values)
		before := slices.Clone(c.a)
		values, vectors, err := SymEigen(nil, c.a, n)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(c.a, before) {
			t.Errorf("%v was overwritten", before)
		}
		for i, v := range values {
			if math.Abs(v-c.values[i]) > 1e-14 {
				t.Errorf("%v: values %v, want %v", c.a, values, c.values)
			}
			want := c.vectors[i*n:][:n]
			norm := math.Sqrt(dot(want, want))
			for j, w := range want {
				// Where two components are as large, rounding chooses the sign.
				if got := vectors[i*n+j]; math.Abs(math.Abs(got)-math.Abs(w)/norm) > 1e-14 {
					t.Errorf("%v: vector %d is %v, want %v", c.a, i, vectors[i*n:][:n], want)
				}
			}
		}
	}
}

func TestSymEigen(t *testing.T) {
	pool := parallel.NewPool(2)
	defer pool.Close()
	laplace := func(n int) []float64 { // tridiagonal 2, -1: known eigenvalues
		a := make([]float64, n*n)
		for i := range n {
			a[i*n+i] = 2
			if i > 0 {
				a[i*n+i-1], a[(i-1)*n+i] = -1, -1
			}
		}
		return a
	}
	wilkinson := func(n int) []float64 { // pairs of eigenvalues equal to 15 digits
		a := make([]float64, n*n)
		for i := range n {
			a[i*n+i] = math.Abs(float64(i - n/2))
			if i > 0 {
				a[i*n+i-1], a[(i-1)*n+i] = 1, 1
			}
		}
		return a
	}
	ones := func(n int) []float64 { return slices.Repeat([]float64{1}, n*n) }
	identity := func(n int) []float64 {
		a := make([]float64, n*n)
		for i := range n {
			a[i*n+i] = 1
		}
		return a
	}
	graded := func(n int) []float64 {
		v := make([]float64, n)
		for i := range v {
			v[i] = math.Pow(10, -15*float64(i)/float64(n))
		}
		return withSpectrum(pool, v, 3)
	}
	clusters := func(n int) []float64 {
		v := make([]float64, n)
		for i := range v {
			v[i] = float64(i%4) + 1e-13*float64(i)
		}
		return withSpectrum(pool, v, 4)
	}
	scaled := func(f float64) func(n int) []float64 {
		return func(n int) []float64 {
			a := symmetric(n, 5)
			for i := range a {
				a[i] *= f
			}
			return a
		}
	}
	for name, make := range map[string]func(n int) []float64{
		"random": func(n int) []float64 { return symmetric(n, 1) }, "gram": func(n int) []float64 { return gram(n, 1e-3, 1e-6) },
		"laplace": laplace, "wilkinson": wilkinson, "ones": ones, "identity": identity, "zero": func(n int) []float64 { return make([]float64, n*n) },
		"graded": graded, "clusters": clusters, "hilbert": hilbert, "huge": scaled(1e300), "tiny": scaled(1e-300),
	} {
		for _, n := range []int{1, 2, 3, 31, 32, 33, 64, 65, 130, 301} {
			a := make(n)
			values, vectors, err := SymEigen(pool, a, n)
			if err != nil {
				t.Fatalf("%s %d: %v", name, n, err)
			}
			for i := 1; i < n; i++ {
				if !(values[i] <= values[i-1]) {
					t.Fatalf("%s %d: values %d is above the one before", name, n, i)
				}
			}
			for i := range n {
				if fixSign(slices.Clone(vectors[i*n:][:n])) {
					t.Errorf("%s %d: the largest component of vector %d is negative", name, n, i)
				}
			}
			if d := orthogonality(pool, vectors, n, n); !(d < 1e-14*math.Sqrt(float64(n+10))) {
				t.Errorf("%s %d: vectors are off orthonormal by %g", name, n, d)
			}
			if name == "huge" || name == "tiny" { // keep the check from overflow
				f := 1 / values[0]
				for i := range a {
					a[i] *= f
				}
				for i := range values {
					values[i] *= f
				}
			}
			if d := residual(pool, a, n, values, vectors); !(d < 2e-15*math.Sqrt(float64(n+10))) {
				t.Errorf("%s %d: residual %g", name, n, d)
			}
			if name == "laplace" {
				for i, v := range values {
					want := 2 + 2*math.Cos(math.Pi*float64(i+1)/float64(n+1))
					if math.Abs(v-want) > 1e-13 {
						t.Errorf("laplace %d: value %d is %v, want %v", n, i, v, want)
					}
				}
			}
			if n <= 130 && name != "huge" && name != "tiny" {
				var e mat.EigenSym
				if !e.Factorize(mat.NewSymDense(n, a), false) {
					t.Fatal("gonum failed")
				}
				want := e.Values(nil)
				slices.Reverse(want)
				for i, v := range values {
					if math.Abs(v-want[i]) > 1e-13*max(math.Abs(want[0]), math.Abs(want[n-1])) {
						t.Errorf("%s %d: value %d is %v, gonum %v", name, n, i, v, want[i])
					}
				}
			}
		}
	}
}

func TestSymEigenThreadsAndErrors(t *testing.T) {
	const n = 200
	a := symmetric(n, 8)
	var wantValues, wantVectors []float64
	for _, threads := range []int{1, 2, 3, 8} {
		pool := parallel.NewPool(threads)
		values, vectors, err := SymEigen(pool, a, n)
		pool.Close()
		if err != nil {
			t.Fatal(err)
		}
		if wantValues == nil {
			wantValues, wantVectors = values, vectors
		}
		if !slices.Equal(values, wantValues) || !slices.Equal(vectors, wantVectors) {
			t.Errorf("%d threads differ", threads)
		}
	}
	a[7*n+3] = math.NaN()
	var non *NonFinite
	if _, _, err := SymEigen(nil, a, n); !errors.As(err, &non) || non.Row != 7 || non.Col != 3 {
		t.Errorf("NaN at [7][3]: %v", err)
	}
	if _, _, err := SymEigen(nil, a, 3); err == nil {
		t.Error("took 40000 elements for 3×3")
	}
}

func TestSqrtSym(t *testing.T) {
	pool := parallel.NewPool(2)
	defer pool.Close()
	for _, n := range []int{1, 2, 40, 150} {
		a := gram(n, 1e-2, 1e-4)
		s, err := SqrtSym(pool, a, n, 0)
		if err != nil {
			t.Fatal(err)
		}
		inv, err := InvSqrtSym(pool, a, n, 0)
		if err != nil {
			t.Fatal(err)
		}
		ss, id := make([]float64, n*n), make([]float64, n*n)
		float.MatMulNN64(pool, ss, n, s, n, s, n, n, n, n, float.Set)
		float.MatMulNN64(pool, id, n, s, n, inv, n, n, n, n, float.Set)
		top := slices.Max(a)
		for i := range n * n {
			want := 0.0
			if i%(n+1) == 0 {
				want = 1
			}
			if math.Abs(ss[i]-a[i]) > 1e-12*top || math.Abs(id[i]-want) > 1e-9 {
				t.Fatalf("%d: [%d][%d] of S·S is %v, want %v; of S·S⁻¹ %v", n, i/n, i%n, ss[i], a[i], id[i])
			}
			if s[i] != s[i%n*n+i/n] || inv[i] != inv[i%n*n+i/n] {
				t.Fatalf("%d: not symmetric at [%d][%d]", n, i/n, i%n)
			}
		}
	}
	// diag(4, 0): the floor decides.
	a := []float64{4, 0, 0, 0}
	s, err := InvSqrtSym(nil, a, 2, 0.25)
	if err != nil || math.Abs(s[0]-0.5) > 1e-15 || math.Abs(s[3]-1) > 1e-15 {
		t.Errorf("with a floor of 1: %v, %v", s, err)
	}
	if _, err := InvSqrtSym(nil, a, 2, 0); err == nil {
		t.Error("inverted a singular matrix")
	}
	if _, err := SqrtSym(nil, []float64{-1}, 1, 0); err == nil {
		t.Error("took the root of -1")
	}
}

func BenchmarkSymEigen(b *testing.B) {
	pool := parallel.NewPool(0)
	defer pool.Close()
	for _, n := range []int{256, 1024, 2048, 4096} {
		a := symmetric(n, 1)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				if _, _, err := SymEigen(pool, a, n); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
