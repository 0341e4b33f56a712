package integer

import (
	"math/rand/v2"
	"testing"

	"github.com/specquant/specquant/internal/kernel/cpu"
	"github.com/specquant/specquant/internal/kernel/parallel"
)

// FuzzTiers holds every tier that this CPU has to the portable Go, bit by bit,
// on shapes and values drawn from the input: quantization of activations and
// the integer product. Products with float tokens are held to those of the
// lowest tier with assembly.
func FuzzTiers(f *testing.F) {
	for _, s := range []struct {
		rows, cols, tokens uint16
		group              uint8
		bits               uint8
	}{{1, 1, 1, 0, 2}, {16, 8, 1, 0, 2}, {17, 9, 2, 1, 2}, {33, 130, 12, 4, 0}, {48, 257, 13, 16, 6}, {15, 64, 25, 0, 6}, {100, 31, 8, 2, 1}, {40, 320, 3, 8, 3}, {18, 64, 4, 4, 4}, {32, 96, 9, 12, 5}} {
		f.Add(uint64(s.rows), s.rows, s.cols, s.tokens, s.group, s.bits)
	}
	pool := parallel.NewPool(2)
	f.Cleanup(pool.Close)
	f.Fuzz(func(t *testing.T, seed uint64, rows, cols, tokens uint16, group, bits uint8) {
		r, c, n := int(rows)%160+1, int(cols)%400+1, int(tokens)%30+1
		g, b := int(group)%40*8, int(bits)%7+2
		rng := rand.New(rand.NewPCG(seed, 1))
		w, _ := intRandomZeros(t, rng, b, r, c, g, seed%5 == 0, intZeros(seed%3))
		x := intRandomTokens(rng, n, c)
		grid := ActGrid{Bits: []int{8, 4}[seed%2], Clip: 1}
		if act := int(seed/2%10) * 16; grid.Bits == 4 && groupsNest(c, g, act) {
			grid.Group = act
		}
		run := func(tier cpu.Tier) (y, back, float []float32) {
			defer cpu.SetTier(cpu.SetTier(tier))
			var a Activations
			a.Quantize(pool, x, c, n, c, grid, g)
			y, back, float = make([]float32, n*r), make([]float32, n*c), make([]float32, n*r)
			Mul(pool, y, r, w, &a)
			a.Dequantize(nil, back, c)
			MulFloat(pool, float, r, w, x, c, n)
			return y, back, float
		}
		want, wantBack, _ := run(cpu.Portable)
		_, _, wantFloat := run(cpu.Tiers()[min(1, len(cpu.Tiers())-1)])
		for _, tier := range cpu.Tiers()[1:] {
			got, back, float := run(tier)
			if i := intDiffer(float, wantFloat); i >= 0 {
				t.Fatalf("%v: %d×%d, group %d, %d tokens, %d bits: output %d of float tokens is %v, want %v", tier, r, c, g, n, b, i, float[i], wantFloat[i])
			}
			if i := intDiffer(back, wantBack); i >= 0 {
				t.Fatalf("%v: quantized value %d is %v, want %v", tier, i, back[i], wantBack[i])
			}
			if i := intDiffer(got, want); i >= 0 {
				t.Fatalf("%v: %d×%d, groups of %d and %d, %d tokens, %d bits: output %d is %v, want %v", tier, r, c, g, grid.Group, n, b, i, got[i], want[i])
			}
		}
	})
}

// FuzzMultiples holds every tier that this CPU has to the matrix of 8 bits with the same weights, bit
// by bit, on shapes and values drawn from the input: weights whose groups' scales are multiples of
// their row's.
func FuzzMultiples(f *testing.F) {
	for _, s := range []struct {
		rows, cols, tokens uint16
		group, bits        uint8
	}{{0, 0, 0, 0, 0}, {15, 31, 0, 0, 0}, {16, 63, 1, 1, 0}, {40, 95, 7, 0, 1}, {31, 255, 0, 2, 1}, {17, 39, 12, 0, 1}, {33, 100, 24, 3, 2}, {20, 159, 2, 0, 3}, {31, 127, 8, 1, 4}, {50, 47, 4, 0, 5}} {
		f.Add(uint64(s.rows), s.rows, s.cols, s.tokens, s.group, s.bits)
	}
	pool := parallel.NewPool(2)
	f.Cleanup(pool.Close)
	f.Fuzz(func(t *testing.T, seed uint64, rows, cols, tokens uint16, group, bits uint8) {
		r, c, n := int(rows)%160+1, int(cols)%400+1, int(tokens)%30+1
		g, b := max(16, int(group)%5*32), int(bits)%6+2
		rng := rand.New(rand.NewPCG(seed, 2))
		w, bytes := intRandomMultiples(t, rng, b, r, c, g)
		x := intRandomTokens(rng, n, c)
		grid := ActGrid{Bits: []int{8, 4}[seed%2], Clip: 1}
		if grid.Bits == 4 {
			grid.Group = int(seed/2%4) * 16
		}
		for _, tier := range cpu.Tiers() {
			func() {
				defer cpu.SetTier(cpu.SetTier(tier))
				var a Activations
				a.Quantize(pool, x, c, n, c, grid, 0)
				got, want := make([]float32, n*r), make([]float32, n*r)
				Mul(pool, got, r, w, &a)
				Mul(pool, want, r, bytes, &a)
				if i := intDiffer(got, want); i >= 0 {
					t.Fatalf("%v: %d×%d, groups of %d and %d, %d tokens, %d bits: output %d is %v, want %v", tier, r, c, g, grid.Group, n, b, i, got[i], want[i])
				}
				MulFloat(pool, got, r, w, x, c, n)
				MulFloat(pool, want, r, bytes, x, c, n)
				if i := intDiffer(got, want); i >= 0 {
					t.Fatalf("%v: %d×%d, groups of %d, %d float tokens, %d bits: output %d is %v, want %v", tier, r, c, g, n, b, i, got[i], want[i])
				}
			}()
		}
	})
}
