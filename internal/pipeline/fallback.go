package pipeline

import (
	"fmt"
	"slices"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
	"github.com/specquant/specquant/internal/stage"
)

// StrictError says that a strict job would not have done what its recipe says.
type StrictError struct{ Fallbacks []artefact.Fallback }

func (e *StrictError) Error() string {
	s := "strict: " + e.Fallbacks[0].String()
	if n := len(e.Fallbacks) - 1; n > 0 {
		s += fmt.Sprintf("; and %d more", n)
	}
	return s + "; change the recipe, or leave --strict out and find them listed at the end"
}

// plannedFallbacks are the fallbacks that the model's shape, the recipe and the length of
// the calibration text decide: windows × tokens of calibration, 0 of them if none
// is needed.
func plannedFallbacks(c *checkpoint.Config, r *recipe.Recipe, t *stage.Rotation, windows, tokens int) []artefact.Fallback {
	var all []artefact.Fallback
	add := func(kind, where, cause string, args ...any) {
		all = append(all, artefact.Fallback{Kind: kind, Where: where, Cause: fmt.Sprintf(cause, args...)})
	}
	if windows > 0 && r.NeedsCalibration() {
		if asked := min(r.Calibration.Tokens, c.MaxPositions); tokens < asked {
			add(artefact.FallbackCalibration, "calibration.tokens", "the text has one window of %d tokens, %d were asked for", tokens, asked)
		}
		if asked := r.Calibration.Samples; windows < asked {
			add(artefact.FallbackCalibration, "calibration.samples", "the text has %d windows of %d tokens, %d were asked for", windows, tokens, asked)
		}
	}
	t.Each(func(where string, width int, name string, even bool) {
		if !even {
			add(artefact.FallbackRotation, where, "no Hadamard matrix is known here at width %d: %s", width, name)
		}
	})
	for in := range llama.NumInputs {
		n := in.Width(c)
		quantized := slices.ContainsFunc(in.Readers(), func(l llama.Which) bool { return anyQuantized(c, r, l) })
		if !quantized {
			continue
		}
		where := "input of " + in.String()
		if g := r.Weights.Group; g > n {
			add(artefact.FallbackGroup, where, "weights.group is %d, the layers have %d inputs: one scale a row", g, n)
		}
		if g := r.ActGrid().Group; g > n {
			add(artefact.FallbackGroup, where, "activations.group is %d, the input has %d channels: one scale a token", g, n)
		}
		b := r.Branch
		if !b.Stored() || !b.Has(in) || b.Components == 0 && b.Share == 0 {
			continue
		}
		for i := range c.Layers {
			outputs := 0
			for _, l := range in.Readers() {
				if r.LayerBits(llama.TensorPrefix(i)+l.String()) < quant.Full.Weights {
					out, _ := l.Shape(c)
					outputs += out
				}
			}
			if outputs > 0 && b.Dimensions(n, outputs) == 0 {
				add(artefact.FallbackBranch, llama.TensorPrefix(i)+in.String(), "no vector of %d bits for %d inputs and %d outputs fits into %s", b.Width(), n, outputs, budget(b))
			}
		}
	}
	return all
}

// budget says what limits a stored branch.
func budget(b *recipe.Branch) string {
	s := fmt.Sprintf("branch.components %v", b.Components)
	if b.Share > 0 {
		s = fmt.Sprintf("branch.share %v", b.Share)
	}
	if b.Overhead > 0 {
		s += fmt.Sprintf(" at branch.overhead %v", b.Overhead)
	}
	return s
}

// anyQuantized reports whether some block's layer is quantized.
func anyQuantized(c *checkpoint.Config, r *recipe.Recipe, l llama.Which) bool {
	for i := range c.Layers {
		if r.LayerBits(llama.TensorPrefix(i)+l.String()) < quant.Full.Weights {
			return true
		}
	}
	return false
}

// observedFallbacks are the fallbacks that layers report.
func observedFallbacks(r *recipe.Recipe, layers []artefact.Layer) []artefact.Fallback {
	var all []artefact.Fallback
	for _, l := range layers {
		if l.DeadChannels > 0 {
			all = append(all, artefact.Fallback{Kind: artefact.FallbackDead, Where: l.Name,
				Cause: fmt.Sprintf("no calibration token touches %d of its inputs; their weights are rounded to nearest", l.DeadChannels)})
		}
		if l.Damp > r.Solve.Damp {
			all = append(all, artefact.Fallback{Kind: artefact.FallbackDamping, Where: l.Name,
				Cause: fmt.Sprintf("the Hessian took damping %.3g, solve.damp is %.3g", l.Damp, r.Solve.Damp)})
		}
		if l.Uncorrected {
			all = append(all, artefact.Fallback{Kind: artefact.FallbackCorrect, Where: l.Name,
				Cause: fmt.Sprintf("solve.correct would change the weights to more than %d times what they are: its input is nearly zero", stage.MostCorrection)})
		}
	}
	return all
}
