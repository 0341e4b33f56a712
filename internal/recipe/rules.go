package recipe

import (
	"errors"
	"fmt"
	"path"
	"slices"

	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/plural"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/spectrum"
)

// check returns an error for a required key that is missing and for settings that exclude
// each other. The values themselves must be within their limits.
func (r *Recipe) check() error {
	if r.Name == "" {
		return errors.New("name: missing")
	}
	bits, err := quant.ParseBits(r.BitsText)
	if err != nil {
		return err
	}
	r.Bits = bits
	if err := r.checkMissing(); err != nil {
		return err
	}
	for _, rules := range []func() error{r.checkWeights, r.checkScales, r.checkTables, r.checkSolve, r.checkSmooth, r.checkRotate, r.checkBranch, r.checkLearn, r.checkTune} {
		if err := rules(); err != nil {
			return err
		}
	}
	return nil
}

// checkMissing looks for required keys in the sections that the recipe has.
func (r *Recipe) checkMissing() error {
	for i := range keys {
		k := &keys[i]
		if k.Default != "" || k.Kind == Text || !r.has(k.section()) || !r.field(k.Path).IsZero() {
			continue
		}
		return fmt.Errorf("%s: missing, expected %s", k.Path, k.expected())
	}
	return nil
}

// expected describes the possible values of a missing key.
func (k *Key) expected() string {
	if k.Kind == Word {
		return "one of " + k.Range()
	}
	return "a " + k.Range()
}

// has reports whether the recipe has a section.
func (r *Recipe) has(section string) bool {
	switch section {
	case "smooth":
		return r.Smooth != nil
	case "rotate":
		return r.Rotate != nil
	case "rotate.learn":
		return r.Rotate != nil && r.Rotate.Learn != nil
	case "branch":
		return r.Branch != nil
	case "learn":
		return r.Learn != nil
	case "tune":
		return r.Tune != nil
	case "distil":
		return r.Distil != nil
	}
	return true
}

func (r *Recipe) checkWeights() error {
	w := &r.Weights
	for _, l := range w.Layers {
		if _, err := path.Match(l.Match, ""); err != nil || l.Match == "" {
			return fmt.Errorf("weights.layers: match %q is not a valid pattern; expected one such as down_proj or layers.0.*", l.Match)
		}
	}
	widths := w.MixWidths()
	switch least, most := widths[0], widths[len(widths)-1]; {
	case w.Average != 0 && w.Fill != "":
		return errors.New("weights.average: found with weights.fill, and either would choose the bits of the layers; leave one out")
	case w.Average == 0 && len(w.Widths) > 0:
		return errors.New("weights.average: missing, expected with weights.widths: the average that they are mixed to")
	case w.Average != 0 && (w.Average < float64(least) || w.Average > float64(most)):
		return fmt.Errorf("weights.average: found %v, expected %d to %d, the smallest and the largest of weights.widths", w.Average, least, most)
	}
	return nil
}

// checkScales checks what goes with multiples as scales, and what does not go without.
func (r *Recipe) checkScales() error {
	w := &r.Weights
	if !w.multiples() {
		if w.Group > 0 && w.Group < leastGroup {
			return fmt.Errorf("weights.group: found %d with scales %s, expected 0 or at least %d; smaller groups need scales: %s", w.Group, quant.ScalesHalves, leastGroup, quant.ScalesMultiples)
		}
		return nil
	}
	const with = "with weights.scales multiples"
	switch {
	case !w.Can(r.Bits.Weights):
		return fmt.Errorf("bits: found weights of %s %s, expected one of %v; change the bits, or set scales: %s", plural.Of(r.Bits.Weights, "bit"), with, quant.MultipleBits, quant.ScalesHalves)
	case w.Group == 0:
		return fmt.Errorf("weights.group: found 0 %s, expected 16, 32, 64 or 128, the inputs that share a multiple", with)
	case w.Zero != "" && w.Zero != quant.ZeroSymmetric:
		return fmt.Errorf("weights.zero: found %s %s, expected %s: a multiple is a factor of integers (of 2 and 3 bits, of the odd ones)", w.Zero, with, quant.ZeroSymmetric)
	case r.Solve.DynamicGroups:
		return fmt.Errorf("solve.dynamic-groups: found %s, which are chosen for a row at a time; set it to false", with)
	case r.Solve.Rescale:
		return fmt.Errorf("solve.rescale: found %s, to which it would not keep; set it to false", with)
	}
	for _, l := range w.Layers {
		if l.Bits != quant.FullBits && !w.Can(l.Bits) {
			return fmt.Errorf("weights.layers: found %s for %s %s, expected one of %v, or %d", plural.Of(l.Bits, "bit"), l.Match, with, quant.MultipleBits, quant.FullBits)
		}
	}
	for _, bits := range w.Widths {
		if !w.Can(bits) {
			return fmt.Errorf("weights.widths: found %d %s, expected widths of %v", bits, with, quant.MultipleBits)
		}
	}
	for _, section := range []string{"learn", "tune", "distil"} {
		if r.has(section) {
			return fmt.Errorf("%s: found %s, which it would change to other scales; leave one out", section, with)
		}
	}
	return nil
}

// checkTables checks the scales of output matrix and embedding as checkScales does those of the layers.
func (r *Recipe) checkTables() error {
	for _, t := range []struct {
		section string
		Table
	}{{"head", r.Head.Table()}, {"embedding", r.Embedding}} {
		switch with := fmt.Sprintf("with %s.scales multiples", t.section); {
		case !t.multiples() && t.Group > 0 && t.Group < leastGroup:
			return fmt.Errorf("%s.group: found %d with scales %s, expected 0 or at least %d; smaller groups need scales: %s", t.section, t.Group, quant.ScalesHalves, leastGroup, quant.ScalesMultiples)
		case !t.multiples():
		case !slices.Contains(quant.MultipleBits, t.Bits):
			return fmt.Errorf("%s.bits: found %d %s, expected one of %v; change the bits, or set scales: %s", t.section, t.Bits, with, quant.MultipleBits, quant.ScalesHalves)
		case t.Group == 0:
			return fmt.Errorf("%s.group: found 0 %s, expected 16, 32, 64 or 128, the columns that share a multiple", t.section, with)
		}
	}
	return nil
}

func (r *Recipe) checkSolve() error {
	s := &r.Solve
	gptq := s.Method == "gptq"
	switch {
	case s.Correct != "" && !gptq:
		return fmt.Errorf("solve.correct: found %q with method %s, expected gptq, whose Hessian it uses", s.Correct, s.Method)
	case s.Correct != "" && !r.Runtime():
		return fmt.Errorf("calibration.propagate: found %q, expected runtime with solve.correct: what is corrected is what the runtime does", r.Calibration.Propagate)
	case s.Refines() && !gptq:
		return fmt.Errorf("solve.sweeps, solve.rescale: found with method %s, expected gptq, whose Hessian they use", s.Method)
	case r.Head.Method == "gptq" && !gptq:
		return fmt.Errorf("head.method: found gptq with solve.method %s, expected gptq in both: it takes the damping from there", s.Method)
	case (r.Head.Method == "gptq" || r.Head.Transform != "") && r.Head.Bits == 16:
		return errors.New("head.method, head.transform: found with 16 bits, expected fewer (head.bits)")
	case gptq && s.Damp == 0:
		return errors.New("solve.damp: missing, expected with method gptq, usually 0.01")
	case s.DynamicGroups && !gptq:
		return fmt.Errorf("solve.dynamic-groups: found with method %s, expected gptq, which changes weights as it goes", s.Method)
	case s.DynamicGroups && s.ActOrder:
		return errors.New("solve.dynamic-groups: found with act-order, which separates the columns of a group; set one of them to false")
	case s.DynamicGroups && r.Weights.Clip == ClipAWQ:
		return errors.New("solve.dynamic-groups: found with weights.clip awq, which clips the weights before; expected none, mse or hessian")
	}
	return nil
}

func (r *Recipe) checkSmooth() error {
	s := r.Smooth
	switch {
	case s == nil:
		return nil
	case s.Method != SmoothAWQ && len(s.Alpha) == 0:
		return errors.New("smooth.alpha: missing; give a list such as [off, 0.5, 1] or one value")
	case s.Method != SmoothAWQ:
		return nil
	case len(s.Alpha) > 0:
		return fmt.Errorf("smooth.alpha: found with method %s, which tries exponents of its own; leave it out", SmoothAWQ)
	}
	for in := range llama.NumInputs {
		if r.Rotate.Input(in) != "" && s.Has(in) {
			return fmt.Errorf("rotate.%s: found with smooth.method %s, which scales the unrotated channels of that input; leave one out, or name other smooth.inputs", inputNames[in], SmoothAWQ)
		}
	}
	return nil
}

func (r *Recipe) checkRotate() error {
	o := r.Rotate
	switch {
	case o == nil || o.Learn == nil:
	case o.Cache == balanced:
		return fmt.Errorf("rotate.cache: found %s with rotate.learn, expected hadamard: rotations are learned before keys are balanced", balanced)
	case o.Residual == "" && o.Heads == "":
		return errors.New("rotate.learn: found without rotate.residual and rotate.heads, the rotations that it learns; expected at least one of them")
	}
	return nil
}

func (r *Recipe) checkBranch() error {
	b := r.Branch
	if b == nil {
		return nil
	}
	switch stored := b.Stored(); {
	case b.Share > 0 && b.Components != 0:
		return errors.New("branch.share: found with branch.components, expected one of them")
	case !stored && (b.Share > 0 || b.Bits == 8 || len(b.Inputs) > 0):
		return fmt.Errorf("branch: share, bits and inputs apply to stored bases only, found with basis %s; leave them out", b.Basis)
	case !stored && b.Remove:
		return fmt.Errorf("branch.remove: found with basis %s, expected klt, svd or columns", b.Basis)
	case !stored && b.Importance == "":
		return fmt.Errorf("branch.importance: missing, expected one of %s", byPath["branch.importance"].Range())
	case b.Basis != BasisSVD && b.Iterated():
		return fmt.Errorf("branch: rounds and whiten apply to basis svd only, found with basis %s; leave them out", b.Basis)
	case b.Remove && b.Iterated():
		return errors.New("branch.remove: found with rounds or whiten, whose coefficients are fitted to rounding errors; leave one out")
	case stored && b.Axis != spectrum.OutputChannel.String():
		return fmt.Errorf("branch.axis: found %q, expected output with basis %s", b.Axis, b.Basis)
	case stored && (b.Truncate > 0 || b.Literal || b.Temperature > 0):
		return fmt.Errorf("branch: truncate, literal and temperature apply to the Fourier bases only, found with basis %s; leave them out", b.Basis)
	case b.Truncate > 0 && b.Axis == spectrum.InputChannel.String():
		return fmt.Errorf("branch.truncate: found %v, expected 0 on axis input; only the output axis has a projection to cut", b.Truncate)
	}
	return nil
}

func (r *Recipe) checkLearn() error {
	switch {
	case r.Learn == nil:
		return nil
	case !r.Runtime():
		return fmt.Errorf("calibration.propagate: found %q, expected runtime with learn: what is learned is what the runtime does", r.Calibration.Propagate)
	case r.Weights.Clip != quant.ClipNone:
		return fmt.Errorf("weights.clip: found %q with learn, which learns where the weights' grids end; expected none", r.Weights.Clip)
	case r.Branch != nil:
		return errors.New("learn: found with a branch; leave one out")
	case r.Solve.DynamicGroups:
		return errors.New("solve.dynamic-groups: found with learn, whose scales it would not use; leave one out")
	}
	for in := range llama.NumInputs {
		if r.Rotate.Input(in) != "" {
			return fmt.Errorf("rotate.%s: found with learn, which scales the unrotated channels of that input; leave one out", inputNames[in])
		}
	}
	return nil
}

// checkTune checks the sections tune and distil.
func (r *Recipe) checkTune() error {
	for _, section := range []string{"tune", "distil"} {
		switch {
		case !r.has(section):
		case !r.Runtime():
			return fmt.Errorf("calibration.propagate: found %q, expected runtime with %s: what is tuned is what the runtime does", r.Calibration.Propagate, section)
		case r.Branch != nil && !r.Branch.Stored():
			return fmt.Errorf("%s: found with a branch on basis %s, expected klt, svd or columns, or no branch", section, r.Branch.Basis)
		}
	}
	return nil
}

// among reports whether a list of inputs contains one; an empty list contains all.
func among(list []string, in llama.Input) bool {
	return len(list) == 0 || slices.Contains(list, inputNames[in])
}
