package recipe

import (
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
	// full-precision model gives after it: quantized (or empty), the quantized
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

// Spins reports whether rotations are learned: at 16 bits nothing depends on them.
func (r *Recipe) Spins() bool {
	return r.Rotate != nil && r.Rotate.Learn != nil && (r.Bits.Activations < quant.FullBits || r.Bits.KV < quant.FullBits)
}
