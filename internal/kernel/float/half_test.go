package float

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/specquant/specquant/internal/kernel/cpu"
	"github.com/specquant/specquant/internal/kernel/kerneltest"
	"github.com/specquant/specquant/internal/kernel/parallel"
)

func TestF16Exhaustive(t *testing.T) {
	src := make([]uint16, 1<<16)
	for i := range src {
		src[i] = uint16(i)
	}
	kerneltest.FloatTiers(t, func(t *testing.T) {
		dst := make([]float32, len(src))
		F16ToF32(dst, src)
		for i, v := range dst {
			want := kerneltest.F16Value(src[i])
			if math.IsNaN(want) {
				want := uint32(src[i]&0x8000)<<16 | 0x7fc00000 | uint32(src[i]&0x3ff)<<13
				if math.Float32bits(v) != want {
					t.Fatalf("%04x became %08x, want the quiet NaN %08x", i, math.Float32bits(v), want)
				}
			} else if float64(v) != want || math.Signbit(float64(v)) != (i >= 1<<15) {
				t.Fatalf("%04x became %v, want %v", i, v, want)
			}
		}
		back := make([]uint16, len(src))
		F32ToF16(back, dst)
		for i, h := range back {
			if want := src[i]; h != want && !(math.IsNaN(kerneltest.F16Value(want)) && h == want|0x200) {
				t.Fatalf("%04x came back as %04x", want, h)
			}
		}
	})
}

// Between neighbours every float32 goes to the nearer one, and the midpoint to
// the even one.
func TestF32ToF16Rounding(t *testing.T) {
	var src []float32
	var want []uint16
	add := func(f float32, h uint16) {
		src, want = append(src, f, -f), append(want, h, h|0x8000)
	}
	for h := uint16(0); h < 0x7c00; h++ {
		lo, hi := kerneltest.F16Value(h), kerneltest.F16Value(h+1)
		if h == 0x7bff {
			hi = 65536 // where the next value would be
		}
		mid := float32((lo + hi) / 2) // exact
		add(float32(lo), h)
		add(math.Nextafter32(mid, 0), h)
		add(mid, h+h&1)
		add(math.Nextafter32(mid, 1e9), h+1)
	}
	inf := float32(math.Inf(1))
	add(inf, 0x7c00)
	add(math.MaxFloat32, 0x7c00)
	add(65536, 0x7c00)
	add(math.SmallestNonzeroFloat32, 0)
	kerneltest.FloatTiers(t, func(t *testing.T) {
		got := make([]uint16, len(src))
		F32ToF16(got, src)
		rounded := append([]float32(nil), src...)
		RoundF16(rounded)
		for i, f := range src {
			if got[i] != want[i] {
				t.Fatalf("%v (%08x) became %04x, want %04x", f, math.Float32bits(f), got[i], want[i])
			}
			if math.Float32bits(rounded[i]) != math.Float32bits(float32(kerneltest.F16Value(want[i]))) {
				t.Fatalf("RoundF16(%v) = %v, want %v", f, rounded[i], kerneltest.F16Value(want[i]))
			}
		}
	})
}

// Every bfloat16 is widened bit for bit.
func TestBF16(t *testing.T) {
	w := HalfMatrix{nil, BF16, 1, 1 << 16}
	for h := range 1 << 16 {
		w.Data = binary.LittleEndian.AppendUint16(w.Data, uint16(h))
	}
	kerneltest.FloatTiers(t, func(t *testing.T) {
		wide := make([]float32, w.Cols)
		w.Row(wide, 0)
		for h, v := range wide {
			if math.Float32bits(v) != uint32(h)<<16 {
				t.Fatalf("%04x became %08x", h, math.Float32bits(v))
			}
		}
	})
}

// f32ToBF16 rounds to bfloat16, to nearest even; a NaN becomes a quiet NaN.
func f32ToBF16(f float32) uint16 {
	b := math.Float32bits(f)
	if b&0x7fffffff > 0x7f800000 {
		return uint16(b>>16) | 0x40
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}

func TestConversionLengths(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	kerneltest.FloatTiers(t, func(t *testing.T) {
		for n := range 50 {
			x := kerneltest.RandFloats(r, n)
			h, f := make([]uint16, n+1), make([]float32, n+1)
			h[n], f[n] = 99, 99
			F32ToF16(h[:n], x)
			for i, v := range x {
				if h[i] != f32ToF16(v) {
					t.Fatalf("length %d: element %d is wrong", n, i)
				}
			}
			F16ToF32(f[:n], h[:n])
			RoundF16(x)
			kerneltest.SameBits(t, fmt.Sprint("length ", n), f[:n], x)
			if h[n] != 99 || f[n] != 99 {
				t.Fatalf("length %d: wrote beyond the end", n)
			}
		}
	})
}

// halfMatrix makes a random matrix and the same values in float32. The data
// starts at an odd address, as it may in a file.
func halfMatrix(r *rand.Rand, d DType, rows, cols int) (HalfMatrix, []float32) {
	x := kerneltest.RandFloats(r, rows*cols)
	data := make([]byte, 1, 1+len(x)*d.Size())
	for i, v := range x {
		switch d {
		case F16:
			h := f32ToF16(v)
			x[i] = f16ToF32(h)
			data = binary.LittleEndian.AppendUint16(data, h)
		case BF16:
			h := f32ToBF16(v)
			x[i] = math.Float32frombits(uint32(h) << 16)
			data = binary.LittleEndian.AppendUint16(data, h)
		case F32:
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
		}
	}
	return HalfMatrix{data[1:], d, rows, cols}, x
}

// MatMulHalf is MatMulNT of the widened weights, to the bit.
func TestMatMulHalf(t *testing.T) {
	pool := parallel.NewPool(3)
	defer pool.Close()
	r := rand.New(rand.NewPCG(9, 10))
	for _, d := range []DType{F16, BF16, F32} {
		for _, s := range [][3]int{{0, 5, 5}, {1, 0, 5}, {2, 3, 0}, {1, 1, 1}, {1, 16, 16}, {3, 31, 15}, {1, 33, 300}, {5, 40, 257}, {13, 100, 90}, {2, 7, 520}, {30, 64, 64}, {1, 1000, 40}, {1, 50, 528}, {2, 16, 48}, {3, 33, 272}, {4, 70, 512}} {
			tokens, rows, cols := s[0], s[1], s[2]
			w, wide := halfMatrix(r, d, rows, cols)
			x := kerneltest.RandFloats(r, tokens*(cols+1))
			kerneltest.FloatTiers(t, func(t *testing.T) {
				want, y, one := make([]float32, tokens*(rows+1)), make([]float32, tokens*(rows+1)), make([]float32, tokens*(rows+1))
				MatMulNT(pool, want, rows+1, x, cols+1, wide, cols, tokens, rows, cols, false)
				MatMulHalf(pool, y, rows+1, x, cols+1, w, tokens)
				for i := range tokens {
					MatMulHalf(nil, one[i*(rows+1):], rows+1, x[i*(cols+1):], cols+1, w, 1)
				}
				kerneltest.SameBits(t, fmt.Sprint(d, s), y, want)
				kerneltest.SameBits(t, fmt.Sprint(d, s, " token by token"), one, want)
				row := make([]float32, cols)
				for i := range rows {
					w.Row(row, i)
					kerneltest.SameBits(t, fmt.Sprint(d, s, " row ", i), row, wide[i*cols:][:cols])
				}
			})
		}
	}
}

func TestHalfMatrixCheck(t *testing.T) {
	for _, c := range []struct {
		w  HalfMatrix
		ok bool
	}{
		{HalfMatrix{make([]byte, 12), F16, 2, 3}, true},
		{HalfMatrix{make([]byte, 12), F32, 1, 3}, true},
		{HalfMatrix{nil, BF16, 0, 3}, true},
		{HalfMatrix{make([]byte, 11), F16, 2, 3}, false},
		{HalfMatrix{make([]byte, 12), 0, 2, 3}, false},
		{HalfMatrix{make([]byte, 12), 4, 2, 3}, false},
		{HalfMatrix{make([]byte, 12), F16, -2, -3}, false},
		{HalfMatrix{nil, F16, 1 << 62, 1 << 62}, false},
		{HalfMatrix{nil, F16, 1 << 32, 1 << 31}, false},
	} {
		if err := c.w.Check(); (err == nil) != c.ok {
			t.Errorf("%d bytes as %d×%d %v: %v", len(c.w.Data), c.w.Rows, c.w.Cols, c.w.DType, err)
		}
	}
}

func BenchmarkMatMulHalf(b *testing.B) {
	pool := parallel.NewPool(0)
	defer pool.Close()
	r := rand.New(rand.NewPCG(1, 1))
	const rows, cols = 8192, 4096
	x := kerneltest.RandFloats(r, 512*cols)
	y := make([]float32, 512*rows)
	for _, d := range []DType{F16, BF16, F32} {
		w, _ := halfMatrix(r, d, rows, cols)
		for _, tokens := range []int{1, 4, 64} {
			for _, tier := range kerneltest.TiersTo(cpu.AVX512)[1:] {
				b.Run(fmt.Sprintf("%v/%d/%v", d, tokens, tier), func(b *testing.B) {
					defer cpu.SetTier(cpu.SetTier(tier))
					for b.Loop() {
						MatMulHalf(pool, y, rows, x, cols, w, tokens)
					}
					kerneltest.ReportFlops(b, 2*float64(rows)*float64(cols)*float64(tokens))
					b.ReportMetric(float64(len(w.Data))*float64(b.N)/b.Elapsed().Seconds()/1e9, "GB/s")
				})
			}
		}
	}
}
