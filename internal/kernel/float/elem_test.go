package float

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/specquant/specquant/internal/kernel/cpu"
	"github.com/specquant/specquant/internal/kernel/kerneltest"
	"github.com/specquant/specquant/internal/kernel/parallel"
)

// relative is the relative error of got; both not finite and alike is 0.
func relative(got float32, want float64) float64 {
	if float64(got) == want || math.IsNaN(want) && got != got {
		return 0
	}
	return math.Abs(float64(got)-want) / math.Abs(want)
}

func TestExp(t *testing.T) {
	var x []float32
	for v := float32(-87.3299); v < 88.7228; v += 0.00037 {
		x = append(x, v)
	}
	for i := -160; i < 7; i++ { // near 0, both signs
		x = append(x, float32(math.Ldexp(1.37, i)), -float32(math.Ldexp(0.73, i)))
	}
	for n := -126; n < 128; n++ { // around the steps of the integer part
		x = append(x, float32((float64(n)+0.5)*math.Ln2), float32(float64(n)*math.Ln2))
	}
	special := []float32{0, float32(math.Copysign(0, -1)), -87.33, -87.34, -88, -100, -104, -1e30, float32(math.Inf(-1)),
		88.7228, 88.73, 1e10, float32(math.Inf(1)), float32(math.NaN()), math.Float32frombits(0x7fc00123), math.Float32frombits(0xffc0ffff)}
	x = append(x, special...)
	var portable []float32
	kerneltest.FloatTiers(t, func(t *testing.T) {
		got := append([]float32{}, x...)
		Exp(got)
		worst := 0.0
		for i, v := range x {
			want := math.Exp(float64(v))
			switch {
			case v < expLowest:
				want = 0
			case v > expHighest:
				want = math.Inf(1)
			}
			e := relative(got[i], want)
			worst = max(worst, e)
			if !(e <= 1.2e-7) {
				t.Fatalf("exp(%v) is %v, want %v: error %.2g", v, got[i], want, e)
			}
		}
		t.Logf("largest relative error %.3g", worst)
		if cpu.Active() == cpu.Portable {
			portable = got
			return
		}
		for i := range got {
			if got[i] != portable[i] && got[i] == got[i] {
				t.Fatalf("exp(%v) is %v, portable %v", x[i], got[i], portable[i])
			}
		}
		for n := range 40 { // any length and place
			for _, v := range special {
				y := make([]float32, n)
				for i := range y {
					y[i] = v
				}
				Exp(y)
				for i := range y {
					if w := exp32(v); y[i] != w && w == w || w != w && y[i] == y[i] {
						t.Fatalf("exp(%v) is %v at place %d of %d", v, y[i], i, n)
					}
				}
			}
		}
	})
}

// elemLengths are short ones, all tails of a block, and some long ones.
func elemLengths() []int {
	var n []int
	for i := range 70 {
		n = append(n, i)
	}
	return append(n, 255, 256, 257, 1000, 4096, 8191)
}

func TestSoftmax(t *testing.T) {
	r := rand.New(rand.NewPCG(31, 32))
	for _, n := range elemLengths() {
		for _, scale := range []float32{0.125, 1, 30, -2, 0} {
			x := kerneltest.RandFloats(r, n)
			for i := range x {
				x[i] = x[i]*3 + 40
			}
			var portable []float32
			kerneltest.FloatTiers(t, func(t *testing.T) {
				got := append([]float32{}, x...)
				Softmax(got, scale)
				top, sum := math.Inf(-1), 0.0
				for _, v := range x {
					top = max(top, float64(scale*v))
				}
				for _, v := range x {
					sum += math.Exp(float64(scale*v) - top)
				}
				for i, v := range x {
					want := math.Exp(float64(scale*v)-top) / sum
					if !(math.Abs(float64(got[i])-want) <= 4e-7*want+3e-38) {
						t.Fatalf("n %d scale %v: element %d is %v, want %v", n, scale, i, got[i], want)
					}
					if got[i] != 0 && got[i] < leastFloat {
						t.Fatalf("n %d: element %d is subnormal", n, i)
					}
				}
				if portable == nil {
					portable = got
				}
				kerneltest.SameBits(t, fmt.Sprint("Softmax of ", n), got, portable)
			})
		}
	}
	kerneltest.FloatTiers(t, func(t *testing.T) {
		inf := float32(math.Inf(1))
		for n := 1; n < 40; n++ {
			x := make([]float32, n)
			for i := range x {
				x[i] = -inf
			}
			x[n-1] = -7
			Softmax(x, 1)
			for i := range x {
				if want := map[bool]float32{true: 1}[i == n-1]; x[i] != want {
					t.Fatalf("n %d: one finite element: element %d is %v", n, i, x[i])
				}
			}
			for _, bad := range []float32{float32(math.NaN()), inf} {
				for at := range n {
					x := make([]float32, n)
					x[at] = bad
					Softmax(x, 1)
					for i := range x {
						if x[i] == x[i] {
							t.Fatalf("n %d: %v at %d: element %d is %v, want NaN", n, bad, at, i, x[i])
						}
					}
				}
			}
		}
	})
}

func TestElementwise(t *testing.T) {
	r := rand.New(rand.NewPCG(33, 34))
	for _, n := range elemLengths() {
		x, y, w := kerneltest.RandFloats(r, n), kerneltest.RandFloats(r, n), kerneltest.RandFloats(r, n)
		for i := range x {
			x[i] *= 20
		}
		if n > 3 {
			x[0], x[1], x[2] = 200, -200, 0
		}
		cos, sin := kerneltest.RandFloats(r, n/2), kerneltest.RandFloats(r, n/2)
		head := x[:n/2*2]
		var portable [5][]float32
		kerneltest.FloatTiers(t, func(t *testing.T) {
			clone := func() []float32 { return append([]float32{}, x...) }
			got := [5][]float32{clone(), clone(), clone(), clone(), append([]float32{}, head...)}
			SwiGLU(got[0], y)
			AddTo(got[1], y)
			RMSNorm(got[2], x, w, 1e-5)
			RMSNorm(got[3], got[3], w, 1e-5)
			Rope(got[4], cos, sin)
			var squares float64
			for _, v := range x {
				squares += float64(v) * float64(v)
			}
			for i, v := range x {
				g := float64(v)
				want := [3]float64{g / (1 + math.Exp(-g)) * float64(y[i]), float64(v + y[i]),
					g / math.Sqrt(squares/float64(n)+1e-5) * float64(w[i])}
				for k, tol := range [3]float64{4e-7, 0, 2.5e-7} {
					if d := math.Abs(float64(got[k][i]) - want[k]); !(d <= tol*math.Abs(want[k])+1e-35) {
						t.Fatalf("n %d, operation %d: element %d is %v, want %v", n, k, i, got[k][i], want[k])
					}
				}
			}
			kerneltest.SameBits(t, "RMSNorm in place", got[3], got[2])
			for i := range cos {
				a, b, c, s := float64(head[i]), float64(head[i+n/2]), float64(cos[i]), float64(sin[i])
				tol := 2e-7 * (math.Abs(a) + math.Abs(b)) * (math.Abs(c) + math.Abs(s))
				if lo, hi := float64(got[4][i]), float64(got[4][i+n/2]); !(math.Abs(lo-(a*c-b*s)) <= tol && math.Abs(hi-(b*c+a*s)) <= tol) {
					t.Fatalf("Rope of %d: pair %d is %v, %v", n, i, lo, hi)
				}
			}
			if cpu.Active() == cpu.Portable {
				portable = got
			}
			for k := range got {
				kerneltest.SameBits(t, fmt.Sprintf("operation %d on %d", k, n), got[k], portable[k])
			}
		})
	}
}

// The pool forms must have the bits of the plain ones.
func TestElementwisePool(t *testing.T) {
	r := rand.New(rand.NewPCG(35, 36))
	pool := parallel.NewPool(3)
	defer pool.Close()
	const tokens, width = 37, 1504
	x, y, w := kerneltest.RandFloats(r, tokens*width), kerneltest.RandFloats(r, tokens*width), kerneltest.RandFloats(r, width)
	a, b := append([]float32{}, x...), append([]float32{}, x...)
	SwiGLU(a, y)
	SwiGLUOn(pool, b, y)
	kerneltest.SameBits(t, "SwiGLU", b, a)
	AddTo(a, y)
	AddToOn(pool, b, y)
	kerneltest.SameBits(t, "AddTo", b, a)
	for i := range tokens {
		RMSNorm(a[i*width:][:width], x[i*width:][:width], w, 1e-6)
	}
	RMSNormOn(pool, b, x, w, 1e-6, tokens)
	kerneltest.SameBits(t, "RMSNorm", b, a)
	RMSNormOn(pool, nil, nil, nil, 1e-6, 3)
	copy(a, b)
	for t := range tokens {
		AddTo(a[t*len(w):][:len(w)], w)
	}
	AddEachOn(pool, b, w, tokens)
	kerneltest.SameBits(t, "a row added to each", b, a)
	AddEachOn(pool, nil, nil, 3)
}

func BenchmarkElementwise(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	const n = 1024
	x, y, w := kerneltest.RandFloats(r, n), kerneltest.RandFloats(r, n), make([]float32, n)
	cos, sin := kerneltest.RandFloats(r, n/2), kerneltest.RandFloats(r, n/2)
	for _, tier := range kerneltest.TiersTo(cpu.AVX512) {
		for _, f := range []struct {
			name string
			fn   func()
		}{
			{"Exp", func() { copy(w, x); Exp(w) }},
			{"Softmax", func() { copy(w, x); Softmax(w, 3) }},
			{"SwiGLU", func() { copy(w, x); SwiGLU(w, y) }},
			{"AddTo", func() { AddTo(w, y) }},
			{"RMSNorm", func() { RMSNorm(w, x, y, 1e-5) }},
			{"Rope", func() { copy(w, x); Rope(w, cos, sin) }},
		} {
			b.Run(fmt.Sprintf("%s/%v", f.name, tier), func(b *testing.B) {
				defer cpu.SetTier(cpu.SetTier(tier))
				for b.Loop() {
					f.fn()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/elem")
			})
		}
	}
}

// TestGatedRows: rows that are gated to where they belong have the bits of those that are gated in
// place, and nothing beside them is written.
func TestGatedRows(t *testing.T) {
	kerneltest.FloatTiers(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(8, 1))
		for _, s := range []struct{ rows, width, next int }{{0, 16, 16}, {1, 16, 16}, {3, 96, 100}, {5, 37, 37}, {2, 5, 9}, {7, 64, 1000}, {1, 0, 4}} {
			for name, f := range map[string][2]any{"SwiGLU": {SwiGLU, SwiGLURows}, "GeGLU": {GeGLU, GeGLURows}} {
				gate, up := kerneltest.RandFloats(r, s.rows*s.width), kerneltest.RandFloats(r, s.rows*s.width)
				want := slices.Clone(gate)
				f[0].(func(gate, up []float32))(want, up)
				dst := make([]float32, max(1, s.rows*s.next))
				for i := range dst {
					dst[i] = 7
				}
				f[1].(func(dst []float32, ldd int, gate, up []float32, width int))(dst, s.next, gate, up, s.width)
				for i, v := range dst {
					row, at := i/s.next, i%s.next
					if row < s.rows && at < s.width {
						if w := want[row*s.width+at]; math.Float32bits(v) != math.Float32bits(w) {
							t.Fatalf("%s %+v: value %d of row %d is %v, want %v", name, s, at, row, v, w)
						}
					} else if v != 7 {
						t.Fatalf("%s %+v: %v is written beside the rows", name, s, v)
					}
				}
			}
		}
	})
}
