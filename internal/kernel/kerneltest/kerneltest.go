// Package kerneltest has what the tests of several kernel packages share.
package kerneltest

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/specquant/specquant/internal/kernel/cpu"
)

// TiersTo returns the tiers of this CPU that are not above top, for kernels that are the
// same in all tiers above it.
func TiersTo(top cpu.Tier) []cpu.Tier {
	return slices.DeleteFunc(cpu.Tiers(), func(t cpu.Tier) bool { return t > top })
}

// FloatTiers runs f on every tier of this CPU for which float kernels differ.
func FloatTiers(t *testing.T, f func(t *testing.T)) { onTiers(t, TiersTo(cpu.AVX512), f) }

// AllTiers runs f on every tier of this CPU, for kernels of integers.
func AllTiers(t *testing.T, f func(t *testing.T)) { onTiers(t, cpu.Tiers(), f) }

func onTiers(t *testing.T, tiers []cpu.Tier, f func(t *testing.T)) {
	for _, tier := range tiers {
		t.Run(tier.String(), func(t *testing.T) {
			defer cpu.SetTier(cpu.SetTier(tier))
			f(t)
		})
	}
}

// RandFloats returns n normally distributed numbers.
func RandFloats(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

// SameBits fails the test unless got equals want to the bit. what begins the message.
func SameBits(t *testing.T, what string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d elements, want %d", what, len(got), len(want))
	}
	for i := range got {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			t.Fatalf("%s: element %d is %v, want %v to the bit", what, i, got[i], want[i])
		}
	}
}

// ReportFlops reports the operations per second of a benchmark whose round has flops of them.
func ReportFlops(b *testing.B, flops float64) {
	b.ReportMetric(flops*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
}

// F16Value returns the number that h is in IEEE binary16, by the definition:
// (-1)^s · 2^(e-15) · 1.f, or the subnormal number (-1)^s · 2^-14 · 0.f.
func F16Value(h uint16) float64 {
	sign := 1 - 2*float64(h>>15)
	e, f := int(h>>10&31), float64(h&1023)
	switch e {
	case 0:
		return sign * math.Ldexp(f, -24)
	case 31:
		if f != 0 {
			return math.NaN()
		}
		return math.Inf(int(sign))
	}
	return sign * math.Ldexp(1024+f, e-25)
}
