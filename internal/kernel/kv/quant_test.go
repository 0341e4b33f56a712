package kv

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/specquant/specquant/internal/kernel/kerneltest"
)

func TestKVRange(t *testing.T) {
	r := rand.New(rand.NewPCG(53, 54))
	nan, inf, zero := float32(math.NaN()), float32(math.Inf(1)), float32(math.Copysign(0, -1))
	same := func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) || a != a && b != b }
	for n := 1; n <= 150; n++ {
		for trial := range 8 {
			x := kerneltest.RandFloats(r, n)
			switch trial {
			case 1:
				x[r.IntN(n)] = nan
			case 2:
				x[r.IntN(n)] = inf
			case 3:
				x[r.IntN(n)] = -inf
			case 4:
				x = slices.Repeat([]float32{zero}, n)
				x[r.IntN(n)] = 0
			case 5:
				x = slices.Repeat([]float32{zero}, n)
			case 6: // the ends at each place
				x[r.IntN(n)], x[r.IntN(n)] = 1e9, -1e9
			}
			lo, hi := x[0], x[0]
			for _, v := range x {
				lo, hi = min(lo, v), max(hi, v)
			}
			lo, hi = lo+0, hi+0
			kerneltest.AllTiers(t, func(t *testing.T) {
				if l, h := Range(x); !same(l, lo) || !same(h, hi) {
					t.Fatalf("%d numbers, trial %d: %v to %v, want %v to %v", n, trial, l, h, lo, hi)
				}
			})
		}
	}
}

func TestKVRound(t *testing.T) {
	r := rand.New(rand.NewPCG(55, 56))
	for n := 2; n <= 150; n += 2 {
		for _, bits := range []int{4, 8} {
			for _, inv := range []float32{1, 0.5, 7.3, 1 << 24} {
				x, minimum := kerneltest.RandFloats(r, n), float32(-0.5)
				for i := range x {
					switch x[i] *= 100; i % 7 {
					case 2: // halves
						x[i] = float32(math.Round(float64(x[i])))
					case 4:
						x[i] *= 1e30
					}
				}
				top := math.Exp2(float64(bits)) - 1
				want := make([]byte, n*bits/8)
				for i, v := range x {
					q := byte(min(max(math.RoundToEven(float64(float32(v-minimum)*inv)), 0), top))
					want[i*bits/8] |= q << (i * bits % 8)
				}
				kerneltest.AllTiers(t, func(t *testing.T) {
					got := slices.Repeat([]byte{0xa5}, len(want)+8)
					Round(got[:len(want)], x, bits, minimum, inv)
					if !slices.Equal(got[:len(want)], want) {
						t.Fatalf("%s: % x, want % x", fmt.Sprint(n, bits, inv), got, want)
					}
					if !slices.Equal(got[len(want):], slices.Repeat([]byte{0xa5}, 8)) {
						t.Fatalf("%d numbers of %d bits: wrote beyond", n, bits)
					}
				})
			}
		}
	}
}

// Bytes of keys and values go where they belong and nothing else changes, in every tier.
func TestPutBytes(t *testing.T) {
	r := rand.New(rand.NewPCG(57, 58))
	for _, n := range []int{1, 4, 6, 16, 32, 48, 64, 66, 128, 256} {
		for lane := range 4 {
			key, value := make([]byte, n), make([]byte, n)
			keys, values := make([]byte, (n+3)/4*64), make([]byte, 4*n)
			for _, b := range [][]byte{key, value, keys, values} {
				for i := range b {
					b[i] = byte(r.Uint32())
				}
			}
			wantKeys, wantValues := slices.Clone(keys), slices.Clone(values)
			for i := range n {
				wantKeys[i/4*64+i%4], wantValues[4*i+lane] = key[i], value[i]
			}
			kerneltest.AllTiers(t, func(t *testing.T) {
				k, v := slices.Clone(keys), slices.Clone(values)
				putBytes(k, v, key, value, lane)
				if !slices.Equal(k, wantKeys) || !slices.Equal(v, wantValues) {
					t.Fatalf("%d bytes in lane %d: wrong", n, lane)
				}
			})
		}
	}
}
