package compare

import (
	"fmt"
	"strings"

	"github.com/specquant/specquant/internal/input"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
)

// DefaultBits is the setting that `quantize` uses without flags: the recipe's own bits and its
// own rule for raising them (weights.fill).
const DefaultBits = "default"

// setting is how the bits of a row are chosen: given exactly, the recipe's own, or as many as
// fit a size.
type setting struct {
	text string
	bits quant.Bits // zero: the recipe's own
	size int64      // largest size of the whole artefact in bytes; 0: no limit
}

// parseSetting reads weights-activations-KV such as 4-8-8, [DefaultBits], or the
// artefact's largest size such as 92MB.
func parseSetting(s string) (setting, error) {
	if s == DefaultBits {
		return setting{text: s}, nil
	}
	if !strings.Contains(s, "-") {
		size, err := input.Size(s)
		if err != nil {
			return setting{}, fmt.Errorf("bits %q: expected weights-activations-KV such as 4-8-8, a size such as 92MB, or %s", s, DefaultBits)
		}
		return setting{text: s, size: size}, nil
	}
	b, err := quant.ParseBits(s)
	return setting{text: s, bits: b}, err
}

// cell returns the cell of a recipe at the setting.
func (s setting) cell(r *recipe.Recipe) (cell, error) {
	with := *r
	x := cell{recipe: &with, size: s.size}
	switch {
	case s.size > 0:
		with.Weights.Fill = ""
	case s.bits != quant.Bits{}:
		return x, with.SetBits(s.bits)
	}
	return x, nil
}
