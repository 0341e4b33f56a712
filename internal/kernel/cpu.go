package kernel

import (
	"fmt"
	"os"
)

// Tier is a level of the instruction set. Each kernel exists as portable Go,
// which defines it, and in assembly for the tiers where that pays.
type Tier int

const (
	Portable   Tier = iota // plain Go
	AVX2                   // AVX2, FMA, F16C
	AVX512                 // AVX-512 F, BW, DQ, VL
	AVX512VNNI             // AVX512 and the int8 dot product
)

var tierNames = [...]string{"portable", "avx2", "avx512", "avx512vnni"}

func (t Tier) String() string { return tierNames[t] }

// EnvTier names the environment variable that lowers the tier, for tests and
// for chasing a bug: portable, avx2, avx512 or avx512vnni. It can't raise it.
const EnvTier = "SPECQUANT_CPU"

// best is what this CPU can run; active is what kernels run, at most best.
var (
	best   = detect()
	active = best
	envErr error
)

func init() {
	if name := os.Getenv(EnvTier); name != "" {
		var t Tier
		if t, envErr = ParseTier(name); envErr == nil {
			active = min(t, best)
		}
	}
}

// EnvError says what is wrong with the value of [EnvTier], if anything; the
// kernels then run on the best tier.
func EnvError() error { return envErr }

// ParseTier reads a tier's name.
func ParseTier(name string) (Tier, error) {
	for i, n := range tierNames {
		if n == name {
			return Tier(i), nil
		}
	}
	return 0, fmt.Errorf("unknown kernel tier %q; use one of %v", name, tierNames)
}

// Best is the highest tier of this CPU, Active the one in use.
func Best() Tier   { return best }
func Active() Tier { return active }

// SetTier makes kernels use the given tier, lowered to what the CPU has, and
// returns the former one. It is for tests and benchmarks, and must not be
// called while a kernel runs.
func SetTier(t Tier) (former Tier) {
	former = active
	active = min(t, best)
	return former
}
