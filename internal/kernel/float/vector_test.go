package float

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/specquant/specquant/internal/kernel/cpu"
	"github.com/specquant/specquant/internal/kernel/kerneltest"
)

func TestVectors(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	for n := range 300 {
		a, b, c := kerneltest.RandFloats(r, n), kerneltest.RandFloats(r, n), float32(r.NormFloat64())
		h := make([]uint16, n)
		F32ToF16(h, b)
		type results struct {
			squares    float64
			axpy, half []float32
		}
		var asm *results
		kerneltest.FloatTiers(t, func(t *testing.T) {
			got := results{squares: SumSquares(a),
				axpy: append([]float32{}, a...), half: append([]float32{}, a...)}
			Axpy(got.axpy, c, b)
			AxpyF16(got.half, c, h)
			var squares float64
			for i := range a {
				squares += float64(a[i]) * float64(a[i])
				if want := float64(a[i]) + float64(c)*float64(b[i]); !(math.Abs(float64(got.axpy[i])-want) <= 3e-7*(math.Abs(want)+1)) {
					t.Fatalf("Axpy of %d: element %d is %v, want %v", n, i, got.axpy[i], want)
				}
				if want := float64(a[i]) + float64(c)*kerneltest.F16Value(h[i]); !(math.Abs(float64(got.half[i])-want) <= 3e-7*(math.Abs(want)+1)) {
					t.Fatalf("AxpyF16 of %d: element %d is %v, want %v", n, i, got.half[i], want)
				}
			}
			if !(math.Abs(got.squares-squares) <= 1e-14*squares) {
				t.Fatalf("SumSquares of %d is %v, want %v", n, got.squares, squares)
			}
			if cpu.Active() > cpu.Portable {
				if asm == nil {
					asm = &got
				}
				if got.squares != asm.squares {
					t.Fatalf("sums of %d differ from the lowest tier with assembly", n)
				}
				kerneltest.SameBits(t, fmt.Sprint("Axpy of ", n), got.axpy, asm.axpy)
				kerneltest.SameBits(t, fmt.Sprint("AxpyF16 of ", n), got.half, asm.half)
			}
		})
	}
}

// What one token runs through must not allocate.
func TestNoAllocation(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 16))
	w, _ := halfMatrix(r, F16, 64, 64)
	x, y := kerneltest.RandFloats(r, 64), make([]float32, 100)
	kerneltest.FloatTiers(t, func(t *testing.T) {
		if cpu.Active() == cpu.Portable {
			t.Skip("the portable tier converts through a buffer")
		}
		for name, fn := range map[string]func(){
			"MatMulHalf": func() { MatMulHalf(nil, y, 64, x, 64, w, 1) },
			"MatMulNT":   func() { MatMulNT(nil, y, 7, x, 7, x, 7, 1, 7, 7, false) },
		} {
			if n := testing.AllocsPerRun(50, fn); n > 2 {
				t.Errorf("%s allocates %v times", name, n)
			}
		}
	})
}

func BenchmarkVectors(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	const n = 4096
	x, y, h := kerneltest.RandFloats(r, n), kerneltest.RandFloats(r, n), make([]uint16, n)
	sink := float32(0)
	for _, tier := range kerneltest.TiersTo(cpu.AVX512) {
		for _, f := range []struct {
			name string
			fn   func()
		}{
			{"SumSquares", func() { sink += float32(SumSquares(x)) }},
			{"Axpy", func() { Axpy(y, 1e-9, x) }},
			{"AxpyF16", func() { AxpyF16(y, 1e-9, h) }},
			{"F32ToF16", func() { F32ToF16(h, x) }},
			{"F16ToF32", func() { F16ToF32(x, h) }},
			{"RoundF16", func() { RoundF16(x) }},
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

func TestFinite(t *testing.T) {
	kerneltest.FloatTiers(t, func(t *testing.T) {
		for n := range 70 {
			x := make([]float32, n)
			for i := range x {
				x[i] = math.MaxFloat32
			}
			if !Finite(x) {
				t.Fatalf("%d large numbers are not finite", n)
			}
			for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
				for i := range x {
					x[i] = float32(bad)
					if Finite(x) {
						t.Fatalf("%v is finite at %d of %d", bad, i, n)
					}
					x[i] = -1
				}
			}
		}
	})
}
