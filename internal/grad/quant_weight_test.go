package grad

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/quant"
)

// weightCase is a setting of learned weight quantization.
type weightCase struct {
	bits, group int
	zero        quant.ZeroKind
	clips       bool // learned
	offset      bool // learned
	scale       bool // learned, instead of the range
}

func (c weightCase) String() string {
	return fmt.Sprintf("%d bits, groups of %d, zero %q, clips %v, offset %v, scale %v", c.bits, c.group, c.zero, c.clips, c.offset, c.scale)
}

func TestWeightGradients(t *testing.T) {
	for _, zero := range []quant.ZeroKind{quant.ZeroSymmetric, quant.ZeroAsymmetric, quant.ZeroCentred} {
		for _, bits := range []int{2, 3, 4, 8} {
			for _, group := range []int{0, 8, 16} {
				for _, c := range []weightCase{{}, {clips: true}, {offset: true}, {clips: true, offset: true}, {scale: true}, {scale: true, offset: true}} {
					c.bits, c.group, c.zero = bits, group, zero
					t.Run(c.String(), func(t *testing.T) { testWeights(t, c) })
				}
			}
		}
	}
}

const testRows, testCols = 3, 37

func testWeights(t *testing.T, c weightCase) {
	rng := newRand(uint64(c.bits*100 + c.group))
	w := param(rng, "w", testRows, testCols, 1)
	s := WeightQuant{Bits: c.bits, Group: c.group, Zero: c.zero}
	groups, _ := s.groups(testCols)
	params := []*Var{w}
	add := func(name string, rows, cols int, low, high float32) *Var {
		v := Filled(name, rows, cols, 0)
		for i := range v.Data {
			v.Data[i] = low + rng.Float32()*(high-low)
		}
		params = append(params, v)
		return v
	}
	if c.clips {
		s.ClipHi = add("hi", testRows, groups, 0.6, 0.95)
		if c.zero == quant.ZeroAsymmetric {
			s.ClipLo = add("lo", testRows, groups, 0.6, 0.95)
		}
	}
	if c.offset {
		s.Offset = add("offset", testRows, testCols, -0.5, 0.5)
	}
	if c.scale {
		s.Scale = add("scale", testRows, groups, 2/top(c.bits), 6/top(c.bits))
		if c.zero == quant.ZeroAsymmetric {
			s.ZeroPoint = make([]float32, testRows*groups)
			for i := range s.ZeroPoint {
				s.ZeroPoint[i] = float32(rng.IntN(int(top(c.bits))))
			}
		}
	}
	compareSurrogate(t, func(t *Tape) *Var { return t.QuantizeWeights(w, s) }, weightSurrogate(t, s, params), params...)
}

// weightSurrogate is the straight-through function of QuantizeWeights around
// the parameters' values.
func weightSurrogate(t *testing.T, s WeightQuant, params []*Var) surrogate {
	w := params[0]
	groups, size := s.groups(w.Cols)
	n := float64(top(s.Bits))
	_, scales, zeros, err := (&Tape{}).EncodeWeights(w, s)
	if err != nil {
		t.Fatal(err)
	}
	grids := make([]*frozen, w.Rows*groups)
	return func(p [][]float64) []float64 {
		of := func(v *Var, i int, otherwise float64) float64 {
			if v == nil {
				return otherwise
			}
			return p[slices.Index(params, v)][i]
		}
		y := make([]float64, len(w.Data))
		for i := range grids {
			from, to := i/groups*w.Cols+i%groups*size, i/groups*w.Cols+min((i%groups+1)*size, w.Cols)
			part := p[0][from:to]
			lo, hi := min(0, slices.Min(part))*of(s.ClipLo, i, 1), max(0, slices.Max(part))*of(s.ClipHi, i, 1)
			fixed := float64(zeros[i]) // zero, where it does not move
			var scale float64
			switch {
			case s.Scale != nil:
				scale = of(s.Scale, i, 0)
			case s.Zero == quant.ZeroAsymmetric:
				scale = (hi - lo) / n
			default:
				scale = max(-slices.Min(part), slices.Max(part)) * of(s.ClipHi, i, 1) / float64(s.half())
			}
			if grids[i] == nil {
				real := fixed
				if s.Zero == quant.ZeroAsymmetric && s.Scale == nil {
					real = -lo / float64(scales[i])
				}
				var offset []float32
				if s.Offset != nil {
					offset = s.Offset.Data[from:to]
				}
				grids[i] = freeze(w.Data[from:to], offset, float64(scales[i]), fixed, n, real, s.Zero == quant.ZeroCentred)
				grids[i].scale = float64(scales[i]) - scale
				for k, v := range offset { // added anew below
					grids[i].added[k] -= float64(v)
				}
			}
			g := grids[i]
			scale += g.scale
			if s.Zero != quant.ZeroAsymmetric || s.Scale != nil {
				lo = -scale * fixed
			}
			for k, v := range part {
				y[from+k] = g.value(k, v, scale, lo, n)
				if g.side[k] == 0 {
					y[from+k] += scale * of(s.Offset, from+k, 0)
				}
			}
		}
		return y
	}
}

// Without anything to learn a symmetric grid is quant.Grid's.
func TestWeightsAsShipped(t *testing.T) {
	rng := newRand(31)
	run := func(n int, f func(i int)) {
		for i := range n {
			f(i)
		}
	}
	for _, bits := range []int{4, 8} {
		for _, group := range []int{0, 8, 32} {
			const rows, cols = 7, 75
			w := Const(rows, cols, normals(rng, rows*cols, 1))
			clear(w.Data[:cols])
			w.Data[cols] = -9
			var g quant.Grid
			g.Bits, g.Group = bits, group
			steps, err := g.Scales(w.Data, rows, cols, quant.ClipNone, run)
			if err != nil {
				t.Fatal(err)
			}
			scales := steps.Scale
			s := WeightQuant{Bits: bits, Group: group}
			y := (&Tape{}).QuantizeWeights(w, s)
			levels, scale, zero, err := (&Tape{}).EncodeWeights(w, s)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(scale, scales) {
				t.Fatalf("%d bits, groups of %d: other scales than quant.Grid", bits, group)
			}
			n, size := s.groups(cols)
			for i, v := range w.Data {
				k := i/cols*n + i%cols/size
				q := g.Round(v, scales[k], 0)
				if int(levels[i])-int(zero[k]) != int(q) || y.Data[i] != scales[k]*float32(q) {
					t.Fatalf("%d bits, groups of %d: weight %v is %v, level %d; quant.Grid has %d of %v", bits, group, v, y.Data[i], levels[i], q, scales[k])
				}
			}
		}
	}
}

func TestCentredLevels(t *testing.T) {
	w := Const(1, 6, []float32{-1.5, -0.6, -0.4, 0.3, 0.9, 1.5})
	y := (&Tape{}).QuantizeWeights(w, WeightQuant{Bits: 2, Zero: quant.ZeroCentred})
	if want := []float32{-1.5, -0.5, -0.5, 0.5, 0.5, 1.5}; !slices.Equal(y.Data, want) {
		t.Errorf("levels %v, want %v", y.Data, want)
	}
	one := (&Tape{}).QuantizeWeights(w, WeightQuant{Bits: 1, Zero: quant.ZeroCentred})
	if want := []float32{-1.5, -1.5, -1.5, 1.5, 1.5, 1.5}; !slices.Equal(one.Data, want) {
		t.Errorf("one bit: %v, want %v", one.Data, want)
	}
}

func TestEncodeRefuses(t *testing.T) {
	for _, v := range []float32{float32(math.NaN()), float32(math.Inf(-1)), 1e9} {
		w := Const(2, 4, []float32{1, 2, 3, 4, 5, 6, v, 8})
		w.Name = "up"
		if _, _, _, err := (&Tape{}).EncodeWeights(w, WeightQuant{Bits: 4, Group: 2}); err == nil || !strings.Contains(err.Error(), `"up", row 1, group 1`) {
			t.Errorf("%v: error %v", v, err)
		}
	}
}

// Detached keeps the gradient of clamped and extreme weights at home.
func TestDetached(t *testing.T) {
	w := Param("w", 1, 4, []float32{0.1, 3, -0.2, 1})
	tape := &Tape{}
	y := tape.QuantizeWeights(w, WeightQuant{Bits: 2, Detached: true})
	tape.BackwardFrom(y, []float32{1, 2, 3, 4})
	if want := []float32{1, 2, 3, 4}; !slices.Equal(w.Grad, want) {
		t.Errorf("gradient %v, want %v", w.Grad, want)
	}
}
