package recipe

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/spectrum"
)

// checkNames says which name is none of those there are. It comes before all rules
// about what goes with what, which would otherwise speak of a mistyped name as if it
// were another one.
func (r *Recipe) checkNames(oneOf func(key, value string, can ...string)) {
	oneOf("solve.method", r.Solve.Method, "rtn", "gptq")
	oneOf("solve.correct", r.Solve.Correct, "", CorrectOutputs, CorrectStream)
	oneOf("calibration.propagate", r.Calibration.Propagate, "quantized", "full", "runtime")
	oneOf("weights.clip", string(r.Weights.Clip), string(quant.ClipNone), string(quant.ClipMSE), string(quant.ClipHessian), string(ClipAWQ))
	oneOf("weights.zero", string(r.Weights.Zero), string(quant.ZeroSymmetric), string(quant.ZeroCentred), string(quant.ZeroAsymmetric))
	if o := r.Rotate; o != nil {
		oneOf("rotate.residual", o.Residual, "", hadamard)
		oneOf("rotate.heads", o.Heads, "", hadamard)
		oneOf("rotate.cache", o.Cache, "", hadamard, balanced)
		oneOf("rotate.attn", o.Attn, "", hadamard)
		oneOf("rotate.o", o.O, "", hadamard, "heads")
		oneOf("rotate.mlp", o.MLP, "", hadamard)
		oneOf("rotate.down", o.Down, "", hadamard)
	}
	if s := r.Smooth; s != nil {
		oneOf("smooth.method", s.Method, "", SmoothAlpha, SmoothAWQ)
	}
	if l := r.Learn; l != nil {
		oneOf("learn.method", l.Method, LearnOmniQuant, LearnFlatQuant)
		oneOf("learn.input", l.Input, "", InputQuantized, InputFull)
	}
	if b := r.Branch; b != nil {
		oneOf("branch.basis", b.Basis, "dft", "dct", BasisKLT, BasisSVD, BasisColumns)
		if b.Axis != "" {
			oneOf("branch.axis", b.Axis, spectrum.OutputChannel.String(), spectrum.InputChannel.String())
		}
		if b.Importance != "" {
			oneOf("branch.importance", string(b.Importance), importances()...)
		}
	}
}

// importances are the names of the scores.
func importances() (names []string) {
	for _, k := range spectrum.Importances() {
		names = append(names, string(k))
	}
	return names
}

// checkInputs says which of a list is no input.
func checkInputs(key string, list []string) error {
	for _, name := range list {
		if !slices.Contains(inputNames[:], name) {
			return fmt.Errorf("%s: found %q, expected some of %s", key, name, strings.Join(inputNames[:], ", "))
		}
	}
	return nil
}

// checkMix says what is wrong with a mixture of widths.
func (w *Weights) checkMix() error {
	for _, b := range w.Widths {
		if !slices.Contains(quant.WeightBits, b) {
			return fmt.Errorf("weights.widths: found %d, expected some of %v", b, quant.WeightBits)
		}
	}
	if w.Average == 0 {
		if len(w.Widths) > 0 {
			return errors.New("weights.average: missing; weights.widths are what it mixes")
		}
		return nil
	}
	if widths := w.MixWidths(); !(w.Average >= float64(widths[0]) && w.Average <= float64(widths[len(widths)-1])) {
		return fmt.Errorf("weights.average: found %v, expected %d to %d, the least and the most of weights.widths", w.Average, widths[0], widths[len(widths)-1])
	}
	return nil
}

// checkDynamic says what dynamic groups lack.
func (r *Recipe) checkDynamic() error {
	switch {
	case r.Solve.Method != "gptq":
		return fmt.Errorf("solve.dynamic-groups: found with method %s, expected gptq, which changes weights as it goes", r.Solve.Method)
	case r.Solve.ActOrder:
		return errors.New("solve.dynamic-groups: found with act-order, which leaves no group in one piece; set one of them to false")
	case r.Weights.Clip == ClipAWQ:
		return errors.New("solve.dynamic-groups: found with weights.clip awq, which clips the weights before; expected none, mse or hessian")
	}
	return nil
}

// checkSmooth says what is wrong with the smoothing.
func (r *Recipe) checkSmooth() error {
	s := r.Smooth
	if err := checkInputs("smooth.inputs", s.Inputs); err != nil {
		return err
	}
	switch s.Method {
	case "", SmoothAlpha:
		if len(s.Alpha) == 0 {
			return errors.New("smooth.alpha: missing; give a list such as [off, 0.5, 1] or one value")
		}
		return nil
	}
	if len(s.Alpha) > 0 {
		return fmt.Errorf("smooth.alpha: found with method %s, which tries exponents of its own; leave it out", SmoothAWQ)
	}
	for in := range llama.NumInputs {
		if r.Rotate.Input(in) != "" && s.Has(in) {
			return fmt.Errorf("rotate.%s: found with smooth.method %s, which scales the channels of that input as they are; leave one out, or name other smooth.inputs", inputNames[in], SmoothAWQ)
		}
	}
	return nil
}

// checkStored says what is wrong with what only stored bases have.
func (b *Branch) checkStored() error {
	if err := checkInputs("branch.inputs", b.Inputs); err != nil {
		return err
	}
	switch {
	case !(b.Share >= 0 && b.Share <= 1):
		return fmt.Errorf("branch.share: found %v, expected 0 to 1", b.Share)
	case b.Share > 0 && b.Components != 0:
		return errors.New("branch.share: found with branch.components, expected one of them")
	case b.Bits != 0 && b.Bits != 8 && b.Bits != 16:
		return fmt.Errorf("branch.bits: found %d, expected 8 or 16", b.Bits)
	case b.Rounds < 0 || b.Rounds > 1000:
		return fmt.Errorf("branch.rounds: found %d, expected 0 to 1000", b.Rounds)
	case !b.Stored() && (b.Share > 0 || b.Bits == 8 || len(b.Inputs) > 0):
		return fmt.Errorf("branch: share, bits and inputs are of stored bases, found with basis %s; leave them out", b.Basis)
	case b.Basis != BasisSVD && b.Iterated():
		return fmt.Errorf("branch: rounds and whiten are of basis svd, found with basis %s; leave them out", b.Basis)
	case b.Remove && b.Iterated():
		return errors.New("branch.remove: found with rounds or whiten, whose coefficients stand for what rounding leaves of the weights; leave one out")
	}
	return nil
}
