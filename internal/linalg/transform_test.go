package linalg

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
)

func randFloats(seed uint64, n int) []float32 {
	r := rand.New(rand.NewPCG(seed, 31))
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

// relative is ‖a−b‖/‖b‖.
func relative(a, b []float32) float64 {
	var diff, norm float64
	for i := range a {
		d := float64(a[i]) - float64(b[i])
		diff += d * d
		norm += float64(b[i]) * float64(b[i])
	}
	return math.Sqrt(diff / norm)
}

// Every width up to 400: there and back.
func TestEveryWidth(t *testing.T) {
	for n := 1; n <= 400; n++ {
		h, err := NewHadamard(n)
		if err != nil {
			t.Fatal(err)
		}
		x := randFloats(uint64(n), 2*n)
		y := slices.Clone(x)
		h.Apply(nil, y, 2)
		if n > 1 && relative(y, x) < 0.1 {
			t.Errorf("%s does next to nothing", h)
		}
		h.ApplyT(nil, y, 2)
		if d := relative(y, x); !(d < 1e-6) {
			t.Errorf("%s: back within %g", h, d)
		}
	}
}

// checkTransform holds Apply and ApplyT to the matrix m, and to themselves: each
// row alone, on other pools.
func checkTransform(t *testing.T, pool *parallel.Pool, tr Transform, m []float32) {
	t.Helper()
	n := tr.Width()
	rows := 3 + min(40, 100_000/n)
	x := randFloats(uint64(n), rows*n)
	want := make([]float32, rows*n)
	for _, transpose := range []bool{false, true} {
		apply := tr.Apply
		if transpose {
			apply = tr.ApplyT
			float.MatMulNN(pool, want, n, x, n, m, n, rows, n, n, false)
		} else {
			float.MatMulNT(pool, want, n, x, n, m, n, rows, n, n, false)
		}
		y := slices.Clone(x)
		apply(pool, y, rows)
		if d := relative(y, want); !(d < 2e-6) {
			t.Errorf("%s, transpose %v: off the product by %g", tr.Name(), transpose, d)
		}
		for _, r := range []int{0, 1, rows - 1} {
			for _, p := range []*parallel.Pool{nil, pool} {
				row := slices.Clone(x[r*n:][:n])
				apply(p, row, 1)
				if !slices.Equal(row, y[r*n:][:n]) {
					t.Errorf("%s, transpose %v: row %d alone differs", tr.Name(), transpose, r)
				}
			}
		}
		z := slices.Clone(x)
		apply(nil, z, rows)
		if !slices.Equal(z, y) {
			t.Errorf("%s, transpose %v: one thread differs", tr.Name(), transpose)
		}
		apply(pool, nil, 0)
	}
}

func TestOtherTransforms(t *testing.T) {
	pool := parallel.NewPool(2)
	defer pool.Close()
	check := func(tr Transform, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		checkTransform(t, pool, tr, Matrix(pool, tr))
	}
	for _, n := range []int{1, 5, 64, 600} {
		m := randFloats(1, n*n)
		d, err := NewDense(m, n)
		check(d, err)
		if !slices.Equal(Matrix(pool, d), m) {
			t.Errorf("dense %d: Matrix is not what was given", n)
		}
	}
	for _, c := range [][2]int{{1, 7}, {7, 1}, {3, 4}, {24, 17}, {12, 64}} {
		a, b := c[0], c[1]
		l, r := randFloats(2, a*a), randFloats(3, b*b)
		k, err := NewKronecker(l, a, r, b)
		check(k, err)
		m := Matrix(pool, k)
		for i, v := range m { // (L⊗R)[i][j] = L[i/b][j/b]·R[i%b][j%b]
			row, col := i/(a*b), i%(a*b)
			if want := l[row/b*a+col/b] * r[row%b*b+col%b]; math.Abs(float64(v-want)) > 1e-6 {
				t.Fatalf("%s: [%d][%d] is %v, want %v", k.Name(), row, col, v, want)
			}
		}
	}
	for _, c := range [][2]int{{3, 16}, {5, 64}, {6, 8}, {8, 128}, {24, 16}, {40, 16}, {12, 5}, {1, 64}} {
		h, err := NewHeads(c[0], c[1])
		check(h, err)
		one, err := NewHadamard(c[0])
		if err != nil {
			t.Fatal(err)
		}
		m, small := Matrix(pool, h), Matrix(pool, one)
		for i, v := range m { // H ⊗ I
			row, col := i/h.Width(), i%h.Width()
			want := float32(0)
			if row%c[1] == col%c[1] {
				want = small[row/c[1]*c[0]+col/c[1]]
			}
			if math.Abs(float64(v-want)) > 1e-6 {
				t.Fatalf("%s: [%d][%d] is %v, want %v", h.Name(), row, col, v, want)
			}
		}
	}
	r, err := NewRotation(48, 7)
	check(r, err)
	s, err := NewSigns(48, 7)
	check(s, err)
	if s2, _ := NewSigns(48, 8); slices.Equal(s, s2) {
		t.Error("seeds 7 and 8 give the same signs")
	}
	h, _ := NewHadamard(48)
	chain, err := NewChain(s, h)
	check(chain, err)
	if !slices.Equal(Matrix(pool, chain), r.Dense(pool)) {
		t.Error("a rotation is not signs, then Hadamard")
	}
	d, _ := NewDense(randFloats(4, 48*48), 48)
	chain, err = NewChain(d, s, h)
	check(chain, err)
	if _, err := NewChain(d, r, Signs(make([]float32, 3))); err == nil {
		t.Error("chain of widths 48 and 3")
	}
	if _, err := NewChain(); err == nil {
		t.Error("chain of nothing")
	}
	for _, err := range []error{
		second(NewDense(make([]float32, 5), 2)), second(NewDense(nil, 0)), second(NewKronecker(make([]float32, 4), 2, nil, 3)),
		second(NewKronecker(nil, 2, make([]float32, 9), 3)), second(NewSigns(0, 1)), second(NewHeads(0, 4)), second(NewHeads(4, 0)),
		second(NewHeads(1<<15, 1<<15)), second(NewRotation(0, 1)),
	} {
		if err == nil {
			t.Error("no error")
		}
	}
}

func second[T any](_ T, err error) error { return err }

// The first signs of seed 1, so that they stay what artefacts were made with.
func TestSignsStay(t *testing.T) {
	s, err := NewSigns(100, 1)
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, v := range s[:32] {
		got += string("-?+"[int(v)+1])
	}
	if want := "--+---+-+-+++--+--++-+-+-++++++-"; got != want {
		t.Errorf("signs are %s, want %s", got, want)
	}
}

// Folded layers: the function stays, and the weights are the dense products.
func TestFold(t *testing.T) {
	pool := parallel.NewPool(2)
	defer pool.Close()
	for _, c := range []struct{ out, in int }{{24, 12}, {5, 172}, {300, 28}, {64, 300}} {
		w := randFloats(5, c.out*c.in)
		tin, err := NewRotation(c.in, 3)
		if err != nil {
			t.Fatal(err)
		}
		tout, err := NewRotation(c.out, 4)
		if err != nil {
			t.Fatal(err)
		}
		in := slices.Clone(w)
		FoldInput(pool, in, c.out, tin)
		want := make([]float32, len(w))
		m := tin.Dense(pool)
		float.MatMulNT(pool, want, c.in, w, c.in, m, c.in, c.out, c.in, c.in, false)
		if d := relative(in, want); !(d < 1e-6) {
			t.Errorf("%v: W·Tᵀ is off by %g", c, d)
		}
		x := randFloats(6, c.in)
		y, z := make([]float32, c.out), make([]float32, c.out)
		float.MatMulNT(pool, y, c.out, x, c.in, w, c.in, 1, c.out, c.in, false)
		tin.Apply(pool, x, 1)
		float.MatMulNT(pool, z, c.out, x, c.in, in, c.in, 1, c.out, c.in, false)
		if d := relative(z, y); !(d < 2e-6) {
			t.Errorf("%v: the folded layer's output is off by %g", c, d)
		}
		out := slices.Clone(w)
		FoldOutput(pool, out, c.in, tout)
		m = tout.Dense(pool)
		float.MatMulNN(pool, want, c.in, m, c.out, w, c.in, c.out, c.in, c.out, false)
		if d := relative(out, want); !(d < 1e-6) {
			t.Errorf("%v: T·W is off by %g", c, d)
		}
	}
}

func BenchmarkFoldOutput(b *testing.B) {
	pool := parallel.NewPool(0)
	defer pool.Close()
	h, err := NewHadamard(5632)
	if err != nil {
		b.Fatal(err)
	}
	w := randFloats(1, 5632*2048)
	b.SetBytes(int64(4 * len(w)))
	for b.Loop() {
		FoldOutput(pool, w, 2048, h)
	}
}
