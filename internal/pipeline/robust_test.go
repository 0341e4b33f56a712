package pipeline

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/stage"
	"github.com/specquant/specquant/internal/testmodel"
)

// edit changes the tensors of a checkpoint in one file, in place: fn is given
// each, rows × cols.
func edit(t testing.TB, dir string, fn func(name string, w []float32, rows, cols int)) {
	t.Helper()
	path := filepath.Join(dir, "model.safetensors")
	f, err := checkpoint.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var specs []checkpoint.TensorSpec
	for _, name := range f.Names() {
		tensor, _ := f.Tensor(name)
		w := make([]float32, tensor.Elems())
		if err := tensor.Float32(w); err != nil {
			t.Fatal(err)
		}
		cols := tensor.Shape[len(tensor.Shape)-1]
		fn(name, w, len(w)/cols, cols)
		data, err := checkpoint.AppendFloats(nil, tensor.DType, w)
		if err != nil {
			t.Fatal(err)
		}
		specs = append(specs, checkpoint.TensorSpec{Name: name, DType: tensor.DType, Shape: tensor.Shape, Data: data})
	}
	f.Close()
	if err := checkpoint.WriteFile(path+".new", specs, nil); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// copyChannel makes channel `to` of a matrix' outputs that of `from`, zero where
// that is negative.
func copyChannel(w []float32, cols, to, from int) {
	if from < 0 {
		clear(w[to*cols:][:cols])
		return
	}
	copy(w[to*cols:][:cols], w[from*cols:][:cols])
}

// residual changes channel `to` of everything that writes to the residual stream.
func residual(name string, w []float32, rows, cols, to, from int) {
	switch {
	case strings.HasSuffix(name, "o_proj.weight"), strings.HasSuffix(name, "down_proj.weight"):
		copyChannel(w, cols, to, from)
	case name == stage.EmbedWeight:
		for r := range rows {
			if w[r*cols+to] = 0; from >= 0 {
				w[r*cols+to] = w[r*cols+from]
			}
		}
	case strings.Contains(name, "norm") && from >= 0:
		w[to] = w[from]
	}
}

// damages are models that give no Hessian of full rank.
var damages = map[string]func(name string, w []float32, rows, cols int){
	"few tokens": func(string, []float32, int, int) {},
	"duplicated channels": func(name string, w []float32, rows, cols int) {
		for _, c := range []int{1, 2, 3, 9} {
			residual(name, w, rows, cols, c, 0)
			if strings.HasSuffix(name, "v_proj.weight") || strings.HasSuffix(name, "up_proj.weight") || strings.HasSuffix(name, "gate_proj.weight") {
				copyChannel(w, cols, c, 0)
			}
		}
	},
	"dead channels": func(name string, w []float32, rows, cols int) {
		for _, c := range []int{2, 5, 6} {
			residual(name, w, rows, cols, c, -1)
			if strings.HasSuffix(name, "v_proj.weight") || strings.HasSuffix(name, "up_proj.weight") {
				copyChannel(w, cols, c, -1)
			}
		}
	},
	"dead inputs": func(name string, w []float32, rows, cols int) {
		if strings.HasSuffix(name, "v_proj.weight") || strings.HasSuffix(name, "up_proj.weight") {
			clear(w)
		}
	},
	"dead outputs": func(name string, w []float32, rows, cols int) {
		if strings.HasSuffix(name, "q_proj.weight") || strings.HasSuffix(name, "down_proj.weight") {
			clear(w)
		} else if strings.HasSuffix(name, "proj.weight") {
			clear(w[:3*cols])
		}
	},
	"dead block": func(name string, w []float32, rows, cols int) {
		if strings.HasSuffix(name, "proj.weight") && strings.Contains(name, "layers.1.") {
			clear(w)
		}
	},
	"dead model": func(name string, w []float32, rows, cols int) {
		if !strings.Contains(name, "norm") {
			clear(w)
		}
	},
}

// degenerate are recipes that invert, decompose or learn.
var degenerate = map[string]string{
	"gptq":         "bits: 4-4-4\nweights: {group: 32, clip: hessian, zero: centred}\nsolve: {method: gptq, damp: 0.01, act-order: true}\n",
	"sweeps":       "bits: 2-4-4\nweights: {group: 32, clip: mse, zero: centred}\nsolve: {method: gptq, damp: 0.01, act-order: true, sweeps: 3, rescale: true}\n",
	"sweeps, rows": "bits: 3-4-4\nweights: {clip: hessian}\nsolve: {method: gptq, damp: 0.01, sweeps: 2, rescale: true}\n",
	"dynamic":      "bits: 3-4-4\nweights: {group: 32, clip: mse, zero: asymmetric}\nsolve: {method: gptq, damp: 0.01, dynamic-groups: true}\n",
	"spectral":     "bits: 4-4-4\nsmooth: {alpha: [off, 0.5]}\nbranch: {basis: dft, axis: output, components: 2, importance: interaction, temperature: 1}\nsolve: {method: gptq, damp: 0.01}\n",
	"input axis":   "bits: 4-4-4\nsmooth: {alpha: [off, 0.5]}\nbranch: {basis: dct, axis: input, components: 2, importance: interaction, temperature: 1}\nsolve: {method: gptq, damp: 0.01}\n",
	"klt, remove":  "bits: 2-4-4\nweights: {zero: centred}\nbranch: {basis: klt, axis: output, components: 12, remove: true, bits: 8}\nsolve: {method: gptq, damp: 0.01}\n",
	"klt, correct": "bits: 4-4-4\nbranch: {basis: klt, axis: output, components: 12, remove: true}\nsolve: {method: gptq, damp: 0.01, correct: stream}\n",
	"columns":      "bits: 4-4-4\nbranch: {basis: columns, axis: output, components: 6, remove: true}\nsolve: {method: gptq, damp: 0.01}\n",
	"svd":          "bits: 4-4-4\nbranch: {basis: svd, axis: output, components: 6, rounds: 3}\nsolve: {method: gptq, damp: 0.01}\n",
	"svd, 8 bits":  "bits: 4-4-4\nbranch: {basis: svd, axis: output, components: 6, bits: 8}\nsolve: {method: gptq, damp: 0.01}\n",
	"whitening":    "bits: 4-4-4\nbranch: {basis: svd, axis: output, components: 6, rounds: 3, whiten: true}\nsolve: {method: gptq, damp: 0.01}\n",
	"awq":          "bits: 4-16-16\nweights: {group: 32, clip: awq, zero: asymmetric}\nsmooth: {method: awq}\nsolve: {method: rtn}\n",
	"rotated":      "bits: 4-4-4\nrotate: {residual: hadamard, heads: hadamard, cache: hadamard, o: heads, down: hadamard}\nsolve: {method: gptq, damp: 0.01, correct: outputs}\n",
	"mixture":      "bits: 4-16-16\nweights: {average: 3.5}\nsolve: {method: gptq, damp: 0.01}\n",
	"omniquant":    "bits: 4-4-4\nweights: {zero: asymmetric, group: 32}\nsmooth: {alpha: 0.5}\nlearn: {method: omniquant, epochs: 2, batch: 1, rate: 0.02, clip-rate: 0.05}\nsolve: {method: rtn}\n",
	"flatquant":    "bits: 4-4-4\nlearn: {method: flatquant, epochs: 2, batch: 1, rate: 0.02, clip-rate: 0.05}\nsolve: {method: rtn}\n",
	"tune":         "bits: 2-4-4\nweights: {zero: centred}\nbranch: {basis: klt, axis: output, components: 4, remove: true}\nsolve: {method: gptq, damp: 0.01, correct: stream}\ntune: {epochs: 2, batch: 1, rounding: 0.02, scales: 0.01, branch: 0.01, norms: 0.01}\ndistil: {epochs: 1, batch: 1, rounding: 0.02, scales: 0.01, branch: 0.01, norms: 0.01}\n",
	"spinquant":    "bits: 4-4-4\nrotate: {residual: hadamard, heads: hadamard, learn: {steps: 3, rate: 1, windows: 1}}\nsolve: {method: gptq, damp: 0.01}\n",
}

// TestDegenerate: no recipe is stopped, or made to write nonsense, by channels
// that are dead or double and by fewer tokens than channels. What the Hessians
// took is in the report.
func TestDegenerate(t *testing.T) {
	for damage, change := range damages {
		for name, yaml := range degenerate {
			t.Run(damage+" "+name, func(t *testing.T) {
				t.Parallel()
				samples := "{samples: 3, tokens: 32, propagate: runtime}"
				if damage == "few tokens" {
					samples = "{samples: 1, tokens: 6, propagate: runtime}"
				}
				r := parsed(t, yaml+"calibration: "+samples+"\n")
				o := options(t, testmodel.Options{Hidden: 40, Intermediate: 72, Heads: 5, KVHeads: 5, HeadDim: 8}, r, 1)
				edit(t, o.Dir, change)
				m, err := Run(t.Context(), o)
				if err != nil {
					t.Fatal(err)
				}
				for _, l := range m.Layers {
					for _, e := range []float64{l.Error, l.ErrorNoBranch, l.ErrorRTN, l.BitsPerWeight, l.EnergyKept, l.Peak} {
						if math.IsNaN(e) || math.IsInf(e, 0) {
							t.Errorf("%s: %+v", l.Name, l)
						}
					}
					if l.Error > 1.5 && r.Solve.Correct == "" { // corrected layers aim at something else
						t.Errorf("%s: output error %v", l.Name, l.Error)
					}
					if r.Solve.Method == "gptq" && l.Damp < 0.01 {
						t.Errorf("%s: damping %v is not reported", l.Name, l.Damp)
					}
				}
				decoded(t, o.Out, func(i int, l llama.Which, w []float32) {
					for k, v := range w {
						if !(v > -1e4 && v < 1e4) { // the random weights are below 1; AWQ scales live channels up by the dead
							t.Fatalf("block %d, %s: weight %d is %v", i, l, k, v)
						}
					}
				})
			})
		}
	}
}

// decoded hands fn what each layer of an artefact stands for.
func decoded(t testing.TB, dir string, fn func(block int, l llama.Which, w []float32)) {
	t.Helper()
	ck, err := checkpoint.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer ck.Close()
	q, err := artefact.ParseQuantization(ck.Config.Quantization, "config.json")
	if err != nil {
		t.Fatal(err)
	}
	for i := range ck.Config.Layers {
		for l := range llama.NumLinears {
			out, in := l.Shape(&ck.Config)
			layer, err := artefact.ReadLinear(ck, llama.TensorPrefix(i)+l.String(), out, in, q)
			if err != nil {
				t.Fatal(err)
			}
			w := make([]float32, out*in)
			layer.Dense(nil, w)
			fn(i, l, w)
		}
	}
}

// TestReportedDamping: what the Hessian took, dead channels included, is in the
// report of every layer that reads the input, in the list of fallbacks, and an
// error of a strict job.
func TestReportedDamping(t *testing.T) {
	r := parsed(t, "bits: 4-16-16\nsolve: {method: gptq, damp: 1e-8}\ncalibration: {samples: 2, tokens: 8}\n")
	o := options(t, testmodel.Options{Hidden: 40, Intermediate: 72, Heads: 5, KVHeads: 5, HeadDim: 8}, r, 1)
	edit(t, o.Dir, damages["dead channels"])
	m, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	raised := 0
	for _, l := range m.Layers {
		if l.DeadChannels != 3 {
			t.Errorf("%s: %d dead channels, want 3", l.Name, l.DeadChannels)
		}
		if l.Damp > 1e-8 {
			raised++
		}
	}
	if raised == 0 {
		t.Error("no damping was raised: the test does not test the ladder")
	}
	kinds := map[string]int{}
	for _, f := range m.Fallbacks {
		kinds[f.Kind]++
	}
	if kinds[artefact.FallbackDead] != 14 || kinds[artefact.FallbackDamping] != raised || len(kinds) != 2 {
		t.Errorf("fallbacks %v of %d raised", kinds, raised)
	}
	o.Out += "-strict"
	o.Strict = true
	var strict *StrictError
	_, err = Run(t.Context(), o)
	if !errors.As(err, &strict) || !strings.Contains(err.Error(), "model.layers.0.self_attn.q_proj: 3 of its input channels are zero for all calibration tokens") {
		t.Errorf("strict: %v", err)
	}
	if _, again := Run(t.Context(), o); fmt.Sprint(again) != fmt.Sprint(err) {
		t.Errorf("taken up: %v", again)
	}
	// The same job without it takes up the block, and writes the same bytes.
	o.Strict = false
	if _, err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	same(t, "strict and not", sums(t, o.Out), sums(t, strings.TrimSuffix(o.Out, "-strict")))
}
