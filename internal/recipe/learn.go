package recipe

import (
	"github.com/specquant/specquant/internal/quant"
)

// Learn configures learning, block by block and by gradients through the rounding: changes
// to weights and activations that leave the block's function as it is but make it easier to
// round, and the ends of the weights' grids: see package learn. Smoothing runs first and
// provides the initial scales.
type Learn struct {
	Method   string  `yaml:"method" json:"method"`       // omniquant or flatquant
	Epochs   int     `yaml:"epochs" json:"epochs"`       // passes over the calibration windows
	Batch    int     `yaml:"batch" json:"batch"`         // windows per step
	Rate     float64 `yaml:"rate" json:"rate"`           // of AdamW, for scales (their logarithms) and transforms
	ClipRate float64 `yaml:"clip-rate" json:"clip_rate"` // of AdamW, for the logits of the weights' clips; 0: no clipping
	// Input is what the block is given while it learns to reproduce the full-precision
	// model's output: the activations of the quantized model ("quantized" or empty) or of
	// the full-precision model ("full").
	Input string `yaml:"input" json:"input,omitempty"`
}

// The values of learn.method and learn.input.
const (
	LearnOmniQuant = "omniquant"
	LearnFlatQuant = "flatquant"

	InputQuantized = "quantized"
	InputFull      = "full"
)

// LearnRotation configures learning R1 and R2 before all other stages: the rotations are
// changed to lower the cross entropy of the network with activations and cache quantized
// and weights unquantized (SpinQuant, arXiv 2405.16406). If neither activations nor cache
// are quantized there is nothing to learn, and they stay random Hadamard matrices.
type LearnRotation struct {
	Steps   int     `yaml:"steps" json:"steps"`
	Rate    float64 `yaml:"rate" json:"rate"`       // of the first step; falls to 0 along a cosine
	Windows int     `yaml:"windows" json:"windows"` // calibration windows per step
}

// LearnsRotations reports whether rotations are learned: at 16 bits they have no effect on the
// result.
func (r *Recipe) LearnsRotations() bool {
	return r.Rotate != nil && r.Rotate.Learn != nil && (r.Bits.Activations < quant.FullBits || r.Bits.KV < quant.FullBits)
}
