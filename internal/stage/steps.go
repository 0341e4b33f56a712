package stage

import (
	"context"
	"fmt"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/plural"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
)

// Kind names what a step does.
type Kind string

// The steps of a block, in order.
const (
	StepStatistics Kind = "statistics"              // of all inputs, see [State.Statistics]
	StepKeys       Kind = "balance keys"            // [State.BalanceKeys]
	StepBaseline   Kind = "error of plain rounding" // [State.Baseline]
	StepSmooth     Kind = "smooth"                  // [State.Smooth]
	StepFold       Kind = "fold rotations"          // [State.FoldRotation]
	StepLearn      Kind = "learn"                   // [State.Learn]
	StepKeep       Kind = "keep full precision"     // [Reference.keep]

	// Once for each of the four inputs.
	StepMoments  Kind = "second moments"                         // [State.Moments]
	StepBasis    Kind = "basis of branch"                        // [State.Basis]
	StepSplit    Kind = "split"                                  // [State.Split]
	StepRemove   Kind = "remove branch"                          // [State.RemoveBranch]
	StepFit      Kind = "fit"                                    // [State.Fit]
	StepDiagonal Kind = "diagonal"                               // [State.Diagonal]
	StepFactor   Kind = "factor"                                 // [State.Factor]
	StepSolve    Kind = "solve"                                  // [State.Solve], once for each layer that reads the input
	StepHead     Kind = "measure the input of the output matrix" // [Head.Measure], after all blocks

	// In a block with experts, twice: before it is smoothed and with attention quantized.
	StepRoute Kind = "send tokens to experts" // [State.Route]
	// For each expert, before smoothing.
	StepExpert Kind = "statistics of an expert, smooth its down" // [State.Expert]

	StepTune Kind = "tune" // [State.Tune]
)

// Step is one operation on a block. It is plain data: [Steps] decides which steps there
// are, and [State.Do] carries them out.
type Step struct {
	Kind   Kind
	Expert int         // of StepExpert, and of the steps for an input that each expert has of its own; else 0
	Input  llama.Input // of the steps from StepMoments to StepSolve
	Layer  llama.Which // of StepSolve
	Bits   int         // of StepSolve: the bits that the layer is rounded to; 16: it is not quantized
}

// perInput reports whether the step works on one input of the block.
func (s Step) perInput() bool {
	switch s.Kind {
	case StepMoments, StepBasis, StepSplit, StepRemove, StepFit, StepDiagonal, StepFactor, StepSolve:
		return true
	}
	return false
}

// String describes the step in one line.
func (s Step) String() string {
	switch {
	case s.Kind == StepSolve && s.Bits == quant.FullBits:
		return fmt.Sprintf("leave %s in 16 bits", s.Layer)
	case s.Kind == StepSolve:
		return fmt.Sprintf("solve %s to %s", s.Layer, plural.Of(s.Bits, "bit"))
	case s.perInput():
		return fmt.Sprintf("%s, input of %s", s.Kind, s.Input)
	}
	return string(s.Kind)
}

// Steps lists what a recipe does to block i of a model between loading it and writing the
// result, except tuning. calibrated: there are calibration windows.
func Steps(c *checkpoint.Config, r *recipe.Recipe, i int, calibrated bool) []Step {
	var steps []Step
	add := func(when bool, k Kind) {
		if when {
			steps = append(steps, Step{Kind: k})
		}
	}
	of, r := c.Of(i), r.InBlock(i)
	experts := of.Experts.Count
	add(calibrated, StepStatistics)
	add(calibrated && Transforms(r).Cache == artefact.Balanced, StepKeys)
	add(calibrated, StepBaseline)
	add(calibrated && experts > 0, StepRoute)
	for e := range experts {
		if calibrated {
			steps = append(steps, Step{Kind: StepExpert, Expert: e})
		}
	}
	add(calibrated && r.Smooth != nil, StepSmooth)
	add(true, StepFold)
	add(calibrated && r.Learn != nil, StepLearn)
	add(calibrated && r.Fitting(), StepKeep)
	for in := range llama.NumInputs {
		if experts == 0 || in < llama.MLPInput {
			steps = append(steps, InputSteps(of, r, i, in, 0, calibrated)...)
		}
	}
	add(calibrated && experts > 0, StepRoute)
	for e := range experts {
		for in := llama.MLPInput; in < llama.NumInputs; in++ {
			steps = append(steps, InputSteps(of, r, i, in, e, calibrated)...)
		}
	}
	return steps
}

// InputSteps lists what is done to the layers of block i that read one input, after the
// block has been smoothed and rotated.
func InputSteps(c *checkpoint.Config, r *recipe.Recipe, i int, in llama.Input, expert int, calibrated bool) []Step {
	var steps []Step
	add := func(when bool, k Kind) {
		if when {
			steps = append(steps, Step{Kind: k, Expert: expert, Input: in})
		}
	}
	moments := calibrated && r.NeedsHessian()
	_, k := BranchOf(c, r, llama.TensorPrefix(i), in, expert)
	add(calibrated, StepMoments)
	add(k > 0, StepBasis)
	add(true, StepSplit)
	add(k > 0 && r.Branch.Remove && moments, StepRemove)
	add(calibrated && r.Solve.Correct != "", StepFit)
	add(moments && r.Weights.Clip == quant.ClipHessian, StepDiagonal)
	add(moments && r.Solve.Method == "gptq", StepFactor)
	for _, l := range in.Readers() {
		steps = append(steps, Step{Kind: StepSolve, Expert: expert, Input: in, Layer: l, Bits: r.LayerBits(llama.TensorPrefix(i) + layerOf(c, l, expert).String())})
	}
	return steps
}

// partOf is the part of the work that a step belongs to for [Clock]; those that are not
// named tell it themselves.
var partOf = map[Kind]string{
	StepKeys: PartKeys, StepBaseline: PartError, StepSmooth: PartSmoothing, StepFold: PartRotation,
	StepLearn: PartLearning, StepTune: PartLearning, StepRemove: PartBranch, StepDiagonal: PartScales, StepFit: PartForward,
}

// Do carries out a step on the loaded block.
func (st *State) Do(ctx context.Context, s Step) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if part := partOf[s.Kind]; part != "" {
		st.at(part, 0)
	}
	if s.Kind == StepExpert || s.perInput() && st.ofExperts(s.Input) {
		st.Select(s.Expert)
		return st.ofExpert(st.do(ctx, s))
	}
	return st.do(ctx, s)
}

func (st *State) do(ctx context.Context, s Step) error {
	switch s.Kind {
	case StepRoute:
		return st.Route(ctx)
	case StepExpert:
		return st.Expert(ctx)
	case StepStatistics:
		return st.Statistics(ctx)
	case StepKeys:
		return st.BalanceKeys()
	case StepBaseline:
		return st.Baseline()
	case StepSmooth:
		return st.Smooth(ctx)
	case StepFold:
		st.FoldRotation()
		return nil
	case StepLearn:
		return st.Learn(ctx)
	case StepKeep:
		st.Reference.keep(&st.Block)
		return nil
	case StepMoments:
		return st.Moments(ctx, s.Input)
	case StepBasis:
		return st.Basis(ctx, s.Input)
	case StepSplit:
		return st.Split(s.Input)
	case StepRemove:
		st.RemoveBranch()
		return nil
	case StepFit:
		return st.Fit(ctx, s.Input)
	case StepDiagonal:
		st.Diagonal(s.Input)
		return nil
	case StepFactor:
		return st.Factor(s.Input)
	case StepSolve:
		return st.Solve(s.Layer)
	case StepTune:
		st.reached = 0 // the block changes: windows begin anew
		return st.Tune(ctx)
	}
	return fmt.Errorf("no such step of a block: %q", s.Kind)
}
