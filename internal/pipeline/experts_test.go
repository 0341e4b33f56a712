package pipeline

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/recipe"
	"github.com/specquant/specquant/internal/testmodel"
)

// expertsJob is a job on the small random model of a family with experts.
func expertsJob(t *testing.T, family, calibration string, r *recipe.Recipe) Options {
	t.Helper()
	dir := t.TempDir()
	model, calib := filepath.Join(dir, "model"), filepath.Join(dir, "calibration.txt")
	if err := testmodel.FamilyNamed(family).Write(model); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(calib, []byte(calibration), 0o644); err != nil {
		t.Fatal(err)
	}
	pool := parallel.NewPool(2)
	t.Cleanup(pool.Close)
	return Options{Dir: model, Out: filepath.Join(dir, "out"), Recipe: r, Calibration: []string{calib}, Pool: pool, Tool: "test"}
}

// TestExpertsRecipes: every embedded recipe quantizes a model with experts, with what it
// loses within what its bits explain, or is refused by name.
func TestExpertsRecipes(t *testing.T) {
	f := testmodel.FamilyNamed("olmoe")
	for _, name := range recipe.Names() {
		t.Run(name, func(t *testing.T) {
			r, err := recipe.Load(name)
			if err != nil {
				t.Fatal(err)
			}
			r.Calibration.Tokens, r.Calibration.Samples = 32, 6
			o := expertsJob(t, f.Name, text, r)
			m, err := Run(t.Context(), o)
			if r.Learn != nil || r.Tune != nil || r.Distil != nil || r.LearnsRotations() {
				if err == nil || !strings.Contains(err.Error(), "experts") {
					t.Errorf("%v, expected an error about experts", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := familyLogits(t, o.Out, f.IDs)
			if !slices.Equal(got, logitsInPieces(t, o.Out, f.IDs, 1)) {
				t.Error("a token's logits depend on the batch that it is in")
			}
			kl := divergence(familyLogits(t, o.Dir, f.IDs), got, len(f.Last))
			t.Logf("%s: divergence %.3g, %.2f bits a weight", r.Bits, kl, m.BitsPerWeight)
			if most := map[int]float64{16: 0.35, 8: 0.5, 4: 1.5}[r.Bits.Activations]; !(kl <= most) {
				t.Errorf("divergence %v, expected at most %v", kl, most)
			}
			if want := 3 * (4 + 3*8); len(m.Layers) != want {
				t.Errorf("%d layers are reported, expected %d", len(m.Layers), want)
			}
		})
	}
}

// TestExpertsSameBytes: an interruption anywhere and any number of threads leave no trace
// in a model with experts in some of its blocks.
func TestExpertsSameBytes(t *testing.T) {
	r := parsed(t, "bits: 4-8-8\nsmooth: {alpha: [off, 0.5]}\nrotate: {heads: hadamard, mlp: hadamard, down: hadamard, cache: balanced, seed: 3}\n"+
		"branch: {basis: klt, axis: output, components: 2, remove: true, bits: 8}\nsolve: {method: gptq, damp: 0.01}\ncalibration: {samples: 3, tokens: 32, propagate: runtime}\n")
	o := expertsJob(t, "qwen3-moe", text, r)
	if _, err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	want := sums(t, o.Out)
	out := o.Out
	for stop := 1; stop <= 2; stop++ { // with so many blocks written
		o.Out = fmt.Sprintf("%s-stopped-%d", out, stop)
		ctx, cancel := context.WithCancel(t.Context())
		o.Progress = func(e Event) {
			if e.Block == stop {
				cancel()
			}
		}
		if _, err := Run(ctx, o); !errors.Is(err, context.Canceled) {
			t.Fatalf("%v, expected an interrupted job", err)
		}
		o.Progress = nil
		if _, err := Run(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		same(t, fmt.Sprintf("stopped after %d blocks", stop), sums(t, o.Out), want)
	}
	o.Out, o.Pool = out+"-threads", parallel.NewPool(3)
	defer o.Pool.Close()
	plan, err := PlanJob(o)
	if err != nil {
		t.Fatal(err)
	}
	o.MaxMemory = plan.Peak - 1
	if plan, err = PlanJob(o); err != nil || plan.Spill == 0 {
		t.Fatalf("with a byte less than %d of memory: %v, expected a spill", plan.Peak, err)
	}
	if _, err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	same(t, "three threads, spilled", sums(t, o.Out), want)
}

// TestExpertsNotReached: experts that calibration sends few tokens are counted, said, and
// an error in a strict job; those that have enough are calibrated on their own.
func TestExpertsNotReached(t *testing.T) {
	r := parsed(t, "bits: 4-16-16\nsolve: {method: gptq, damp: 0.01}\ncalibration: {samples: 1, tokens: 8}\n")
	o := expertsJob(t, "olmoe", "aaaaaaaaaaaaaaaaaaaaaaaaaaaa", r)
	m, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	few, sent := 0, 0
	for _, l := range m.Layers {
		if strings.Contains(l.Name, ".experts.") != (l.Tokens != nil) {
			t.Fatalf("%s: calibration tokens %v", l.Name, l.Tokens)
		}
		if l.Tokens != nil && strings.HasSuffix(l.Name, ".down_proj") {
			sent += *l.Tokens
			if l.Borrowed != (*l.Tokens < 3) { // of 8 tokens, 3 of 8 experts each
				t.Errorf("%s: %d tokens, borrowed: %v", l.Name, *l.Tokens, l.Borrowed)
			}
			if l.Borrowed {
				few++
			}
		}
	}
	if few == 0 || sent != 3*8*3 {
		t.Errorf("%d experts had few tokens, %d were sent in all, expected %d", few, sent, 3*8*3)
	}
	blocks := 0
	for _, f := range m.Fallbacks {
		if f.Kind == artefact.FallbackExperts {
			blocks++
			if !strings.Contains(f.Cause, "of 8 experts") || !strings.HasSuffix(f.Where, ".mlp.experts") {
				t.Errorf("fallback %s", f)
			}
		}
	}
	if blocks == 0 || blocks > 3 {
		t.Errorf("%d fallbacks of experts, expected one for a block: %v", blocks, m.Fallbacks)
	}
	o.Out, o.Strict = o.Out+"-strict", true
	o.Recipe.Calibration.Samples = 1
	if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "strict") {
		t.Errorf("%v, expected the error of a strict job", err)
	}
}
