package grad

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/specquant/specquant/internal/kernel/parallel"
)

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 7)) }

func normals(rng *rand.Rand, n int, scale float64) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.NormFloat64() * scale)
	}
	return x
}

// param is a parameter of normal numbers with the given deviation.
func param(rng *rand.Rand, name string, rows, cols int, scale float64) *Var {
	return Param(name, rows, cols, normals(rng, rows*cols, scale))
}

// positive is a parameter between 0.5 and 1.5.
func positive(rng *rand.Rand, name string, rows, cols int) *Var {
	v := Filled(name, rows, cols, 0)
	for i := range v.Data {
		v.Data[i] = 0.5 + rng.Float32()
	}
	return v
}

// dot is Σ seed·y in float64: the loss that the tests differentiate.
func dot(seed []float32, y *Var) float64 {
	var sum float64
	for i, v := range y.Data {
		sum += float64(seed[i]) * float64(v)
	}
	return sum
}

// compareGradients compares the tape's gradients of Σ seed·f with central finite
// differences of fourth order, element by element (a sample of 60 of each
// parameter). The error must be below tolerance times the largest gradient of
// the parameter.
func compareGradients(t *testing.T, f func(tape *Tape) *Var, step, tolerance float64, params ...*Var) {
	t.Helper()
	rng := newRand(99)
	tape := &Tape{Pool: parallel.NewPool(2)}
	defer tape.Pool.Close()
	y := f(tape)
	seed := normals(rng, len(y.Data), 1)
	for _, p := range params {
		p.ZeroGrad()
	}
	tape.BackwardFrom(y, seed)
	loss := func() float64 {
		tape.Reset()
		return dot(seed, f(tape))
	}
	for _, p := range params {
		var largest, worst float64
		for _, g := range p.Grad {
			largest = max(largest, math.Abs(float64(g)))
		}
		if largest == 0 {
			t.Errorf("%s: no gradient", p.Name)
		}
		where := ""
		for _, i := range sample(rng, len(p.Data), 60) {
			d := derivative(&p.Data[i], step, loss)
			if e := math.Abs(d - float64(p.Grad[i])); !(e <= worst) {
				worst, where = e, fmt.Sprintf("element %d: %g, by differences %g", i, p.Grad[i], d)
			}
		}
		if !(worst <= tolerance*largest) {
			t.Errorf("%s: error %.2g of the largest gradient %.3g; %s", p.Name, worst/largest, largest, where)
		} else {
			t.Logf("%s: error %.2g of the largest gradient", p.Name, worst/largest)
		}
	}
}

// derivative is (f(x−2h) − 8f(x−h) + 8f(x+h) − f(x+2h))/12h.
func derivative(x *float32, h float64, f func() float64) float64 {
	was := *x
	defer func() { *x = was }()
	at := func(d float64) (float64, float64) {
		*x = float32(float64(was) + d)
		return f(), float64(*x) - float64(was)
	}
	a, ha := at(h)
	b, hb := at(-h)
	c, hc := at(2 * h)
	d, hd := at(-2 * h)
	// Steps as they came out in float32.
	near, far := (a-b)/(ha-hb), (c-d)/(hc-hd)
	return (4*near - far) / 3
}

// sample returns n of the indices below size, or all.
func sample(rng *rand.Rand, size, n int) []int {
	if size <= n {
		n = size
	}
	return rng.Perm(size)[:n]
}
