package pipeline

import (
	"testing"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
)

// TestFittable: a fit that is judged is left out where there is too little calibration text for
// the widest layer and the bits of activations, and of mixtures of experts; what a recipe asks for in full is not touched.
func TestFittable(t *testing.T) {
	for _, c := range []struct {
		name                           string
		correct                        string
		width, experts, samples, token int
		activations                    int
		want                           string
	}{
		{"enough text", recipe.CorrectJudged, 640, 0, 10, 640, 8, recipe.CorrectJudged},
		{"a token less", recipe.CorrectJudged, 640, 0, 1, 6399, 8, ""},
		{"enough text for few bits", recipe.CorrectJudged, 640, 0, 32, 640, 4, recipe.CorrectJudged},
		{"a token less for few bits", recipe.CorrectJudged, 640, 0, 1, 20479, 4, ""},
		{"activations of 16 bits", recipe.CorrectJudged, 640, 0, 10, 640, 16, recipe.CorrectJudged},
		{"experts", recipe.CorrectJudged, 640, 4, 48, 512, 8, ""},
		{"in full", recipe.CorrectStream, 640, 0, 1, 64, 4, recipe.CorrectStream},
		{"not at all", "", 640, 0, 48, 512, 8, ""},
	} {
		config := &checkpoint.Config{Layers: 1, HiddenSize: 64, IntermediateSize: c.width, Heads: 2, KVHeads: 1, HeadDim: 32, VocabSize: 100}
		config.Experts.Count = c.experts
		r := &recipe.Recipe{Bits: quant.Bits{Weights: 4, Activations: c.activations, KV: 8}, Solve: recipe.Solve{Method: "gptq", Correct: c.correct},
			Calibration: recipe.Calibration{Samples: c.samples, Tokens: c.token}}
		got, err := Resolve(config, r, 0, 0, 0, 0)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if got.Solve.Correct != c.want {
			t.Errorf("%s: solve.correct is %q, want %q", c.name, got.Solve.Correct, c.want)
		}
		if r.Solve.Correct != c.correct {
			t.Errorf("%s: the recipe itself was changed", c.name)
		}
	}
}
