package llama

import (
	"math"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel"
)

// Rope holds the cosines and sines of the rotary position embedding for the
// positions 0 … Positions-1, in Hugging Face's rotate-half layout: dimension i
// of a head turns with dimension i+head_dim/2.
type Rope struct {
	Half      int       // head_dim / 2
	Positions int       // rows of the tables
	Cos, Sin  []float32 // [positions × half]
}

// NewRope computes the tables for a context of the given number of positions,
// with the checkpoint's rope_scaling: none, linear, dynamic (NTK) or llama3.
//
// Dynamic scaling depends on the length of the sequence. Here that length is
// the context the tables are made for: up to max_position_embeddings nothing
// is scaled, beyond it the base grows as in transformers.
func NewRope(c *checkpoint.Config, positions int) *Rope {
	half := c.HeadDim / 2
	r := &Rope{Half: half, Positions: positions,
		Cos: make([]float32, positions*half), Sin: make([]float32, positions*half)}
	freq := ropeFrequencies(c, positions)
	for pos := range positions {
		for i, f := range freq {
			sin, cos := math.Sincos(float64(pos) * f)
			r.Cos[pos*half+i], r.Sin[pos*half+i] = float32(cos), float32(sin)
		}
	}
	return r
}

// ropeFrequencies returns the head_dim/2 angles per position.
func ropeFrequencies(c *checkpoint.Config, positions int) []float64 {
	dim := float64(c.HeadDim)
	base := c.RopeTheta
	scale := c.RopeScaling
	if scale != nil && scale.Kind == "dynamic" && positions > c.MaxPositions {
		grown := scale.Factor*float64(positions)/float64(c.MaxPositions) - (scale.Factor - 1)
		base *= math.Pow(grown, dim/(dim-2))
	}
	freq := make([]float64, c.HeadDim/2)
	for i := range freq {
		f := math.Pow(base, -2*float64(i)/dim)
		if scale != nil {
			switch scale.Kind {
			case "linear":
				f /= scale.Factor
			case "llama3":
				f = llama3Frequency(f, scale)
			}
		}
		freq[i] = f
	}
	return freq
}

// llama3Frequency slows the low frequencies by the factor, keeps the high ones
// and interpolates between (Llama 3.1's rope_scaling).
func llama3Frequency(f float64, s *checkpoint.RopeScaling) float64 {
	wavelength := 2 * math.Pi / f
	original := float64(s.OriginalMaxPositions)
	switch {
	case wavelength < original/s.HighFreqFactor:
		return f
	case wavelength > original/s.LowFreqFactor:
		return f / s.Factor
	}
	smooth := (original/wavelength - s.LowFreqFactor) / (s.HighFreqFactor - s.LowFreqFactor)
	return (1-smooth)*f/s.Factor + smooth*f
}

// Apply turns one head's vector x of length head_dim to the position.
func (r *Rope) Apply(x []float32, position int) {
	cos := r.Cos[position*r.Half:][:r.Half]
	sin := r.Sin[position*r.Half:][:r.Half]
	kernel.Rope(x, cos, sin)
}
