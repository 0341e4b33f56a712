package grad

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/integer"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/quant"
)

// Straight-through gradients are those of the function in which every rounding
// is replaced by the addition of what it added at the point in question, and
// what was clamped there stays clamped. The tests below write that function
// down, in float64, and differentiate it by differences.

// surrogate is such a function of several parameters.
type surrogate func(p [][]float64) []float64

// compareSurrogate compares the tape's gradients of Σ seed·f with those of the
// surrogate, and f's value with its.
func compareSurrogate(t *testing.T, f func(tape *Tape) *Var, s surrogate, params ...*Var) {
	t.Helper()
	tape := &Tape{Pool: parallel.NewPool(2)}
	defer tape.Pool.Close()
	y := f(tape)
	var p [][]float64
	for _, v := range params {
		v.ZeroGrad()
		p = append(p, wide(v.Data))
	}
	value := s(p)
	for i, v := range y.Data {
		if math.Abs(value[i]-float64(v)) > 1e-4 {
			t.Fatalf("element %d is %v, surrogate %v", i, v, value[i])
		}
	}
	seed := normals(newRand(98), len(y.Data), 1)
	tape.BackwardFrom(y, seed)
	loss := func() (sum float64) {
		for i, v := range s(p) {
			sum += float64(seed[i]) * v
		}
		return sum
	}
	for k, v := range params {
		var largest, worst float64
		where := ""
		for i, g := range v.Grad {
			const h = 1e-6
			was := p[k][i]
			p[k][i] = was + h
			d := loss()
			p[k][i] = was - h
			d = (d - loss()) / (2 * h)
			p[k][i] = was
			largest = max(largest, math.Abs(d))
			if e := math.Abs(d - float64(g)); !(e <= worst) {
				worst, where = e, fmt.Sprintf("element %d: %g, want %g", i, g, d)
			}
		}
		if largest == 0 {
			t.Errorf("%s: no gradient", v.Name)
		}
		if !(worst <= 1e-4*max(largest, 1)) {
			t.Errorf("%s: %s", v.Name, where)
		}
	}
}

func wide(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

// frozen is a grid as it was: what rounding added, and who was clamped.
type frozen struct {
	added       []float64 // by rounding, in steps
	side        []int     // −1 below the grid, 1 above
	zero, scale float64   // added to zero and scale by rounding
}

// value is element i of the grid with scale s, smallest value lo and n steps.
func (f *frozen) value(i int, x, s, lo, n float64) float64 {
	switch f.side[i] {
	case -1:
		return lo - s*f.zero
	case 1:
		return lo + s*(n-f.zero)
	}
	return x + s*f.added[i]
}

// freeze rounds x, in steps of s, with zero z; real is −lo/s, offset may be nil.
func freeze(x []float32, offset []float32, s, z, n, real float64, centred bool) *frozen {
	f := &frozen{zero: z - real, added: make([]float64, len(x)), side: make([]int, len(x))}
	for i, v := range x {
		u := float64(v) / s
		if offset != nil {
			u += float64(offset[i])
		}
		q := math.RoundToEven(u) + z
		if centred {
			q = math.RoundToEven(u + z)
		}
		f.added[i] = q - z - float64(v)/s
		switch {
		case q < 0:
			f.side[i] = -1
		case q > n:
			f.side[i] = 1
		}
	}
	return f
}

func TestActivationGradients(t *testing.T) {
	rng := newRand(20)
	for _, c := range []struct{ bits, group int }{{2, 0}, {4, 0}, {8, 0}, {2, 16}, {4, 16}, {4, 8}} {
		for _, shift := range []float32{0, 0.8, 5, -5} {
			const rows, cols = 4, 33
			bits := c.bits
			groups, size := ActQuant{Group: c.group}.groups(cols)
			n := float64(top(bits))
			x := param(rng, "x", rows, cols, 1)
			for i := range x.Data {
				x.Data[i] += shift
			}
			for _, pair := range []bool{false, true} {
				lo, hi := Filled("lo", 1, 1, 0.8), Filled("hi", 1, 1, 0.7)
				params := []*Var{x, lo, hi}
				if !pair {
					lo = Filled("clip", 1, 1, 0.75)
					hi = lo
					params = params[:1]
					params = append(params, lo)
				}
				f := func(t *Tape) *Var {
					return t.QuantizeActivations(x, ActQuant{Bits: bits, Group: c.group, ClipLo: lo, ClipHi: hi})
				}
				grids := make([]*frozen, rows*groups)
				if shift == 5 {
					params = slices.DeleteFunc(params, func(v *Var) bool { return v.Name == "lo" })
				} else if shift == -5 {
					params = slices.DeleteFunc(params, func(v *Var) bool { return v.Name == "hi" })
				}
				s := func(p [][]float64) []float64 {
					cLo, cHi := float64(lo.Data[0]), float64(hi.Data[0])
					for k, v := range params {
						if v == lo {
							cLo = p[k][0]
						}
						if v == hi {
							cHi = p[k][0]
						}
					}
					var y []float64
					for r := range rows * groups {
						from, to := r/groups*cols+r%groups*size, r/groups*cols+min(cols, (r%groups+1)*size)
						row := p[0][from:to]
						a, b := min(0, slices.Min(row))*cLo, max(0, slices.Max(row))*cHi
						delta := (b - a) / n
						if grids[r] == nil {
							d32 := float32(b-a) / float32(n)
							z := math.RoundToEven(-a / float64(d32))
							grids[r] = freeze(x.Data[from:to], nil, delta, z, n, -a/delta, false)
						}
						for i, v := range row {
							y = append(y, grids[r].value(i, v, delta, a, n))
						}
					}
					return y
				}
				t.Run(fmt.Sprintf("%d bits groups of %d shift %v pair %v", bits, c.group, shift, pair), func(t *testing.T) {
					compareSurrogate(t, f, s, params...)
				})
			}
		}
	}
}

// The two ends of a range with one factor give the bits that the engine's
// integers stand for; so does the path for a pair of factors.
func TestActivationsAsShipped(t *testing.T) {
	rng := newRand(21)
	for bits := 2; bits <= 8; bits++ {
		for _, clip := range []float32{1, 0.9, 0.37} {
			const rows, cols = 9, 131
			x := Const(rows, cols, normals(rng, rows*cols, 3))
			for i := range cols {
				x.Data[i] = 0                                  // no range
				x.Data[cols+i] = float32(math.Abs(float64(i))) // nothing below zero
				x.Data[2*cols+i] = -1                          // nothing above
			}
			for _, group := range []int{0, 16, 32, 64, 128, 256} {
				if group > 0 && bits > 4 {
					continue
				}
				var a integer.Activations
				a.Quantize(nil, x.Data, cols, rows, cols, integer.ActGrid{Bits: bits, Clip: clip, Group: group}, 0)
				want := make([]float32, rows*cols)
				a.Dequantize(nil, want, cols)
				if got := (&Tape{}).QuantizeActivations(x, ActQuant{Bits: bits, Clip: clip, Group: group}); !slices.Equal(got.Data, want) {
					t.Errorf("%d bits, clip %v, groups of %d: not what the engine's integers stand for", bits, clip, group)
				}
				n, size := ActQuant{Group: group}.groups(cols)
				for i := range rows * n {
					lo, hi := i/n*cols+i%n*size, i/n*cols+min(cols, (i%n+1)*size)
					y := make([]float32, hi-lo)
					quantizeToken(y, x.Data[lo:hi], bits, clip, clip)
					if !slices.Equal(y, want[lo:hi]) {
						t.Errorf("%d bits, clip %v, row %d, group %d of %d: quantizeToken differs from the engine", bits, clip, i/n, i%n, group)
					}
				}
			}
		}
	}
	x := Const(1, 3, []float32{1, 2, 3})
	if (&Tape{}).QuantizeActivations(x, ActQuant{Bits: 16}) != x {
		t.Error("16 bits changed the activations")
	}
}

func TestKVGradients(t *testing.T) {
	rng := newRand(22)
	for _, c := range []struct {
		bits  int
		shift float32 // a large minimum, rounded to 16 bits, lets values fall outside
	}{{4, 0}, {8, 0}, {8, 200}, {4, -900}} {
		const rows, heads, dim = 12, 2, 16
		bits, n := c.bits, float64(top(c.bits))
		x := param(rng, "x", rows, heads*dim, 1)
		for i := range x.Data {
			x.Data[i] += c.shift
		}
		fmtKV := quant.KV{Bits: bits, HeadDim: dim}
		grids := make([]*frozen, rows*heads)
		minima := make([]float64, rows*heads)
		s := func(p [][]float64) []float64 {
			var y []float64
			for h := range rows * heads {
				row := p[0][h*dim:][:dim]
				lo, hi := slices.Min(row), slices.Max(row)
				if grids[h] == nil {
					sc, m := fmtKV.Quantize(make([]byte, dim), x.Data[h*dim:][:dim])
					moved := make([]float32, dim) // x − m, whose grid has no zero point
					for i, v := range x.Data[h*dim:][:dim] {
						moved[i] = v - m
					}
					grids[h] = freeze(moved, nil, float64(sc), 0, n, 0, false)
					grids[h].scale, minima[h] = float64(sc)-(hi-lo)/n, float64(m)-lo
				}
				scale := (hi-lo)/n + grids[h].scale
				for i, v := range row {
					y = append(y, grids[h].value(i, v, scale, lo+minima[h], n))
				}
			}
			return y
		}
		compareSurrogate(t, func(t *Tape) *Var { return t.QuantizeKV(x, fmtKV) }, s, x)

		y := (&Tape{}).QuantizeKV(x, fmtKV)
		want := slices.Clone(x.Data)
		for h := range rows * heads {
			fmtKV.Emulate(want[h*dim:][:dim], make([]byte, dim))
		}
		if !slices.Equal(y.Data, want) {
			t.Errorf("%d bits: not what the cache gives back", bits)
		}
	}
}

func TestRoundF16(t *testing.T) {
	x := param(newRand(23), "x", 3, 50, 1)
	tape := &Tape{}
	y := tape.RoundF16(x)
	want := slices.Clone(x.Data)
	float.RoundF16(want)
	if !slices.Equal(y.Data, want) {
		t.Error("not rounded to 16 bits")
	}
	seed := normals(newRand(24), 150, 1)
	tape.BackwardFrom(y, seed)
	if !slices.Equal(x.Grad, seed) {
		t.Error("the gradient did not go straight through")
	}
}
