// Package forecast tells how fast a recipe's model will run before it exists: random.go says
// which formats and branches it will have, speed.go measures a model of random weights with them.
package forecast

import (
	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/engine"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/recipe"
	"github.com/specquant/specquant/internal/spectrum"
	"github.com/specquant/specquant/internal/stage"
)

// Formats returns the formats and the branches' sizes of a model of architecture c that the
// recipe would make, as far as the recipe alone decides them.
func Formats(c *checkpoint.Config, r *recipe.Recipe) (artefact.Quantization, engine.Random, error) {
	q := *stage.Format(c, r)
	b := r.Branch
	if b == nil {
		return q, engine.Random{}, nil
	}
	axis, err := spectrum.ParseAxis(b.Axis)
	if err != nil {
		return q, engine.Random{}, err
	}
	keep := func(in llama.Input, outputs, width int) int {
		switch {
		case !b.Has(in):
			return 0
		case b.Stored():
			return b.Dimensions(width, outputs)
		}
		return int(b.PerChannel(axis, outputs, width))
	}
	return q, engine.Random{Keep: keep, Temperature: b.Temperature}, nil
}
