package pipeline

import (
	"os"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
	"github.com/specquant/specquant/internal/stage"
	"github.com/specquant/specquant/internal/testmodel"
)

// TestDeadChannel: a channel of the residual stream that no calibration token touches,
// and that a text touches later, costs no recipe much more than plain rounding: it is
// neither filled with rounding errors of zeros nor scaled by what nothing has measured.
func TestDeadChannel(t *testing.T) {
	const channel, token = 7, '~' // which the calibration text does not have
	var ids []int
	for i, b := range []byte("Was ~ that ~~ so, and ~ who judges ~ my vow of quartz? ~") {
		if ids = append(ids, int(b)); i == 0 {
			ids = append([]int{257}, ids...)
		}
	}
	for name, damage := range map[string]func(name string, w []float32, rows, cols int){
		"of the stream": func(name string, w []float32, rows, cols int) {
			switch {
			case name == stage.EmbedWeight:
				for r := range rows {
					w[r*cols+channel] = 0
				}
				w[token*cols+channel] = 4
			case strings.HasSuffix(name, "o_proj.weight"), strings.HasSuffix(name, "down_proj.weight"):
				clear(w[channel*cols:][:cols])
			}
		},
		"two, and rows of zeros": func(name string, w []float32, rows, cols int) {
			switch {
			case name == stage.EmbedWeight:
				for r := range rows {
					w[r*cols+3], w[r*cols+11] = 0, 0
				}
				w[token*cols+3], w[token*cols+11] = 3, -2
			case strings.HasSuffix(name, "o_proj.weight"), strings.HasSuffix(name, "down_proj.weight"):
				clear(w[3*cols:][:cols])
				clear(w[11*cols:][:cols])
			case strings.HasSuffix(name, "up_proj.weight"), strings.HasSuffix(name, "v_proj.weight"):
				clear(w[5*cols:][:cols])
			}
		},
	} {
		for _, bits := range []string{"8-16-16", "4-8-8"} {
			// run is the divergence of what a recipe makes of the model.
			run := func(which, text string) float64 {
				r, err := recipe.Load(which)
				if err != nil {
					t.Fatal(err)
				}
				short(r)
				b, err := quant.ParseBits(bits)
				if err != nil {
					t.Fatal(err)
				}
				if err := r.SetBits(b); err != nil {
					t.Fatal(err)
				}
				o := options(t, testmodel.Options{Layers: 3}, r, 2)
				if err := os.WriteFile(o.Calibration[0], []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
				edit(t, o.Dir, damage)
				full := familyLogits(t, o.Dir, ids)
				if _, err := Run(t.Context(), o); err != nil {
					t.Fatalf("%s: %v", which, err)
				}
				return divergence(full, familyLogits(t, o.Out, ids), testmodel.Vocab)
			}
			plain := run("rtn", text)
			for _, which := range recipe.Names() {
				kl := run(which, text)
				most := 4 * plain
				if !(kl < most) { // activations cut off at 0.9 of their range lose more than plain rounding, dead channel or not
					most = 3 * run(which, strings.ReplaceAll(text, "ju", "~"))
				}
				if !(kl < most) {
					t.Errorf("%s, %s at %s: divergence %.3g, of plain rounding %.3g; expected at most %.3g", name, which, bits, kl, plain, most)
				}
			}
		}
	}
}

// short makes a recipe quick: few tokens, and few steps of what learns.
func short(r *recipe.Recipe) {
	r.Calibration.Tokens, r.Calibration.Samples = 32, 8
	if r.Learn != nil {
		r.Learn.Epochs = 4
	}
	if r.Tune != nil {
		r.Tune.Epochs = 1
	}
	if r.Distil != nil {
		r.Distil.Epochs = 1
	}
	if r.Rotate != nil && r.Rotate.Learn != nil {
		r.Rotate.Learn.Steps = 5
	}
}
