package spectrum

import (
	"math"
	"sync"
	"testing"
)

func TestParseval(t *testing.T) {
	forBases(t, func(t *testing.T, b Basis) {
		n := b.Len()
		w := normal64(newRand(uint64(n)), n)
		f := make([]float64, n)
		b.Forward(f, w)
		if got, want := norm2(f), norm2(w); math.Abs(got-want) > 1e-12*want {
			t.Errorf("‖Fw‖² = %v, ‖w‖² = %v", got, want)
		}
		back := make([]float64, n)
		b.Inverse(back, f)
		if d := maxDiff(back, w); d > 1e-12 {
			t.Errorf("inverse of forward is off by %g", d)
		}
		b.Forward(w, w)
		if maxDiff(w, f) != 0 {
			t.Error("forward in place differs")
		}
		b.Inverse(w, w)
		if maxDiff(w, back) != 0 {
			t.Error("inverse in place differs")
		}
	})
}

// samples picks basis vectors: the ends, the middle, and some between.
func samples(n int) []int {
	pick := []int{0, n - 1}
	for _, i := range []int{1, 2, 3, 30, 31, n / 3, n / 2, n - 2, n - 3} {
		if i > 0 && i < n-1 {
			pick = append(pick, i)
		}
	}
	return pick
}

func TestRowsAreTheTransform(t *testing.T) {
	forBases(t, func(t *testing.T, b Basis) {
		n := b.Len()
		r := newRand(uint64(n) + 1)
		w, f := normal64(r, n), make([]float64, n)
		b.Forward(f, w)
		row, unit := make([]float64, n), make([]float64, n)
		for _, i := range samples(n) {
			b.(wave).vector(row, i)
			var dot float64
			for t, v := range row {
				dot += v * w[t]
			}
			if math.Abs(dot-f[i]) > 1e-11 {
				t.Errorf("⟨row %d, w⟩ = %v, forward gives %v", i, dot, f[i])
			}
			clear(unit)
			unit[i] = 1
			b.Inverse(unit, unit)
			if d := maxDiff(unit, row); d > 1e-13 {
				t.Errorf("inverse of unit %d is off its row by %g", i, d)
			}
		}
	})
}

func TestOrthonormal(t *testing.T) {
	forBases(t, func(t *testing.T, b Basis) {
		n := b.Len()
		rows := map[int][]float64{}
		for _, i := range samples(n) {
			rows[i] = make([]float64, n)
			b.(wave).vector(rows[i], i)
		}
		for i, p := range rows {
			for j, q := range rows {
				var dot, want float64
				for t := range p {
					dot += p[t] * q[t]
				}
				if i == j {
					want = 1
				}
				if math.Abs(dot-want) > 1e-12 {
					t.Errorf("⟨%d, %d⟩ = %v, want %v", i, j, dot, want)
				}
			}
		}
	})
}

func TestMatrix(t *testing.T) {
	for _, n := range []int{1, 4, 5, 14336} {
		b := NewDFT(n)
		count := min(n, 33)
		m := Matrix(b, count)
		if len(m) != count*n {
			t.Fatalf("%d values, want %d", len(m), count*n)
		}
		for i := range count {
			// The same from the definition, reduced in integers.
			f := (i + 1) / 2
			for p := 0; p < n; p += 1 + n/97 {
				θ := 2 * math.Pi * float64(f*p%n) / float64(n)
				v := math.Sqrt(2/float64(n)) * math.Cos(θ)
				if i > 0 && i%2 == 0 {
					v = math.Sqrt(2/float64(n)) * math.Sin(θ)
				}
				if f == 0 || 2*f == n {
					v = math.Cos(θ) / math.Sqrt(float64(n))
				}
				if got := float64(m[i*n+p]); math.Abs(got-v) > 1.2e-7*math.Abs(v)+2e-16 { // the definition itself is off by π's rounding
					t.Errorf("n %d: row %d at %d = %v, want %v", n, i, p, got, v)
				}
			}
		}
	}
	if got := len(Matrix(NewDCT(3), 99)); got != 9 {
		t.Errorf("more vectors than there are: %d values, want 9", got)
	}
	if got := Matrix(NewDCT(3), -1); len(got) != 0 {
		t.Errorf("a negative count gives %d values", len(got))
	}
}

// TestGolden: worked by hand.
func TestGolden(t *testing.T) {
	s := math.Sqrt
	c1, s1 := math.Cos(2*math.Pi/5), math.Sin(2*math.Pi/5)
	c2, s2 := math.Cos(4*math.Pi/5), math.Sin(4*math.Pi/5)
	for _, tt := range []struct {
		name    string
		b       Basis
		in, out []float64
	}{
		// cos row (1,0,−1,0)/√2, sin row (0,1,0,−1)/√2, Nyquist (1,−1,1,−1)/2.
		{"dft 4", NewDFT(4), []float64{1, 2, 3, 4}, []float64{5, -s(2), -s(2), -1}},
		{"dft 4 spike", NewDFT(4), []float64{0, 1, 0, 0}, []float64{.5, 0, s(.5), -.5}},
		// cos θ is even, sin θ odd: a spike at t = 1 reads the basis at t = 1.
		{"dft 5 spike", NewDFT(5), []float64{0, 1, 0, 0, 0},
			[]float64{s(.2), s(.4) * c1, s(.4) * s1, s(.4) * c2, s(.4) * s2}},
		{"dft 5 constant", NewDFT(5), []float64{2, 2, 2, 2, 2}, []float64{2 * s(5), 0, 0, 0, 0}},
		{"dft 1", NewDFT(1), []float64{-3}, []float64{-3}},
		{"dft 2", NewDFT(2), []float64{3, 1}, []float64{4 / s(2), 2 / s(2)}},
		{"dct 2", NewDCT(2), []float64{3, 1}, []float64{4 / s(2), 2 / s(2)}},
		{"dct 3 spike", NewDCT(3), []float64{1, 0, 0}, []float64{s(1. / 3), s(.5), s(1. / 6)}},
	} {
		got := make([]float64, len(tt.in))
		tt.b.Forward(got, tt.in)
		if d := maxDiff(got, tt.out); d > 1e-14 {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.out)
		}
	}
	row := make([]float32, 4)
	NewDFT(4).Row(row, 1)
	if want := []float32{float32(s(.5)), 0, -float32(s(.5)), 0}; maxDiff(row, want) != 0 {
		t.Errorf("cos row of 4: %v, want %v", row, want)
	}
}

func TestCoefficients(t *testing.T) {
	for _, tt := range []struct {
		b          Basis
		components int
		want       []int // from k = 0
	}{
		{NewDFT(1), 1, []int{0, 1, 1}},
		{NewDFT(2), 2, []int{0, 1, 2, 2}},
		{NewDFT(3), 2, []int{0, 1, 3, 3}},
		{NewDFT(4), 3, []int{0, 1, 3, 4, 4}},
		{NewDFT(5), 3, []int{0, 1, 3, 5, 5}},
		{NewDCT(3), 3, []int{0, 1, 2, 3, 3}},
	} {
		if got := tt.b.Components(); got != tt.components {
			t.Errorf("length %d: %d components, want %d", tt.b.Len(), got, tt.components)
		}
		for k, want := range tt.want {
			if got := tt.b.Coefficients(k); got != want {
				t.Errorf("length %d: %d components hold %d coefficients, want %d", tt.b.Len(), k, got, want)
			}
		}
		if tt.b.Coefficients(-1) != 0 {
			t.Error("negative component count")
		}
	}
}

func TestBasisIsShared(t *testing.T) {
	b := NewDFT(172)
	w := normal64(newRand(3), 172)
	want := make([]float64, 172)
	b.Forward(want, w)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			got := make([]float64, 172)
			for range 50 {
				b.Forward(got, w)
				if maxDiff(got, want) != 0 {
					t.Error("concurrent use changes the result")
					return
				}
				b.Inverse(got, got)
			}
		})
	}
	wg.Wait()
}

func TestNames(t *testing.T) {
	for _, a := range []Axis{OutputChannel, InputChannel} {
		if got, err := ParseAxis(a.String()); err != nil || got != a {
			t.Errorf("%v parses to %v, %v", a, got, err)
		}
	}
	if _, err := ParseAxis("row"); err == nil {
		t.Error("axis \"row\" is accepted")
	}
	for _, tt := range []struct {
		name string
		n    int
	}{{"klt", 4}, {"", 4}, {"dft", 0}, {"dct", -1}, {"dft", MaxLen + 1}} {
		if _, err := NewBasis(tt.name, tt.n); err == nil {
			t.Errorf("basis %q of length %d is accepted", tt.name, tt.n)
		}
	}
}
