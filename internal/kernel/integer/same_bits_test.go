package integer

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/specquant/specquant/internal/kernel/branch"
	"github.com/specquant/specquant/internal/kernel/cpu"
	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/kv"
	"github.com/specquant/specquant/internal/kernel/parallel"
)

// TestSameBitsEverywhere pins the float kernels of the assembly tiers, which fuse
// products, to their bits: AVX2, AVX-512 and NEON give the same, so that a model
// says the same on each. (The integer kernels are held to the portable Go.)
func TestSameBitsEverywhere(t *testing.T) {
	r := rand.New(rand.NewPCG(71, 1))
	random := func(n int) []float32 { // no logarithms, which differ between machines
		x := make([]float32, n)
		for i := range x {
			x[i] = r.Float32()*2 - 1
		}
		return x
	}
	halves := func(n int) []uint16 {
		h := make([]uint16, n)
		float.F32ToF16(h, random(n))
		return h
	}
	const m, n, k = 7, 83, 600
	a, b, x := random(m*k), random(n*k), random(777)
	a64, b64 := make([]float64, m*k), make([]float64, n*k)
	for i, v := range a {
		a64[i] = float64(v)
	}
	for i, v := range b {
		b64[i] = float64(v)
	}
	var ints [2]*Matrix
	for i, bits := range []int{4, 8} {
		ints[i], _ = intRandomZeros(t, r, bits, n, k, 64, false, intZeros(2))
	}
	c := branch.HalfTiles{Rows: 83, Count: []int{5, 5, 5, 5, 31, 7}, Offset: []int{0, 80, 160, 240, 320, 816}, Data: halves(928)}
	z, half, basis := random(m*31), halves(777), halves(5*k)
	var caches [3]kv.Cache
	for i, bits := range []int{4, 8, 16} {
		cache := &caches[i]
		*cache = kv.Cache{Bits: bits, Heads: 1, HeadDim: 64}
		cache.Reserve(70, 0, 70)
		for p := range 70 {
			if bits == 16 {
				cache.Put(0, p, random(64), random(64))
				continue
			}
			key, value, s := make([]byte, 8*bits), make([]byte, 8*bits), halves(4)
			for j := range key {
				key[j], value[j] = byte(r.Uint32()), byte(r.Uint32())
			}
			cache.PutPacked(0, p, key, value, s[0]&0x7fff, s[1], s[2]&0x7fff, s[3]) // scales are positive
		}
	}
	q := random(70 * 3 * 64)
	var pool *parallel.Pool
	kernels := []struct {
		name string
		want uint64
		run  func() []float32
	}{
		{"MatMulNT", 0x983ffdab5a5f9989, func() []float32 {
			y := make([]float32, m*n)
			float.MatMulNT(pool, y, n, a, k, b, k, m, n, k, false)
			return y
		}},
		{"MatMulNT64", 0xcd37739cdd557a18, func() []float32 {
			y, out := make([]float64, m*n), make([]float32, 2*m*n)
			float.MatMulNT64(pool, y, n, a64, k, b64, k, m, n, k, float.Set)
			for i, v := range y {
				out[2*i], out[2*i+1] = math.Float32frombits(uint32(math.Float64bits(v))), math.Float32frombits(uint32(math.Float64bits(v)>>32))
			}
			return out
		}},
		{"MulIntFloat 4", 0x622562d2e68093c9, func() []float32 {
			y := make([]float32, m*n)
			MulFloat(pool, y, n, ints[0], a, k, m)
			return y
		}},
		{"MulIntFloat 8", 0xad75afa916049373, func() []float32 {
			y := make([]float32, m*n)
			MulFloat(pool, y, n, ints[1], a, k, m)
			return y
		}},
		{"MulHalfTiles", 0x7612598b5b944d98, func() []float32 {
			y := make([]float32, (m+1)*83)
			branch.MulHalfTiles(pool, y, 83, c, z, 31, m)
			branch.MulHalfTiles(pool, y[m*83:], 83, c, z, 31, 1)
			return y
		}},
		{"Project", 0x274c30ec950d823f, func() []float32 {
			y := append(append([]float32(nil), a...), make([]float32, m*5)...)
			branch.Project(pool, y[m*k:], 5, branch.NewStoredProjection(basis, 5, k, true), y, k, m)
			return y
		}},
		{"vectors", 0xf72867e57a6e6f52, func() []float32 {
			y := append([]float32(nil), b[:777]...)
			float.Axpy(y, 0.3, x)
			float.AxpyF16(y, -0.7, half)
			return append(y, float32(float.SumSquares(x)))
		}},
		{"Attend", 0xbc12d907f729ff70, func() []float32 {
			var s kv.Scratch
			out := make([]float32, len(caches)*len(q))
			for i := range caches {
				caches[i].Attend(&s, out[i*len(q):][:len(q)], q, 3*64, 0, 3, 0, 70, 0, 0.125)
			}
			return out
		}},
	}
	for _, tier := range cpu.Tiers()[1:] {
		defer cpu.SetTier(cpu.SetTier(tier))
		for _, c := range kernels {
			h := fnv.New64a()
			for _, v := range c.run() {
				u := math.Float32bits(v)
				_, _ = h.Write([]byte{byte(u), byte(u >> 8), byte(u >> 16), byte(u >> 24)})
			}
			if got := h.Sum64(); got != c.want {
				t.Errorf("%v: %s gives %#x, want %#x", tier, c.name, got, c.want)
			}
		}
	}
}
