package quant

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// roundTrip quantizes x and gives back what the cache would, with its scale
// and minimum. It checks that the integers stay within Bytes and that Emulate
// agrees.
func roundTrip(t rapid.TB, f KV, x []float32) (back []float32, scale, minimum float32) {
	t.Helper()
	const guard = 0xa5
	packed := slices.Repeat([]byte{guard}, f.Bytes()+64)
	scale, minimum = f.Quantize(packed[:f.Bytes()], x)
	for _, b := range packed[f.Bytes():] {
		if b != guard {
			t.Fatalf("%d bits, %d dimensions: wrote beyond %d bytes", f.Bits, f.HeadDim, f.Bytes())
		}
	}
	back = make([]float32, len(x))
	f.Dequantize(back, packed[:f.Bytes()], scale, minimum)
	same := slices.Clone(x)
	f.Emulate(same, make([]byte, f.Bytes()))
	for i := range same {
		if math.Float32bits(same[i]) != math.Float32bits(back[i]) {
			t.Fatalf("Emulate gives %v, the cache %v", same[i], back[i])
		}
	}
	return back, scale, minimum
}

// checkKV holds the error of a round trip to half a step, beside what rounding
// scale and minimum to 16 bits costs at the ends of the range.
func checkKV(t rapid.TB, f KV, x []float32) {
	t.Helper()
	back, scale, minimum := roundTrip(t, f, x)
	if half(scale) != scale || half(minimum) != minimum || !(scale > 0) {
		t.Fatalf("scale %v and minimum %v: want 16-bit floats, the scale above 0", scale, minimum)
	}
	lo, hi := float64(slices.Min(x)), float64(slices.Max(x))
	top := float64(int(1)<<f.Bits - 1)
	big := max(math.Abs(lo), math.Abs(hi))
	const ulp16, tiny, ulp32 = 1.0 / (1 << 11), 1.0 / (1 << 24), 1.0 / (1 << 22)
	rounding := ulp16*(math.Abs(lo)+hi-lo) + tiny*(top+1) + ulp32*(big+hi-lo)
	for i, v := range x {
		e := math.Abs(float64(v) - float64(back[i]))
		if limit := float64(scale)/2 + rounding; !(e <= limit) {
			t.Fatalf("%d bits: x[%d] = %v came back as %v: error %g, limit %g (scale %v, minimum %v)", f.Bits, i, v, back[i], e, limit, scale, minimum)
		}
	}
	if limit := (hi-lo)/top*(1+3*ulp16) + 3*ulp16*math.Abs(lo)/top + 2*tiny; float64(scale) > limit {
		t.Fatalf("%d bits: scale %v for a range of %g: want at most %g", f.Bits, scale, hi-lo, limit)
	}
}

func TestKVBytes(t *testing.T) {
	for _, c := range []struct{ bits, dim, want int }{{4, 64, 32}, {8, 64, 64}, {4, 2, 1}, {8, 128, 128}} {
		if got := (KV{c.bits, c.dim}).Bytes(); got != c.want {
			t.Errorf("%d bits × %d: %d bytes, want %d", c.bits, c.dim, got, c.want)
		}
	}
}

func TestKVRoundTrip(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 1))
	rapid.Check(t, func(t *rapid.T) {
		f := KV{rapid.SampledFrom([]int{4, 8}).Draw(t, "bits"), rapid.SampledFrom([]int{2, 8, 16, 24, 64, 80, 128, 256}).Draw(t, "dim")}
		size := math.Pow(10, rapid.Float64Range(-7, 3).Draw(t, "size"))
		x := randoms(rng, f.HeadDim, size)
		offset := float32(size * rapid.Float64Range(-20, 20).Draw(t, "offset"))
		for i := range x {
			x[i] += offset
		}
		checkKV(t, f, x)
	})
}

// All integers of the range are used, at the right places.
func TestKVExactGrid(t *testing.T) {
	for _, bits := range []int{4, 8} {
		f := KV{bits, 512}
		x := make([]float32, f.HeadDim)
		for i := range x {
			x[i] = float32(i*7%(1<<bits))*0.25 - 3
		}
		back, scale, minimum := roundTrip(t, f, x)
		if scale != 0.25 || minimum != -3 || !slices.Equal(back, x) {
			t.Errorf("%d bits: scale %v, minimum %v; values on the grid did not stay", bits, scale, minimum)
		}
	}
}

func TestKVSpecialVectors(t *testing.T) {
	fill := func(v ...float32) []float32 { return slices.Repeat(v, 64/len(v)) }
	for name, x := range map[string][]float32{
		"zeros":             fill(0),
		"ones":              fill(1),
		"constant":          fill(0.1),
		"negative constant": fill(-1234.567),
		"large constant":    fill(65504),
		"tiny constant":     fill(1e-12),
		"subnormal":         fill(1e-42, -1e-42),
		"full range":        fill(-65504, 65504),
		"one outlier":       append(fill(0.001)[:63], 1000),
		"positive":          fill(1, 2, 3, 4),
		"negative":          fill(-4, -3.3, -2, -1),
		"smallest scale":    fill(0, smallestScale),
	} {
		for _, bits := range []int{4, 8} {
			t.Run(name, func(t *testing.T) { checkKV(t, KV{bits, 64}, x) })
		}
	}
}

// TestKVHuge: values beyond the 16-bit range are clamped, not lost.
func TestKVHuge(t *testing.T) {
	for _, bits := range KVBits[:2] {
		f := KV{Bits: bits, HeadDim: 4}
		x := []float32{-1e9, 1e9, 0, 5}
		f.Emulate(x, make([]byte, f.Bytes()))
		for i, v := range x {
			if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
				t.Errorf("%d bits: value %d is %v", bits, i, v)
			}
		}
	}
}
