package checkpoint

import (
	"encoding/binary"
	"math"
	"testing"
)

// halfValue is IEEE 754 binary16 by its definition.
func halfValue(h uint16) float64 {
	sign := 1 - 2*float64(h>>15)
	e, m := int(h>>10&31), float64(h&1023)
	switch e {
	case 0:
		return sign * math.Ldexp(m, -24)
	case 31:
		if m == 0 {
			return math.Inf(int(sign))
		}
		return math.NaN()
	}
	return sign * math.Ldexp(1024+m, e-25)
}

// All 65536 patterns of both 16-bit types convert exactly, there and back.
func TestFloat16Exhaustive(t *testing.T) {
	for _, d := range []DType{F16, BF16} {
		for h := range 1 << 16 {
			want := halfValue(uint16(h))
			if d == BF16 {
				want = float64(math.Float32frombits(uint32(h) << 16))
			}
			x := Tensor{Name: "w", DType: d, Shape: []int{1}, File: "f", Data: []byte{byte(h), byte(h >> 8)}}
			var got [1]float32
			err := x.Float32(got[:])
			if math.IsNaN(want) || math.IsInf(want, 0) {
				wantErr(t, err, ErrNotFinite, "element 0 [0]")
				if v := x.value(0); math.IsNaN(want) != math.IsNaN(v) || (!math.IsNaN(v) && v != want) {
					t.Fatalf("%s %#04x: value %v, expected %v", d, h, v, want)
				}
				continue
			}
			if err != nil || float64(got[0]) != want || math.Signbit(float64(got[0])) != math.Signbit(want) {
				t.Fatalf("%s %#04x: found %v (%v), expected %v", d, h, got[0], err, want)
			}
			back, err := AppendFloats(nil, d, got[:])
			if err != nil || binary.LittleEndian.Uint16(back) != uint16(h) {
				t.Fatalf("%s %#04x: written back as %x (%v)", d, h, back, err)
			}
		}
	}
}

// Between two neighbours the nearer is written, and the even one at the middle.
func TestFloat16Rounding(t *testing.T) {
	for h := uint16(0); h < 0x7bff; h++ {
		lo, hi := halfValue(h), halfValue(h+1)
		even := h + h&1
		mid := (lo + hi) / 2 // exact in float32
		for _, c := range []struct {
			v    float32
			want uint16
		}{
			{float32(mid), even},
			{math.Nextafter32(float32(mid), float32(math.Inf(-1))), h},
			{math.Nextafter32(float32(mid), float32(math.Inf(1))), h + 1},
		} {
			if got := float16Bits(c.v); got != c.want {
				t.Fatalf("%v: found %#04x, expected %#04x", c.v, got, c.want)
			}
		}
	}
	bf := func(v float32) uint16 { return binary.LittleEndian.Uint16(floats(t, BF16, v)) }
	if bf(math.Float32frombits(0x3f808000)) != 0x3f80 || bf(math.Float32frombits(0x3f818000)) != 0x3f82 ||
		bf(math.Float32frombits(0x3f808001)) != 0x3f81 {
		t.Error("BF16 does not round to nearest even")
	}
}

func TestFloat32Errors(t *testing.T) {
	data := floats(t, F32, 1, 2, 3, 4, 5, 6)
	binary.LittleEndian.PutUint32(data[4*4:], math.Float32bits(float32(math.Inf(-1))))
	x := Tensor{Name: "w", DType: F32, Shape: []int{2, 3}, Data: data, File: "m.safetensors"}
	wantErr(t, x.Float32(make([]float32, 6)), ErrNotFinite, "m.safetensors", `"w"`, "element 4 [1,1]", "-Inf")
	binary.LittleEndian.PutUint32(data[4*2:], 0x7fc00000)
	wantErr(t, x.Float32(make([]float32, 6)), ErrNotFinite, "element 2 [0,2]", "NaN")
	wantErr(t, x.Float32(make([]float32, 5)), nil, "6 elements", "destination has 5")
	x.DType, x.Data = I32, data
	wantErr(t, x.Float32(make([]float32, 6)), ErrUnsupported, "I32", `"w"`)
	x = Tensor{Name: "d", DType: F64, Shape: []int{1}, Data: binary.LittleEndian.AppendUint64(nil, math.Float64bits(1e300)), File: "f"}
	wantErr(t, x.Float32(make([]float32, 1)), ErrNotFinite, "1e+300")

	_, err := AppendFloats(nil, F16, []float32{1, 65520})
	wantErr(t, err, ErrNotFinite, "element 1", "65520")
	_, err = AppendFloats(nil, BF16, []float32{math.MaxFloat32})
	wantErr(t, err, ErrNotFinite, "BF16")
	_, err = AppendFloats(nil, U8, []float32{1})
	wantErr(t, err, ErrUnsupported, "U8")
}

func BenchmarkFloat32(b *testing.B) {
	const n = 1 << 20
	for _, d := range []DType{F32, F16, BF16} {
		b.Run(string(d), func(b *testing.B) {
			x := Tensor{Name: "w", DType: d, Shape: []int{n}, Data: make([]byte, n*d.Size())}
			dst := make([]float32, n)
			b.SetBytes(int64(len(x.Data)))
			for b.Loop() {
				if err := x.Float32(dst); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds()/1e6, "Melem/s")
		})
	}
}
