package pipeline

import (
	"fmt"
	"slices"
	"strings"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/plural"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
	"github.com/specquant/specquant/internal/stage"
)

// StrictError is the error of a strict job that would have to deviate from its recipe.
type StrictError struct{ Fallbacks []artefact.Fallback }

func (e *StrictError) Error() string {
	s := "strict: " + e.Fallbacks[0].String()
	if n := len(e.Fallbacks) - 1; n > 0 {
		s += fmt.Sprintf("; and %d more", n)
	}
	return s + "; change the recipe, or leave --strict out and find them listed at the end"
}

// plannedFallbacks returns the fallbacks that follow from the model's shape, the recipe and the
// length of the calibration text (windows × tokens; 0 if the recipe needs none).
func plannedFallbacks(c *checkpoint.Config, r *recipe.Recipe, t *stage.Rotation, windows, tokens int) []artefact.Fallback {
	var all []artefact.Fallback
	add := func(kind, where, cause string, args ...any) {
		all = append(all, artefact.Fallback{Kind: kind, Where: where, Cause: fmt.Sprintf(cause, args...)})
	}
	if windows > 0 && r.NeedsCalibration() {
		if asked := min(r.Calibration.Tokens, c.MaxPositions); tokens < asked {
			add(artefact.FallbackCalibration, "calibration.tokens", "the text has one window of %s, %d were asked for", plural.Of(tokens, "token"), asked)
		}
		if asked := r.Calibration.Samples; windows < asked {
			add(artefact.FallbackCalibration, "calibration.samples", "the text has %s of %s, %d were asked for", plural.Of(windows, "window"), plural.Of(tokens, "token"), asked)
		}
	}
	t.Each(func(where string, width int, name string, even bool) {
		if !even {
			add(artefact.FallbackRotation, where, "no Hadamard matrix is known here at width %d: %s", width, name)
		}
	})
	for _, kind := range c.Kinds() {
		for in := range llama.NumInputs {
			if kind != c.Kinds()[0] && in != llama.DownInput {
				continue // do not repeat what blocks of another kind have too
			}
			n := in.Width(c.Of(kind))
			quantized := slices.ContainsFunc(in.Readers(), func(l llama.Which) bool { return anyQuantized(c, r, l) })
			if !quantized {
				continue
			}
			where := "input of " + in.String()
			if g := r.Weights.Group; g > n {
				add(artefact.FallbackGroup, where, "weights.group is %d, the layers have %s: one scale a row", g, plural.Of(n, "input"))
			}
			if g := r.ActGrid().Group; g > n {
				add(artefact.FallbackGroup, where, "activations.group is %d, the input has %s: one scale a token", g, plural.Of(n, "channel"))
			}
		}
	}
	return append(all, branchFallbacks(c, r)...)
}

// branchFallbacks returns the inputs (of each expert separately) whose budget has no room for a
// stored branch.
func branchFallbacks(c *checkpoint.Config, r *recipe.Recipe) (all []artefact.Fallback) {
	b := r.Branch
	if !b.Stored() || b.Components == 0 && b.Share == 0 {
		return nil
	}
	for i := range c.Layers {
		outputs := map[string]int{} // of the quantized readers of each input
		of := c.Of(i)
		var order []llama.Layer
		where := func(l llama.Layer) string {
			if l.Expert >= 0 {
				return llama.TensorPrefix(i) + checkpoint.ExpertPrefix(l.Expert) + l.Input().String()
			}
			return llama.TensorPrefix(i) + l.Input().String()
		}
		for _, l := range llama.Layers(of) {
			if !b.Has(l.Input()) || r.LayerBits(llama.TensorPrefix(i)+l.String()) >= quant.Full.Weights {
				continue
			}
			if outputs[where(l)] == 0 {
				order = append(order, l)
			}
			out, _ := l.Shape(of)
			outputs[where(l)] += out
		}
		for _, l := range order {
			if n := l.Input().Width(of); b.Dimensions(n, outputs[where(l)]) == 0 {
				all = append(all, artefact.Fallback{Kind: artefact.FallbackBranch, Where: where(l),
					Cause: fmt.Sprintf("no vector of %s for %s and %s fits into %s", plural.Of(b.Width(), "bit"), plural.Of(n, "input"), plural.Of(outputs[where(l)], "output"), budget(b))})
			}
		}
	}
	return all
}

// budget describes the keys of the recipe that limit the size of a stored branch.
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
		for _, of := range llama.Layers(c.Of(i)) {
			if of.Which == l && r.LayerBits(llama.TensorPrefix(i)+of.String()) < quant.Full.Weights {
				return true
			}
		}
	}
	return false
}

// observedFallbacks returns the fallbacks that follow from the reports of layers.
func observedFallbacks(r *recipe.Recipe, layers []artefact.Layer) []artefact.Fallback {
	all := expertFallbacks(layers)
	for _, l := range layers {
		if l.DeadChannels > 0 {
			all = append(all, artefact.Fallback{Kind: artefact.FallbackDead, Where: l.Name,
				Cause: plural.Of(l.DeadChannels, "of its input channels is", "of its input channels are") + " zero for all calibration tokens; their weights are rounded to nearest"})
		}
		if l.Damp > r.Solve.Damp {
			all = append(all, artefact.Fallback{Kind: artefact.FallbackDamping, Where: l.Name,
				Cause: fmt.Sprintf("the Hessian needed damping %.3g, solve.damp is %.3g", l.Damp, r.Solve.Damp)})
		}
		if l.Uncorrected {
			all = append(all, artefact.Fallback{Kind: artefact.FallbackCorrect, Where: l.Name,
				Cause: fmt.Sprintf("solve.correct would change the weights by more than %s their norm, because its input is nearly zero", plural.Of(stage.MostCorrection, "time"))})
		}
	}
	return all
}

// expertFallbacks returns one fallback for each block with experts that got too few calibration
// tokens.
func expertFallbacks(layers []artefact.Layer) (all []artefact.Fallback) {
	var where string
	var experts, few, none int
	tell := func() {
		if few > 0 {
			all = append(all, artefact.Fallback{Kind: artefact.FallbackExperts, Where: where,
				Cause: fmt.Sprintf("calibration sends fewer than %s, or than the mean, to %d of %s (none to %d of them); they are calibrated on tokens of other experts too", plural.Of(stage.LeastExpertTokens, "token"), few, plural.Of(experts, "expert"), none)})
		}
		experts, few, none = 0, 0, 0
	}
	for _, l := range layers {
		if l.Tokens == nil || !strings.HasSuffix(l.Name, ".down_proj") {
			continue
		}
		if block := l.Name[:strings.Index(l.Name, ".experts.")+len(".experts")]; block != where {
			tell()
			where = block
		}
		experts++
		if l.Borrowed {
			few++
		}
		if *l.Tokens == 0 {
			none++
		}
	}
	tell()
	return all
}
