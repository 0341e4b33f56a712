package report

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
)

// paste puts a line in the place of a recipe's section of that name.
func paste(t *testing.T, name, line string) *recipe.Recipe {
	t.Helper()
	source, err := recipe.Source(name)
	if err != nil {
		t.Fatal(err)
	}
	key, _, _ := strings.Cut(line, ":")
	section := regexp.MustCompile(`(?m)^` + key + `:.*\n([ \t#].*\n)*`)
	text := section.ReplaceAllString(string(source), "") + "\n" + line + "\n"
	r, err := recipe.Parse([]byte(text), name)
	if err != nil {
		t.Errorf("%s with %s: %v", name, line, err)
	}
	return r
}

// ills are faults that bring every remedy there is.
var ills = map[string]func(*Subject){
	"whole":    func(s *Subject) { s.Manifest.Check.Perplexity, s.Manifest.Check.KL = 500, 3 },
	"outliers": func(s *Subject) { s.Layers[0].Error, s.Layers[0].Peak = 0.9, 8000 },
	"heavy": func(s *Subject) {
		l := &s.Layers[0]
		l.Error, l.Measured = 0, &LayerError{Total: 0.4, Weights: 0.4, Channels: []int{3}}
	},
	"coarse":    func(s *Subject) { s.Layers[5].Error, s.Layers[5].ErrorRTN = 0.4, 0.5 },
	"rounding":  func(s *Subject) { s.Layers[5].Error = 0.14 },
	"clipped":   func(s *Subject) { s.Layers[5].Clipped = 0.2 },
	"dead":      func(s *Subject) { s.Layers[3].DeadChannels = 60 },
	"damping":   func(s *Subject) { s.Layers[0].Damp = 1 },
	"underflow": func(s *Subject) { s.Layers[2].LeastScale = 1e-7 },
	"overflow":  func(s *Subject) { s.Layers[2].MostScale = 3e4 },
	"rows":      func(s *Subject) { s.Layers[2].ZeroRows = 20 },
	"zeros":     func(s *Subject) { s.Layers[2].ZeroShare = 0.9 },
	"short":     func(s *Subject) { s.Manifest.Calibration.Windows = 1 },
	"branch": func(s *Subject) {
		for i := range s.Layers {
			if s.Manifest.Recipe.Branch == nil {
				break
			}
			s.Layers[i].BranchBits, s.Layers[i].BitsPerWeight, s.Layers[i].ErrorNoBranch = 1, 5, 0.081
		}
	},
}

// TestRemedies: whatever is wrong with whatever recipe, each remedy is a flag that
// quantize takes or a line that the recipe takes, and changes something.
func TestRemedies(t *testing.T) {
	kept := func(s *Subject) { // the recipe's own windows were there
		s.Manifest.Calibration.Windows = s.Manifest.Recipe.Calibration.Samples
	}
	keys := map[string]bool{}
	for _, name := range recipe.Names() {
		for _, bits := range []string{"2-4-4", "4-4-4", "4-8-8", "4-16-16", "8-8-8", "8-16-16"} {
			for ill, change := range ills {
				s := subject(t, name, bits)
				kept(s)
				s.Quantization.Group = s.Manifest.Recipe.Weights.Group
				change(s)
				for _, f := range Diagnose(s, nil, nil) {
					for i, line := range f.Remedy {
						what := strings.Join([]string{name, bits, ill, f.Cause}, ", ")
						key, rest, _ := strings.Cut(line, " ")
						keys[key] = true
						switch key {
						case "--recipe":
							if rest == name || !slices.Contains(recipe.Names(), rest) {
								t.Errorf("%s: %q", what, line)
							}
						case "--bits":
							if _, err := quant.ParseBits(rest); err != nil || rest == bits {
								t.Errorf("%s: %q: %v", what, line, err)
							}
						case "--calib":
							if rest != "FILE" {
								t.Errorf("%s: %q", what, line)
							}
						case "a": // checkpoint without rows near zero
						default:
							before, _ := json.Marshal(s.Manifest.Recipe)
							after, _ := json.Marshal(paste(t, name, line))
							if string(before) == string(after) {
								t.Errorf("%s: %q is what the recipe has", what, line)
							}
						}
						if slices.Contains(f.Remedy[:i], line) {
							t.Errorf("%s: %q twice", what, line)
						}
					}
				}
			}
		}
	}
	for _, want := range []string{"--recipe", "--bits", "--calib", "weights:", "solve:", "smooth:", "calibration:", "branch:"} {
		if !keys[want] {
			t.Errorf("no remedy %s: the test does not test it", want)
		}
	}
}

// TestRemedyKeeps: a line that takes a section's place says again what it does not
// change.
func TestRemedyKeeps(t *testing.T) {
	s := subject(t, "specquant-best", "4-8-8")
	d := &diagnosis{Subject: s, recipe: s.Manifest.Recipe}
	r := paste(t, "specquant-best", d.groups()[0])
	want := s.Manifest.Recipe.Weights
	want.Group = 64
	if weightsLine(r.Weights) != weightsLine(want) || r.Weights.Zero != quant.ZeroCentred || r.Weights.Clip != quant.ClipHessian {
		t.Errorf("weights %+v, want %+v", r.Weights, want)
	}
	r = paste(t, "specquant-best", d.solve()[0])
	wantSolve := s.Manifest.Recipe.Solve
	wantSolve.Damp = 0.05
	if r.Solve != wantSolve {
		t.Errorf("solve %+v, want %+v", r.Solve, wantSolve)
	}
	w := recipe.Weights{Group: 32, Zero: quant.ZeroAsymmetric, Clip: quant.ClipMSE, Average: 3.5, Widths: []int{3, 4}, Layers: []recipe.LayerBits{{Match: `layers.0.*`, Bits: 8}}}
	p, err := recipe.Parse([]byte("name: x\nbits: 4-8-8\nsolve: {method: rtn}\n"+weightsLine(w)+"\n"), "x")
	if err != nil || weightsLine(p.Weights) != weightsLine(w) {
		t.Errorf("%s: %v", weightsLine(w), err)
	}
}

// TestRecipeChanged: a changed copy of a recipe is not taken for it, its name or not.
func TestRecipeChanged(t *testing.T) {
	s := subject(t, "specquant-fast", "2-8-8")
	d := &diagnosis{Subject: s, recipe: s.Manifest.Recipe}
	if got := d.recipes(); !slices.Equal(got, []string{"--recipe specquant-best"}) {
		t.Errorf("of the recipe itself: %q", got)
	}
	s.Manifest.Recipe.Solve = recipe.Solve{Method: "rtn"}
	if got := d.wholeRemedy(); !slices.Equal(got, []string{"--recipe specquant-fast", "--bits 4-8-8"}) {
		t.Errorf("of a changed copy: %q", got)
	}
}

// TestMeasured: what was measured counts for more than the job's own comparison.
func TestMeasured(t *testing.T) {
	s := subject(t, "specquant-fast", "4-8-8")
	q := &Quality{Text: "novel.txt"}
	q.Tokens, q.PerplexityRef.Mean, q.Perplexity.Mean, q.KL.Mean = 4000, 10, 40, 1.4
	d := diagnose(s, nil, nil, q)
	if len(d.found) != 1 || !d.found[0].Bad || !strings.Contains(d.found[0].Detail, "4000 tokens of novel.txt") {
		t.Errorf("found %+v", d.found)
	}
	s.Manifest.Check.KL = 3
	q.Perplexity.Mean, q.KL.Mean = 10.1, 0.002
	if d := diagnose(s, nil, nil, q); len(d.found) != 0 {
		t.Errorf("found %+v", d.found)
	}
}
