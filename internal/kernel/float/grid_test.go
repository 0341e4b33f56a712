package float

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/specquant/specquant/internal/kernel/cpu"
	"github.com/specquant/specquant/internal/kernel/kerneltest"
)

// gridCase is a grid and weights that lie on it, between its points, exactly between
// two, and far beyond.
func gridCase(r *rand.Rand, n int) (w, d, scale, shift []float32, g GridStep) {
	bits := 2 + r.IntN(7)
	half := float32(int(1) << (bits - 1))
	g = GridStep{Scale: float32(math.Exp2(float64(r.IntN(20) - 14))), Lo: -half, Hi: half - 1}
	switch r.IntN(3) {
	case 0:
		g.Shift = -0.5
	case 1:
		g.Shift = float32(r.IntN(1<<bits)) - half
	}
	if r.IntN(2) == 0 {
		g.Scale *= 1 + r.Float32()
	}
	w, d, scale, shift = make([]float32, n), make([]float32, n), make([]float32, n), make([]float32, n)
	for i := range w {
		at := float32(r.NormFloat64()) * half / 2
		switch r.IntN(8) {
		case 0:
			at = float32(math.Round(float64(at))) + 0.5
		case 1:
			at = float32(math.Round(float64(at)))
		case 2:
			at *= 1e6
		}
		w[i] = g.Scale * (at - g.Shift)
		d[i] = r.Float32()
		scale[i], shift[i] = g.Scale*(0.5+r.Float32()), g.Shift
	}
	return w, d, scale, shift, g
}

// TestGrid: every tier gives the bits of portable Go, which gives what the
// definition does in float64.
func TestGrid(t *testing.T) {
	r := rand.New(rand.NewPCG(51, 52))
	for n := range 300 {
		if n >= 200 {
			n = r.IntN(2000)
		}
		w, d, scale, shift, g := gridCase(r, n)
		type results struct {
			sums  []float32
			codes []int8
			e     []float32
		}
		var portable *results
		for _, tier := range kerneltest.TiersTo(cpu.AVX512) {
			former := cpu.SetTier(tier)
			got := results{codes: make([]int8, 2*n), e: make([]float32, 2*n)}
			inf := float32(math.Inf(1))
			least, most := Range(w)
			got.sums = []float32{GridError(w, nil, &g, inf), GridError(w, d, &g, inf), least, most}
			GridRound(got.codes[:n], w, &g)
			GridValues(got.e[:n], got.codes[:n], &g)
			GridRoundEach(got.codes[n:], got.e[n:], w, scale, shift, &g, 0.37)
			turned, e, change := slices.Clone(got.codes), slices.Clone(d), make([]float32, n)
			any := GridTurn(turned[:n], e, w, change, scale, shift, &g, 0.5)
			checkTurn(t, got.codes[:n], turned[:n], d, e, w, change, scale, shift, &g, 0.5, any)
			got.sums = append(append(got.sums, e...), change...)
			got.codes = append(got.codes, turned[:n]...)
			cpu.SetTier(former)
			if portable == nil {
				portable = &got
				checkGrid(t, w, d, scale, &g, got.sums, got.codes, got.e)
				continue
			}
			what := fmt.Sprintf("%v, %d numbers, %+v", tier, n, g)
			kerneltest.SameBits(t, what+": sums", got.sums, portable.sums)
			kerneltest.SameBits(t, what+": values", got.e, portable.e)
			if !slices.Equal(got.codes, portable.codes) {
				t.Fatalf("%s: other codes", what)
			}
		}
	}
}

func checkGrid(t *testing.T, w, d, scale []float32, g *GridStep, sums []float32, codes []int8, e []float32) {
	t.Helper()
	n := len(w)
	var plain, weighed, least, most float64
	for i, v := range w {
		level := func(by float64) float64 {
			return math.RoundToEven(min(max(float64(v)/by+float64(g.Shift), float64(g.Lo)), float64(g.Hi)))
		}
		q := level(float64(g.Scale))
		at := float64(v)/float64(g.Scale) + float64(g.Shift)
		tie := math.Abs(math.Abs(at-math.Floor(at))-0.5) < 1e-4
		if float64(codes[i]) != q && !tie {
			t.Fatalf("%v on %+v: level %d, want %v", v, g, codes[i], q)
		}
		if want := float64(g.Scale) * (float64(codes[i]) - float64(g.Shift)); e[i] != float32(want) {
			t.Fatalf("level %d on %+v: %v, want %v", codes[i], g, e[i], want)
		}
		want := (float64(scale[i])*(float64(codes[n+i])-float64(g.Shift)) - float64(v)) * 0.37
		if math.Abs(float64(e[n+i])-want) > 1e-6*(math.Abs(float64(v))+math.Abs(want)+float64(g.Scale)) {
			t.Fatalf("%v with scale %v: rounding adds %v, want %v", v, scale[i], e[n+i], want)
		}
		x := float64(v) - float64(g.Scale)*(q-float64(g.Shift))
		plain, weighed = plain+x*x, weighed+float64(d[i])*x*x
		least, most = min(least, float64(v)), max(most, float64(v))
	}
	for i, want := range []float64{plain, weighed, least, most} {
		if math.Abs(float64(sums[i])-want) > 1e-4*math.Abs(want)+1e-30 {
			t.Fatalf("%d numbers on %+v: sum %d is %v, want %v", n, g, i, sums[i], want)
		}
	}
}

// checkTurn: every code is the best there is, in float64, or as good to the last bits.
func checkTurn(t *testing.T, before, after []int8, eBefore, e, gradient, change, scale, shift []float32, g *GridStep, h float64, any bool) {
	t.Helper()
	moved := false
	for i, z := range after {
		// What a code adds to the sum, over h: the distance from the best, squared.
		far := func(q float64) float64 {
			return math.Abs(float64(scale[i])*(q-float64(before[i])) - float64(gradient[i])/h)
		}
		best := far(float64(z))
		for q := g.Lo; q <= g.Hi; q++ {
			if far(float64(q)) < best-1e-5*(math.Abs(float64(gradient[i]))+float64(scale[i])) {
				t.Fatalf("code %d became %d, %v is better", before[i], z, q)
			}
		}
		want := scale[i] * (float32(before[i]) - float32(z))
		if math.Abs(float64(change[i]-want)) > 1e-4*float64(scale[i]) {
			t.Fatalf("code %d became %d: change %v, want %v", before[i], z, change[i], want)
		}
		if e[i] != eBefore[i]+change[i] {
			t.Fatalf("e is %v, want %v + %v", e[i], eBefore[i], change[i])
		}
		moved = moved || z != before[i]
	}
	if any != moved {
		t.Fatalf("says that anything changed: %v, found %v", any, moved)
	}
}

// TestGridErrorLimit: a sum that is given up is beyond the limit, one that is not is whole.
func TestGridErrorLimit(t *testing.T) {
	r := rand.New(rand.NewPCG(53, 54))
	for range 200 {
		w, d, _, _, g := gridCase(r, 3000)
		whole := GridError(w, d, &g, float32(math.Inf(1)))
		limit := whole * r.Float32() * 2
		if got := GridError(w, d, &g, limit); whole < limit && got != whole || whole >= limit && got < limit {
			t.Fatalf("limit %v: %v of %v", limit, got, whole)
		}
	}
}

func TestRangeNotFinite(t *testing.T) {
	for _, tier := range kerneltest.TiersTo(cpu.AVX512) {
		defer cpu.SetTier(cpu.SetTier(tier))
		for n := 1; n < 70; n++ {
			for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
				x := make([]float32, n)
				x[n/2] = float32(bad)
				if least, most := Range(x); least == least || most == most {
					t.Fatalf("%v: %v among %d: %v to %v", tier, bad, n, least, most)
				}
			}
		}
	}
}

func BenchmarkGrid(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	const n = 4096
	w, d, scale, shift, g := gridCase(r, n)
	q, e := make([]int8, n), make([]float32, n)
	sink := float32(0)
	for _, tier := range kerneltest.TiersTo(cpu.AVX512) {
		for _, f := range []struct {
			name string
			fn   func()
		}{
			{"GridError", func() { sink += GridError(w, d, &g, float32(math.Inf(1))) }},
			{"GridRound", func() { GridRound(q, w, &g) }},
			{"GridValues", func() { GridValues(e, q, &g) }},
			{"GridRoundEach", func() { GridRoundEach(q, e, w, scale, shift, &g, 1) }},
			{"Range", func() { a, _ := Range(w); sink += a }},
		} {
			b.Run(fmt.Sprintf("%s/%v", f.name, tier), func(b *testing.B) {
				defer cpu.SetTier(cpu.SetTier(tier))
				for b.Loop() {
					f.fn()
				}
				b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds()/1e9, "Gelem/s")
			})
		}
	}
	_ = sink
}
