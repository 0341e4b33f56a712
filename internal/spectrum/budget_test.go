package spectrum

import (
	"math"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

func TestAllocate(t *testing.T) {
	for _, tt := range []struct {
		name   string
		b      Budget
		score  []float64
		maxPer int
		want   []int
	}{
		{"uniform", Budget{Mean: 16}, []float64{1, 5, 2}, 33, []int{16, 16, 16}},
		{"uniform, remainder to the first", Budget{Mean: 1.5}, []float64{1, 5, 2}, 33, []int{2, 2, 1}},
		{"equal scores", Budget{Mean: 2, Tau: 9}, []float64{.1, .1, .1}, 9, []int{2, 2, 2}},
		{"capped", Budget{Mean: 99}, []float64{1, 2}, 3, []int{3, 3}},
		{"nothing", Budget{}, []float64{1, 2}, 3, []int{0, 0}},
		{"negative", Budget{Mean: -4}, []float64{1, 2}, 3, []int{0, 0}},
		{"nan mean", Budget{Mean: math.NaN()}, []float64{1, 2}, 3, []int{0, 0}},
		{"no room", Budget{Mean: 1}, []float64{1, 2}, 0, []int{0, 0}},
		{"no channels", Budget{Mean: 1}, nil, 3, []int{}},
		// Standardised ±1: shares 8·e/(e+1/e) = 7.046 and 0.954.
		{"softmax", Budget{Mean: 4, Tau: 1}, []float64{-7, 5}, 9, []int{1, 7}},
		{"scale does not matter", Budget{Mean: 4, Tau: 1}, []float64{-7e200, 5e200}, 9, []int{1, 7}},
		{"overflow goes to the rest", Budget{Mean: 4, Tau: 1}, []float64{-7, 5}, 6, []int{2, 6}},
		{"steep: a ranking", Budget{Mean: 2, Tau: 1e9}, []float64{1, 3, 2, 0}, 3, []int{2, 3, 3, 0}},
		{"negative tau turns it round", Budget{Mean: 2, Tau: -1e9}, []float64{1, 3, 2, 0}, 5, []int{3, 0, 0, 5}},
		{"not finite counts as average", Budget{Mean: 2, Tau: 1e9}, []float64{-1, math.NaN(), 1}, 3, []int{0, 3, 3}},
		{"literal, uniform", Budget{Literal: true, Width: 172}, make([]float64, 3), 99, []int{57, 57, 57}},
		{"literal, one each", Budget{Literal: true, Tau: 1, Width: 7}, make([]float64, 7), 4, []int{1, 1, 1, 1, 1, 1, 1}},
		// softmax(0, ln 3) = ¼, ¾ of 10, not standardised, not redistributed.
		{"literal", Budget{Literal: true, Tau: 1, Width: 10, Mean: 99}, []float64{0, math.Log(3)}, 9, []int{2, 7}},
		{"literal, capped", Budget{Literal: true, Tau: 1, Width: 10}, []float64{0, math.Log(3)}, 5, []int{2, 5}},
		{"literal, width from the cap", Budget{Literal: true, Tau: 1}, []float64{0, 1e308}, 5, []int{0, 5}},
	} {
		if got := tt.b.Allocate(tt.score, tt.maxPer); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestAllocateProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Any scores for the sums; a grid for the order, since scores that agree
		// to sixteen digits are one score once standardised.
		grid := rapid.Bool().Draw(t, "grid")
		score := rapid.SliceOfN(rapid.Float64(), 1, 60).Draw(t, "score")
		if grid {
			for i, g := range rapid.SliceOfN(rapid.IntRange(-50, 50), len(score), len(score)).Draw(t, "grid score") {
				score[i] = float64(g) / 8
			}
		}
		maxPer := rapid.IntRange(1, 200).Draw(t, "maxPer")
		b := Budget{
			Mean: rapid.Float64Range(0, 220).Draw(t, "mean"),
			Tau:  rapid.OneOf(rapid.Just(0.), rapid.Float64Range(.01, 4), rapid.Float64Range(.01, 1e7)).Draw(t, "tau"),
		}
		kept := b.Allocate(score, maxPer)
		sum := 0
		for _, k := range kept {
			if k < 0 || k > maxPer {
				t.Fatalf("%d components, at most %d", k, maxPer)
			}
			sum += k
		}
		if want := min(int(math.Round(b.Mean*float64(len(score)))), len(score)*maxPer); sum != want {
			t.Fatalf("%d components in all, want %d", sum, want)
		}
		least, most := maxPer, 0
		for i := range score {
			least, most = min(least, kept[i]), max(most, kept[i])
			for j := range score {
				if grid && score[i] > score[j] && kept[i] < kept[j] && b.Tau > 0 {
					t.Fatalf("score %v gets %d, score %v gets %d", score[i], kept[i], score[j], kept[j])
				}
			}
		}
		if b.Tau == 0 && most-least > 1 {
			t.Fatalf("τ = 0 is not uniform: %d to %d", least, most)
		}
		if again := b.Allocate(score, maxPer); !reflect.DeepEqual(kept, again) {
			t.Fatalf("%v, then %v", kept, again)
		}
		b.Literal, b.Width = true, maxPer
		sum = 0
		for _, k := range b.Allocate(score, maxPer) {
			if k < 0 || k > maxPer {
				t.Fatalf("literal: %d components, at most %d", k, maxPer)
			}
			sum += k
		}
		if sum > maxPer {
			t.Fatalf("literal: %d components of %d", sum, maxPer)
		}
	})
}
