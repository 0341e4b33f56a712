package kernel

import (
	"math/rand/v2"
	"testing"
)

// FuzzTiers holds every tier that this CPU has to the portable Go, bit by bit,
// on shapes and values drawn from the input: quantization of activations and
// the integer product.
func FuzzTiers(f *testing.F) {
	for _, s := range []struct {
		rows, cols, tokens uint16
		group              uint8
		bits               uint8
	}{{1, 1, 1, 0, 4}, {16, 8, 1, 0, 4}, {17, 9, 2, 1, 4}, {33, 130, 12, 4, 4}, {48, 257, 13, 16, 8}, {15, 64, 25, 0, 8}, {100, 31, 8, 2, 4}} {
		f.Add(uint64(s.rows), s.rows, s.cols, s.tokens, s.group, s.bits)
	}
	pool := NewPool(2)
	f.Cleanup(pool.Close)
	f.Fuzz(func(t *testing.T, seed uint64, rows, cols, tokens uint16, group, bits uint8) {
		r, c, n := int(rows)%160+1, int(cols)%400+1, int(tokens)%30+1
		g, b := int(group)%40*8, 4
		if bits >= 8 {
			b = 8
		}
		rng := rand.New(rand.NewPCG(seed, 1))
		w, _ := intRandomMatrix(t, rng, b, r, c, g, seed%5 == 0)
		x := intRandomTokens(rng, n, c)
		run := func(tier Tier) ([]float32, []float32) {
			defer SetTier(SetTier(tier))
			var a Activations
			a.Quantize(pool, x, c, n, c, []int{8, 4}[seed%2], g, 1)
			y, back := make([]float32, n*r), make([]float32, n*c)
			pool.MulInt(y, r, w, &a)
			a.Dequantize(back, c)
			return y, back
		}
		want, wantBack := run(Portable)
		for tier := AVX2; tier <= Best(); tier++ {
			got, back := run(tier)
			if i := intDiffer(back, wantBack); i >= 0 {
				t.Fatalf("%v: quantized value %d is %v, want %v", tier, i, back[i], wantBack[i])
			}
			if i := intDiffer(got, want); i >= 0 {
				t.Fatalf("%v: %d×%d, group %d, %d tokens, %d bits: output %d is %v, want %v", tier, r, c, g, n, b, i, got[i], want[i])
			}
		}
	})
}
