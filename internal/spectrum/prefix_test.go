package spectrum

import (
	"math"
	"reflect"
	"testing"
)

func TestPrefix(t *testing.T) {
	dft, dct := NewDFT(8), NewDCT(8)
	// Powers: DC 4, pairs (1, 4), (0, 1), (1, 1), Nyquist 4: 16 in all.
	z := []float32{2, 1, 2, 0, 1, 1, 1, 2}
	nan := []float32{1, float32(math.NaN()), 1}
	for _, tt := range []struct {
		name  string
		z     []float32
		b     Basis
		eps   float64
		limit int
		want  int
	}{
		{"no truncation", z, dft, 0, 8, 8},
		{"negative eps", z, dft, -1, 5, 5},
		{"nan eps", z, dft, math.NaN(), 5, 5},
		{"zeros, eps 0", make([]float32, 4), dft, 0, 4, 4},
		{"zeros", make([]float32, 4), dft, .1, 4, 0},
		{"everything may go", z, dft, 1, 8, 0},
		{"more than everything", z, dft, 2, 8, 0},
		{"dc is enough", z, dft, .75, 8, 1},
		{"just more than dc", z, dft, .74, 8, 3},
		{"whole components", z, dft, .4375, 8, 3},
		{"third frequency", z, dft, .4, 8, 5},
		{"all but nyquist", z, dft, .25, 8, 7},
		{"nyquist needed", z, dft, .24, 8, 8},
		{"energy of the limit only", z, dft, .11, 5, 3},
		{"limit inside a component", z, dft, .01, 4, 3},
		{"limit above z", z, dft, 0, 99, 8},
		{"limit below zero", z, dft, .1, -1, 0},
		{"single coefficients", z, dct, .74, 8, 2},
		{"z longer than the basis", z, NewDFT(2), .01, 8, 8},
		{"not finite", nan, dct, .5, 3, 3},
	} {
		if got := Prefix(tt.z, tt.b, tt.eps, tt.limit); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestGroups(t *testing.T) {
	w := normal32(newRand(1), 5*9)
	b := truncate(t, w, 5, 9, OutputChannel, "dft", []int{3, 0, 5, 1, 3})
	got, err := Groups(b, 2)
	if err != nil {
		t.Fatal(err)
	}
	if want := []Group{{[]int{1, 3}, 1}, {[]int{0, 4, 2}, 9}}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got, _ := Groups(b, 99); len(got) != 5 {
		t.Errorf("%d groups of 5 channels", len(got))
	}
	if _, err := Groups(b, 0); err == nil {
		t.Error("no groups: no error")
	}
	in := truncate(t, w, 5, 9, InputChannel, "dft", make([]int, 9))
	if _, err := Groups(in, 2); err == nil {
		t.Error("input axis: no error")
	}
}

func TestApplyTruncated(t *testing.T) {
	const rows, cols = 64, 97
	r := newRand(3)
	w := normal32(r, rows*cols)
	b := truncate(t, w, rows, cols, OutputChannel, "dft", raggedBudget(r, rows, 49))
	groups, err := Groups(b, 4)
	if err != nil {
		t.Fatal(err)
	}
	x := smooth(OutputChannel, 1, cols)
	for i := range x {
		x[i] += .01 * float32(r.NormFloat64())
	}
	exact, y := make([]float32, rows), make([]float32, rows)
	b.Apply(exact, x)
	used, stored := b.ApplyTruncated(y, x, groups, 0)
	if !reflect.DeepEqual(exact, y) {
		t.Error("ε = 0 is not bit-identical to no truncation")
	}
	if used != stored || stored != b.Coefficients() {
		t.Errorf("ε = 0 used %d of %d, stored %d", used, stored, b.Coefficients())
	}
	clear(y)
	used, _ = b.ApplyTruncated(y, x, groups, 1e-2)
	if used == 0 || used > stored/2 {
		t.Errorf("a smooth token used %d of %d coefficients", used, stored)
	}
	// Each output is off by at most ‖C_j‖·√ε·‖z‖.
	bound := math.Sqrt(1e-2*norm2(x)) * 1.0001
	for j := range y {
		if d := math.Abs(float64(y[j] - exact[j])); d > bound*math.Sqrt(norm2(b.channel(j))) {
			t.Errorf("output %d is off by %v", j, d)
		}
	}
}
