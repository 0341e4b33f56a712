package pipeline

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/recipe"
	"github.com/specquant/specquant/internal/testmodel"
)

// parsed is a recipe of a test.
func parsed(t testing.TB, yaml string) *recipe.Recipe {
	t.Helper()
	r, err := recipe.Parse([]byte("name: test\n"+yaml), "test")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestBaselines: every embedded recipe goes through, on widths that no group
// divides, with and without shared values, and leaves no trace of threads.
func TestBaselines(t *testing.T) {
	for name, shape := range map[string]testmodel.Options{
		"shared values": {Hidden: 48, Intermediate: 140, Heads: 4, KVHeads: 2, HeadDim: 12},
		"own values":    {Hidden: 40, Intermediate: 140, Heads: 5, KVHeads: 5, HeadDim: 8, Bias: true},
	} {
		for _, method := range []string{"awq", "svdquant", "resq", "smoothquant"} {
			t.Run(name+" "+method, func(t *testing.T) {
				r, err := recipe.Load(method)
				if err != nil {
					t.Fatal(err)
				}
				r.Calibration.Tokens, r.Calibration.Samples = 32, 6
				o := options(t, shape, r, 1)
				m, err := Run(t.Context(), o)
				if err != nil {
					t.Fatal(err)
				}
				for _, l := range m.Layers {
					if !(l.Error < 0.6) { // random weights at 4 bits lose a tenth or two
						t.Errorf("%s: output error %v", l.Name, l.Error)
					}
					behindNorm := !strings.HasSuffix(l.Name, "o_proj") && !strings.HasSuffix(l.Name, "down_proj")
					shared := shape.Heads != shape.KVHeads && strings.HasSuffix(l.Name, "o_proj")
					switch {
					case method == "smoothquant" && (l.Alpha == "0.85") != behindNorm:
						t.Errorf("%s: smoothed by %s", l.Name, l.Alpha)
					case method == "awq" && strings.HasPrefix(l.Alpha, "awq ") == shared:
						t.Errorf("%s: scaled by %s", l.Name, l.Alpha)
					}
				}
				want := sums(t, o.Out)
				o.Out += "-threads"
				o.Pool = parallel.NewPool(3)
				defer o.Pool.Close()
				if _, err := Run(t.Context(), o); err != nil {
					t.Fatal(err)
				}
				same(t, "three threads", sums(t, o.Out), want)
			})
		}
	}
}

// TestMix: the widths that a mixture chose, on the average that was asked for, with
// exceptions left alone; a job stopped anywhere writes the same bytes.
func TestMix(t *testing.T) {
	r := parsed(t, `bits: 4-16-16
weights: {clip: mse, average: 3.5, widths: [2, 3, 4, 6], layers: [{match: v_proj, bits: 8}]}
rotate: {residual: hadamard, down: hadamard}
solve: {method: gptq, damp: 0.01}
calibration: {samples: 4, tokens: 32}
`)
	o := options(t, testmodel.Options{}, r, 2)
	if _, err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	want := sums(t, o.Out)
	raw, err := os.ReadFile(filepath.Join(o.Out, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		Quantization artefact.Quantization `json:"quantization_config"`
		Hidden       int                   `json:"hidden_size"`
		Intermediate int                   `json:"intermediate_size"`
	}
	if err := json.Unmarshal(raw, &config); err != nil {
		t.Fatal(err)
	}
	h, n := config.Hidden, config.Intermediate
	sizes := [llama.NumLinears]int{h * h, h * h / 2, h * h / 2, h * h, h * n, h * n, h * n}
	var bits, weights float64
	kinds := map[int]bool{}
	for i := range 2 {
		for l := range llama.NumLinears {
			b := config.Quantization.LayerBits(llama.TensorPrefix(i) + l.String())
			if l == llama.V {
				if b != 8 {
					t.Errorf("v has %d bits, want the recipe's 8", b)
				}
				continue
			}
			kinds[b] = true
			bits += float64(b * sizes[l])
			weights += float64(sizes[l])
		}
	}
	if average := bits / weights; average > 3.5 || average < 3.2 || len(kinds) < 2 {
		t.Errorf("%v bits on average in %d widths, want at most 3.5 and close to it", average, len(kinds))
	}
	if raw, err = os.ReadFile(filepath.Join(o.Out, artefact.ManifestFile)); err != nil {
		t.Fatal(err)
	}
	var manifest struct {
		Recipe struct{ Weights recipe.Weights }
	}
	if err := json.Unmarshal(raw, &manifest); err != nil {
		t.Fatal(err)
	}
	if got := manifest.Recipe.Weights; got.Average != 3.5 || len(got.Layers)-got.Filled != 1 {
		t.Errorf("the manifest's recipe is not the one that was given, with what was chosen: %+v", got)
	}
	stopAnywhere(t, o, want)
}
