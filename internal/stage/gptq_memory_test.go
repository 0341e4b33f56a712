package stage

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
)

// TestReorder: permuting a symmetric matrix in its own memory is permuting it.
func TestReorder(t *testing.T) {
	pool := parallel.NewPool(2)
	defer pool.Close()
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{1, 2, 7, 130} {
		h := make([]float64, n*n)
		for i := range h {
			h[i] = r.NormFloat64()
		}
		f := &Factor{n: n, order: r.Perm(n)}
		old := slices.Clone(h)
		float.Mirror(pool, old, n)
		float.Mirror(pool, h, n)
		f.reorder(pool, h)
		for i := range n {
			for j := range n {
				if h[i*n+j] != old[f.order[i]*n+f.order[j]] || h[i*n+j] != h[j*n+i] {
					t.Fatalf("order %d: element %d, %d", n, i, j)
				}
			}
		}
	}
}

// TestFactorAgain: a matrix that is positive definite only with more damping is factored as
// if that damping had been asked for, and leaves the same copy for refinement.
func TestFactorAgain(t *testing.T) {
	pool := parallel.NewPool(2)
	defer pool.Close()
	const n = 330
	h := make([]float64, n*n)
	for i := range n {
		for j := range n {
			h[i*n+j] = 1.05 * math.Sqrt(float64((i+1)*(j+1))) // of rank one, but for a diagonal that is too small
		}
		h[i*n+i] = float64(i + 1)
	}
	s := recipe.Solve{Method: "gptq", Damp: 0.001, ActOrder: true, Sweeps: 1}
	f, err := NewFactor(pool, slices.Clone(h), n, s)
	if err != nil {
		t.Fatal(err)
	}
	if f.Damp <= s.Damp {
		t.Fatalf("damping %v sufficed", f.Damp)
	}
	s.Damp = f.Damp
	direct, err := NewFactor(pool, slices.Clone(h), n, s)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(f.l, direct.l) || !slices.Equal(f.h, direct.h) {
		t.Error("another factor than with that damping at once")
	}
}

// TestSpare: whether GPTQ and the refinement find their memory in the Hessian's, whatever
// was in it, changes nothing.
func TestSpare(t *testing.T) {
	pool := parallel.NewPool(2)
	defer pool.Close()
	const n, rows = 96, 37
	r := rand.New(rand.NewPCG(3, 4))
	x, h, w := make([]float32, 200*n), make([]float64, n*n), make([]float32, rows*n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	for i := range w {
		w[i] = float32(r.NormFloat64())
	}
	float.SyrkTN(pool, h, n, x, n, 200)
	s := recipe.Solve{Method: "gptq", Damp: 0.01, ActOrder: true, Sweeps: 1, Rescale: true}
	g := quant.Grid{Bits: 4, Group: 32, Zero: quant.ZeroCentred}
	var codes [3][]int8
	for k := range codes {
		f, err := NewFactor(pool, slices.Clone(h), n, s)
		if err != nil {
			t.Fatal(err)
		}
		if k == 0 {
			f.spare = nil
		}
		if k == 2 {
			f.spare = make([]float32, 20*n*(rows+2*lanes))
		}
		for i := range f.spare {
			f.spare[i] = float32(math.NaN())
		}
		steps, err := g.Scales(w, rows, n, quant.ClipNone, pool.Run)
		if err != nil {
			t.Fatal(err)
		}
		codes[k] = make([]int8, rows*n)
		f.GPTQ(pool, g, codes[k], w, steps, rows)
		f.Refine(pool, g, codes[k], w, steps, rows, s)
		if !slices.Equal(codes[k], codes[0]) {
			t.Errorf("with %d spare values other codes than with none", len(f.spare))
		}
	}
}
