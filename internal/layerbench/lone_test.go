package layerbench

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
)

// loneLayer quantizes a small synthetic layer, without what time and memory it took.
func loneLayer(t *testing.T, threads int, o SyntheticOptions, name, bits string) *LoneLayer {
	t.Helper()
	pool := parallel.NewPool(threads)
	defer pool.Close()
	r, err := recipe.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	b, err := quant.ParseBits(bits)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.SetBits(b); err != nil {
		t.Fatal(err)
	}
	s, err := NewSynthetic(pool, o)
	if err != nil {
		t.Fatal(err)
	}
	l, err := s.Quantize(t.Context(), pool, r)
	if err != nil {
		t.Fatal(err)
	}
	l.Seconds, l.CPU, l.Peak, l.Stages, l.Product32, l.Product64 = 0, 0, 0, nil, ProductRate{}, ProductRate{}
	return l
}

func TestLoneLayerThreads(t *testing.T) {
	o := SyntheticOptions{Out: 48, In: 96, Tokens: 600, HeldOut: 64, Seed: 3}
	for _, name := range recipe.Names() {
		one := loneLayer(t, 1, o, name, "4-4-16")
		three := loneLayer(t, 3, o, name, "4-4-16")
		if !reflect.DeepEqual(one, three) {
			t.Errorf("%s: with one thread %+v, with three %+v", name, one, three)
		}
		if one.Tokens != 512 || !(one.Error > 0 && one.Error < 1) {
			t.Errorf("%s: %d tokens, error %v; expected whole windows, and an error within (0, 1)", name, one.Tokens, one.Error)
		}
	}
}

// What comes out of the stages must be the layer that went in: in 8 bits next to
// nothing is lost, whatever was folded into it and out of its input.
func TestLoneLayerIsTheLayer(t *testing.T) {
	o := SyntheticOptions{Out: 64, In: 96, Tokens: 1024, HeldOut: 128}
	for _, name := range recipe.Names() {
		l := loneLayer(t, 0, o, name, "8-16-16")
		if l.Error > 0.03 {
			t.Errorf("%s: error %.4f at 8 bits, expected at most 0.03", name, l.Error)
		}
		if l.SampleError > 0 && math.Abs(math.Log(l.Error/l.SampleError)) > math.Log(2) {
			t.Errorf("%s: error %.4f on held-out tokens, %.4f on the sample; expected them alike", name, l.Error, l.SampleError)
		}
	}
}

func TestLoneRecipe(t *testing.T) {
	for _, c := range []struct {
		recipe  string
		correct string // solve.correct, which no embedded recipe sets
		leftOut string
		turned  bool
		smooth  bool
		branch  bool
	}{
		{recipe: "rtn"},
		{recipe: "smoothquant", smooth: true},
		{recipe: "awq", smooth: true},
		{recipe: "quarot", turned: true},
		{recipe: "resq", turned: true, branch: true},
		{recipe: "svdquant", smooth: true, branch: true},
		{recipe: "specquant", smooth: true, branch: true},
		{recipe: "specquant-klt", turned: true, smooth: true, branch: true},
		{recipe: "specquant-fast", turned: true, smooth: true},
		{recipe: "specquant-klt", correct: recipe.CorrectStream, leftOut: "correct", turned: true, smooth: true, branch: true},
		{recipe: "specquant-best", leftOut: "tune distil", turned: true, smooth: true, branch: true},
		{recipe: "spinquant", leftOut: "rotate.learn", turned: true},
		{recipe: "flatquant", leftOut: "learn", smooth: true},
	} {
		r, err := recipe.Load(c.recipe)
		if err != nil {
			t.Fatal(err)
		}
		r.Solve.Correct = c.correct
		before := *r
		lone, left := LoneRecipe(r)
		if got := strings.Join(left, " "); got != c.leftOut {
			t.Errorf("%s: left out %q, expected %q", c.recipe, got, c.leftOut)
		}
		if (lone.Rotate != nil) != c.turned || (lone.Smooth != nil) != c.smooth || (lone.Branch != nil) != c.branch {
			t.Errorf("%s: rotation %v, smoothing %v, branch %v", c.recipe, lone.Rotate, lone.Smooth, lone.Branch)
		}
		if lone.Fitting() || !reflect.DeepEqual(before, *r) {
			t.Errorf("%s: still fits to a model, or the recipe itself was changed", c.recipe)
		}
	}
}

// The inputs are as they are said to be.
func TestSyntheticInputs(t *testing.T) {
	pool := parallel.NewPool(2)
	defer pool.Close()
	s, err := NewSynthetic(pool, SyntheticOptions{Out: 16, In: 128, Tokens: 4096, HeldOut: 512})
	if err != nil {
		t.Fatal(err)
	}
	massive := 0
	rms := make([]float64, s.In)
	for i := 0; i < s.Tokens*s.In; i += s.In {
		row := s.calib[i:][:s.In]
		if row[s.Massive[0]] > 800 && row[s.Massive[1]] < -500 {
			massive++
		}
		for c, v := range row {
			rms[c] += float64(v) * float64(v) / float64(s.Tokens)
		}
	}
	if massive != s.Tokens/massiveEvery {
		t.Errorf("%d massive tokens of %d, expected one in %d", massive, s.Tokens, massiveEvery)
	}
	for c, v := range rms {
		v = math.Sqrt(v)
		lo, hi := 0.3, 3.0
		switch {
		case slices.Contains(s.Outliers, c):
			lo, hi = 0.3*outlierLeast, 3*outlierMost
		case slices.Contains(s.Massive[:], c):
			continue
		}
		if v < lo || v > hi {
			t.Errorf("channel %d is %.3g wide, expected %.3g to %.3g", c, v, lo, hi)
		}
	}
	other, err := NewSynthetic(pool, SyntheticOptions{Out: 16, In: 128, Tokens: 4096, HeldOut: 512, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if slices.Equal(s.weights, other.weights) || slices.Equal(s.calib[:512*s.In], s.heldOut) {
		t.Error("another seed gives the same weights, or held-out tokens are those of the calibration")
	}
}

func TestSyntheticLimits(t *testing.T) {
	pool := parallel.NewPool(1)
	defer pool.Close()
	for _, o := range []SyntheticOptions{
		{}, {Out: 64}, {Out: -1, In: 64}, {Out: 1 << 40, In: 1 << 40}, {Out: 1 << 16, In: 1 << 16}, {Out: 64, In: 64, Tokens: -1}, {Out: 64, In: 64, Tokens: 1 << 40}, {Out: 64, In: 64, HeldOut: 1},
	} {
		if _, err := NewSynthetic(pool, o); err == nil || !strings.Contains(err.Error(), "expected") {
			t.Errorf("%+v: error %v, expected one that names the limit", o, err)
		}
	}
}
