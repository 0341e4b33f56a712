package linalg

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
)

// Every order up to 1024 that Paley's constructions give, exactly: rows as bits.
func TestPaleyMatrices(t *testing.T) {
	count := 0
	for k := 4; k <= maxPaley; k += 4 {
		if c, _ := paley(k); c == 0 {
			continue
		}
		count++
		m := paleyMatrix(k)
		words := (k + 63) / 64
		rows := make([]uint64, k*words)
		for i := range k {
			for j := range k {
				switch m[i*k+j] {
				case 1:
				case -1:
					rows[i*words+j/64] |= 1 << (j % 64)
				default:
					t.Fatalf("order %d: entry [%d][%d] is %v", k, i, j, m[i*k+j])
				}
			}
		}
		for i := range k {
			for j := range i {
				differ := 0
				for w := range words {
					differ += bits.OnesCount64(rows[i*words+w] ^ rows[j*words+w])
				}
				if 2*differ != k {
					t.Fatalf("order %d: rows %d and %d have the product %d", k, i, j, k-2*differ)
				}
			}
		}
	}
	if count < 129 {
		t.Errorf("only %d orders", count)
	}
	t.Logf("%d orders", count)
}

// The matrix of order 12 by hand: the squares modulo 11 are 1, 3, 4, 5, 9.
func TestPaley12(t *testing.T) {
	m := paleyMatrix(12)
	for row, want := range []string{"++++++++++++", "-+-+---+++-+", "-++-+---+++-"} {
		got := ""
		for _, v := range m[row*12:][:12] {
			got += string("-?+"[int(v)+1])
		}
		if got != want {
			t.Errorf("row %d is %s, want %s", row, got, want)
		}
	}
}

func TestGalois(t *testing.T) {
	// x² = 1 − x... whatever the polynomial, half of the elements but 0 are
	// squares, -1 is one exactly where q ≡ 1 mod 4, and differences are exact.
	for _, q := range []int{3, 5, 7, 9, 25, 27, 49, 81, 121, 125, 343, 625, 729, 961} {
		f := newGalois(q)
		sum, squares := 0, 0
		for _, c := range f.chi {
			sum += int(c)
			squares += int(c) * int(c)
		}
		if sum != 0 || squares != q-1 || f.chi[0] != 0 || f.chi[1] != 1 {
			t.Errorf("GF(%d): characters sum to %d, %d of them; χ(0) %d, χ(1) %d", q, sum, squares, f.chi[0], f.chi[1])
		}
		if minus := f.chi[f.sub(0, 1)]; (minus == 1) != (q%4 == 1) {
			t.Errorf("GF(%d): χ(-1) = %d", q, minus)
		}
		for a := 0; a < q; a += 7 {
			if d := f.sub(f.sub(a, 2), f.sub(0, 2)); d != a {
				t.Errorf("GF(%d): %d - 2 + 2 = %d", q, a, d)
			}
		}
	}
	for q, want := range map[int][2]int{2: {2, 1}, 343: {7, 3}, 961: {31, 2}, 683: {683, 1}} {
		if p, e, ok := primePower(q); !ok || p != want[0] || e != want[1] {
			t.Errorf("%d is %d^%d, %v", q, p, e, ok)
		}
	}
	for _, q := range []int{0, 1, 6, 45, 91, 1001} {
		if _, _, ok := primePower(q); ok {
			t.Errorf("%d is not a power of a prime", q)
		}
	}
}

func TestHadamardNames(t *testing.T) {
	for n, want := range map[int]string{
		1: "Sylvester 1", 2: "Sylvester 2", 16: "Sylvester 16", 4096: "Sylvester 4096",
		3: "cosine 3", 5: "cosine 5", 6: "Sylvester 2 × cosine 3", 12: "Paley I 12",
		24: "Sylvester 2 × Paley I 12", 40: "Sylvester 2 × Paley I 20", 172: "Sylvester 4 × cosine 43",
		352: "Sylvester 8 × Paley I 44", 384: "Paley I 12 × Sylvester 32", 704: "Sylvester 16 × Paley I 44",
		5632: "Paley I 44 × Sylvester 128", 10944: "Sylvester 4 × Paley II 36 × Paley II 76", 7 * 1021: "cosine 7 × cosine 1021", 945: "cosine 945",
		11008: "Paley I 344 × Sylvester 32", 13696: "cosine 107 × Sylvester 128", 13824: "Paley I 12 × Paley II 36 × Sylvester 32",
		14336: "Paley I 28 × Sylvester 512", 18944: "Paley II 148 × Sylvester 128",
		29568: "Sylvester 2 × Paley I 12 × Paley I 28 × Paley I 44",
	} {
		h, err := NewHadamard(n)
		if err != nil {
			t.Errorf("%d: %v", n, err)
		} else if h.String() != want || h.Even() == strings.Contains(want, "cosine") {
			t.Errorf("%d is %s, even %v; want %s", n, h, h.Even(), want)
		}
	}
	for _, n := range []int{0, -4, MaxWidth + 1, 2053, 2 * 4099} {
		if h, err := NewHadamard(n); err == nil {
			t.Errorf("%d gave %s", n, h)
		} else if n == 2053 {
			t.Log(err)
		}
	}
	// Of the 256 multiples of 128 up to 32768 few need a cosine part.
	uneven := 0
	for n := 128; n <= 32768; n += 128 {
		if _, cosines, _, ok := factorHadamard(n); !ok {
			t.Errorf("no transform of %d", n)
		} else if cosines != nil {
			uneven++
		}
	}
	t.Logf("%d of 256 have a cosine part", uneven)
	if uneven > 32 {
		t.Errorf("%d of 256 have a cosine part", uneven)
	}
}

// H·Hᵀ = I, even entries, and the rows of the matrix are what Apply multiplies by.
func TestHadamardMatrix(t *testing.T) {
	pool := parallel.NewPool(2)
	defer pool.Close()
	for _, n := range []int{1, 2, 3, 4, 5, 6, 7, 8, 12, 20, 24, 28, 40, 64, 92, 100, 172, 352, 384, 704, 1296} {
		h, err := NewHadamard(n)
		if err != nil {
			t.Fatal(err)
		}
		m, id, m64 := Matrix(pool, h), make([]float64, n*n), make([]float64, n*n)
		for i, v := range m {
			m64[i] = float64(v)
		}
		float.MatMulNT64(pool, id, n, m64, n, m64, n, n, n, n, float.Set)
		peak := math.Sqrt(2 / float64(n))
		if h.Even() {
			peak = math.Sqrt(1 / float64(n))
		}
		for i, v := range id {
			want := 0.0
			if i%(n+1) == 0 {
				want = 1
			}
			if math.Abs(v-want) > 5e-7 {
				t.Fatalf("%s: [%d][%d] of H·Hᵀ is %v", h, i/n, i%n, v)
			}
			if e := math.Abs(float64(m[i])); e > peak*(1+1e-6) || h.Even() && e < peak*(1-1e-6) {
				t.Fatalf("%s: entry [%d][%d] is %v", h, i/n, i%n, m[i])
			}
		}
		checkTransform(t, pool, h, m)
	}
}

// The widths of models, too wide for a dense matrix here: there and back, energy,
// rows alone and in a batch, and one element against the definition.
func TestHadamardWidths(t *testing.T) {
	pool := parallel.NewPool(2)
	defer pool.Close()
	widths := []int{5632, 10944, 11008, 13696, 14336, 18944, 29568, 7 * 1021, 8192}
	if testing.Short() {
		widths = widths[:3]
	}
	for _, n := range widths {
		h, err := NewHadamard(n)
		if err != nil {
			t.Fatal(err)
		}
		const rows = 7
		x := randFloats(uint64(n), rows*n)
		y := slices.Clone(x)
		h.Apply(pool, y, rows)
		var before, after float64
		for i := range x {
			before += float64(x[i]) * float64(x[i])
			after += float64(y[i]) * float64(y[i])
		}
		if math.Abs(after-before) > 1e-6*before {
			t.Errorf("%s: energy %v became %v", h, before, after)
		}
		row := slices.Clone(x[3*n:][:n])
		h.Apply(nil, row, 1)
		if !slices.Equal(row, y[3*n:][:n]) {
			t.Errorf("%s: row 3 alone differs", h)
		}
		// ApplyT of a unit vector is a row of H; its product is an element of y.
		for _, i := range []int{0, 1, n / 3, n - 1} {
			e := make([]float32, n)
			e[i] = 1
			h.ApplyT(pool, e, 1)
			sum := 0.0
			for j, v := range e {
				sum += float64(v) * float64(x[3*n+j])
			}
			if math.Abs(sum-float64(row[i])) > 1e-5 {
				t.Errorf("%s: element %d is %v, want %v", h, i, row[i], sum)
			}
		}
		h.ApplyT(pool, y, rows)
		d := relative(y, x)
		t.Logf("%d = %s: back within %.1e", n, h, d)
		if !(d < 1e-6) {
			t.Errorf("%s: H·Hᵀ·x is off x by %g", h, d)
		}
	}
}

// Products by ±1 are exact: all tiers agree to the bit where there is no cosine.
func TestHadamardTiers(t *testing.T) {
	for _, n := range []int{28, 704, 5632, 10944} {
		h, err := NewHadamard(n)
		if err != nil {
			t.Fatal(err)
		}
		x := randFloats(uint64(n), 3*n)
		var want []float32
		eachTier(t, func(t *testing.T) {
			y := slices.Clone(x)
			h.Apply(nil, y, 3)
			if want == nil {
				want = y
			}
			if !slices.Equal(y, want) {
				t.Errorf("%s differs between tiers", h)
			}
		})
	}
}

func BenchmarkHadamard(b *testing.B) {
	pool := parallel.NewPool(0)
	defer pool.Close()
	for _, n := range []int{2048, 5632, 10944, 11008, 14336, 29568} {
		h, err := NewHadamard(n)
		if err != nil {
			b.Fatal(err)
		}
		for _, rows := range []int{1, 512} {
			x := randFloats(1, n*rows)
			b.Run(fmt.Sprintf("%d/%d", n, rows), func(b *testing.B) {
				b.SetBytes(int64(4 * len(x)))
				for b.Loop() {
					h.Apply(pool, x, rows)
				}
			})
		}
	}
}

func BenchmarkHeads(b *testing.B) {
	pool := parallel.NewPool(0)
	defer pool.Close()
	for _, heads := range []int{24, 32} {
		h, err := NewHeads(heads, 128)
		if err != nil {
			b.Fatal(err)
		}
		for _, rows := range []int{1, 512} {
			x := randFloats(1, h.Width()*rows)
			b.Run(fmt.Sprintf("%dx128/%d", heads, rows), func(b *testing.B) {
				b.SetBytes(int64(4 * len(x)))
				for b.Loop() {
					h.Apply(pool, x, rows)
				}
			})
		}
	}
}

// BenchmarkHadamardRows transforms one row, and eight at a time, of widths that models have.
func BenchmarkHadamardRows(b *testing.B) {
	for _, n := range []int{576, 896, 1536, 2048, 4864, 5632} {
		h, err := NewHadamard(n)
		if err != nil {
			b.Fatal(err)
		}
		for _, rows := range []int{1, 8} {
			x := make([]float32, rows*n)
			for i := range x {
				x[i] = float32(i%7) - 3
			}
			b.Run(fmt.Sprintf("%d/%d rows", n, rows), func(b *testing.B) {
				for b.Loop() {
					h.Apply(nil, x, rows)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*rows), "ns/row")
			})
		}
	}
}
