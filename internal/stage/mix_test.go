package stage

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// TestMixByHand: two layers of 100 weights and one of 300, at 3 bits on average:
// 1500 bits. 2 bits everywhere take 1000; what is left is worth most as 3 for the
// first (6 a 100 bits), then 4 for it (2), then the large layer's 3 (4 a 300),
// which the last 300 bits pay for.
func TestMixByHand(t *testing.T) {
	errors := [][]float64{{10, 4, 2}, {1, 0.5, 0.3}, {5, 1, 0.2}}
	got, err := Mix(errors, []int{2, 3, 4}, []int{100, 100, 300}, 3)
	if err != nil || !slices.Equal(got, []int{4, 2, 3}) {
		t.Errorf("got %v, %v, want 4, 2, 3", got, err)
	}
	// A knapsack where greed is wrong: the best single step, 3 bits for the first
	// at 6 an expense of 100, leaves no room for the second's 3 bits at 11 for 200.
	errors = [][]float64{{6, 0}, {11, 0}}
	got, err = Mix(errors, []int{2, 3}, []int{100, 200}, 2.67)
	if err != nil || !slices.Equal(got, []int{2, 3}) {
		t.Errorf("exchange: got %v, %v, want 2, 3", got, err)
	}
	if got, err = Mix([][]float64{{1, 2, 0}}, []int{2, 3, 8}, []int{7}, 3); err != nil || got[0] != 2 {
		t.Errorf("a wider grid that is worse: got %v, %v, want 2", got, err)
	}
	if _, err := Mix(errors, []int{3, 4}, []int{1, 1}, 2.9); err == nil || !strings.Contains(err.Error(), "weights.average") {
		t.Errorf("an average below all widths: %v", err)
	}
}

// TestMixAgainstAll: near the best of all mixtures, within the budget, and the
// best where layers are of one size and errors fall like those of grids.
func TestMixAgainstAll(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	widths := []int{2, 3, 4, 6}
	for trial := range 60 {
		const layers = 5
		equal := trial%2 == 0
		errors, sizes := make([][]float64, layers), make([]int, layers)
		weights := 0
		for i := range errors {
			scale := math.Exp(2 * rng.NormFloat64())
			for _, b := range widths {
				errors[i] = append(errors[i], scale*math.Pow(4, -float64(b)))
			}
			sizes[i] = 100
			if !equal {
				sizes[i] += rng.IntN(400)
			}
			weights += sizes[i]
		}
		average := 2 + 4*rng.Float64()
		got, err := Mix(errors, widths, sizes, average)
		if err != nil {
			t.Fatal(err)
		}
		sum := func(bits []int) (e float64, used int) {
			for i, b := range bits {
				e += errors[i][slices.Index(widths, b)]
				used += b * sizes[i]
			}
			return e, used
		}
		e, used := sum(got)
		if float64(used) > average*float64(weights)*(1+1e-9) {
			t.Fatalf("%d bits for %d weights, more than %v on average", used, weights, average)
		}
		least := math.Inf(1)
		bits := make([]int, layers)
		for k := range 1 << (2 * layers) {
			for i := range bits {
				bits[i] = widths[k>>(2*i)&3]
			}
			if all, used := sum(bits); float64(used) <= average*float64(weights) {
				least = min(least, all)
			}
		}
		limit := 1.5
		if equal {
			limit = 1 + 1e-9
		}
		if e > limit*least {
			t.Errorf("sizes %v, average %v: %v with the error %g, %g is possible", sizes, average, got, e, least)
		}
	}
}
