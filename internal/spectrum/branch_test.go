package spectrum

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
)

// shapes covers one row, one column, odd widths, and channels long enough for
// the FFT path.
var shapes = [][2]int{{1, 1}, {1, 6}, {6, 1}, {2, 3}, {5, 7}, {17, 64}, {64, 17}, {33, 172}, {130, 99}, {40, 384}}

// dense is W' by definition: projections on the kept basis vectors, in float64.
func dense(t *testing.T, w []float32, rows, cols int, axis Axis, basis string, kept []int) []float64 {
	t.Helper()
	channels, n := axis.Shape(rows, cols)
	b, err := newWave(basis, n)
	if err != nil {
		t.Fatal(err)
	}
	at := func(c, i int) int {
		if axis == InputChannel {
			return i*cols + c
		}
		return c*cols + i
	}
	out, row := make([]float64, rows*cols), make([]float64, n)
	for f := range n {
		b.vector(row, f)
		for c := range channels {
			if f >= b.Coefficients(kept[c]) {
				continue
			}
			var dot float64
			for i, v := range row {
				dot += v * float64(w[at(c, i)])
			}
			for i, v := range row {
				out[at(c, i)] += dot * v
			}
		}
	}
	return out
}

func forBudgets(t *testing.T, fn func(t *testing.T, w []float32, rows, cols int, axis Axis, basis string, kept []int)) {
	forAxes(t, func(t *testing.T, axis Axis, basis string) {
		for i, s := range shapes {
			rows, cols := s[0], s[1]
			channels, n := axis.Shape(rows, cols)
			b, _ := NewBasis(basis, n)
			r := newRand(uint64(i))
			w := normal32(r, rows*cols)
			for _, name := range []string{"ragged", "zero", "full", "one"} {
				kept := make([]int, channels)
				switch name {
				case "ragged":
					kept = raggedBudget(r, channels, b.Components())
				case "full", "one":
					for c := range kept {
						kept[c] = 1
						if name == "full" {
							kept[c] = b.Components()
						}
					}
				}
				t.Run(fmt.Sprintf("%dx%d/%s", rows, cols, name), func(t *testing.T) {
					fn(t, w, rows, cols, axis, basis, kept)
				})
			}
		}
	})
}

func truncate(t testing.TB, w []float32, rows, cols int, axis Axis, basis string, kept []int) *Branch {
	t.Helper()
	b, err := Truncate(w, rows, cols, axis, basis, kept, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Validate(); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestTruncateIsProjection(t *testing.T) {
	forBudgets(t, func(t *testing.T, w []float32, rows, cols int, axis Axis, basis string, kept []int) {
		b := truncate(t, w, rows, cols, axis, basis, kept)
		got := make([]float32, rows*cols)
		b.AddTo(got, 1, nil)
		want := dense(t, w, rows, cols, axis, basis, kept)
		if d := maxDiff(widen(got), want); d > 2e-6 {
			t.Errorf("W' is off its definition by %g", d)
		}
		count := 0
		wv, _ := newWave(basis, b.basis().Len())
		for _, k := range kept {
			count += wv.Coefficients(k)
		}
		if b.Coefficients() != count {
			t.Errorf("%d stored numbers, want %d", b.Coefficients(), count)
		}
	})
}

// TestResidual: branch + residual = Ŵ; the full budget leaves nothing, the zero
// budget everything; and the error is the energy dropped, eq. 10 with equality.
func TestResidual(t *testing.T) {
	forBudgets(t, func(t *testing.T, w []float32, rows, cols int, axis Axis, basis string, kept []int) {
		b := truncate(t, w, rows, cols, axis, basis, kept)
		r := append([]float32(nil), w...)
		b.AddTo(r, -1, nil)
		sum := append([]float32(nil), r...)
		b.AddTo(sum, 1, nil)
		for i, v := range sum {
			// Two roundings, each half a unit in the last place of |w| + |r|.
			if math.Abs(float64(v-w[i])) > (math.Abs(float64(w[i]))+math.Abs(float64(r[i])))*math.Exp2(-23) {
				t.Fatalf("element %d: branch + residual = %v, weight %v", i, v, w[i])
			}
		}
		channels, n := axis.Shape(rows, cols)
		wv := b.basis()
		buf := newBlockBuf(n, channels)
		var dropped, total float64
		all, none := true, true
		for i := range blocks(channels) {
			lo, hi := span(i, channels)
			buf.load(w, cols, axis, lo, hi, nil)
			for c := lo; c < hi; c++ {
				x := buf.channel(c - lo)
				wv.Forward(x, x)
				dropped += norm2(x[wv.Coefficients(kept[c]):])
				total += norm2(x)
				all = all && kept[c] == wv.Components()
				none = none && kept[c] == 0
			}
		}
		if got := norm2(r); math.Abs(got-dropped) > 1e-6*total {
			t.Errorf("‖R‖² = %v, energy of the dropped components %v", got, dropped)
		}
		if none && (maxDiff(r, w) != 0 || b.Coefficients() != 0) {
			t.Error("a zero budget changes the residual")
		}
		if all {
			limit := 1e-6 // coefficients are float32
			if axis == InputChannel {
				limit = 0 // stored as themselves
			}
			if d := math.Sqrt(norm2(r)); d > limit*math.Sqrt(total) {
				t.Errorf("a full budget leaves a residual of %g", d)
			}
		}
	})
}

func TestApply(t *testing.T) {
	forBudgets(t, func(t *testing.T, w []float32, rows, cols int, axis Axis, basis string, kept []int) {
		b := truncate(t, w, rows, cols, axis, basis, kept)
		m := dense(t, w, rows, cols, axis, basis, kept)
		r := newRand(99)
		x, y := normal32(r, cols), normal32(r, rows)
		want := widen(y)
		for j := range rows {
			for i, v := range x {
				want[j] += m[j*cols+i] * float64(v)
			}
		}
		b.Apply(y, x)
		var diff float64
		for j := range y {
			diff += (float64(y[j]) - want[j]) * (float64(y[j]) - want[j])
		}
		if rel := math.Sqrt(diff / norm2(want)); rel > 1e-6 {
			t.Errorf("online product is off the dense one by %g", rel)
		}
	})
}

func TestThreadsDoNotMatter(t *testing.T) {
	forAxes(t, func(t *testing.T, axis Axis, basis string) {
		const rows, cols = 133, 200
		r := newRand(4)
		channels, n := axis.Shape(rows, cols)
		bs, _ := NewBasis(basis, n)
		w, kept := normal32(r, rows*cols), raggedBudget(r, channels, bs.Components())
		one := truncate(t, w, rows, cols, axis, basis, kept)
		par, err := Truncate(w, rows, cols, axis, basis, kept, nil, two)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(one.Coeff, par.Coeff) {
			t.Error("coefficients differ")
		}
		p, q := append([]float32(nil), w...), append([]float32(nil), w...)
		one.AddTo(p, -1, nil)
		par.AddTo(q, -1, two)
		if !reflect.DeepEqual(p, q) {
			t.Error("residuals differ")
		}
	})
}

// TestNeighboursDoNotMatter: a channel's coefficients depend on that channel
// alone, whatever it is paired with.
func TestNeighboursDoNotMatter(t *testing.T) {
	const rows, cols = 5, 97
	w := normal32(newRand(5), rows*cols)
	all := truncate(t, w, rows, cols, OutputChannel, "dft", []int{1, 9, 0, 31, 2})
	for c, k := range all.Kept {
		one := truncate(t, w[c*cols:(c+1)*cols], 1, cols, OutputChannel, "dft", []int{k})
		if !reflect.DeepEqual(append([]float32{}, all.channel(c)...), append([]float32{}, one.Coeff...)) {
			t.Errorf("row %d alone has other coefficients", c)
		}
	}
}

func TestRound(t *testing.T) {
	w := normal32(newRand(6), 12)
	half := func(v []float32) {
		for i := range v {
			v[i] = float32(math.Round(float64(v[i])*2) / 2)
		}
	}
	b, err := Truncate(w, 4, 3, InputChannel, "dft", []int{3, 0, 2}, half, nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := []bool{true, false, false}; !reflect.DeepEqual(b.Full, want) {
		t.Fatalf("full %v, want %v", b.Full, want)
	}
	// The stored, rounded numbers are what the residual is taken from.
	r := append([]float32(nil), w...)
	b.AddTo(r, -1, nil)
	for j := range 4 {
		if want := w[j*3] - b.Coeff[j]; r[j*3] != want || b.Coeff[j]*2 != float32(math.Round(float64(w[j*3])*2)) {
			t.Errorf("row %d of the full column: residual %v, want %v", j, r[j*3], want)
		}
	}
	over := func(v []float32) { v[len(v)-1] = float32(math.Inf(1)) }
	if _, err := Truncate(w, 4, 3, OutputChannel, "dft", []int{1, 0, 0, 1}, over, nil); err == nil || !strings.Contains(err.Error(), "channel 3 overflows") {
		t.Errorf("overflow: %v", err)
	}
}

func TestTruncateErrors(t *testing.T) {
	w := []float32{1, 2, 3, 4, float32(math.Inf(1)), 6}
	for _, tt := range []struct {
		rows, cols int
		axis       Axis
		basis      string
		kept       []int
		want       string
	}{
		{2, 2, OutputChannel, "dft", []int{1, 1}, "want 4"},
		{-2, -3, OutputChannel, "dft", nil, "want both from 1"},
		{2, 3, Axis(2), "dft", []int{1, 1}, "unknown axis"},
		{2, 3, OutputChannel, "svd", []int{1, 1}, "unknown basis"},
		{2, 3, OutputChannel, "dft", []int{1}, "1 entries for 2 channels"},
		{2, 3, OutputChannel, "dft", []int{1, 3}, "channel 1 keeps 3 components: want 0 to 2"},
		{2, 3, InputChannel, "dft", []int{1, -1, 0}, "channel 1 keeps -1"},
		{2, 3, OutputChannel, "dft", []int{2, 1}, "output channel 1 is not finite"},
		{2, 3, InputChannel, "dct", []int{0, 2, 1}, "input channel 1 is not finite"},
	} {
		_, err := Truncate(w, tt.rows, tt.cols, tt.axis, tt.basis, tt.kept, nil, nil)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: error %v", tt, err)
		}
	}
}

func TestValidate(t *testing.T) {
	good := func() *Branch {
		return &Branch{Axis: InputChannel, Basis: "dft", Rows: 4, Cols: 2, Kept: []int{3, 2},
			Offset: []int{0, 4, 7}, Coeff: make([]float32, 7), Full: []bool{true, false}}
	}
	if err := good().Validate(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Branch){
		"axis":          func(b *Branch) { b.Axis = 9 },
		"rows":          func(b *Branch) { b.Rows = 0 },
		"cols":          func(b *Branch) { b.Cols = MaxLen + 1 },
		"basis":         func(b *Branch) { b.Basis = "" },
		"kept short":    func(b *Branch) { b.Kept = b.Kept[:1] },
		"kept high":     func(b *Branch) { b.Kept[1] = 4 },
		"offset short":  func(b *Branch) { b.Offset = b.Offset[:2] },
		"offset empty":  func(b *Branch) { b.Offset = nil },
		"offset start":  func(b *Branch) { b.Offset[0] = -1 },
		"offset middle": func(b *Branch) { b.Offset[1] = 1 << 40 },
		"full missing":  func(b *Branch) { b.Full = nil },
		"full but not":  func(b *Branch) { b.Full[1] = true },
		"coeff short":   func(b *Branch) { b.Coeff = b.Coeff[:6] },
		"coeff nan":     func(b *Branch) { b.Coeff[6] = float32(math.NaN()) },
		"full on rows": func(b *Branch) {
			*b = Branch{Basis: "dft", Rows: 1, Cols: 1, Kept: []int{1}, Offset: []int{0, 1}, Coeff: []float32{1}, Full: []bool{true}}
		},
	} {
		b := good()
		spoil(b)
		if b.Validate() == nil {
			t.Errorf("%s: no error", name)
		}
	}
	// A branch that was read, not made, works.
	b := good()
	b.Coeff[0], b.Coeff[4] = 2, 3
	y := make([]float32, 4)
	b.Apply(y, []float32{1, 1}) // column 0 is (2,0,0,0), column 1 has DC 3: 3/√4
	if want := []float32{3.5, 1.5, 1.5, 1.5}; maxDiff(y, want) > 1e-7 {
		t.Errorf("%v, want %v", y, want)
	}
}

func TestFFTAndDotsAgree(t *testing.T) {
	const n = 576
	r := newRand(8)
	x, y := normal64(r, n), normal64(r, n)
	for _, basis := range BasisNames() {
		b, _ := newWave(basis, n)
		low := newVectors(b, directMax)
		buf := newBlockBuf(n, 2)
		copy(buf.channel(0), x)
		copy(buf.channel(1), y)
		z := make([]float64, 2*directMax)
		low.dots(z, buf, 2, directMax)
		p, q := z[:directMax], z[directMax:]
		f := make([]float64, n)
		b.Forward(f, x)
		if d := maxDiff(p, f[:directMax]); d > 1e-12 {
			t.Errorf("%s: dot products are off the FFT by %g", basis, d)
		}
		b.Forward(f, y)
		if d := maxDiff(q, f[:directMax]); d > 1e-12 {
			t.Errorf("%s: the second channel is off by %g", basis, d)
		}
	}
}

// TestWide: the widest layers, direct and FFT path beside each other.
func TestWide(t *testing.T) {
	const channels = 5
	for _, n := range []int{11008, 14336} {
		forAxes(t, func(t *testing.T, axis Axis, basis string) {
			rows, cols := channels, n
			if axis == InputChannel {
				rows, cols = n, channels
			}
			bs, _ := NewBasis(basis, n)
			r := newRand(uint64(n))
			w := normal32(r, rows*cols)
			b := truncate(t, w, rows, cols, axis, basis, []int{16, 0, 700, bs.Components(), 1})
			m := make([]float32, rows*cols)
			b.AddTo(m, 1, nil)
			x, y := normal32(r, cols), make([]float32, rows)
			b.Apply(y, x)
			want := make([]float64, rows)
			for j := range rows {
				for i, v := range x {
					want[j] += float64(m[j*cols+i]) * float64(v)
				}
			}
			var diff float64
			for j := range y {
				diff += (float64(y[j]) - want[j]) * (float64(y[j]) - want[j])
			}
			if rel := math.Sqrt(diff / norm2(want)); rel > 1e-6 {
				t.Errorf("length %d: online product is off the dense one by %g", n, rel)
			}
		})
	}
}
