package pipeline

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/recipe"
	"github.com/specquant/specquant/internal/stage"
	"github.com/specquant/specquant/internal/testmodel"
)

// TestForeseen: what the plan knows of fallbacks, and that a strict plan and a
// strict job refuse each; and that a job that has none runs.
func TestForeseen(t *testing.T) {
	for _, c := range []struct {
		name, yaml string
		shape      testmodel.Options
		kind       string // "": none
		places     int
		want       string
	}{
		{"none", "bits: 4-4-4\nweights: {group: 32}\nsolve: {method: gptq, damp: 0.01}\ncalibration: {samples: 4, tokens: 64}\n", testmodel.Options{}, "", 0, ""},
		{"no calibration", "bits: 4-4-4\nsolve: {method: rtn}\n", testmodel.Options{}, "", 0, ""},
		{"windows", "bits: 4-4-4\nsolve: {method: gptq, damp: 0.01}\ncalibration: {samples: 4000, tokens: 64}\n", testmodel.Options{},
			artefact.FallbackCalibration, 1, "calibration.samples: the text has 24 windows of 64 tokens, 4000 were asked for"},
		{"one short window", "bits: 4-4-4\nsolve: {method: gptq, damp: 0.01}\ncalibration: {samples: 1, tokens: 2048}\n", testmodel.Options{Context: 4096},
			artefact.FallbackCalibration, 1, "calibration.tokens: the text has one window of 1681 tokens, 2048 were asked for"},
		{"the model's context is no fallback", "bits: 4-4-4\nsolve: {method: gptq, damp: 0.01}\ncalibration: {samples: 1, tokens: 2048}\n", testmodel.Options{}, "", 0, ""},
		{"rotation", "bits: 4-4-4\nrotate: {down: hadamard, residual: hadamard}\nsolve: {method: rtn}\n", testmodel.Options{Intermediate: 70},
			artefact.FallbackRotation, 1, "rotate.down: no Hadamard matrix is known here at width 70: Sylvester 2 × cosine 35"},
		{"heads", "bits: 4-4-4\nrotate: {o: heads, heads: hadamard}\nsolve: {method: rtn}\n", testmodel.Options{Hidden: 40, Heads: 5, KVHeads: 5, HeadDim: 8},
			artefact.FallbackRotation, 1, "rotate.o: no Hadamard matrix is known here at width 40: cosine 5 across 5 heads of 8"},
		{"group", "bits: 4-4-4\nweights: {group: 64}\nsolve: {method: rtn}\n", testmodel.Options{}, artefact.FallbackGroup, 4, "input of o: weights.group is 64, the layers have 32 inputs"},
		{"group of activations", "bits: 4-4-4\nactivations: {group: 64}\nsolve: {method: rtn}\n", testmodel.Options{Intermediate: 96}, artefact.FallbackGroup, 3, "activations.group is 64, the input has 32 channels"},
		{"no group at 8 bits", "bits: 4-8-4\nactivations: {group: 64}\nsolve: {method: rtn}\n", testmodel.Options{}, "", 0, ""},
		{"group of layers that are not quantized", "bits: 4-4-4\nweights: {group: 64, layers: [{match: '*', bits: 16}]}\nsolve: {method: rtn}\n", testmodel.Options{}, "", 0, ""},
		{"branch", "bits: 4-4-4\nbranch: {basis: klt, axis: output, components: 8, overhead: 0.25}\nsolve: {method: gptq, damp: 0.01}\ncalibration: {samples: 4, tokens: 64}\n", testmodel.Options{},
			artefact.FallbackBranch, 8, "no vector of 16 bits for 32 inputs and 64 outputs fits into branch.components 8 at branch.overhead 0.25"},
		{"branch on one input", "bits: 4-4-4\nbranch: {basis: svd, axis: output, components: 8, overhead: 0.25, inputs: [down]}\nsolve: {method: rtn}\ncalibration: {samples: 4, tokens: 64}\n", testmodel.Options{}, artefact.FallbackBranch, 2, "model.layers.1.down"},
		{"a branch of fewer components", "bits: 4-4-4\nbranch: {basis: klt, axis: output, components: 8, overhead: 2}\nsolve: {method: gptq, damp: 0.01}\ncalibration: {samples: 4, tokens: 64}\n", testmodel.Options{}, "", 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := options(t, c.shape, parsed(t, c.yaml), 2)
			m, err := Run(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			if len(m.Fallbacks) != c.places {
				t.Errorf("%d fallbacks, want %d", len(m.Fallbacks), c.places)
			}
			var lines []string
			for _, f := range m.Fallbacks {
				if f.Kind != c.kind {
					t.Errorf("kind %q", f.Kind)
				}
				lines = append(lines, f.String())
			}
			if !strings.Contains(strings.Join(lines, "\n"), c.want) {
				t.Errorf("%s\nlacks %q", strings.Join(lines, "\n"), c.want)
			}
			plain := sums(t, o.Out)
			o.Out, o.Strict = o.Out+"-strict", true
			_, planErr := PlanJob(o)
			_, err = Run(t.Context(), o)
			if c.kind == "" {
				if err != nil || planErr != nil {
					t.Errorf("strict: %v, %v", planErr, err)
				}
				same(t, "strict", sums(t, o.Out), plain)
				return
			}
			var strict *StrictError
			if !errors.As(err, &strict) || !errors.As(planErr, &strict) || !strings.Contains(err.Error(), c.kind) {
				t.Errorf("strict: %v, %v", planErr, err)
			}
		})
	}
}

// TestFallbackLines: one line for each kind and cause.
func TestFallbackLines(t *testing.T) {
	var all []artefact.Fallback
	for i := range 5 {
		all = append(all, artefact.Fallback{Kind: "damping", Where: fmt.Sprint("layer ", i), Cause: "took 1"})
	}
	all = append(all, artefact.Fallback{Kind: "damping", Where: "layer 9", Cause: "took 2"})
	got := strings.Join(artefact.FallbackLines(all), "\n")
	if want := "damping, layer 0, layer 1, layer 2 and 2 more: took 1\ndamping, layer 9: took 2"; got != want {
		t.Errorf("got %s", got)
	}
}

// poisoned is a worker with its activations in memory, block 0 loaded, window 2 of
// one of its stores damaged at token 5, channel 7.
func poisoned(t *testing.T, yaml string, reference bool, bad float32) (*stage.State, *job) {
	t.Helper()
	o := options(t, testmodel.Options{}, parsed(t, yaml), 2)
	j, err := prepare(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.ck.Close() })
	st, err := stage.New(&j.ck.Config, o.Recipe, o.Pool, j.plan.Windows, j.plan.Tokens)
	if err != nil {
		t.Fatal(err)
	}
	st.Prefix = llama.TensorPrefix(0)
	if st.Inputs, err = st.Fill(j.ck, j.set.Windows, ""); err != nil {
		t.Fatal(err)
	}
	if st.Reference != nil {
		if st.Reference.Inputs, err = st.Fill(j.ck, j.set.Windows, ""); err != nil {
			t.Fatal(err)
		}
		if st.Targets, err = stage.NewStore(st.Windows, st.Tokens*st.Config.HiddenSize, ""); err != nil {
			t.Fatal(err)
		}
	}
	s := st.Inputs
	if reference {
		s = st.Reference.Inputs
	}
	x, err := s.Get(2)
	if err != nil {
		t.Fatal(err)
	}
	x[5*st.Config.HiddenSize+7] = bad
	if err := st.Load(j.ck, 0); err != nil {
		t.Fatal(err)
	}
	return st, j
}

// quantizeBlock carries out the steps of the loaded block.
func quantizeBlock(ctx context.Context, st *stage.State) error {
	for _, step := range stage.Steps(st.Config, st.Recipe, 0, true) {
		if err := st.Do(ctx, step); err != nil {
			return err
		}
	}
	return nil
}

// TestNonFiniteActivations: one NaN or infinity, in whichever activations, is
// found before it is used, and the error says where it is.
func TestNonFiniteActivations(t *testing.T) {
	const rest = "calibration: {samples: 4, tokens: 16, propagate: runtime}\n"
	const fit = "bits: 4-4-4\nsolve: {method: gptq, damp: 0.01, correct: stream}\n" + rest
	const flat = "bits: 4-4-4\nlearn: {method: flatquant, epochs: 1, batch: 1, rate: 0.01, clip-rate: 0.01}\nsolve: {method: rtn}\n" + rest
	for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(-1))} {
		for _, c := range []struct {
			name, yaml string
			reference  bool
			run        func(ctx context.Context, st *stage.State, j *job) error
			want       string
		}{
			{"statistics", "bits: 4-4-4\nsolve: {method: gptq, damp: 0.01}\n" + rest, false,
				func(ctx context.Context, st *stage.State, _ *job) error { return st.Gather(ctx, -1, nil) }, "input of q,k,v"},
			{"a whole block", fit, false,
				func(ctx context.Context, st *stage.State, _ *job) error { return quantizeBlock(ctx, st) }, "as quantized so far"},
			{"the reference, fitting", fit, true,
				func(ctx context.Context, st *stage.State, _ *job) error { return quantizeBlock(ctx, st) }, "full-precision model"},
			{"next block's input", fit, false, func(ctx context.Context, st *stage.State, _ *job) error {
				return st.AdvanceInputs(ctx)
			}, "residual stream before model.layers.0"},
			{"next block's reference", fit, true,
				func(ctx context.Context, st *stage.State, j *job) error { return st.AdvanceReference(ctx, j.ck, 0) }, "full-precision model"},
			{"learning", flat, true,
				func(ctx context.Context, st *stage.State, _ *job) error { return st.Learn(ctx) }, "full-precision model"},
		} {
			t.Run(fmt.Sprint(c.name, " ", bad), func(t *testing.T) {
				st, j := poisoned(t, c.yaml, c.reference, bad)
				err := c.run(t.Context(), st, j)
				if err == nil {
					t.Fatal("no error")
				}
				for _, want := range []string{c.want, "calibration window 2, token 5, channel "} {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("%q lacks %q", err, want)
					}
				}
			})
		}
	}
}

// TestNonFiniteJob: weights that are finite, and make activations that are not.
func TestNonFiniteJob(t *testing.T) {
	for name, yaml := range degenerate {
		o := options(t, testmodel.Options{Bias: true}, parsed(t, yaml+"calibration: {samples: 3, tokens: 32, propagate: runtime}\n"), 2)
		edit(t, o.Dir, func(name string, w []float32, rows, cols int) {
			if name == "model.layers.1.mlp.gate_proj.bias" || name == "model.layers.1.mlp.up_proj.bias" {
				for i := range w {
					w[i] = 1e25
				}
			}
		})
		_, err := Run(t.Context(), o)
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		// SpinQuant meets it in the tape of the whole model, which has no windows.
		if s := err.Error(); name != "spinquant" && !(strings.Contains(s, "calibration window 0, token 0, channel") && strings.Contains(s, "down")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestLayersLeftAlone: layers at 16 bits hold the checkpoint's own numbers, count as
// 16 bits, and everything beside them is quantized.
func TestLayersLeftAlone(t *testing.T) {
	for name, yaml := range map[string]string{
		"rtn":      "bits: 4-8-8\nsolve: {method: rtn}\n",
		"gptq":     "bits: 3-4-4\nsolve: {method: gptq, damp: 0.01}\ncalibration: {samples: 4, tokens: 32}\n",
		"spectral": "bits: 4-4-4\nbranch: {basis: dft, axis: output, components: 2, importance: interaction, temperature: 1}\nsolve: {method: gptq, damp: 0.01}\ncalibration: {samples: 4, tokens: 32, propagate: runtime}\n",
		"klt":      "bits: 4-4-4\nbranch: {basis: klt, axis: output, components: 3, remove: true}\nsolve: {method: gptq, damp: 0.01, correct: outputs}\ncalibration: {samples: 4, tokens: 32, propagate: runtime}\n",
		"tune":     "bits: 4-4-4\nsolve: {method: gptq, damp: 0.01}\ntune: {epochs: 1, batch: 2, rounding: 0.02, scales: 0.01}\ncalibration: {samples: 4, tokens: 32, propagate: runtime}\n",
	} {
		t.Run(name, func(t *testing.T) {
			r := parsed(t, yaml)
			r.Weights.Layers = []recipe.LayerBits{{Match: "down_proj", Bits: 16}, {Match: "layers.0.*", Bits: 16}, {Match: "layers.1.self_attn.q_proj", Bits: 16}}
			o := options(t, testmodel.Options{Layers: 3, DType: checkpoint.F16}, r, 2)
			m, err := Run(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			ck, err := checkpoint.Open(o.Dir)
			if err != nil {
				t.Fatal(err)
			}
			defer ck.Close()
			left, n := 0, 0
			var stored, weights float64
			decoded(t, o.Out, func(i int, l llama.Which, w []float32) {
				report := m.Layers[n]
				n++
				size := float64(len(w))
				stored, weights = stored+report.BitsPerWeight*size, weights+size
				tensor, err := ck.Tensor(llama.TensorPrefix(i) + l.String() + ".weight")
				if err != nil {
					t.Fatal(err)
				}
				full := make([]float32, len(w))
				if err := tensor.Float32(full); err != nil {
					t.Fatal(err)
				}
				exact := true
				for k, v := range full {
					exact = exact && v == w[k]
				}
				should := l == llama.Down || i == 0 || i == 1 && l == llama.Q
				if should {
					left++
				}
				if exact != should || (report.BitsPerWeight == 16) != should {
					t.Errorf("%s: exact %v, want %v; %v bits", report.Name, exact, should, report.BitsPerWeight)
				}
			})
			if left != 10 || math.Abs(m.BitsPerWeight-stored/weights) > 1e-9 || m.BitsPerWeight < 8 {
				t.Errorf("%d layers left, %v bits a weight, want %v", left, m.BitsPerWeight, stored/weights)
			}
		})
	}
}

// TestTooLargeFor16Bits: a layer that is left alone but does not fit is refused by
// name.
func TestTooLargeFor16Bits(t *testing.T) {
	r := parsed(t, "bits: 4-16-16\nweights: {layers: [{match: gate_proj, bits: 16}]}\nsolve: {method: rtn}\n")
	o := options(t, testmodel.Options{DType: checkpoint.BF16}, r, 2)
	edit(t, o.Dir, func(name string, w []float32, rows, cols int) {
		if name == "model.layers.1.mlp.gate_proj.weight" {
			w[3*cols+4] = 1 << 17
		}
	})
	_, err := Run(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), `tensor "model.layers.1.mlp.gate_proj.weight": the largest weight is 1.31e+05, expected`) {
		t.Errorf("got %v", err)
	}
	if _, err := checkpoint.Open(filepath.Clean(o.Out)); err == nil {
		t.Error("the artefact has its name")
	}
}
