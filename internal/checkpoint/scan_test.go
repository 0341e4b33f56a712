package checkpoint

import (
	"math"
	"math/rand/v2"
	"testing"
)

// The largest magnitude, read from the bits, is that of the values; what is not finite
// is found wherever it is.
func TestLargestMagnitude(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, d := range []DType{F32, F16, BF16} {
		for n := range 70 {
			v := make([]float32, n)
			for i := range v {
				v[i] = float32(rng.NormFloat64() * math.Exp2(float64(rng.IntN(20)-12)))
			}
			data, err := AppendFloats(nil, d, v)
			if err != nil {
				t.Fatal(err)
			}
			x := Tensor{Name: "w", DType: d, Shape: []int{n}, Data: data, File: "f"}
			if err := x.Float32(v); err != nil { // as they are stored
				t.Fatal(err)
			}
			want := 0.0
			for _, f := range v {
				want = max(want, math.Abs(float64(f)))
			}
			if top, bad := largestMagnitude(d, data); top != want || bad != -1 {
				t.Fatalf("%s, %d values: %v, %d; want %v", d, n, top, bad, want)
			}
			for at := range n {
				for _, f := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
					spoiled := append([]byte(nil), data...)
					size := d.Size()
					bits := math.Float32bits(float32(f))
					switch d {
					case F32:
						copy(spoiled[at*size:], []byte{byte(bits), byte(bits >> 8), byte(bits >> 16), byte(bits >> 24)})
					case BF16:
						copy(spoiled[at*size:], []byte{byte(bits >> 16), byte(bits >> 24)})
					case F16:
						copy(spoiled[at*size:], []byte{byte(bits >> 22 & 1), 0x7c | byte(bits>>24&0x80)})
					}
					if _, bad := largestMagnitude(d, spoiled); bad != at {
						t.Fatalf("%s, %d values, %v at %d: found at %d", d, n, f, at, bad)
					}
				}
			}
		}
	}
}

// Elements are named as the whole tensor counts them, in all its dimensions.
func TestIndexOfElement(t *testing.T) {
	x := Tensor{Name: "w", Shape: []int{4, 2, 3}, File: "f"}
	for i, want := range map[int]string{0: "element 0 [0,0,0]", 5: "element 5 [0,1,2]", 23: "element 23 [3,1,2]"} {
		if got := x.at(i); got != `f: tensor "w": `+want {
			t.Errorf("%d: %s", i, got)
		}
	}
	m := Tensor{Name: "w", DType: F32, Shape: []int{8, 4}, File: "f", Data: make([]byte, 8*4*4)}
	if got := m.Rows(2, 6).Rows(3, 1).at(1); got != `f: tensor "w": element 21 [5,1]` {
		t.Errorf("a row: %s", got)
	}
}

func BenchmarkScan(b *testing.B) {
	for _, d := range []DType{F32, BF16} {
		b.Run(string(d), func(b *testing.B) {
			data := make([]byte, 16<<20)
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				largestMagnitude(d, data)
			}
		})
	}
}
