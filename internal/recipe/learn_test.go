package recipe

import (
	"strings"
	"testing"
)

// TestParseLearn: what is learned is read, asks for calibration and for the
// full-precision model beside the quantized one.
func TestParseLearn(t *testing.T) {
	const base = "name: x\nbits: 4-4-4\nsolve: {method: rtn}\n"
	const runtime = "calibration: {propagate: runtime}\n"
	r, err := Parse([]byte(base+runtime+"learn: {method: flatquant, epochs: 3, batch: 2, rate: 0.005, clip-rate: 0.05, input: full}\n"), "f")
	if err != nil {
		t.Fatal(err)
	}
	if want := (Learn{"flatquant", 3, 2, 0.005, 0.05, "full"}); *r.Learn != want || !r.NeedsCalibration() || !r.Fitting() {
		t.Errorf("got %+v", *r.Learn)
	}
	spin := "rotate: {residual: hadamard, learn: {steps: 10, rate: 1.5, windows: 2}}\n"
	for bits, want := range map[string]bool{"4-4-4": true, "4-16-4": true, "4-8-16": true, "4-16-16": false} {
		r, err := Parse([]byte(strings.Replace(base, "4-4-4", bits, 1)+spin), "f")
		if err != nil {
			t.Fatal(err)
		}
		if r.LearnsRotations() != want || r.NeedsCalibration() != want || *r.Rotate.Learn != (LearnRotation{10, 1.5, 2}) {
			t.Errorf("%s: rotations learned: %v, calibration: %v", bits, r.LearnsRotations(), r.NeedsCalibration())
		}
	}
	const learn = "learn: {method: omniquant, epochs: 3, batch: 2, rate: 0.005, clip-rate: 0.05}\n"
	for name, c := range map[string]struct{ text, want string }{
		"method":             {runtime + strings.Replace(learn, "omniquant", "omni", 1), "learn.method"},
		"no method":          {runtime + "learn: {epochs: 1, batch: 1}\n", "learn.method"},
		"no epochs":          {runtime + strings.Replace(learn, "epochs: 3", "epochs: 0", 1), "learn.epochs"},
		"half an epoch":      {runtime + strings.Replace(learn, "epochs: 3", "epochs: 1.5", 1), "learn.epochs"},
		"no batch":           {runtime + strings.Replace(learn, "batch: 2", "batch: 0", 1), "learn.batch"},
		"rate":               {runtime + strings.Replace(learn, "rate: 0.005", "rate: 5", 1), "learn.rate"},
		"rate not a number":  {runtime + strings.Replace(learn, "clip-rate: 0.05", "clip-rate: .nan", 1), "learn.clip-rate"},
		"input":              {runtime + strings.Replace(learn, "0.05}", "0.05, input: float}", 1), "learn.input"},
		"unknown key":        {runtime + strings.Replace(learn, "0.05}", "0.05, shift: 1}", 1), "shift"},
		"propagate":          {learn, "calibration.propagate"},
		"clip":               {runtime + learn + "weights: {clip: mse}\n", "weights.clip"},
		"branch":             {runtime + learn + "branch: {basis: klt, axis: output, components: 2}\n", "branch"},
		"turned input":       {runtime + learn + "rotate: {mlp: hadamard}\n", "rotate.mlp"},
		"nothing to rotate":  {"rotate: {cache: hadamard, learn: {steps: 10, rate: 1.5, windows: 2}}\n", "rotate.learn"},
		"no steps":           {"rotate: {residual: hadamard, learn: {rate: 1.5, windows: 2}}\n", "rotate.learn.steps"},
		"half a window":      {"rotate: {residual: hadamard, learn: {steps: 1, rate: 1.5, windows: 2.5}}\n", "rotate.learn.windows"},
		"distil's epochs":    {runtime + "distil: {batch: 1}\n", "distil.epochs"},
		"tune's half epochs": {runtime + "tune: {epochs: 0.5, batch: 1}\n", "tune.epochs"},
		"distil's input":     {"distil: {epochs: 1, batch: 1}\n", "propagate"},
	} {
		if _, err := Parse([]byte(base+c.text), "f"); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v lacks %q", name, err, c.want)
		}
	}
}
