package cpu

import (
	"fmt"
	"os"
	"slices"
)

// Tier is a set of instructions that kernels may use. Every kernel exists in portable Go,
// which defines its results, and in assembly for the tiers where that is faster. A CPU has
// the portable tier and some of those of its architecture. A tier includes the ones above
// it in the list of its architecture, except AVXVNNI: a CPU with AVX-512 may lack it.
type Tier int

const (
	Portable   Tier = iota // plain Go
	NEON                   // arm64: instructions that every such CPU has
	NEONDot                // arm64: NEON and the int8 dot product (FEAT_DotProd)
	AVX2                   // amd64: AVX2, FMA and F16C
	AVXVNNI                // amd64: AVX2 and an int8 dot product of 256 bits; CPUs of desktops without AVX-512 have it
	AVX512                 // amd64: AVX-512 F, BW, DQ and VL
	AVX512VNNI             // amd64: AVX512 and an int8 dot product of 512 bits
	AMX                    // amd64: AVX512VNNI and the int8 products of matrix registers (AMX-INT8)
)

var tierNames = [...]string{"portable", "neon", "neondot", "avx2", "avxvnni", "avx512", "avx512vnni", "amx"}

func (t Tier) String() string { return tierNames[t] }

// EnvTier is the environment variable that lowers the tier, for tests and for finding
// faults: portable, avx2, avxvnni, avx512, avx512vnni or amx; on arm64 portable, neon or
// neondot. It cannot raise the tier above what the CPU has.
const EnvTier = "SPECQUANT_CPU"

// tiers are those that this CPU has, the lowest first. active is the one of them that
// kernels use.
var (
	tiers  = append([]Tier{Portable}, detect()...)
	active = Best()
	envErr error
)

func init() {
	if name := os.Getenv(EnvTier); name != "" {
		var t Tier
		if t, envErr = ParseTier(name); envErr == nil {
			active = lowered(t)
		}
	}
}

// EnvError returns an error if the value of [EnvTier] is not the name of a tier. Kernels
// then use the best tier.
func EnvError() error { return envErr }

// ParseTier returns the tier of a name.
func ParseTier(name string) (Tier, error) {
	for i, n := range tierNames {
		if n == name {
			return Tier(i), nil
		}
	}
	return 0, fmt.Errorf("unknown kernel tier %q; use one of %v", name, tierNames)
}

// lowered returns the highest tier of this CPU that is not above t.
func lowered(t Tier) Tier {
	i := len(tiers) - 1
	for tiers[i] > t {
		i--
	}
	return tiers[i]
}

// Tiers returns the tiers of this CPU, the lowest first.
func Tiers() []Tier { return slices.Clone(tiers) }

// Best returns the highest tier of this CPU.
func Best() Tier { return tiers[len(tiers)-1] }

// Active returns the tier that kernels use.
func Active() Tier { return active }

// SetTier makes kernels use tier t, or the highest below it that the CPU has, and returns
// the tier that they used before. It is for tests and benchmarks, and must not be called
// while a kernel runs.
func SetTier(t Tier) (former Tier) {
	former = active
	active = lowered(max(t, Portable))
	return former
}
