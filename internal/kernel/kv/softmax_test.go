package kv

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/specquant/specquant/internal/kernel/cpu"
	"github.com/specquant/specquant/internal/kernel/kerneltest"
	"github.com/specquant/specquant/internal/kernel/shape"
)

// TestFMA32 compares with exact arithmetic, where the sum is near the middle of two float32s and
// elsewhere.
func TestFMA32(t *testing.T) {
	r := rand.New(rand.NewPCG(81, 82))
	exact := func(x, y, z float32) float32 {
		f := func(v float32) *big.Float { return new(big.Float).SetPrec(1000).SetFloat64(float64(v)) }
		sum := f(x)
		sum.Mul(sum, f(y)).Add(sum, f(z))
		v, _ := sum.Float32()
		return v
	}
	check := func(x, y, z float32) {
		t.Helper()
		// The sign of a sum that is 0 is not compared.
		if got, want := fma32(x, y, z), exact(x, y, z); got != want {
			t.Fatalf("%g·%g+%g: %x, want %x", x, y, z, got, want)
		}
	}
	bits := func() float32 { // of any size, subnormal ones too
		for {
			if v := math.Float32frombits(r.Uint32()); v-v == 0 {
				return v
			}
		}
	}
	for range 100000 {
		check(bits(), bits(), bits())
		x, y, z := float32(r.NormFloat64()), float32(r.NormFloat64()), float32(r.NormFloat64())
		check(x, y, z)
		check(x, y, z*0x1p-30)
		check(x, y, z*0x1p30)
		check(x, y, -x*y)
		// z plus half of its last bit, and a little more or less.
		z = math.Float32frombits(0x3f800000 | r.Uint32()&0x7fffff)
		half := float32(0x1p-24)
		check(half, 1, z)
		check(half, 1+0x1p-23, z)
		check(half, 1-0x1p-24, z)
		check(half*(1+0x1p-23), 1-0x1p-23, z) // less by 2⁻⁷⁰
		check(half*(1+0x1p-23), 1-0x1p-23, -z)
		check(0x1p-126*x, y*0x1p-20, z*0x1p-149) // subnormal
	}
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, c := range [][4]float32{{inf, 1, 1, inf}, {inf, -1, 5, -inf}, {2, 3, inf, inf}, {2, 3, -inf, -inf}, {math.MaxFloat32, 2, 0, inf}, {math.MaxFloat32, 2, -math.MaxFloat32, math.MaxFloat32}} {
		if got := fma32(c[0], c[1], c[2]); got != c[3] {
			t.Errorf("%v·%v+%v: %v, want %v", c[0], c[1], c[2], got, c[3])
		}
	}
	for _, c := range [][3]float32{{nan, 1, 1}, {1, nan, 1}, {1, 1, nan}, {inf, 0, 1}, {inf, 1, -inf}} {
		if got := fma32(c[0], c[1], c[2]); got == got {
			t.Errorf("%v·%v+%v: %v, want NaN", c[0], c[1], c[2], got)
		}
	}
}

// TestExp2 holds the exponential to the error that softmax.go states.
func TestExp2(t *testing.T) {
	if kvExp2(0, 1) != 1 || kvExp2(3, 1) != 0.125 || kvExp2(64, 1) != 0x1p-64 {
		t.Error("powers of two are not exact")
	}
	worst := 0.0
	for i := range 1 << 20 {
		distance := float32(i) * (64.0 / (1 << 20))
		want := math.Exp2(-float64(distance))
		worst = max(worst, math.Abs(float64(kvExp2(distance, 1))-want)/want)
	}
	if t.Logf("largest relative error %.3g", worst); worst > 2.95e-6 {
		t.Errorf("relative error %g", worst)
	}
	if v := kvExp2(float32(math.NaN()), 1); v == v {
		t.Errorf("%v of NaN", v)
	}
}

// softmaxRow is a row of whole blocks of which a query sees positions from…to-1.
type softmaxRow struct {
	s        []float32 // -Inf where it sees nothing
	from, to int
	scale    float32
	vs, vm   []float32
}

// newSoftmaxRow is a row with scores of the given spread; the scales and minima of values that the
// query doesn't see are NaN.
func newSoftmaxRow(r *rand.Rand, from, to int, spread float32) softmaxRow {
	n, nan := shape.RoundUp(to, kvIntBlock), float32(math.NaN())
	row := softmaxRow{make([]float32, n), from, to, 0.3, make([]float32, n), make([]float32, n)}
	for i := range row.s {
		if row.vs[i], row.vm[i] = nan, nan; i < from || i >= to {
			row.s[i] = float32(math.Inf(-1))
			continue
		}
		row.s[i] = spread * float32(r.NormFloat64())
		row.vs[i], row.vm[i] = float32(r.Float64())/100, float32(r.NormFloat64())
	}
	return row
}

// weights computes the row: integers (as 16 bits), steps and base.
func (row softmaxRow) weights() (v []int, step []float32, base float32) {
	n := len(row.s)
	dst, step := make([]byte, 2*n), make([]float32, n/kvIntBlock)
	base = kvSoftmax(dst, step, slices.Clone(row.s), row.scale, row.vs, row.vm)
	for i := range n {
		if kvIntPlanes() {
			at := 2*(i&^(kvIntBlock-1)) + i%kvIntBlock
			v = append(v, int(dst[at])<<7+int(dst[at+kvIntBlock]))
		} else {
			v = append(v, int(dst[2*i])+int(dst[2*i+1])<<8)
		}
	}
	return v, step, base
}

// TestKVSoftmax: all tiers give the bits of the definition, on rows of all lengths and beginnings.
// The result has the accuracy of its integers.
func TestKVSoftmax(t *testing.T) {
	r := rand.New(rand.NewPCG(83, 84))
	inf := float32(math.Inf(1))
	var rows []softmaxRow
	for to := 1; to <= 200; to++ {
		rows = append(rows, newSoftmaxRow(r, 0, to, 1), newSoftmaxRow(r, 0, to, 30), newSoftmaxRow(r, r.IntN(min(to, 64)), to, 10))
		row := newSoftmaxRow(r, 0, to, 0) // equal scores
		rows = append(rows, row)
		row = newSoftmaxRow(r, 0, to, 5)
		row.s[r.IntN(to)] = -inf
		row.s[r.IntN(to)] = -math.MaxFloat32
		row.s[r.IntN(to)] = -1e30
		row.s[r.IntN(to)] = 3 // so that one is left
		rows = append(rows, row)
		row = newSoftmaxRow(r, 0, to, 5)
		row.s[r.IntN(to)] = 1e4
		row.s[r.IntN(to)] = 1e4 - 64/.3*math.Ln2 // about where weights end
		row.s[r.IntN(to)] = 1e4 - 63/.3*math.Ln2
		rows = append(rows, row)
		row = newSoftmaxRow(r, 0, to, 5)
		for i := range row.vs[:min(64, to)] {
			row.vs[i] = 0 // a block without weights
		}
		row.vs[to-1] = 0x1p-24
		rows = append(rows, row)
		for _, scale := range []float32{0, 0x1p-149, 1e-30, 1e30, 1e38} {
			row = newSoftmaxRow(r, 0, to, 5)
			row.scale = scale
			rows = append(rows, row)
		}
		row = newSoftmaxRow(r, 0, to, 3e37)
		rows = append(rows, row)
	}
	rows = append(rows, newSoftmaxRow(r, 0, 5000, 5), newSoftmaxRow(r, 63, 4097, 20))
	for i, row := range rows {
		name := fmt.Sprintf("row %d: positions %d…%d, scale %g", i, row.from, row.to-1, row.scale)
		var v []int
		var step []float32
		var base float32
		kerneltest.AllTiers(t, func(t *testing.T) {
			gotV, gotStep, gotBase := row.weights()
			if v == nil { // the definition
				v, step, base = gotV, gotStep, gotBase
				return
			}
			if !slices.Equal(gotV, v) {
				t.Fatalf("%s: integers\n%v, want\n%v", name, gotV, v)
			}
			kerneltest.SameBits(t, name, append(gotStep, gotBase), append(slices.Clone(step), base))
		})
		row.compare(t, name, v, step, base)
	}
}

// compare holds weights and the base against the softmax in float64.
func (row softmaxRow) compare(t *testing.T, name string, v []int, step []float32, base float32) {
	t.Helper()
	a := float64(row.scale)
	top, sum := math.Inf(-1), 0.0
	for _, s := range row.s {
		top = max(top, float64(s))
	}
	e, w := make([]float64, len(row.s)), make([]float64, len(row.s))
	most := make([]float64, len(step))
	for i := row.from; i < row.to; i++ {
		e[i] = math.Exp(a * (float64(row.s[i]) - top))
		sum += e[i]
		w[i] = e[i] * float64(row.vs[i])
		most[i/kvIntBlock] = max(most[i/kvIntBlock], w[i])
	}
	var want, size float64
	for i := range row.s {
		if i < row.from || i >= row.to {
			if v[i] != 0 {
				t.Fatalf("%s: weight %d at %d, which it does not see", name, v[i], i)
			}
			continue
		}
		want += e[i] / sum * float64(row.vm[i])
		size += e[i] / sum * math.Abs(float64(row.vm[i]))
		top := most[i/kvIntBlock]
		got, w := float64(step[i/kvIntBlock])*float64(v[i]), w[i]/sum
		if d := math.Abs(got - w); !(d <= top/sum*(0.5/kvIntTop+1e-5)+1e-19) {
			t.Fatalf("%s: weight at %d is %g, want %g", name, i, got, w)
		}
	}
	if d := math.Abs(float64(base) - want); !(d <= 1e-5*size) {
		t.Fatalf("%s: base %g, want %g, error %g of %g", name, base, want, d, size)
	}
}

// TestKVSoftmaxNaN: a row with a NaN, or without a finite largest score, has a base that is NaN.
func TestKVSoftmaxNaN(t *testing.T) {
	r := rand.New(rand.NewPCG(85, 86))
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, n := range []int{1, 2, 15, 16, 17, 63, 64, 65, 128, 130, 300} {
		for _, bad := range []float32{nan, -nan, math.Float32frombits(0x7fc02000), math.Float32frombits(0xffffe000), inf} {
			for at := range n {
				row := newSoftmaxRow(r, 0, n, 5)
				row.s[at] = bad
				kerneltest.AllTiers(t, func(t *testing.T) {
					if _, _, base := row.weights(); base == base {
						t.Fatalf("%v at %d of %d: base %v", bad, at, n, base)
					}
				})
			}
		}
		for _, scale := range []float32{nan, inf} {
			row := newSoftmaxRow(r, 0, n, 5)
			row.scale = scale
			low := newSoftmaxRow(r, 0, n, 5)
			for i := range low.s {
				low.s[i] = -inf
			}
			kerneltest.AllTiers(t, func(t *testing.T) {
				for _, row := range []softmaxRow{row, low} {
					if _, _, base := row.weights(); base == base {
						t.Fatalf("%d scores, scale %v: base %v", n, row.scale, base)
					}
				}
			})
		}
	}
}

// TestAttendNegativeScale: that of negated queries.
func TestAttendNegativeScale(t *testing.T) {
	r := rand.New(rand.NewPCG(87, 88))
	for _, bits := range []int{4, 8} {
		m := newKVModel(r, bits, 1, 16, 150)
		q := kerneltest.RandFloats(r, 2*16)
		negated := make([]float32, len(q))
		for i, v := range q {
			negated[i] = -v
		}
		kerneltest.AllTiers(t, func(t *testing.T) {
			var s Scratch
			got, want := make([]float32, len(q)), make([]float32, len(q))
			m.Attend(&s, got, q, len(q), 0, 2, 149, 1, 70, -0.7)
			m.Attend(&s, want, negated, len(q), 0, 2, 149, 1, 70, 0.7)
			kerneltest.SameBits(t, fmt.Sprint(bits, " bits"), got, want)
		})
	}
}

// TestAttendNaN: a NaN in a query, or in a key that it sees, makes its result NaN, and no other.
func TestAttendNaN(t *testing.T) {
	r := rand.New(rand.NewPCG(89, 90))
	for _, bits := range []int{4, 8} {
		for _, softCap := range []float32{0, 5} {
			m := newKVModel(r, bits, 1, 16, 150)
			m.SoftCap = softCap
			m.km[140] = 0x7e01
			q := kerneltest.RandFloats(r, 12*16)
			q[3*16+5] = math.Float32frombits(0x7fffffff) // a NaN with all bits that it may have
			kerneltest.AllTiers(t, func(t *testing.T) {
				var s Scratch
				out := make([]float32, len(q))
				m.Attend(&s, out, q, 2*16, 0, 2, 137, 6, 70, 0.7)
				for i, v := range out {
					position := 137 + i/32
					if bad := position >= 140 || i/16 == 3; bad != (v != v) {
						t.Fatalf("%d bits: %v of position %d, head %d", bits, v, position, i/16%2)
					}
				}
			})
		}
	}
}

// BenchmarkSoftmax makes weights of rows of scores that end within the same 16 positions, as a job
// of attention does.
func BenchmarkSoftmax(b *testing.B) {
	r := rand.New(rand.NewPCG(67, 68))
	for _, n := range []int{64, 256, 512, 8192} {
		rows := max(1, 6144/n)
		x, y := kerneltest.RandFloats(r, rows*n), make([]float32, rows*n)
		dst, step := make([]byte, 2*rows*n), make([]float32, rows*n/kvIntBlock)
		row := newSoftmaxRow(r, 0, n, 1)
		for _, tier := range cpu.Tiers() {
			b.Run(fmt.Sprint(n, "/", tier), func(b *testing.B) {
				defer cpu.SetTier(cpu.SetTier(tier))
				for b.Loop() {
					copy(y, x)
					for i := range rows {
						copy(y[(i+1)*n-i%16:(i+1)*n], kvUnseen[:])
					}
					for i := range rows {
						kvSoftmax(dst[2*i*n:], step[i*n/kvIntBlock:][:n/kvIntBlock], y[i*n:][:n], 1, row.vs, row.vm)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*rows*n), "ns/score")
			})
		}
	}
}
