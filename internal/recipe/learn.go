package recipe

import (
	"errors"
	"fmt"

	"github.com/specquant/specquant/internal/quant"
)

// Learn lets each block learn, by gradients through its rounding, what may be
// done to its weights and activations before they are rounded without changing
// what the block computes, and where the weights' grids end: see package learn.
// Smoothing comes before, and is where the scales start.
type Learn struct {
	Method   string  `yaml:"method" json:"method"`       // omniquant or flatquant
	Epochs   int     `yaml:"epochs" json:"epochs"`       // passes over the calibration windows
	Batch    int     `yaml:"batch" json:"batch"`         // windows a step
	Rate     float64 `yaml:"rate" json:"rate"`           // AdamW's, of scales (their logarithms) and transforms
	ClipRate float64 `yaml:"clip-rate" json:"clip_rate"` // of the logits of the weights' clips; 0: the whole range
	// Input is what the block is given while it learns to give what the
	// full-precision model has behind it: quantized (or empty), the quantized
	// model's activations, or full, the full-precision model's.
	Input string `yaml:"input" json:"input,omitempty"`
}

// What learn.method and learn.input can be.
const (
	LearnOmniQuant = "omniquant"
	LearnFlatQuant = "flatquant"

	InputQuantized = "quantized"
	InputFull      = "full"
)

// LearnRotation lets R1 and R2 learn, before all else, to lessen the cross entropy
// of the network with activations and cache quantized and weights as they are
// (SpinQuant, arXiv 2405.16406). Where neither is quantized there is nothing to
// learn, and they stay random Hadamard matrices.
type LearnRotation struct {
	Steps   int     `yaml:"steps" json:"steps"`
	Rate    float64 `yaml:"rate" json:"rate"`       // of the first step, falling to 0 along a cosine
	Windows int     `yaml:"windows" json:"windows"` // calibration windows a step
}

// Spins says whether rotations are learned: at 16 bits nothing depends on them.
func (r *Recipe) Spins() bool {
	return r.Rotate != nil && r.Rotate.Learn != nil && (r.Bits.Activations < quant.FullBits || r.Bits.KV < quant.FullBits)
}

// checkLearn says what is wrong with learn and rotate.learn.
func (r *Recipe) checkLearn(within func(key string, value, lo, hi float64), oneOf func(key, value string, can ...string)) error {
	if o := r.Rotate; o != nil && o.Learn != nil {
		within("rotate.learn.steps", float64(o.Learn.Steps), 1, 1e5)
		within("rotate.learn.rate", o.Learn.Rate, 0, 100)
		within("rotate.learn.windows", float64(o.Learn.Windows), 1, 1024)
		if o.Residual == "" && o.Heads == "" {
			return errors.New("rotate.learn: found without rotate.residual and rotate.heads, which are what is learned; expected at least one of them")
		}
	}
	l := r.Learn
	if l == nil {
		return nil
	}
	oneOf("learn.method", l.Method, LearnOmniQuant, LearnFlatQuant)
	oneOf("learn.input", l.Input, "", InputQuantized, InputFull)
	within("learn.epochs", float64(l.Epochs), 1, 1000)
	within("learn.batch", float64(l.Batch), 1, 1024)
	within("learn.rate", l.Rate, 0, 1)
	within("learn.clip-rate", l.ClipRate, 0, 1)
	switch {
	case r.Calibration.Propagate != "runtime":
		return fmt.Errorf("calibration.propagate: found %q, expected runtime with learn: what is learned is what the runtime does", r.Calibration.Propagate)
	case r.Weights.Clip != quant.ClipNone:
		return fmt.Errorf("weights.clip: found %q with learn, which learns where the weights' grids end; expected none", r.Weights.Clip)
	case r.Branch != nil:
		return errors.New("learn: found with a branch; leave one out")
	case r.Solve.DynamicGroups:
		return errors.New("solve.dynamic-groups: found with learn, whose scales it would not use; leave one out")
	}
	for i, name := range inputNames {
		if o := r.Rotate; o != nil && [...]string{o.Attn, o.O, o.MLP, o.Down}[i] != "" {
			return fmt.Errorf("rotate.%s: found with learn, which scales the channels of that input as they are; leave one out", name)
		}
	}
	return nil
}

// checkTune says what is wrong with tune or distil.
func (r *Recipe) checkTune(key string, t *Tune, within func(key string, value, lo, hi float64)) error {
	within(key+".epochs", float64(t.Epochs), 1, 1000)
	within(key+".batch", float64(t.Batch), 1, 1024)
	within(key+".rounding", t.Rounding, 0, 1)
	within(key+".scales", t.Scales, 0, 1)
	within(key+".branch", t.Branch, 0, 1)
	within(key+".norms", t.Norms, 0, 1)
	if r.Calibration.Propagate != "runtime" {
		return fmt.Errorf("calibration.propagate: found %q, expected runtime with %s: what is tuned is what the runtime does", r.Calibration.Propagate, key)
	}
	if r.Branch != nil && !r.Branch.Stored() {
		return fmt.Errorf("%s: found with a branch on basis %s, expected klt, svd or columns, or no branch", key, r.Branch.Basis)
	}
	return nil
}
