package llama

import (
	"math"
	"reflect"
	"testing"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/testmodel"
)

// TestFamilies holds a small random model of each family to Hugging Face
// transformers: logits to 1e-4, and the greedy tokens.
func TestFamilies(t *testing.T) {
	for _, f := range testmodel.Families() {
		t.Run(f.Name, func(t *testing.T) {
			dir := t.TempDir()
			if err := f.Write(dir); err != nil {
				t.Fatal(err)
			}
			ck, err := checkpoint.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer ck.Close()
			if err := ck.Check(); err != nil {
				t.Fatal(err)
			}
			pool := parallel.NewPool(2)
			defer pool.Close()
			vocab := ck.Config.VocabSize
			logits, err := Logits(ck, pool, f.IDs, nil)
			if err != nil {
				t.Fatal(err)
			}
			worst := 0.0
			compare := func(row []float32, want []float64) {
				for i, v := range want {
					worst = max(worst, math.Abs(float64(row[i])-v))
				}
			}
			for i, want := range f.First4 {
				compare(logits[i*vocab:], want)
			}
			compare(logits[len(logits)-vocab:], f.Last)
			t.Logf("largest deviation %.2g", worst)
			if !(worst <= 1e-4) {
				t.Errorf("logits deviate by %v, expected at most 1e-4", worst)
			}
			ids := append([]int(nil), f.IDs...)
			for i, want := range f.Greedy {
				if logits, err = Logits(ck, pool, ids, nil); err != nil {
					t.Fatal(err)
				}
				row, best := logits[len(logits)-vocab:], 0
				for j, v := range row {
					if v > row[best] {
						best = j
					}
				}
				if best != want {
					t.Fatalf("greedy token %d: got %d, expected %d", i, best, want)
				}
				ids = append(ids, want)
			}
		})
	}
}

// TestFamiliesSee: a part that is taken away from a family changes its golden, so
// that the golden would notice the part being wrong.
func TestFamiliesSee(t *testing.T) {
	takeAway := map[string]func(c *checkpoint.Config){
		"activation":         func(c *checkpoint.Config) { c.Activation = checkpoint.SiLU },
		"norm offset":        func(c *checkpoint.Config) { c.NormOffset = 0 },
		"window":             func(c *checkpoint.Config) { c.SlidingWindow, c.Full = 0, nil },
		"full blocks":        func(c *checkpoint.Config) { c.Full = nil },
		"partial":            func(c *checkpoint.Config) { c.RotaryDim, c.RopeScaling = 0, nil },
		"local base":         func(c *checkpoint.Config) { c.LocalTheta = 0 },
		"no rotation":        func(c *checkpoint.Config) { c.NoRope = nil },
		"scaling":            func(c *checkpoint.Config) { c.RopeScaling = nil },
		"attention":          func(c *checkpoint.Config) { c.AttnScale = 0 },
		"attention cap":      func(c *checkpoint.Config) { c.AttnSoftCap = 0 },
		"logit cap":          func(c *checkpoint.Config) { c.LogitSoftCap = 0 },
		"embeddings":         func(c *checkpoint.Config) { c.EmbedScale = 0 },
		"residuals":          func(c *checkpoint.Config) { c.ResidualScale = 0 },
		"logits":             func(c *checkpoint.Config) { c.LogitScale = 0 },
		"q and k norms":      func(c *checkpoint.Config) { c.QKNorm = checkpoint.QKNone },
		"experts' weights":   func(c *checkpoint.Config) { c.Experts.Normed = c.Experts.Count > 0 && !c.Experts.Normed },
		"experts of a token": func(c *checkpoint.Config) { c.Experts.Used = min(1, c.Experts.Count) },
		"post norms":         func(c *checkpoint.Config) { c.PostNorm = false },
	}
	seen := map[string]bool{}
	for _, f := range testmodel.Families() {
		dir := t.TempDir()
		if err := f.Write(dir); err != nil {
			t.Fatal(err)
		}
		ck, err := checkpoint.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer ck.Close()
		whole := ck.Config
		for name, without := range takeAway {
			ck.Config = whole
			without(&ck.Config)
			if reflect.DeepEqual(ck.Config, whole) || name == "partial" && whole.RotaryDim == 0 ||
				name == "embeddings" && whole.EmbedScale == 1 || name == "logits" && whole.LogitScale == 1 {
				continue
			}
			if name == "post norms" && whole.NoPreNorm {
				continue // their presence tells what the others are called
			}
			logits, err := Logits(ck, nil, f.IDs, nil)
			if err != nil {
				t.Fatalf("%s without %s: %v", f.Name, name, err)
			}
			far := 0.0
			for i, v := range f.Last {
				far = max(far, math.Abs(float64(logits[len(logits)-len(f.Last)+i])-v))
			}
			seen[name] = true
			if !(far > 2e-3) {
				t.Errorf("%s without %s: logits deviate by %.2g only", f.Name, name, far)
			}
		}
	}
	for name := range takeAway {
		if !seen[name] {
			t.Errorf("no golden has %s", name)
		}
	}
}
