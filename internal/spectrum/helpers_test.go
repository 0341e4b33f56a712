package spectrum

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
)

// lengths are the transform lengths that METHOD asks for: edge cases, and the
// widths of the models we read.
var lengths = []int{1, 2, 3, 5, 64, 172, 384, 576, 704, 1536, 4096, 5632, 11008, 14336}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 7)) }

func normal64(r *rand.Rand, n int) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = r.NormFloat64()
	}
	return v
}

func normal32(r *rand.Rand, n int) []float32 {
	v := make([]float32, n)
	narrow(v, normal64(r, n))
	return v
}

func norm2[T float32 | float64](v []T) float64 {
	var s float64
	for _, x := range v {
		s += float64(x) * float64(x)
	}
	return s
}

func maxDiff[T float32 | float64](a, b []T) float64 {
	var d float64
	for i := range a {
		d = max(d, math.Abs(float64(a[i])-float64(b[i])))
	}
	return d
}

// two runs the parts backwards on two goroutines: any dependence on order or
// threads shows.
func two(n int, fn func(int)) {
	var wg sync.WaitGroup
	for g := range 2 {
		wg.Go(func() {
			for i := n - 1; i >= 0; i-- {
				if i%2 == g {
					fn(i)
				}
			}
		})
	}
	wg.Wait()
}

// forBases runs a test on both bases and all lengths.
func forBases(t *testing.T, fn func(t *testing.T, b Basis)) {
	for _, name := range BasisNames() {
		for _, n := range lengths {
			t.Run(fmt.Sprintf("%s/%d", name, n), func(t *testing.T) {
				b, err := NewBasis(name, n)
				if err != nil {
					t.Fatal(err)
				}
				fn(t, b)
			})
		}
	}
}

// forAxes runs a test on both axes and both bases.
func forAxes(t *testing.T, fn func(t *testing.T, axis Axis, basis string)) {
	for _, axis := range []Axis{OutputChannel, InputChannel} {
		for _, basis := range BasisNames() {
			t.Run(axis.String()+"/"+basis, func(t *testing.T) { fn(t, axis, basis) })
		}
	}
}

// raggedBudget mixes nothing, a little, much and everything.
func raggedBudget(r *rand.Rand, channels, components int) []int {
	kept := make([]int, channels)
	for c := range kept {
		switch r.IntN(5) {
		case 0:
		case 1:
			kept[c] = components
		case 2:
			kept[c] = r.IntN(components + 1)
		default:
			kept[c] = min(1+r.IntN(4), components)
		}
	}
	return kept
}
