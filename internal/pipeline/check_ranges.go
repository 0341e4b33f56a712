package pipeline

import (
	"fmt"
	"math"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/plural"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
	"github.com/specquant/specquant/internal/stage"
)

// Bounds on the largest weight of a tensor. Scales are 16-bit floats, which below leastScale
// are subnormal with less than three bits of precision left.
const (
	leastScale = 1.0 / (1 << 21)
	leastHalf  = 1.0 / (1 << 14) // for tensors that stay in 16 bits: the smallest normal 16-bit float
)

// checkRanges returns an error for the first tensor whose scales would not fit a 16-bit
// float after [stage.Level] has balanced the layers that can exchange a scale. tops are the
// largest magnitudes of the tensors as they are stored, by name.
func checkRanges(ck *checkpoint.Checkpoint, r *recipe.Recipe, tops map[string]float64) error {
	c := &ck.Config
	top := func(name string) (float64, string, bool) {
		t, err := ck.Tensor(name)
		if err != nil {
			return 0, "", false
		}
		v, ok := tops[t.Name]
		return v, t.File, ok && v > 0
	}
	for i := range c.Layers {
		prefix := llama.TensorPrefix(i)
		norm := func(place checkpoint.Norm) float64 {
			if !c.HasNorm(place) {
				return 1
			}
			v, _, _ := top(prefix + c.NormName(place) + ".weight")
			return v + c.NormOffset
		}
		var w [llama.NumLinears]float64
		layers := llama.Layers(c.Of(i))
		for _, l := range layers {
			w[l.Which], _, _ = top(prefix + l.String() + ".weight")
			if l.Which != llama.Down {
				continue
			}
			// The last layer of a block, or of an expert.
			levelled := stage.LevelTops(c, norm(checkpoint.AttnNorm), norm(checkpoint.MLPNorm), w)
			for _, of := range layers {
				name := prefix + of.String()
				if of.Expert != l.Expert && of.Expert >= 0 {
					continue
				}
				if _, file, ok := top(name + ".weight"); ok {
					if err := checkRange(levelled[of.Which], r.LayerBits(name)); err != nil {
						return fmt.Errorf("%s: tensor %q: %w", file, name+".weight", err)
					}
				}
			}
		}
	}
	for _, t := range []struct {
		name  string
		table recipe.Table
	}{{stage.EmbedWeight, r.Embedding}, {stage.HeadWeight, r.Head.Table()}} {
		v, file, ok := top(t.name)
		if !ok || t.table.Bits == quant.Full.Weights { // stays as it is
			continue
		}
		if err := checkRange(v, t.table.Bits); err != nil {
			return fmt.Errorf("%s: tensor %q: %w", file, t.name, err)
		}
	}
	return nil
}

// checkRange returns an error if a tensor whose largest magnitude is top can't be stored in
// so many bits.
func checkRange(top float64, bits int) error {
	const cure = "rescale the checkpoint so that its weights lie near 1"
	if bits == quant.Full.Weights {
		if top < leastHalf || top > quant.MaxScale {
			return fmt.Errorf("the largest weight is %.3g, expected %.3g to %d for 16-bit floats; %s", top, leastHalf, quant.MaxScale, cure)
		}
		return nil
	}
	steps := math.Exp2(float64(bits-1)) - 0.5
	if scale := top / steps; scale < leastScale || scale > quant.MaxScale {
		return fmt.Errorf("the largest weight is %.3g, which needs a scale of %.3g in %s, expected %.3g to %d for a 16-bit float; %s", top, scale, plural.Of(bits, "bit"), leastScale, quant.MaxScale, cure)
	}
	return nil
}
