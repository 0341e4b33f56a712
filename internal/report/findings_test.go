package report

import (
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/eval"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
)

// subject is a healthy model of two blocks at the given bits.
func subject(t *testing.T, name, bits string) *Subject {
	t.Helper()
	r, err := recipe.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	b, err := quant.ParseBits(bits)
	if err != nil {
		t.Fatal(err)
	}
	c := &checkpoint.Config{HiddenSize: 64, IntermediateSize: 128, Layers: 2, Heads: 4, KVHeads: 2, HeadDim: 16, VocabSize: 100}
	s := &Subject{Dir: "m", Config: c, Quantization: &artefact.Quantization{Bits: b, ActClip: 1},
		Manifest: &artefact.Manifest{Recipe: r, Calibration: &artefact.Calibration{Windows: 8, Tokens: 256}, Check: &artefact.Check{Perplexity: 10.1, PerplexityRef: 10}}}
	for block := range c.Layers {
		for w := range llama.NumLinears {
			l := Layer{Block: block, Which: w, Expert: -1, LeastScale: 0.01, MostScale: 0.02, ZeroShare: 0.15}
			l.Name = llama.TensorPrefix(block) + w.String()
			l.Out, l.In = w.Shape(c)
			l.Error, l.ErrorNoBranch, l.ErrorRTN, l.Peak, l.BitsPerWeight, l.Clipped = 0.08, 0.1, 0.12, 2, 4.2, 0.01
			s.Layers = append(s.Layers, l)
		}
	}
	return s
}

func TestDiagnose(t *testing.T) {
	down := int(llama.Down)
	for _, c := range []struct {
		name, recipe, bits string
		change             func(*Subject)
		bad                bool
		where, channel     string
		cause, remedy      string // "": nothing is found
	}{
		{"healthy", "specquant", "4-4-4", func(*Subject) {}, false, "", "", "", ""},
		{"activations", "rtn", "4-4-16", func(s *Subject) {
			for i := range 3 {
				s.Layers[i].Error, s.Layers[i].Peak, s.Layers[i].Outliers = 0.9, 80, []artefact.Outlier{{Channel: 17, Ratio: 80}}
			}
		}, true, "block 0, input of q,k,v", "17 (80×)", "outlier channels in the activations", "--recipe specquant"},
		{"activations, smoothed", "specquant", "4-4-16", func(s *Subject) {
			s.Layers[down].Error, s.Layers[down].Peak = 0.9, 80
		}, true, "block 0, input of down", "", "outlier channels in the activations", "--bits 4-8-16"},
		{"harmless peak", "rtn", "4-16-16", func(s *Subject) { s.Layers[down].Peak = 80 }, false, "", "", "", ""},
		{"weights", "rtn", "4-16-16", func(s *Subject) {
			s.Layers[down].Error, s.Layers[down].Measured = 0, &LayerError{Total: 0.4, Weights: 0.4, Channels: []int{3, 9}}
		}, true, "block 0, input of down", "3, 9", "small weights", "smooth:"},
		{"coarse", "specquant", "4-16-16", func(s *Subject) { s.Layers[5].Error, s.Layers[5].ErrorRTN = 0.4, 0.5 }, true, "model.layers.0.mlp.up_proj", "", "too coarse", "weights: {group: 64, clip: mse}"},
		{"clipped", "specquant", "4-8-8", func(s *Subject) { s.Layers[5].Clipped = 0.2 }, false, "model.layers.0.mlp.up_proj", "", "clipped", "clip: none"},
		{"dead", "specquant", "4-8-8", func(s *Subject) { s.Layers[3].DeadChannels = 60 }, true, "input of o", "", "dead columns", "--calib"},
		{"few dead", "specquant", "4-8-8", func(s *Subject) { s.Layers[3].DeadChannels = 1 }, false, "input of o", "", "dead columns", "--calib"},
		{"damping", "specquant", "4-8-8", func(s *Subject) { s.Layers[0].Damp = 1 }, true, "input of q,k,v", "", "raised damping", "--calib"},
		{"damping as asked", "specquant", "4-8-8", func(s *Subject) { s.Layers[0].Damp = 0.01 }, false, "", "", "", ""},
		{"underflow", "rtn", "4-8-8", func(s *Subject) { s.Layers[2].LeastScale, s.Manifest.Recipe.Weights.Group = 1e-7, 64 }, true, "v_proj", "", "underflows", "group: 0"},
		{"overflow", "rtn", "4-8-8", func(s *Subject) { s.Layers[2].MostScale = 3e4 }, false, "v_proj", "", "near the largest", "smooth"},
		{"zeros", "rtn", "4-8-8", func(s *Subject) { s.Layers[2].ZeroRows = 20 }, true, "v_proj", "", "output channels of zeros", "group: 64"},
		{"short", "specquant", "4-8-8", func(s *Subject) { s.Manifest.Calibration.Windows = 1 }, false, "the model", "", "too short", "--calib"},
		{"very short", "specquant", "4-8-8", func(s *Subject) { s.Manifest.Calibration.Windows, s.Manifest.Calibration.Tokens = 1, 100 }, true, "the model", "", "too short", "--calib"},
		{"short, not needed", "rtn", "4-8-8", func(s *Subject) { s.Manifest.Calibration.Windows = 1 }, false, "", "", "", ""},
		{"dear branch", "specquant", "4-8-8", func(s *Subject) {
			for i := range s.Layers {
				s.Layers[i].BranchBits, s.Layers[i].BitsPerWeight, s.Layers[i].ErrorNoBranch = 1, 5, 0.081
			}
		}, false, "the model", "", "branch eats bits", "branch: null"},
		{"useful branch", "specquant", "4-8-8", func(s *Subject) {
			for i := range s.Layers {
				s.Layers[i].BranchBits, s.Layers[i].BitsPerWeight = 1, 5
			}
		}, false, "", "", "", ""},
		{"babble", "rtn", "4-4-4", func(s *Subject) { s.Manifest.Check.Perplexity = 500 }, true, "the model", "", "predicts badly", "--recipe specquant"},
		{"worse than rounding", "specquant", "4-8-8", func(s *Subject) { s.Layers[1].Error = 0.14 }, false, "k_proj", "", "worse than plain rounding", "--calib"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := subject(t, c.recipe, c.bits)
			c.change(s)
			found := Diagnose(s, nil, nil)
			if c.cause == "" {
				if len(found) > 0 {
					t.Fatalf("found %+v in a healthy model", found)
				}
				return
			}
			if len(found) != 1 {
				t.Fatalf("%d findings, want one: %+v", len(found), found)
			}
			f := found[0]
			if f.Bad != c.bad || !strings.Contains(f.Where, c.where) || !strings.Contains(f.Channel, c.channel) || !strings.Contains(f.Cause, c.cause) || !strings.Contains(strings.Join(f.Remedy, "\n"), c.remedy) {
				t.Errorf("found %+v", f)
			}
			if Healthy(found) == c.bad {
				t.Error("healthy is wrong")
			}
		})
	}
}

func TestOverlapIsBad(t *testing.T) {
	s := subject(t, "specquant", "4-8-8")
	if f := Diagnose(s, nil, []eval.Overlap{{Source: "a"}}); len(f) != 0 {
		t.Errorf("no overlap: %+v", f)
	}
	if f := Diagnose(s, nil, []eval.Overlap{{Source: "a", Same: true}}); len(f) != 1 || !f[0].Bad || !strings.Contains(f[0].Detail, "this very text") {
		t.Errorf("the same text: %+v", f)
	}
}

func TestFold(t *testing.T) {
	var all []Finding
	for range 10 {
		all = append(all, Finding{Bad: true, Cause: "a"})
	}
	all = append(all, Finding{Cause: "b"})
	out := Fold(all, 3)
	if len(out) != 4 || !strings.Contains(out[2].Detail, "7 more") || out[3].Cause != "b" {
		t.Errorf("%+v", out)
	}
}
