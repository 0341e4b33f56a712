// Package quant holds the integer grids: bit settings, grids for weights, and the
// formats of the quantized key/value cache.
package quant

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/specquant/specquant/internal/plural"
)

// Bits is the number of bits of weights, activations and KV cache, written W-A-KV. 16 means
// not quantized.
type Bits struct {
	Weights     int `json:"weights"`
	Activations int `json:"activations"`
	KV          int `json:"kv"`
}

// FullBits is the width of a layer that is not quantized.
const FullBits = 16

// Full is full precision: nothing is quantized.
var Full = Bits{16, 16, 16}

func (b Bits) String() string {
	return fmt.Sprintf("%d-%d-%d", b.Weights, b.Activations, b.KV)
}

// Supported bits of each part.
var (
	WeightBits     = []int{2, 3, 4, 5, 6, 7, 8}
	ActivationBits = []int{4, 8, 16}
	KVBits         = []int{4, 8, 16}
)

// MultipleBits are the bits of weights with which [Grid.Multiples] is possible.
var MultipleBits = []int{2, 3, 4, 5, 6, 7}

// MultipleZero is the kind of zero point of weights of so many bits with [Grid.Multiples]: a
// multiple is a factor of integers, which of 2 and 3 bits are the odd ones, centred, because so
// few levels are better without one at zero.
func MultipleZero(bits int) ZeroKind {
	if bits <= 3 {
		return ZeroCentred
	}
	return ZeroSymmetric
}

// MultipleGrid is the grid of so many bits, of [MultipleBits], with [Grid.Multiples].
func MultipleGrid(bits, group int) Grid {
	return Grid{Bits: bits, Group: group, Zero: MultipleZero(bits), Multiples: true}
}

// MultipleGroup reports whether groups of so many inputs can have [Grid.Multiples].
func MultipleGroup(group int) bool { return group == 16 || group > 0 && group%32 == 0 }

// Check returns an error naming the first part whose number of bits is not supported.
func (b Bits) Check() error {
	for _, part := range []struct {
		name string
		bits int
		can  []int
	}{
		{"weights", b.Weights, WeightBits},
		{"activations", b.Activations, ActivationBits},
		{"KV cache", b.KV, KVBits},
	} {
		if !slices.Contains(part.can, part.bits) {
			return fmt.Errorf("bits %s: %s in %s are not supported; use one of %v", b, part.name, plural.Of(part.bits, "bit"), part.can)
		}
	}
	return nil
}

// ParseBits reads a setting such as 4-4-16.
func ParseBits(s string) (Bits, error) {
	parts := strings.Split(s, "-")
	var n [3]int
	if len(parts) != 3 {
		return Bits{}, fmt.Errorf("bits %q: expected weights-activations-KV, such as 4-4-16", s)
	}
	for i, p := range parts {
		v, err := strconv.Atoi(p)
		if err != nil {
			return Bits{}, fmt.Errorf("bits %q: %q is not a number; expected weights-activations-KV, such as 4-4-16", s, p)
		}
		n[i] = v
	}
	b := Bits{n[0], n[1], n[2]}
	if b.String() != s { // +4, 04
		return Bits{}, fmt.Errorf("bits %q: write it %s", s, b)
	}
	if err := b.Check(); err != nil {
		return Bits{}, err
	}
	return b, nil
}
