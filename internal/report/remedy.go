package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
)

// A remedy is a flag, or one line with a complete section of the recipe that replaces the
// recipe's own: it repeats everything that the section has, with one change. A line that
// would change nothing is not given.

// The recipes that are recommended.
const (
	betterRecipe = "specquant-fast"
	bestRecipe   = "specquant-best" // the same with gradients
)

// weightsLine is the section weights in one line.
func weightsLine(w recipe.Weights) string {
	parts := []string{fmt.Sprintf("group: %d", w.Group)}
	if w.Scales == quant.ScalesMultiples {
		parts = append(parts, "scales: "+string(w.Scales))
	}
	if w.Zero != "" && w.Zero != quant.ZeroSymmetric {
		parts = append(parts, "zero: "+string(w.Zero))
	}
	if w.Clip != "" {
		parts = append(parts, "clip: "+string(w.Clip))
	}
	if own := w.Layers[min(max(0, w.Filled), len(w.Layers)):]; len(own) > 0 { // those chosen for a size are no part of a recipe
		var layers []string
		for _, l := range own {
			layers = append(layers, fmt.Sprintf("{match: %s, bits: %d}", strconv.Quote(l.Match), l.Bits))
		}
		parts = append(parts, "layers: ["+strings.Join(layers, ", ")+"]")
	}
	if w.Average != 0 {
		parts = append(parts, fmt.Sprintf("average: %v", w.Average))
	}
	if len(w.Widths) > 0 {
		parts = append(parts, "widths: ["+numbers(w.Widths)+"]")
	}
	if w.Fill != "" {
		parts = append(parts, "fill: "+w.Fill)
	}
	return "weights: {" + strings.Join(parts, ", ") + "}"
}

// solveLine is the section solve in one line.
func solveLine(s recipe.Solve) string {
	parts := []string{"method: " + s.Method}
	if s.Damp != 0 {
		parts = append(parts, fmt.Sprintf("damp: %v", s.Damp))
	}
	for _, on := range []struct {
		key string
		is  bool
	}{{"act-order", s.ActOrder}, {"dynamic-groups", s.DynamicGroups}, {"rescale", s.Rescale}} {
		if on.is {
			parts = append(parts, on.key+": true")
		}
	}
	if s.Correct != "" {
		parts = append(parts, "correct: "+s.Correct)
	}
	if s.Sweeps != 0 {
		parts = append(parts, fmt.Sprintf("sweeps: %d", s.Sweeps))
	}
	return "solve: {" + strings.Join(parts, ", ") + "}"
}

// smoothLine is the section smooth with these strengths to try, on the inputs of s (nil:
// all).
func smoothLine(s *recipe.Smooth, alpha string) string {
	if s != nil && len(s.Inputs) > 0 {
		return fmt.Sprintf("smooth: {alpha: %s, inputs: [%s]}", alpha, strings.Join(s.Inputs, ", "))
	}
	return fmt.Sprintf("smooth: {alpha: %s}", alpha)
}

// manyAlphas is a grid of strengths for the search.
const manyAlphas = "[off, 0.25, 0.5, 0.75, 1]"

// calibrationLine is the section calibration in one line.
func calibrationLine(c recipe.Calibration) string {
	parts := []string{fmt.Sprintf("samples: %d", c.Samples), fmt.Sprintf("tokens: %d", c.Tokens)}
	if c.Seed != 0 {
		parts = append(parts, fmt.Sprintf("seed: %d", c.Seed))
	}
	return "calibration: {" + strings.Join(append(parts, "propagate: "+c.Propagate), ", ") + "}"
}

// weights is the remedy of changing the weights' grid; none if the change has no effect.
func (d *diagnosis) weights(change func(w *recipe.Weights)) []string {
	w := d.recipe.Weights
	w.Layers = slices.Clone(w.Layers)
	change(&w)
	if line := weightsLine(w); line != weightsLine(d.recipe.Weights) {
		return []string{line}
	}
	return nil
}

// groups is the remedy of smaller groups, if the recipe has none.
func (d *diagnosis) groups() []string {
	return d.weights(func(w *recipe.Weights) {
		if w.Group == 0 && w.Fill == "" { // with a target file size the groups follow from it
			w.Group = 64
		}
	})
}

// solve is the remedy of using GPTQ or, if it is used already, of more damping.
func (d *diagnosis) solve() []string {
	s := d.recipe.Solve
	switch {
	case s.Method != "gptq":
		s = recipe.Solve{Method: "gptq", Damp: 0.01, ActOrder: true}
	case s.Damp < 0.05:
		s.Damp = 0.05
	default:
		return nil
	}
	return []string{solveLine(s)}
}

// samples is the remedy of more calibration windows; none if the text has no more.
func samples(r *recipe.Recipe, c *artefact.Calibration) []string {
	if c == nil || c.Windows < r.Calibration.Samples {
		return nil
	}
	more := r.Calibration
	more.Samples *= 4
	return []string{calibrationLine(more)}
}

// moreBits is the remedy of the next larger number of bits, of activations or of weights
// first; none if both are wide.
func (d *diagnosis) moreBits(activationsFirst bool) []string {
	b := d.Quantization.Bits
	acts := map[int]int{4: 8, 8: quant.Full.Activations}[b.Activations]
	weights := 0
	switch {
	case b.Weights < 4:
		weights = 4
	case b.Weights < 8:
		weights = 8
	}
	switch {
	case acts == 0 && weights == 0:
		return nil
	case weights == 0 || acts != 0 && activationsFirst:
		b.Activations = acts
	default:
		b.Weights = weights
	}
	return []string{"--bits " + b.String()}
}

// recipes is the remedy of another recipe: ours or, if that is used already, the one with
// gradients.
func (d *diagnosis) recipes() []string {
	switch {
	case d.is(bestRecipe):
		return nil
	case d.is(betterRecipe):
		return []string{"--recipe " + bestRecipe}
	}
	return []string{"--recipe " + betterRecipe}
}

// is reports whether the recipe equals the embedded one except for its bits: a modified
// copy may have kept the name.
func (d *diagnosis) is(name string) bool {
	if d.recipe.Name != name {
		return false
	}
	r, err := recipe.Load(name)
	if err != nil {
		return false
	}
	r.BitsText = d.recipe.BitsText
	a, errA := json.Marshal(d.recipe)
	b, errB := json.Marshal(r)
	return errA == nil && errB == nil && bytes.Equal(a, b)
}

// smoothMore is the remedy against outliers, given what the recipe does already.
func (d *diagnosis) smoothMore() []string {
	switch s := d.recipe.Smooth; {
	case s == nil:
		return append(d.recipes(), smoothLine(nil, manyAlphas))
	case len(s.Alpha) == 1 && d.recipe.Learn == nil: // learned scales start from a single strength
		return []string{smoothLine(s, manyAlphas)}
	}
	if more := d.moreBits(d.Quantization.Bits.Activations == 4); more != nil {
		return more
	}
	return d.recipes()
}

// finer is the remedy of a finer grid for a layer's weights.
func (d *diagnosis) finer(l *Layer) []string {
	if groups := d.groups(); groups != nil {
		return groups
	}
	if d.recipe.Solve.Method == "rtn" && d.recipe.Learn == nil {
		return d.solve()
	}
	if d.Quantization.Bits.Weights < 8 {
		return d.moreBits(false)
	}
	return d.weights(func(w *recipe.Weights) {
		w.Layers = append(w.Layers, recipe.LayerBits{Match: strings.TrimPrefix(l.Name, "model."), Bits: quant.Full.Weights})
	})
}

// wholeRemedy is the remedy for the model as a whole.
func (d *diagnosis) wholeRemedy() []string {
	if d.recipe.Smooth == nil || d.recipe.Solve.Method == "rtn" {
		if d.Quantization.Bits.Weights >= 4 {
			return d.recipes()
		}
		return append(d.recipes(), d.moreBits(false)...)
	}
	return append(d.moreBits(d.Quantization.Bits.Activations == 4), d.recipes()...)
}
