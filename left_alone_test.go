package specquant_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/specquant/specquant"
	"github.com/specquant/specquant/internal/testmodel"
)

// TestLayersLeftAlone: an artefact with layers in 16 bits, named by patterns, is
// opened, run and measured like any other, also if no layer is quantized: then it
// says what the checkpoint says.
func TestLayersLeftAlone(t *testing.T) {
	dir, calib := model(t, testmodel.Options{})
	for name, c := range map[string]struct {
		yaml    string
		kl      float64 // at most, nats a token
		atLeast float64 // bits a weight
	}{
		"some": {"bits: 4-8-8\nweights: {layers: [{match: down_proj, bits: 16}, {match: 'layers.0.*', bits: 16}]}\n" +
			"branch: {basis: klt, axis: output, components: 3, remove: true}\nsolve: {method: gptq, damp: 0.01}\ncalibration: {samples: 4, tokens: 32, propagate: runtime}\n", 0.1, 9},
		"all": {"bits: 4-8-16\nweights: {layers: [{match: '*', bits: 16}]}\nsolve: {method: gptq, damp: 0.01}\ncalibration: {samples: 4, tokens: 32}\n", 1e-5, 16},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			recipe, out := filepath.Join(folder, "mine.yaml"), filepath.Join(folder, "out")
			if err := os.WriteFile(recipe, []byte("name: mine\n"+c.yaml), 0o644); err != nil {
				t.Fatal(err)
			}
			r, err := specquant.Quantize(t.Context(), dir, out, specquant.QuantizeOptions{Recipe: recipe, Calibration: []string{calib}})
			if err != nil {
				t.Fatal(err)
			}
			if r.BitsPerWeight < c.atLeast || r.BitsPerWeight > 16 {
				t.Errorf("%v bits a weight", r.BitsPerWeight)
			}
			if r.Check.KL > c.kl {
				t.Errorf("KL divergence %v, want at most %v", r.Check.KL, c.kl)
			}
			m, err := specquant.Open(out, specquant.Options{Threads: 2})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			full, err := specquant.Open(dir, specquant.Options{Threads: 2})
			if err != nil {
				t.Fatal(err)
			}
			defer full.Close()
			d, err := m.Divergence(t.Context(), full, strings.Repeat(text, 5), specquant.DivergenceOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if !(d.KL.Mean <= c.kl) {
				t.Errorf("KL divergence %v on another text, want at most %v", d.KL.Mean, c.kl)
			}
		})
	}
}
