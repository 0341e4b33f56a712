package recipe

import (
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/specquant/specquant/internal/quant"
)

// NeedsCalibration reports whether any stage needs activations.
func (r *Recipe) NeedsCalibration() bool {
	return r.Smooth != nil || r.Fitting() || r.LearnsRotations() || r.Branch != nil || r.Solve.Method == "gptq" || r.Head.Method == "gptq" ||
		r.Weights.Clip == quant.ClipHessian || r.Weights.Clip == ClipAWQ || r.CacheTransform() == balanced
}

// The values of solve.correct: the target of the fit.
const (
	CorrectOutputs = "outputs"
	CorrectStream  = "stream"
	CorrectJudged  = "judged"
)

// LayerBits are the bits of the layer's weights; 16: it is not quantized.
func (r *Recipe) LayerBits(name string) int {
	bits := r.Bits.Weights
	for _, l := range r.Weights.Layers {
		if matches(l.Match, name) {
			bits = l.Bits
		}
	}
	return bits
}

// Named reports whether weights.layers sets the bits of this layer.
func (w *Weights) Named(name string) bool {
	return slices.ContainsFunc(w.Layers, func(l LayerBits) bool { return matches(l.Match, name) })
}

// TellsExperts reports whether weights.layers may give experts of one block different bits: whether a
// pattern has digits that are not a block's number, or classes of characters.
func (w *Weights) TellsExperts() bool {
	return slices.ContainsFunc(w.Layers, func(l LayerBits) bool {
		return strings.ContainsAny(blockNumber.ReplaceAllString(l.Match, ""), `0123456789?[\`)
	})
}

// blockNumber occurs in a layer's name once, and what it matches in a pattern matches nothing else.
var blockNumber = regexp.MustCompile(`layers\.[0-9]+`)

// InBlock returns the recipe without the patterns of weights.layers that name another block than this:
// all layers of the block have the same bits by it, sooner found.
func (r *Recipe) InBlock(block int) *Recipe {
	own, number := *r, strconv.Itoa(block)
	own.Weights.Layers, own.Weights.Filled = nil, 0
	for _, l := range r.Weights.Layers {
		if m := namedBlock.FindStringSubmatch(l.Match); m == nil || m[1] == number || strings.ContainsAny(l.Match, `[\`) {
			own.Weights.Layers = append(own.Weights.Layers, l)
		}
	}
	return &own
}

var namedBlock = regexp.MustCompile(`(?:^|\.)layers\.([0-9]+)\.`)

// matches reports whether the pattern matches the end of the name: as many of its last
// dot-separated parts as the pattern has.
func matches(pattern, name string) bool {
	if !strings.ContainsAny(pattern, `*?[\`) {
		rest, ok := strings.CutSuffix(name, pattern)
		return ok && (rest == "" || strings.HasSuffix(rest, "."))
	}
	for more := true; more; _, name, more = strings.Cut(name, ".") {
		if ok, _ := path.Match(pattern, name); ok {
			return true
		}
	}
	return false
}

// NeedsHessian reports whether any stage needs the second moments of a layer's input.
func (r *Recipe) NeedsHessian() bool {
	return r.Solve.Method == "gptq" || r.Weights.Clip == quant.ClipHessian ||
		r.Branch.Stored() && (r.Branch.Basis != BasisSVD || r.Branch.Whiten)
}

// Fitting reports whether the weights are fitted to the full-precision model's outputs, for
// which its activations are needed in addition to the quantized model's.
func (r *Recipe) Fitting() bool {
	return r.Solve.Correct != "" || r.Learn != nil || r.Tune != nil || r.Distil != nil
}

// Runtime reports whether calibration emulates quantized activations and a quantized cache.
func (r *Recipe) Runtime() bool { return r.Calibration.Propagate == "runtime" }

// Passes is the number of multiply-adds for everything done to a layer's weights, in units
// of GPTQ's own, n²/2 per row.
func (s *Solve) Passes() float64 {
	passes := 1 + 2*float64(s.Sweeps)
	if s.Rescale {
		passes += 2 * float64(min(s.Sweeps, 1)+1)
	}
	return passes
}

// MixWidths are the numbers of bits that weights.average may choose from, ascending.
func (w *Weights) MixWidths() []int {
	widths := slices.Clone(w.Widths)
	if len(widths) == 0 {
		widths = slices.DeleteFunc(slices.Clone(quant.WeightBits), func(bits int) bool { return !w.Can(bits) })
	}
	slices.Sort(widths)
	return slices.Compact(widths)
}
