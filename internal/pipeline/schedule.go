package pipeline

import (
	"fmt"
	"io"
	"slices"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/plural"
	"github.com/specquant/specquant/internal/recipe"
	"github.com/specquant/specquant/internal/stage"
)

// The steps of a job, in addition to those of package stage on a loaded block.
const (
	stepLearnRotations stage.Kind = "learn rotations of the whole model"
	stepEmbed          stage.Kind = "embed calibration windows"
	stepLoad           stage.Kind = "load"
	stepDecode         stage.Kind = "decode what an earlier run has written"
	stepRound          stage.Kind = "round to nearest, some rows at a time" // all of a block, see [stage.RoundsOnly]
	stepWrite          stage.Kind = "write"
	stepDistil         stage.Kind = "distil"
	stepFinish         stage.Kind = "write the rest, compare with full precision, rename"

	// Compute the next block's calibration input: through the quantized block or, depending
	// on calibration.propagate, through the full-precision block; and for the
	// full-precision model, if it runs beside the quantized one.
	stepAdvance          stage.Kind = "advance calibration"
	stepAdvanceFull      stage.Kind = "advance calibration in full precision"
	stepAdvanceReference stage.Kind = "advance full-precision calibration"
)

// Schedule lists every step of a job in its order. It is plain data, made from
// config.json and the recipe before anything is read; the run carries it out.
type Schedule struct {
	Before []stage.Step   // before the first block
	Blocks [][]stage.Step // of each block
	After  []stage.Step
}

// newSchedule returns the schedule of a recipe with the given number of calibration windows.
func newSchedule(c *checkpoint.Config, r *recipe.Recipe, windows int) *Schedule {
	s := &Schedule{}
	add := func(list *[]stage.Step, when bool, kinds ...stage.Kind) {
		for _, k := range kinds {
			if when {
				*list = append(*list, stage.Step{Kind: k})
			}
		}
	}
	calibrated := windows > 0
	add(&s.Before, calibrated && r.LearnsRotations(), stepLearnRotations)
	add(&s.Before, calibrated, stepEmbed)
	for i := range c.Layers {
		var b []stage.Step
		if stage.RoundsOnly(r, windows) {
			add(&b, true, stepRound)
		} else {
			add(&b, true, stepLoad)
			b = append(b, stage.Steps(c, r, i, calibrated)...)
		}
		add(&b, r.Tune != nil, stepAdvanceReference, stage.StepTune)
		add(&b, true, stepWrite)
		if calibrated && (i < c.Layers-1 || r.Distil != nil || r.Head.Method == "gptq") { // a later step needs the block's output
			full := r.Calibration.Propagate == "full"
			add(&b, full, stepAdvanceFull)
			add(&b, !full, stepAdvance)
			add(&b, !full && r.Fitting() && r.Tune == nil, stepAdvanceReference)
		}
		s.Blocks = append(s.Blocks, b)
	}
	add(&s.After, calibrated && r.Head.Method == "gptq", stage.StepHead)
	add(&s.After, r.Distil != nil, stepDistil)
	add(&s.After, true, stepFinish)
	return s
}

// transient returns the memory that a step holds only while it runs, for the step that holds
// most.
func (s *Schedule) transient(shape stage.Shape) (most []stage.Item) {
	var peak int64
	for _, steps := range append(slices.Clone(s.Blocks), s.After) {
		for _, step := range steps {
			items, sum := step.Holds(shape), int64(0)
			for _, i := range items {
				sum += i.Bytes
			}
			if sum > peak {
				most, peak = items, sum
			}
		}
	}
	return most
}

// resumed returns the steps of a block that an earlier run has written: it is decoded, and the
// next block's calibration input is computed. If layers were fitted, the full-precision model has
// run the block as it was smoothed and rotated: the steps to there are done again, which gives the
// same bits.
func resumed(steps []stage.Step) []stage.Step {
	is := func(kind stage.Kind) func(stage.Step) bool {
		return func(s stage.Step) bool { return s.Kind == kind }
	}
	written := slices.IndexFunc(steps, is(stepWrite))
	left := append([]stage.Step{{Kind: stepDecode}}, steps[written+1:]...)
	advance := stage.Step{Kind: stepAdvanceReference}
	switch keep := slices.IndexFunc(steps, is(stage.StepKeep)); {
	case len(left) == 1: // nothing reads what comes out of the block
	case keep >= 0 && slices.ContainsFunc(steps, is(stage.StepFit)):
		left = slices.DeleteFunc(left, is(stepAdvanceReference))
		return slices.Concat(steps[:keep+1], []stage.Step{advance}, left)
	case slices.ContainsFunc(steps[:written], is(stepAdvanceReference)):
		left = append(left, advance)
	}
	return left
}

// Print writes the schedule for people, blocks with equal steps together.
func (s *Schedule) Print(w io.Writer) {
	lines := func(heading string, steps []stage.Step) {
		if len(steps) == 0 {
			return
		}
		fmt.Fprintln(w, heading)
		for len(steps) > 0 {
			one, experts := ofOneExpert(steps)
			indent := "  "
			if experts > 1 {
				fmt.Fprintf(w, "  for each of %s\n", plural.Of(experts, "expert"))
				indent = "    "
			}
			for _, step := range steps[:one] {
				fmt.Fprintf(w, "%s%s\n", indent, step)
			}
			steps = steps[one*experts:]
		}
	}
	lines("before the blocks", s.Before)
	for first := 0; first < len(s.Blocks); {
		end := first + 1
		for end < len(s.Blocks) && slices.Equal(s.Blocks[end], s.Blocks[first]) {
			end++
		}
		heading := fmt.Sprintf("block %d", first)
		if end > first+1 {
			heading = fmt.Sprintf("blocks %d to %d", first, end-1)
		}
		lines(heading, s.Blocks[first])
		first = end
	}
	lines("after the blocks", s.After)
}

// ofOneExpert returns how many of the first steps belong to one expert, and for how many
// experts they are repeated; 1 and 1 if the first step belongs to no expert.
func ofOneExpert(steps []stage.Step) (one, experts int) {
	of := func(i int) stage.Step { // step i without its expert's number
		s := steps[i]
		s.Expert = 0
		return s
	}
	for one < len(steps) && steps[one].Expert == 0 {
		one++
	}
	if one == len(steps) || one == 0 {
		return 1, 1
	}
	// The steps of expert 0 end where those of expert 1 begin with the same step.
	first := one - 1
	for first > 0 && of(first) != of(one) {
		first--
	}
	if first > 0 {
		return first, 1
	}
	if of(0) != of(one) {
		return 1, 1
	}
	for experts = 1; (experts+1)*one <= len(steps); experts++ {
		for k := range one {
			if of(experts*one+k) != of(k) || steps[experts*one+k].Expert != experts {
				return one, experts
			}
		}
	}
	return one, experts
}
