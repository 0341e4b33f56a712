package quant

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/integer"
	"pgregory.net/rapid"
)

// checkMultiples holds steps to what [Steps] says of them.
func checkMultiples(t rapid.TB, g Grid, s Steps, rows, cols int) {
	t.Helper()
	groups, most := g.Groups(cols), uint8(integer.MaxMultiple(g.Bits))
	if len(s.Row) != rows || len(s.Multiple) != rows*groups || len(s.Scale) != rows*groups || !slices.Equal(s.Zero, g.FixedZero()) {
		t.Fatalf("%d rows, %d multiples, %d scales, zero points %v; want %d rows of %d groups", len(s.Row), len(s.Multiple), len(s.Scale), s.Zero, rows, groups)
	}
	for r, row := range s.Row {
		zeros := row == 0 && g.Zero == ZeroCentred // which has no level at zero
		if row != half(row) || !(row >= smallestScale && row <= MaxScale) && !zeros {
			t.Fatalf("row %d: scale %v is no 16-bit float above 0", r, row)
		}
		for k := range groups {
			m, scale := s.Multiple[r*groups+k], s.Scale[r*groups+k]
			if m < 1 || m > most {
				t.Fatalf("row %d, group %d: multiple %d, want 1 to %d", r, k, m, most)
			}
			if zeros && scale == ZeroGroupScale {
				continue
			}
			if float64(scale) != float64(row)*float64(m)*float64(g.MultipleUnit()) {
				t.Fatalf("row %d, group %d: scale %v is not %d times %v", r, k, scale, m, row)
			}
		}
	}
}

// weightedError is [sumSquared] with an importance for each column.
func weightedError(g Grid, w []float32, d []float64, s Steps, rows, cols int) (sum float64) {
	q, back := make([]int8, len(w)), make([]float32, len(w))
	g.RTN(q, w, s, rows, cols, inSequence)
	g.Dequantize(back, q, s, rows, cols, inSequence)
	for i, v := range w {
		e := float64(v) - float64(back[i])
		if d != nil {
			e *= math.Sqrt(d[i%cols])
		}
		sum += e * e
	}
	return sum
}

// TestMultiples: scales are multiples of 16-bit floats, of any weights with any clip, and cover all
// weights if they are not to be clipped.
func TestMultiples(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := MultipleGrid(rapid.SampledFrom(MultipleBits).Draw(t, "bits"), rapid.SampledFrom([]int{16, 32, 64, 128}).Draw(t, "group"))
		clip := rapid.SampledFrom([]Clip{ClipNone, ClipMSE, ClipHessian}).Draw(t, "clip")
		rows, cols := rapid.IntRange(1, 4).Draw(t, "rows"), rapid.IntRange(1, 300).Draw(t, "cols")
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		size := math.Pow(10, rapid.Float64Range(-9, 3).Draw(t, "size")) // the smallest need scales below 16-bit floats
		w := randoms(rng, rows*cols, size)
		if rapid.Bool().Draw(t, "outlier") {
			w[rng.IntN(len(w))] *= 20
		}
		for i := range w { // some groups of zeros
			if (i/16)%7 == 3 {
				w[i] = 0
			}
		}
		var d []float64
		if clip == ClipHessian {
			for range cols {
				d = append(d, math.Exp(rng.NormFloat64()))
			}
		}
		s, err := g.WeightedScales(w, d, rows, cols, clip, inSequence)
		if err != nil {
			t.Fatal(err)
		}
		checkMultiples(t, g, s, rows, cols)
		q := make([]int8, len(w))
		g.RTN(q, w, s, rows, cols, inSequence)
		_, hi := g.Limits()
		if g.Zero == ZeroCentred {
			hi += .5
		}
		groups := g.Groups(cols)
		for i, v := range w {
			if v == 0 && q[i] != 0 && g.Zero != ZeroCentred {
				t.Fatalf("weight %d: 0 became %d", i, q[i])
			}
			scale := s.Scale[i/cols*groups+min(i%cols/g.Group, groups-1)]
			if clip == ClipNone && float64(max(v, -v)) > float64(scale*hi)*(1+1.0/2048)+smallestScale*float64(hi)/2 {
				t.Fatalf("weight %d: %v is beyond %v", i, v, scale*hi)
			}
		}
	})
}

// TestMultiplesLose: multiples lose no more than one scale for each row (of 7 bits, in large groups,
// about as much), weighted or not; of 2 to 6 bits, in groups of 16, no more than 16-bit floats for groups
// of 64, which take as many bits or more. (Weights of 2 bits of which few columns count much need their
// scales to a tenth: they lose a tenth more.)
func TestMultiplesLose(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 1))
	const rows, cols = 64, 768
	w, d := randoms(rng, rows*cols, .02), make([]float64, cols)
	for i := range d {
		d[i] = math.Exp(rng.NormFloat64())
	}
	lost := func(g Grid, d []float64) float64 {
		s, err := g.WeightedScales(w, d, rows, cols, ClipMSE, inSequence)
		if err != nil {
			t.Fatal(err)
		}
		return weightedError(g, w, d, s, rows, cols)
	}
	for _, bits := range MultipleBits {
		for _, d := range [][]float64{nil, d} {
			whole, centred := lost(Grid{Bits: bits}, d), lost(Grid{Bits: bits, Group: 64, Zero: ZeroCentred}, d)
			for _, group := range []int{16, 32, 64, 128} {
				e := lost(MultipleGrid(bits, group), d)
				if e > whole*1.01 {
					t.Errorf("%d bits, groups of %d: squared error %g, of one scale for each row %g", bits, group, e, whole)
				}
				if group == 16 && bits < 7 && e > centred && !(bits == 2 && d != nil && e < 1.15*centred) {
					t.Errorf("%d bits, groups of %d: squared error %g, of 16-bit scales %g", bits, group, e, centred)
				}
			}
		}
	}
}

// TestMultiplesOf: the multiples of rows that can be told at once.
func TestMultiplesOf(t *testing.T) {
	for _, c := range []struct {
		name     string
		bits     int
		clip     Clip
		w        []float32 // groups of two weights
		row      float32
		multiple []uint8
	}{
		{"zeros", 4, ClipMSE, []float32{0, 0, 0, 0}, 1. / 16, []uint8{16, 16}},
		{"zeros, 7 bits", 7, ClipNone, []float32{0, 0, 0, 0}, 1. / 2, []uint8{2, 2}},
		{"on the grid", 4, ClipMSE, []float32{-7 * 16, 3 * 16, 7, 2, 7 * 5, 5, 7 * 3, -3}, 1, []uint8{16, 1, 5, 3}},
		{"on the grid, not clipped", 4, ClipNone, []float32{-7 * 16, 3 * 16, 7, 2, 7 * 5, 5}, 1, []uint8{16, 1, 5}},
		{"a group of zeros", 5, ClipMSE, []float32{15 * 8, 8, 0, 0, 15 * 2, 2}, 1, []uint8{8, 8, 2}},
		{"covered", 6, ClipNone, []float32{31 * 4, 1, 31 * 2.01, 0, 31 * .1, 0}, 1, []uint8{4, 3, 1}},
		{"much smaller", 7, ClipMSE, []float32{63 * 2, 0, 1e-9, 0}, 1, []uint8{2, 1}},
		{"the smallest", 4, ClipNone, []float32{1e-30, 0, 0, 0}, smallestScale, []uint8{1, 16}},
		{"above the smallest", 4, ClipNone, []float32{7 * 17 * smallestScale, 0}, 2 * smallestScale, []uint8{9}},
		{"zeros, 3 bits", 3, ClipMSE, []float32{0, 0, 0, 0}, 0, []uint8{1, 1}},
		{"on the grid, 3 bits", 3, ClipMSE, []float32{-7 * 16, 3 * 16, 7, 3, 7 * 5, 5, 7 * 3, -3}, 1, []uint8{16, 1, 5, 3}},
		{"on the grid, 2 bits, not clipped", 2, ClipNone, []float32{-3 * 16, 16, 3, 1, 3 * 5, -5}, 1, []uint8{16, 1, 5}},
		{"a group of zeros, 3 bits", 3, ClipMSE, []float32{7 * 16, -48, 0, 0, 7 * 2, 2}, 1, []uint8{16, 1, 2}},
		{"the smallest, 2 bits", 2, ClipNone, []float32{1e-30, 0, 0, 0}, smallestScale, []uint8{1, 1}},
		{"the largest, 3 bits", 3, ClipNone, []float32{7 * 32752, 0, 0, 7}, 2047, []uint8{16, 1}},
		{"the largest", 4, ClipNone, []float32{7 * 65504, 0, 0, 7}, 4094, []uint8{16, 1}},
	} {
		g := MultipleGrid(c.bits, 2)
		s := mustScales(t, g, c.w, 1, len(c.w), c.clip)
		checkMultiples(t, g, s, 1, len(c.w))
		if s.Row[0] != c.row || !slices.Equal(s.Multiple, c.multiple) {
			t.Errorf("%s: %v times %v, want %v times %v", c.name, s.Row[0], s.Multiple, c.row, c.multiple)
		}
	}
}

// TestMultiplesWeigh: a column that counts more than all others is the one that is met.
func TestMultiplesWeigh(t *testing.T) {
	g := Grid{Bits: 4, Group: 16, Multiples: true}
	rng := rand.New(rand.NewPCG(3, 1))
	const rows, cols = 20, 64
	w, d := randoms(rng, rows*cols, 1), slices.Repeat([]float64{1}, cols)
	d[37] = 1e4
	weighted, err := g.WeightedScales(w, d, rows, cols, ClipHessian, inSequence)
	if err != nil {
		t.Fatal(err)
	}
	plain := mustScales(t, g, w, rows, cols, ClipMSE)
	if a, b := weightedError(g, w, d, weighted, rows, cols), weightedError(g, w, d, plain, rows, cols); a > b/2 {
		t.Errorf("error %g if it is weighted, %g if not", a, b)
	}
}

// TestMultiplesRefuse: the first group that is not finite is named, as of other grids.
func TestMultiplesRefuse(t *testing.T) {
	for _, v := range []float64{7 * 65536, math.MaxFloat32, math.Inf(1), math.Inf(-1), math.NaN()} {
		for _, clip := range []Clip{ClipNone, ClipMSE} {
			w := []float32{1, 2, 3, 4, 5, 6, 7, float32(v)}
			_, err := Grid{Bits: 4, Group: 2, Multiples: true}.Scales(w, 2, 4, clip, inSequence)
			if err == nil || !strings.Contains(err.Error(), "row 1, group 1") {
				t.Errorf("%v, clip %s: error %v", v, clip, err)
			}
		}
	}
}

func BenchmarkScales(b *testing.B) {
	rng := rand.New(rand.NewPCG(5, 1))
	const rows, cols = 64, 2048
	w := randoms(rng, rows*cols, .02)
	float.RoundF16(w)
	for _, g := range []Grid{{Bits: 5, Group: 128, Zero: ZeroCentred}, {Bits: 5, Group: 32, Zero: ZeroCentred}, {Bits: 5, Group: 32, Multiples: true}, {Bits: 5, Group: 16, Multiples: true}} {
		b.Run(fmt.Sprintf("group=%d,multiples=%v", g.Group, g.Multiples), func(b *testing.B) {
			for b.Loop() {
				if _, err := g.Scales(w, rows, cols, ClipMSE, inSequence); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows/cols, "ns/weight")
		})
	}
}
