package pipeline

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/engine"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
	"github.com/specquant/specquant/internal/testmodel"
)

// familyLogits are the logits of the folder's model for the text [tokens × vocab].
func familyLogits(t *testing.T, dir string, ids []int) []float32 {
	t.Helper()
	return logitsInPieces(t, dir, ids, len(ids))
}

// logitsInPieces are the same with so many tokens fed at a time.
func logitsInPieces(t *testing.T, dir string, ids []int, piece int) []float32 {
	t.Helper()
	m, err := engine.Open(dir, engine.Options{Context: len(ids)})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var all []float32
	seq := m.NewSequence()
	for part := range slices.Chunk(ids, piece) {
		err = m.Forward(context.Background(), []engine.Step{{Seq: seq, IDs: part, Want: engine.WantAll}}, func(_, _ int, logits []float32) error {
			all = append(all, logits...)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// divergence is the mean KL divergence in nats a token of b from a.
func divergence(a, b []float32, vocab int) float64 {
	logp := func(x []float32) []float64 {
		top, sum := float64(x[0]), 0.0
		for _, v := range x {
			top = max(top, float64(v))
		}
		for _, v := range x {
			sum += math.Exp(float64(v) - top)
		}
		p := make([]float64, len(x))
		for i, v := range x {
			p[i] = float64(v) - top - math.Log(sum)
		}
		return p
	}
	var kl float64
	for r := 0; r < len(a); r += vocab {
		p, q := logp(a[r:][:vocab]), logp(b[r:][:vocab])
		for i := range p {
			kl += math.Exp(p[i]) * (p[i] - q[i])
		}
	}
	return kl / float64(len(a)/vocab)
}

// TestFamilies: what recipes fold into the weights of each family changes nothing
// where nothing is rounded to fewer than 16 bits, and little where it is; or the
// recipe is refused by name.
func TestFamilies(t *testing.T) {
	const calibration = "calibration: {samples: 6, tokens: 32, propagate: runtime}\n"
	postNorm := map[string]bool{"gemma2": true, "gemma3": true, "olmo2": true}
	recipes := []struct {
		name, yaml string
		most       float64 // divergence, in nats a token
		refused    string  // what an error must say for families with norms behind attention and MLP
	}{
		{"smoothed and turned", "bits: 8-16-16\nweights: {layers: [{match: \"*_proj\", bits: 16}]}\nsmooth: {alpha: [0.5]}\nrotate: {heads: hadamard, cache: balanced, attn: hadamard, o: hadamard, mlp: hadamard, down: hadamard, seed: 3}\n" +
			"solve: {method: rtn}\n" + calibration, 5e-6, ""},
		{"stream turned", "bits: 8-16-16\nweights: {layers: [{match: \"*_proj\", bits: 16}]}\nrotate: {residual: hadamard, heads: hadamard, down: hadamard, seed: 3}\nsolve: {method: rtn}\n", 5e-6, "rotate.residual"},
		{"rtn 8-8-8", "bits: 8-8-8\nsolve: {method: rtn}\n", 2e-3, ""},
		{"multiples", "bits: 7-8-8\nweights: {group: 16, scales: multiples, clip: hessian}\nsolve: {method: gptq, damp: 0.01, act-order: true}\n" + calibration, 5e-3, ""},
		{"fitted", "bits: 8-8-8\nsolve: {method: gptq, damp: 0.01, correct: stream}\n" + calibration, 8e-3, "solve.correct"},
		{"rtn", "", 0.35, ""}, // at 4-8-8; this row and the next are in docs/ARCHITECTURES.md
		{"specquant-fast", "", 0.35, ""},
		{"awq", "", 0.1, ""},
	}
	for _, f := range testmodel.Families() {
		t.Run(f.Name, func(t *testing.T) {
			dir := t.TempDir()
			model := filepath.Join(dir, "model")
			if err := f.Write(model); err != nil {
				t.Fatal(err)
			}
			calib := filepath.Join(dir, "calibration.txt")
			if err := os.WriteFile(calib, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			pool := parallel.NewPool(2)
			defer pool.Close()
			full := familyLogits(t, model, f.IDs)
			vocab := len(f.Last)
			for _, rc := range recipes {
				var r *recipe.Recipe
				if rc.yaml == "" {
					var err error
					if r, err = recipe.Load(rc.name); err != nil {
						t.Fatal(err)
					}
					r.Calibration.Tokens, r.Calibration.Samples = 32, 6
					if rc.name == "rtn" {
						err = r.SetBits(quant.Bits{Weights: 4, Activations: 8, KV: 8})
					}
					if err != nil {
						t.Fatal(err)
					}
				} else {
					r = parsed(t, rc.yaml)
				}
				out := filepath.Join(dir, strings.ReplaceAll(rc.name, " ", "-"))
				o := Options{Dir: model, Out: out, Recipe: r, Calibration: []string{calib}, Pool: pool, Tool: "test"}
				manifest, err := Run(t.Context(), o)
				experts := strings.Contains(string(f.Config), "num_experts_per_tok")
				if rc.refused != "" && postNorm[f.Name] || rc.name == "fitted" && experts {
					if err == nil || !strings.Contains(err.Error(), rc.refused) {
						t.Errorf("%s: %v, expected an error about %s", rc.name, err, rc.refused)
					}
					continue
				}
				if err != nil {
					t.Fatalf("%s: %v", rc.name, err)
				}
				kl := divergence(full, familyLogits(t, out, f.IDs), vocab)
				t.Logf("%s at %s: divergence %.2g", rc.name, manifest.Recipe.Bits, kl)
				if experts && (rc.name == "rtn 8-8-8" || rc.name == "multiples") {
					rc.most *= 8 // a token near the border of two experts goes to the other
				}
				if !(kl <= rc.most) {
					t.Errorf("%s: divergence %v, expected at most %v", rc.name, kl, rc.most)
				}
			}
		})
	}
}

// TestFamiliesSameBytes: an interruption anywhere and any number of threads leave no
// trace where blocks have norms, windows and rotations of their own.
func TestFamiliesSameBytes(t *testing.T) {
	r := parsed(t, "bits: 4-8-8\nsmooth: {alpha: [off, 0.5]}\nrotate: {heads: hadamard, o: hadamard, cache: balanced, seed: 3}\n"+
		"solve: {method: gptq, damp: 0.01, correct: outputs}\ncalibration: {samples: 4, tokens: 32, propagate: runtime}\n")
	for _, f := range testmodel.Families() {
		if f.Name != "gemma3" && f.Name != "olmo2" && f.Name != "smollm3" {
			continue
		}
		t.Run(f.Name, func(t *testing.T) {
			dir := t.TempDir()
			model, calib := filepath.Join(dir, "model"), filepath.Join(dir, "calibration.txt")
			if err := f.Write(model); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(calib, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			o := Options{Dir: model, Out: filepath.Join(dir, "out"), Recipe: r, Calibration: []string{calib}, Pool: parallel.NewPool(1), Tool: "test"}
			defer o.Pool.Close()
			if _, err := Run(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			want := sums(t, o.Out)
			stopAnywhere(t, o, want)
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
