package pipeline

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/linalg"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/recipe"
	"github.com/specquant/specquant/internal/stage"
	"github.com/specquant/specquant/internal/testmodel"
)

// learning are recipes that learn, with few and fast steps.
var learning = map[string]string{
	"omniquant": `bits: 4-4-4
weights: {zero: asymmetric, group: 32}
smooth: {alpha: 0.5}
learn: {method: omniquant, epochs: 2, batch: 1, rate: 0.02, clip-rate: 0.05}
solve: {method: rtn}
calibration: {samples: 4, tokens: 24, propagate: runtime}
`,
	"flatquant": `bits: 4-4-4
rotate: {heads: hadamard, cache: hadamard}
learn: {method: flatquant, epochs: 2, batch: 3, rate: 0.02, clip-rate: 0.05, input: full}
solve: {method: gptq, damp: 0.01, correct: outputs}
tune: {epochs: 1, batch: 2, scales: 0.01}
calibration: {samples: 4, tokens: 24, propagate: runtime}
`,
	"spinquant": `bits: 4-4-4
weights: {clip: mse}
rotate: {residual: hadamard, heads: hadamard, cache: hadamard, o: heads, down: hadamard, learn: {steps: 6, rate: 1.5, windows: 3}}
solve: {method: gptq, damp: 0.01}
calibration: {samples: 4, tokens: 24}
`,
	"tune": `bits: 4-4-4
rotate: {residual: hadamard, down: hadamard}
branch: {basis: klt, axis: output, components: 2}
solve: {method: gptq, damp: 0.01, correct: stream}
tune: {epochs: 2, batch: 2, rounding: 0.02, scales: 0.01, branch: 0.01, norms: 0.01}
calibration: {samples: 4, tokens: 24, propagate: runtime}
`,
	"distil": `bits: 4-4-4
learn: {method: flatquant, epochs: 1, batch: 2, rate: 0.02, clip-rate: 0.05}
solve: {method: rtn}
distil: {epochs: 2, batch: 2, rounding: 0.02, scales: 0.01, norms: 0.01}
calibration: {samples: 4, tokens: 24, propagate: runtime}
`,
}

// TestLearnedBytes holds jobs that learn to the promise of [TestSameBytes]:
// threads, spilling and interruption, anywhere, leave no trace.
func TestLearnedBytes(t *testing.T) {
	shape := testmodel.Options{Layers: 2, Hidden: 24, Intermediate: 60, Heads: 6, KVHeads: 2, HeadDim: 4, Bias: true}
	for name, yaml := range learning {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options(t, shape, parsed(t, yaml), 1)
			if _, err := Run(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			want := sums(t, o.Out)
			for file := range want {
				if file == rotationsFile || file == distilFile || strings.HasSuffix(file, distilledSuffix) || strings.HasSuffix(file, ".tmp") {
					t.Errorf("%s is left", file)
				}
			}
			o.Out += "-threads"
			o.Pool = parallel.NewPool(3)
			defer o.Pool.Close()
			if _, err := Run(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			same(t, "three threads", sums(t, o.Out), want)

			o.Out += "-spilled"
			plan, err := PlanJob(o)
			if err != nil {
				t.Fatal(err)
			}
			o.MaxMemory = plan.Peak - 1
			if _, err := Run(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			same(t, "spilled", sums(t, o.Out), want)
			o.MaxMemory = 0

			stopAnywhere(t, o, want)
		})
	}
}

// TestFinished: a job that was killed between its manifest and its name is only
// given the name, and another job does not take it for its own.
func TestFinished(t *testing.T) {
	o := options(t, testmodel.Options{}, parsed(t, learning["distil"]), 2)
	if _, err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	want := sums(t, o.Out)
	if err := os.Rename(o.Out, o.Out+PartialSuffix); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(o.Out+PartialSuffix, distilFile), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	other := o
	other.Recipe = parsed(t, learning["omniquant"])
	if _, err := Run(t.Context(), other); err == nil || !strings.Contains(err.Error(), "another job") {
		t.Fatalf("another recipe: %v", err)
	}
	o.Progress = func(e Event) {
		if e.Stage != "reading the checkpoint" { // its sum says whether this is the same job
			t.Errorf("did %q again", e.Stage)
		}
	}
	m, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Layers) != 14 {
		t.Errorf("a manifest of %d layers", len(m.Layers))
	}
	same(t, "finished", sums(t, o.Out), want)
}

// TestLearnedIsEquivalent: with weights and activations in 16 bits, what was learned
// (noise, then) and folded in changes nothing of what the model computes.
func TestLearnedIsEquivalent(t *testing.T) {
	for _, name := range []string{"omniquant", "flatquant"} {
		for kind, shape := range map[string]testmodel.Options{
			"shared values": {Hidden: 24, Intermediate: 60, Heads: 6, KVHeads: 2, HeadDim: 4, Bias: true},
			"own values":    {Hidden: 40, Intermediate: 70, Heads: 5, KVHeads: 5, HeadDim: 8},
		} {
			t.Run(name+" "+kind, func(t *testing.T) {
				r := parsed(t, strings.Replace(learning[name], "bits: 4-4-4", "bits: 4-16-16", 1))
				r.Weights.Layers = []recipe.LayerBits{{Match: "*", Bits: 16}}
				r.Solve, r.Tune, r.Learn.Rate = recipe.Solve{Method: "rtn"}, nil, 0.2
				o := options(t, shape, r, 2)
				j, err := prepare(o)
				if err != nil {
					t.Fatal(err)
				}
				defer j.ck.Close()
				st, err := stage.New(&j.ck.Config, r, o.Pool, j.plan.Windows, j.plan.Tokens)
				if err != nil {
					t.Fatal(err)
				}
				for _, s := range []**stage.Store{&st.Inputs, &st.Reference.Inputs, &st.Targets} {
					if *s, err = st.Fill(j.ck, j.set.Windows, ""); err != nil {
						t.Fatal(err)
					}
				}
				if err := st.Load(j.ck, 0); err != nil {
					t.Fatal(err)
				}
				before := append([]float32(nil), st.Block.Linears[llama.V].W...)
				if err := quantizeBlock(t.Context(), st); err != nil {
					t.Fatal(err)
				}
				if e := stage.Relative(before, st.Block.Linears[llama.V].W); e < 0.1 {
					t.Errorf("the weights have changed by %v, want a change that would show", e)
				}
				if err := st.AdvanceInputs(t.Context()); err != nil {
					t.Fatal(err)
				}
				if err := st.AdvanceReference(t.Context(), j.ck, 0); err != nil {
					t.Fatal(err)
				}
				for i := range st.Windows {
					got, _ := st.Inputs.Get(i)
					want, _ := st.Reference.Inputs.Get(i)
					if e := stage.Relative(want, got); !(e < 2e-3) { // weights are rounded to 16-bit floats
						t.Fatalf("window %d: differs by %v", i, e)
					}
				}
			})
		}
	}
}

// TestSpun: learned rotations are orthogonal, are not what they were, and are those
// of each block.
func TestSpun(t *testing.T) {
	o := options(t, testmodel.Options{Layers: 3, Hidden: 24, Heads: 6, KVHeads: 2, HeadDim: 4}, parsed(t, learning["spinquant"]), 2)
	ctx, cancel := context.WithCancel(t.Context())
	o.Progress = func(e Event) {
		if e.Block == 1 {
			cancel()
		}
	}
	if _, err := Run(ctx, o); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	j, err := prepare(o)
	if err != nil {
		t.Fatal(err)
	}
	defer j.ck.Close()
	st, err := stage.New(&j.ck.Config, o.Recipe, o.Pool, j.plan.Windows, j.plan.Tokens)
	if err != nil {
		t.Fatal(err)
	}
	start := linalg.Matrix(o.Pool, st.Rotation.Residual)
	if err := j.useLearnedRotations(t.Context(), st); err != nil {
		t.Fatal(err)
	}
	if e := stage.Relative(start, linalg.Matrix(o.Pool, st.Rotation.Residual)); e < 0.01 {
		t.Errorf("R1 has changed by %v", e)
	}
	for i, r := range append([]linalg.Transform{st.Rotation.Residual}, st.Rotation.Own...) {
		n := r.Width()
		m := linalg.Matrix(o.Pool, r)
		r.Apply(o.Pool, m, n)
		for k, v := range m {
			want := 0.0
			if k%(n+1) == 0 {
				want = 1
			}
			if math.Abs(float64(v)-want) > 2e-6 {
				t.Fatalf("rotation %d: element %d of R·Rᵀ is %v", i, k, v)
			}
		}
	}
	if len(st.Rotation.Own) != 3 || stage.Relative(linalg.Matrix(o.Pool, st.Rotation.Own[0]), linalg.Matrix(o.Pool, st.Rotation.Own[2])) == 0 {
		t.Error("the blocks' R2 are not each block's own")
	}
}

// TestStoredTurns: the artefact says how its inputs are turned, and holds the factors.
func TestStoredTurns(t *testing.T) {
	o := options(t, testmodel.Options{}, parsed(t, learning["flatquant"]), 2)
	if _, err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	j, err := prepare(o)
	if err != nil {
		t.Fatal(err)
	}
	defer j.ck.Close()
	q := j.quantization()
	for in := range llama.NumInputs {
		if q.Transforms.Input(in) != artefact.Kronecker {
			t.Errorf("input of %s: %q", in, q.Transforms.Input(in))
		}
	}
}

// TestLearningMemory: what learning holds is planned, and rotations of a model that
// is too large are refused with what would do.
func TestLearningMemory(t *testing.T) {
	c := &checkpoint.Config{HiddenSize: 4096, IntermediateSize: 11008, Layers: 32, Heads: 32, KVHeads: 32, HeadDim: 128, VocabSize: 32000}
	plan := func(name string, maxMemory int64) (*Plan, error) {
		r, err := recipe.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		return NewPlan(c, 13e9, 5e8, 0, r, 2, 64, 2048, maxMemory)
	}
	_, err := plan("spinquant", 0)
	if err == nil || !strings.Contains(err.Error(), "quarot") || !strings.Contains(err.Error(), "--max-memory") {
		t.Fatalf("spinquant of 7 billion weights: %v", err)
	}
	if p, err := plan("spinquant", 1<<40); err != nil || p.Peak < 4*6.5e9 {
		t.Errorf("with a terabyte: %v, %+v", err, p)
	}
	least, err := plan("rtn", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"omniquant", "flatquant"} {
		p, err := plan(name, 0)
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, i := range p.Memory {
			found = found || i.Name == "learning: "+name && i.Bytes > 1e9
		}
		if !found || p.Peak < least.Peak || p.Work < 2*least.Work {
			t.Errorf("%s: %+v", name, p)
		}
	}
}
