package cpu

import (
	"fmt"
	"os"
	"slices"
)

// Tier is a level of the instruction set. Each kernel exists as portable Go,
// which defines it, and in assembly for the tiers where that pays. A CPU has the
// portable tier and some of those of its architecture, each of which includes
// those before it, but for AVXVNNI: a CPU with AVX-512 may be without it.
type Tier int

const (
	Portable   Tier = iota // plain Go
	NEON                   // arm64: what every such CPU has
	NEONDot                // arm64: NEON and the int8 dot product (FEAT_DotProd)
	AVX2                   // AVX2, FMA, F16C
	AVXVNNI                // AVX2 and the int8 dot product of 256 bits, for client CPUs without AVX-512
	AVX512                 // AVX-512 F, BW, DQ, VL
	AVX512VNNI             // AVX512 and the int8 dot product
	AMX                    // AVX512VNNI and the int8 products of matrix registers (AMX-INT8)
)

var tierNames = [...]string{"portable", "neon", "neondot", "avx2", "avxvnni", "avx512", "avx512vnni", "amx"}

func (t Tier) String() string { return tierNames[t] }

// EnvTier names the environment variable that lowers the tier, for tests and for
// finding a fault: portable, avx2, avxvnni, avx512, avx512vnni or amx; on arm64
// portable, neon or neondot. It cannot raise the tier.
const EnvTier = "SPECQUANT_CPU"

// tiers are what this CPU can run, from the lowest on; active is what kernels
// run, one of them.
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

// EnvError returns an error if the value of [EnvTier] is not a tier's name; the kernels
// then run on the best tier.
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

// lowered is the highest tier of this CPU that is not above t.
func lowered(t Tier) Tier {
	i := len(tiers) - 1
	for tiers[i] > t {
		i--
	}
	return tiers[i]
}

// Tiers are those of this CPU, from [Portable] on; Best is the highest of them,
// Active the one in use.
func Tiers() []Tier { return slices.Clone(tiers) }
func Best() Tier    { return tiers[len(tiers)-1] }
func Active() Tier  { return active }

// SetTier makes kernels use the given tier, lowered to one that the CPU has, and
// returns the former one. It is for tests and benchmarks, and must not be
// called while a kernel runs.
func SetTier(t Tier) (former Tier) {
	former = active
	active = lowered(max(t, Portable))
	return former
}
