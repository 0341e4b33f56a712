package pipeline

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
	"github.com/specquant/specquant/internal/testmodel"
)

// scaledPairs are changes of a model that leave its function as it is, whatever s.
var scaledPairs = map[string]func(name string, w []float32, rows, cols int, s float32){
	"v and o, up and down": func(name string, w []float32, rows, cols int, s float32) {
		times(name, w, s, "v_proj.weight", "up_proj.weight")
		times(name, w, 1/s, "o_proj.weight", "down_proj.weight")
	},
	"queries and keys": func(name string, w []float32, rows, cols int, s float32) {
		times(name, w, s, "q_proj.weight")
		times(name, w, 1/s, "k_proj.weight")
	},
	"norms": func(name string, w []float32, rows, cols int, s float32) {
		times(name, w, s, "input_layernorm.weight", "post_attention_layernorm.weight")
		times(name, w, 1/s, "q_proj.weight", "k_proj.weight", "v_proj.weight", "gate_proj.weight", "up_proj.weight")
	},
	"every third channel of up": func(name string, w []float32, rows, cols int, s float32) {
		for r := range rows {
			for i := range cols {
				switch {
				case strings.HasSuffix(name, "up_proj.weight") && r%3 == 0:
					w[r*cols+i] *= s
				case strings.HasSuffix(name, "down_proj.weight") && i%3 == 0:
					w[r*cols+i] /= s
				}
			}
		}
	},
}

func times(name string, w []float32, s float32, of ...string) {
	for _, suffix := range of {
		if strings.HasSuffix(name, suffix) {
			for i := range w {
				w[i] *= s
			}
		}
	}
}

// TestScaledPairs: weights so small or large that no 16-bit float is a scale for them
// give what the same function has with ordinary ones.
func TestScaledPairs(t *testing.T) {
	ids := []int{257}
	for _, b := range []byte("The five boxing wizards jump quickly, said the fox.") {
		ids = append(ids, int(b))
	}
	for _, which := range []string{"rtn", "specquant-fast"} {
		for _, bits := range []string{"8-16-16", "4-8-8"} {
			run := func(change func(name string, w []float32, rows, cols int)) float64 {
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
				o := options(t, testmodel.Options{}, r, 2)
				edit(t, o.Dir, change)
				full := familyLogits(t, o.Dir, ids)
				if _, err := Run(t.Context(), o); err != nil {
					t.Fatal(err)
				}
				return divergence(full, familyLogits(t, o.Out, ids), testmodel.Vocab)
			}
			plain := run(func(string, []float32, int, int) {})
			for name, change := range scaledPairs {
				for _, s := range []float64{1e-3, 1e-5, 1e5, 1e9} {
					kl := run(func(name string, w []float32, rows, cols int) { change(name, w, rows, cols, float32(s)) })
					if !(math.Abs(math.Log(kl/plain)) < math.Log(2.5)) {
						t.Errorf("%s at %s, %s times %g: divergence %.3g, unscaled %.3g", which, bits, name, s, kl, plain)
					}
				}
			}
		}
	}
}

// TestRefusedRanges: what can't be brought to a range that fits is refused by tensor
// before any work.
func TestRefusedRanges(t *testing.T) {
	for name, c := range map[string]struct {
		suffix string
		times  float32
		recipe string
		want   []string
	}{
		"down too small": {"1.mlp.down_proj.weight", 1e-17, "bits: 4-16-16\n", []string{`"model.layers.1.mlp.`, "in 4 bits", "16-bit float", "rescale"}},
		"o too large":    {"0.self_attn.o_proj.weight", 1e17, "bits: 4-16-16\n", []string{`"model.layers.0.self_attn.`, "in 4 bits"}},
		"gate":           {"gate_proj.weight", 1e18, "bits: 8-8-8\n", []string{"mlp.gate_proj.weight", "in 8 bits"}},
		"whole":          {"k_proj.weight", 1e-14, "bits: 4-16-16\nweights: {layers: [{match: \"*_proj\", bits: 16}]}\n", []string{"16-bit floats"}},
		"output matrix":  {"lm_head.weight", 1e-6, "bits: 4-16-16\nhead: {bits: 8}\n", []string{`"lm_head.weight"`, "in 8 bits"}},
		"embedding":      {"embed_tokens.weight", 1e8, "bits: 4-16-16\nembedding: {bits: 4}\n", []string{`"model.embed_tokens.weight"`}},
	} {
		t.Run(name, func(t *testing.T) {
			o := options(t, testmodel.Options{}, parsed(t, c.recipe+"solve: {method: rtn}\n"), 2)
			edit(t, o.Dir, func(name string, w []float32, rows, cols int) { times(name, w, c.times, c.suffix) })
			o.Progress = func(e Event) {
				if e.Stage != "reading the checkpoint" {
					t.Errorf("work was begun: %+v", e)
				}
			}
			_, err := Run(t.Context(), o)
			for _, want := range append(c.want, "model.safetensors", "largest weight") {
				if !strings.Contains(fmt.Sprint(err), want) {
					t.Errorf("got %v, expected %q", err, want)
				}
			}
		})
	}
}
