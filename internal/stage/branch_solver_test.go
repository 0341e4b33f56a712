package stage

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/specquant/specquant/internal/recipe"
	"github.com/specquant/specquant/internal/spectrum"
	"pgregory.net/rapid"
)

// Groups share one budget, channels with more do not get less than channels
// with less, nobody gets more than the largest of all had, and the total stays
// within a group's rounding.
func TestLevelGroups(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 20).Draw(t, "group")
		before := rapid.SliceOfN(rapid.IntRange(0, 12), 1, 100).Draw(t, "kept")
		kept := slices.Clone(before)
		levelGroups(kept, n)
		order := make([]int, len(kept))
		total, want := 0, 0
		for i := range order {
			order[i] = i
			total, want = total+kept[i], want+before[i]
			if kept[i] < 0 || kept[i] > slices.Max(before) {
				t.Fatalf("channel %d keeps %d, the largest budget was %d", i, kept[i], slices.Max(before))
			}
		}
		if total > want || total <= want-n {
			t.Fatalf("total %d of %d in groups of %d", total, want, n)
		}
		slices.SortStableFunc(order, func(a, b int) int { return before[b] - before[a] })
		for i, c := range order {
			if first := order[i/n*n]; kept[c] != kept[first] {
				t.Fatalf("channels %d and %d of one group keep %d and %d", first, c, kept[first], kept[c])
			}
			if i > 0 && kept[c] > kept[order[i-1]] {
				t.Fatalf("channel %d keeps more than %d, which had more", c, order[i-1])
			}
		}
	})
}

// A last group of one channel must not inherit the fractions of the others.
func TestLevelGroupsShortLast(t *testing.T) {
	kept := slices.Repeat([]int{9}, 17)
	kept[15], kept[16] = 8, 8
	levelGroups(kept, 16)
	if !slices.Equal(kept, append(slices.Repeat([]int{8}, 16), 8)) {
		t.Errorf("kept %v", kept)
	}
}

func randomMatrix(rng *rand.Rand, n int) []float32 {
	w := make([]float32, n)
	for i := range w {
		w[i] = float32(rng.NormFloat64())
	}
	return w
}

func randomAct(rng *rand.Rand, n int) spectrum.ActStats {
	a := spectrum.ActStats{Mean: make([]float64, n), MeanAbs: make([]float64, n), MeanSquare: make([]float64, n)}
	for i := range n {
		a.Mean[i] = rng.NormFloat64()
		a.MeanAbs[i] = a.Mean[i]*a.Mean[i] + rng.Float64()
		a.MeanSquare[i] = a.MeanAbs[i] * a.MeanAbs[i]
	}
	return a
}

// For any shape and recipe the branch is one that can be stored, within its budget.
func TestSpectral(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 1))
	rapid.Check(t, func(t *rapid.T) {
		b := recipe.Branch{
			Basis:       rapid.SampledFrom(spectrum.BasisNames()).Draw(t, "basis"),
			Axis:        rapid.SampledFrom([]string{"output", "input"}).Draw(t, "axis"),
			Components:  rapid.SampledFrom([]float64{0, 0.3, 1, 3, 1000}).Draw(t, "components"),
			Overhead:    rapid.SampledFrom([]float64{0, 0.25, 2}).Draw(t, "overhead"),
			Importance:  rapid.SampledFrom(spectrum.Importances()).Draw(t, "importance"),
			Temperature: rapid.SampledFrom([]float64{0, 1, 10}).Draw(t, "temperature"),
			Literal:     rapid.Bool().Draw(t, "literal"),
		}
		rows, cols := rapid.IntRange(1, 50).Draw(t, "rows"), rapid.IntRange(1, 50).Draw(t, "cols")
		w := randomMatrix(rng, rows*cols)
		got, err := Spectral(&b, w, rows, cols, randomAct(rng, cols), nil)
		if err != nil {
			t.Fatalf("%+v on [%d, %d]: %v", b, rows, cols, err)
		}
		if err := got.Validate(); err != nil {
			t.Fatal(err)
		}
		if b.Literal {
			return
		}
		axis, _ := spectrum.ParseAxis(b.Axis)
		channels, _ := axis.Shape(rows, cols)
		total, mean := 0, b.PerChannel(axis, rows, cols)
		for _, k := range got.Kept {
			total += k
		}
		if limit := mean*float64(channels) + 0.5; float64(total) > limit || float64(total) < limit-1-truncationGroup {
			t.Fatalf("keeps %d components in all, want about %v on each of %d channels", total, mean, channels)
		}
	})
}

func TestSpectralRefuses(t *testing.T) {
	w := make([]float32, 12)
	for name, b := range map[string]recipe.Branch{
		"basis":      {Basis: "fft", Axis: "output"},
		"axis":       {Basis: "dft", Axis: "both"},
		"importance": {Basis: "dft", Axis: "output", Importance: "size", Temperature: 1},
		"statistics": {Basis: "dft", Axis: "output", Importance: spectrum.Hessian, Temperature: 1},
	} {
		if _, err := Spectral(&b, w, 3, 4, spectrum.ActStats{}, nil); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
