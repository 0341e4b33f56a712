package llama

import (
	"math"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/float"
)

// Rope holds the cosines and sines of the rotary position embedding for the positions 0 …
// Positions-1, in Hugging Face's rotate-half layout: dimension i of a head is rotated with
// dimension i+half. If only some of a head's dimensions are rotated, they are the first
// ones.
type Rope struct {
	Half      int       // half of the rotated dimensions
	Positions int       // rows of the tables
	Cos, Sin  []float32 // [positions × half]
}

// NewRope computes the tables for a context of the given number of positions,
// with the checkpoint's rope_scaling: none, linear, dynamic (NTK), llama3, yarn or
// longrope.
//
// Dynamic scaling and longrope depend on the length of the sequence. Here that is the
// context that the tables are made for: up to max_position_embeddings there is no dynamic
// scaling, above it the base grows as in transformers; longrope uses its divisors for long
// texts above the original context length.
func NewRope(c *checkpoint.Config, positions int) *Rope {
	factor := 1.0
	if s := c.RopeScaling; s != nil && s.AttentionFactor > 0 {
		factor = s.AttentionFactor
	}
	return newRope(ropeFrequencies(c, positions), factor, positions)
}

// NewLocalRope computes the tables of the blocks with a window, if the architecture has
// another base for them; otherwise nil.
func NewLocalRope(c *checkpoint.Config, positions int) *Rope {
	if c.LocalTheta == 0 {
		return nil
	}
	freq := make([]float64, c.Rotary()/2)
	for i := range freq {
		freq[i] = math.Pow(c.LocalTheta, -2*float64(i)/float64(c.Rotary()))
	}
	return newRope(freq, 1, positions)
}

// PickRope is the table of block i; nil: the block does not use RoPE.
func PickRope(c *checkpoint.Config, i int, rope, local *Rope) *Rope {
	switch {
	case !c.Turned(i):
		return nil
	case c.Local(i):
		return local
	}
	return rope
}

func newRope(freq []float64, factor float64, positions int) *Rope {
	half := len(freq)
	r := &Rope{Half: half, Positions: positions,
		Cos: make([]float32, positions*half), Sin: make([]float32, positions*half)}
	for pos := range positions {
		for i, f := range freq {
			sin, cos := math.Sincos(float64(pos) * f)
			r.Cos[pos*half+i], r.Sin[pos*half+i] = float32(factor*cos), float32(factor*sin)
		}
	}
	return r
}

// ropeFrequencies returns the angles per position, half as many as there are rotated
// dimensions.
func ropeFrequencies(c *checkpoint.Config, positions int) []float64 {
	dim := float64(c.Rotary())
	base := c.RopeTheta
	scale := c.RopeScaling
	if scale != nil && scale.Kind == "dynamic" && positions > c.MaxPositions {
		grown := scale.Factor*float64(positions)/float64(c.MaxPositions) - (scale.Factor - 1)
		base *= math.Pow(grown, dim/(dim-2))
	}
	freq := make([]float64, c.Rotary()/2)
	for i := range freq {
		f := math.Pow(base, -2*float64(i)/dim)
		if scale != nil {
			switch scale.Kind {
			case "linear":
				f /= scale.Factor
			case "llama3":
				f = llama3Frequency(f, scale)
			case "yarn":
				f = yarnFrequency(f, i, c)
			case "longrope":
				divisors := scale.Short
				if positions > scale.OriginalMaxPositions {
					divisors = scale.Long
				}
				f /= divisors[i]
			}
		}
		freq[i] = f
	}
	return freq
}

// llama3Frequency divides low frequencies by the factor, keeps high ones and interpolates
// between (Llama 3.1's rope_scaling).
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

// yarnFrequency divides low frequencies by the factor, keeps high ones and interpolates
// between, linearly in the dimension (Peng et al., arXiv 2309.00071).
func yarnFrequency(f float64, i int, c *checkpoint.Config) float64 {
	s, dim := c.RopeScaling, float64(c.Rotary())
	// The dimension with this many rotations within the original context.
	at := func(turns float64) float64 {
		return dim * math.Log(float64(s.OriginalMaxPositions)/(turns*2*math.Pi)) / (2 * math.Log(c.RopeTheta))
	}
	low, high := at(s.BetaFast), at(s.BetaSlow)
	if !s.Fractional {
		low, high = math.Floor(low), math.Ceil(high)
	}
	low, high = max(low, 0), min(high, dim-1)
	if low == high {
		high += 0.001
	}
	slow := max(0, min(1, (float64(i)-low)/(high-low)))
	return f/s.Factor*slow + f*(1-slow)
}

// Apply rotates one head's vector x of length head_dim to the position.
func (r *Rope) Apply(x []float32, position int) {
	cos := r.Cos[position*r.Half:][:r.Half]
	sin := r.Sin[position*r.Half:][:r.Half]
	float.Rope(x[:2*r.Half], cos, sin)
}
