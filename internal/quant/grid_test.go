package quant

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"pgregory.net/rapid"
)

var zeroKinds = []ZeroKind{ZeroSymmetric, ZeroCentred, ZeroAsymmetric}

func inSequence(n int, fn func(i int)) {
	for i := range n {
		fn(i)
	}
}

func randoms(rng *rand.Rand, n int, scale float64) []float32 {
	w := make([]float32, n)
	for i := range w {
		w[i] = float32(rng.NormFloat64() * scale)
	}
	return w
}

func half(v float32) float32 {
	one := []float32{v}
	float.RoundF16(one)
	return one[0]
}

func mustScales(t rapid.TB, g Grid, w []float32, rows, cols int, clip Clip) Steps {
	t.Helper()
	s, err := g.Scales(w, rows, cols, clip, inSequence)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestGroups(t *testing.T) {
	for _, c := range []struct{ group, cols, want int }{
		{0, 100, 1}, {32, 1, 1}, {32, 32, 1}, {32, 33, 2}, {32, 64, 2}, {128, 100, 1}, {64, 200, 4},
		{math.MaxInt &^ 7, 100, 1}, // must not overflow
	} {
		if got := (Grid{Bits: 4, Group: c.group}).Groups(c.cols); got != c.want {
			t.Errorf("groups of %d in %d columns: %d, want %d", c.group, c.cols, got, c.want)
		}
	}
}

func TestLimits(t *testing.T) {
	for bits, want := range map[int][2]float32{2: {-2, 1}, 3: {-4, 3}, 4: {-8, 7}, 7: {-64, 63}, 8: {-128, 127}} {
		if lo, hi := (Grid{Bits: bits}).Limits(); lo != want[0] || hi != want[1] {
			t.Errorf("%d bits: %v to %v", bits, lo, hi)
		}
	}
}

func TestScales(t *testing.T) {
	for _, c := range []struct {
		name       string
		bits, cols int
		group      int
		w          []float32
		want       []float32 // before rounding to 16 bits
	}{
		{"positive top", 4, 4, 0, []float32{7, -3, 0, 1}, []float32{1}},
		{"negative top", 4, 4, 0, []float32{1, -14, 0, 1}, []float32{2}},
		{"8 bits", 8, 2, 0, []float32{254, -3}, []float32{2}},
		{"zeros", 4, 3, 0, []float32{0, 0, 0}, []float32{1}},
		{"minus zero", 4, 1, 0, []float32{float32(math.Copysign(0, -1))}, []float32{1}},
		{"a zero group", 4, 4, 2, []float32{0, 0, 14, 0}, []float32{1, 2}},
		{"ragged last group", 4, 5, 2, []float32{7, 1, 1, -14, 21}, []float32{1, 2, 3}},
		{"group wider than the row", 4, 3, 8, []float32{7, 1, 1}, []float32{1}},
		{"rounded", 4, 1, 0, []float32{0.1}, []float32{0.1 / 7}},
		{"huge", 4, 2, 0, []float32{7 * 65504, 1e-3}, []float32{65504}},
		{"underflow", 4, 2, 0, []float32{1e-30, 0}, []float32{smallestScale}},
		{"subnormal", 4, 1, 0, []float32{7 * 3 * smallestScale}, []float32{3 * smallestScale}},
	} {
		g := Grid{Bits: c.bits, Group: c.group}
		got := mustScales(t, g, c.w, len(c.w)/c.cols, c.cols, ClipNone)
		want := slices.Clone(c.want)
		float.RoundF16(want)
		if !slices.Equal(got.Scale, want) || got.Zero != nil {
			t.Errorf("%s: %v, want scales %v", c.name, got, want)
		}
	}
}

func TestScalesRefuse(t *testing.T) {
	inf := float32(math.Inf(1))
	for name, v := range map[string]float32{
		"overflow": 7 * 65536, "largest": math.MaxFloat32, "infinite": inf, "minus infinite": -inf, "NaN": float32(math.NaN()),
	} {
		for _, clip := range []Clip{ClipNone, ClipMSE} {
			zero := ZeroSymmetric
			if name == "infinite" || name == "NaN" {
				zero = zeroKinds[len(name)%3]
			}
			w := []float32{1, 2, 3, 4, 5, 6, 7, v}
			if s, err := (Grid{Bits: 4, Group: 2, Zero: zero}).Scales(w, 2, 4, clip, inSequence); err == nil {
				t.Errorf("%s, clip %s: %v, want an error", name, clip, s)
			} else if want := "row 1, group 1"; !strings.Contains(err.Error(), want) {
				t.Errorf("%s, clip %s: error %q lacks %q", name, clip, err, want)
			}
		}
	}
}

// sumSquared is the squared error of RTN with the scales, in float64.
func sumSquared(g Grid, w []float32, scales Steps, rows, cols int) float64 {
	q, d := make([]int8, len(w)), make([]float32, len(w))
	g.RTN(q, w, scales, rows, cols, inSequence)
	g.Dequantize(d, q, scales, rows, cols, inSequence)
	var sum float64
	for i, v := range w {
		e := float64(v) - float64(d[i])
		sum += e * e
	}
	return sum
}

// The clip search includes ratio 1, so it never loses, but for the rounding of
// its float32 sums.
func TestMSEClipNeverLoses(t *testing.T) {
	improved, all := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		g := Grid{Bits: rapid.IntRange(2, 8).Draw(t, "bits"), Group: rapid.SampledFrom([]int{0, 32, 64}).Draw(t, "group"),
			Zero: rapid.SampledFrom(zeroKinds).Draw(t, "zero")}
		rows, cols := rapid.IntRange(1, 3).Draw(t, "rows"), rapid.IntRange(1, 200).Draw(t, "cols")
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		w := randoms(rng, rows*cols, math.Pow(10, rapid.Float64Range(-6, 2).Draw(t, "size"))) // an outlier of 2 bits is below 65504
		if rapid.Bool().Draw(t, "outlier") {
			w[rng.IntN(len(w))] *= 50
		}
		all++
		plain := sumSquared(g, w, mustScales(t, g, w, rows, cols, ClipNone), rows, cols)
		clipped := sumSquared(g, w, mustScales(t, g, w, rows, cols, ClipMSE), rows, cols)
		if clipped > plain*(1+1e-4) {
			t.Fatalf("squared error %g with clipping, %g without", clipped, plain)
		}
		if clipped < plain*0.99 {
			improved++
		}
	})
	if improved < all/5 {
		t.Errorf("clipping helped only %d of %d times", improved, all)
	}
}

// Without an outlier to spare, clipping has nothing to give: one weight that
// is all of the group must stay exact.
func TestMSEClipKeepsExactGrids(t *testing.T) {
	g := Grid{Bits: 4}
	w := []float32{7, -7, 3, 0, 1}
	if s := mustScales(t, g, w, 1, 5, ClipMSE); s.Scale[0] != 1 {
		t.Errorf("scale %v for weights that are on the grid of scale 1", s.Scale[0])
	}
}

func TestRoundHalfToEven(t *testing.T) {
	g := Grid{Bits: 4}
	for w, want := range map[float32]int8{
		0.5: 0, 1.5: 2, 2.5: 2, 3.5: 4, -0.5: 0, -1.5: -2, -2.5: -2, 0.49999997: 0, 0.50000006: 1,
		7.4: 7, 7.5: 7, 100: 7, 1e30: 7, -8: -8, -8.5: -8, -1e30: -8, float32(math.Inf(1)): 7, float32(math.Inf(-1)): -8,
	} {
		if got := g.Round(w, 1, 0); got != want {
			t.Errorf("Round(%v) = %d, want %d", w, got, want)
		}
		if got := g.Round(w/4, 0.25, 0); got != want {
			t.Errorf("Round(%v) on a grid of 1/4 = %d, want %d", w/4, got, want)
		}
	}
}

func TestRoundEvenIsMathRoundToEven(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.Float32Range(-1<<20, 1<<20).Draw(t, "v")
		if rapid.Bool().Draw(t, "tie") {
			v = float32(math.Floor(float64(v))) + 0.5
		}
		if got, want := RoundEven(v), float32(math.RoundToEven(float64(v))); got != want {
			t.Fatalf("RoundEven(%v) = %v, want %v", v, got, want)
		}
	})
}

// What is on the grid stays; what is not moves by half a step at most, unless
// it is outside.
func TestRTN(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 1))
	rapid.Check(t, func(t *rapid.T) {
		g := Grid{Bits: rapid.IntRange(2, 8).Draw(t, "bits"), Group: rapid.SampledFrom([]int{0, 8, 32}).Draw(t, "group"),
			Zero: rapid.SampledFrom(zeroKinds).Draw(t, "zero")}
		rows, cols := rapid.IntRange(1, 4).Draw(t, "rows"), rapid.IntRange(1, 70).Draw(t, "cols")
		w := randoms(rng, rows*cols, 1)
		groups := g.Groups(cols)
		steps := mustScales(t, g, w, rows, cols, Clip(rapid.SampledFrom([]string{"none", "mse"}).Draw(t, "clip")))
		q, d := make([]int8, len(w)), make([]float32, len(w))
		g.RTN(q, w, steps, rows, cols, inSequence)
		g.Dequantize(d, q, steps, rows, cols, inSequence)
		lo, hi := g.Limits()
		for i, v := range w {
			k := i / cols * groups
			if groups > 1 {
				k += i % cols / g.Group
			}
			s, zero := steps.Scale[k], -lo
			if n := len(steps.Zero); n > 0 {
				zero = steps.Zero[min(k, n-1)]
			}
			if float32(q[i]) < lo || float32(q[i]) > hi {
				t.Fatalf("q = %d outside %v…%v", q[i], lo, hi)
			}
			u := float32(q[i]) - lo
			if d[i] != s*(u-zero) {
				t.Fatalf("element %d: dequantized %v, want %v·(%v−%v)", i, d[i], s, u, zero)
			}
			in := min(max(v, -zero*s), (hi-lo-zero)*s)
			if e := math.Abs(float64(in - d[i])); e > float64(s)*0.500001+1e-6 {
				t.Fatalf("element %d: %v became %v, more than half of %v away", i, v, d[i], s)
			}
		}
		again := make([]int8, len(w))
		g.RTN(again, d, steps, rows, cols, inSequence)
		if !slices.Equal(again, q) {
			t.Fatal("values on the grid did not stay")
		}
	})
}

// TestZeros compares with values computed by hand.
func TestZeros(t *testing.T) {
	for _, c := range []struct {
		name  string
		grid  Grid
		w     []float32
		scale []float32
		zero  []float32
		q     []int8
		back  []float32
	}{
		{"2 bits, symmetric", Grid{Bits: 2}, []float32{1, -1, 0.4, -3}, []float32{3}, nil,
			[]int8{0, 0, 0, -1}, []float32{0, 0, 0, -3}},
		{"2 bits, centred", Grid{Bits: 2, Zero: ZeroCentred}, []float32{3, -3, 0.5, -0.9}, []float32{2}, []float32{1.5},
			[]int8{1, -2, 0, -1}, []float32{3, -3, 1, -1}},
		{"4 bits, centred", Grid{Bits: 4, Zero: ZeroCentred}, []float32{-7.5, 2, 0.25, -0.25}, []float32{1}, []float32{7.5},
			[]int8{-8, 2, 0, -1}, []float32{-7.5, 2.5, 0.5, -0.5}},
		{"2 bits, asymmetric", Grid{Bits: 2, Zero: ZeroAsymmetric}, []float32{2, -1, 0, 1}, []float32{1}, []float32{1},
			[]int8{1, -2, -1, 0}, []float32{2, -1, 0, 1}},
		{"4 bits, asymmetric, positive", Grid{Bits: 4, Zero: ZeroAsymmetric}, []float32{30, 4, 2, 7}, []float32{2}, []float32{0},
			[]int8{7, -6, -7, -4}, []float32{30, 4, 2, 8}},
		{"3 bits, asymmetric, negative", Grid{Bits: 3, Zero: ZeroAsymmetric}, []float32{-7, -3, -1.4, -0.4}, []float32{1}, []float32{7},
			[]int8{-4, 0, 2, 3}, []float32{-7, -3, -1, 0}},
		{"asymmetric, zeros and a group", Grid{Bits: 2, Group: 2, Zero: ZeroAsymmetric}, []float32{0, 0, 3, -6}, []float32{1, 3}, []float32{0, 2},
			[]int8{-2, -2, 1, -2}, []float32{0, 0, 3, -6}},
		{"centred zeros", Grid{Bits: 2, Zero: ZeroCentred}, []float32{0}, []float32{ZeroGroupScale}, []float32{1.5},
			[]int8{-2}, nil},
	} {
		steps := mustScales(t, c.grid, c.w, 1, len(c.w), ClipNone)
		if !slices.Equal(steps.Scale, c.scale) || !slices.Equal(steps.Zero, c.zero) {
			t.Errorf("%s: scales %v, zeros %v; want %v, %v", c.name, steps.Scale, steps.Zero, c.scale, c.zero)
			continue
		}
		if c.back == nil {
			continue
		}
		q, back := make([]int8, len(c.w)), make([]float32, len(c.w))
		c.grid.RTN(q, c.w, steps, 1, len(c.w), inSequence)
		c.grid.Dequantize(back, q, steps, 1, len(c.w), inSequence)
		if !slices.Equal(q, c.q) || !slices.Equal(back, c.back) {
			t.Errorf("%s: codes %v, back %v; want %v, %v", c.name, q, back, c.q, c.back)
		}
	}
}

// TestGaussian: on Gaussian weights with the clip search, the relative squared
// error is near the least that a uniform grid of so many levels can have (Max,
// 1960: 0.1188, 0.03744, 0.01154 for 4, 8, 16 levels), and centred beats
// symmetric at few bits.
func TestGaussian(t *testing.T) {
	const rows, cols = 8, 4096
	w := randoms(rand.New(rand.NewPCG(4, 1)), rows*cols, 1)
	var energy float64
	for _, v := range w {
		energy += float64(v) * float64(v)
	}
	for bits, best := range map[int]float64{2: 0.1188, 3: 0.03744, 4: 0.01154} {
		of := func(z ZeroKind) float64 {
			g := Grid{Bits: bits, Zero: z}
			return sumSquared(g, w, mustScales(t, g, w, rows, cols, ClipMSE), rows, cols) / energy
		}
		symmetric, centred, asymmetric := of(ZeroSymmetric), of(ZeroCentred), of(ZeroAsymmetric)
		t.Logf("%d bits: symmetric %.4f, centred %.4f, asymmetric %.4f, best possible %.4f", bits, symmetric, centred, asymmetric, best)
		if centred > best*1.03 || centred < best*0.97 || centred >= symmetric {
			t.Errorf("%d bits: centred %.5f, symmetric %.5f, best possible %.5f", bits, centred, symmetric, best)
		}
	}
}

// TestImportance: columns that count for nothing do not hold the scale up, and
// equal importance is none.
func TestImportance(t *testing.T) {
	g := Grid{Bits: 3}
	w := []float32{8, 0.6, -0.9, 0.3, 0.9, -0.6, 0.3, -0.3}
	d := []float64{0, 1, 1, 1, 1, 1, 1, 1}
	run := func(d []float64) float32 {
		s, err := g.WeightedScales(w, d, 1, len(w), ClipHessian, inSequence)
		if err != nil {
			t.Fatal(err)
		}
		return s.Scale[0]
	}
	plain, weighted := run(nil), run(d)
	if math.Abs(float64(weighted)-0.3) > 0.05 || plain < 1.5 {
		t.Errorf("scale %v with the outlier, %v without; want above 1.5 and about 0.3", plain, weighted)
	}
	if got := run(slices.Repeat([]float64{1e300}, len(w))); got != plain {
		t.Errorf("scale %v with equal importance, %v without", got, plain)
	}
}

// Scales, RTN and Dequantize depend on the weights only.
func TestGridThreads(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 1))
	const rows, cols = 37, 101
	w := randoms(rng, rows*cols, 1)
	g := Grid{Bits: 4, Group: 32}
	want := mustScales(t, g, w, rows, cols, ClipMSE)
	for _, threads := range []int{1, 2, 3} {
		p := parallel.NewPool(threads)
		got, err := g.Scales(w, rows, cols, ClipMSE, p.Run)
		p.Close()
		if err != nil || !slices.Equal(got.Scale, want.Scale) {
			t.Errorf("%d threads: other scales, %v", threads, err)
		}
	}
	for _, s := range want.Scale {
		if s != half(s) {
			t.Fatalf("scale %v is not a 16-bit float", s)
		}
	}
}
