package pipeline

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/stage"
)

// blocks carries out the schedule except its last step, which [job.finish] does when the memory
// of the blocks is free again. Blocks that an earlier run has written are decoded.
func (j *job) blocks(ctx context.Context) error {
	distilled, err := j.installDistilled(ctx)
	if err != nil {
		return err
	}
	st, err := stage.New(&j.ck.Config, j.Recipe, j.Pool, j.plan.Windows, j.plan.Tokens)
	if err != nil {
		return err
	}
	defer func() { closeStores(st) }()
	if j.meter != nil {
		st.Clock = j.meter
	}
	for _, step := range j.plan.Schedule.Before {
		j.meter.At(partReading, 0)
		if err := j.before(ctx, st, step); err != nil {
			return err
		}
	}
	for i := range j.plan.Schedule.Blocks {
		if err := j.block(ctx, st, i); err != nil {
			return err
		}
	}
	if j.head, err = stage.NewHead(j.Pool, &j.ck.Config, stage.Transforms(j.Recipe)); err != nil {
		return err
	}
	for _, step := range j.plan.Schedule.After {
		switch {
		case step.Kind == stage.StepHead:
			err = j.head.Measure(ctx, st, j.ck)
		case step.Kind == stepDistil && !distilled:
			err = j.distil(ctx, st)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// closeStores removes the files that activations have been spilled to.
func closeStores(st *stage.State) {
	st.Inputs.Close()
	st.Targets.Close()
	st.Carried.Close()
	st.CloseExperts()
	if st.Reference != nil {
		st.Reference.Inputs.Close()
		st.Reference.Carried.Close()
	}
}

// before carries out a step that comes before the first block.
func (j *job) before(ctx context.Context, st *stage.State, step stage.Step) error {
	switch step.Kind {
	case stepLearnRotations:
		return j.useLearnedRotations(ctx, st)
	case stepEmbed:
		return j.embed(st)
	}
	return fmt.Errorf("no such step before the blocks: %q", step.Kind)
}

// embed computes the input of the first block for all calibration windows, and makes the other
// stores of activations.
func (j *job) embed(st *stage.State) (err error) {
	st.ExpertSpill = j.spill("experts.tmp")
	if st.Inputs, err = st.Fill(j.ck, j.set.Windows, j.spill("activations.tmp")); err != nil {
		return err
	}
	if j.Recipe.NeedsCalibration() {
		if st.Carried, err = stage.NewCarried(&j.ck.Config, st.Windows, st.Tokens, j.spill("carried.tmp")); err != nil {
			return err
		}
	}
	if st.Reference != nil {
		if st.Reference.Inputs, err = st.Fill(j.ck, j.set.Windows, j.spill("reference.tmp")); err != nil {
			return err
		}
	}
	if j.Recipe.Solve.Correct != "" {
		if st.Reference.Carried, err = stage.NewCarried(&j.ck.Config, st.Windows, st.Tokens, j.spill("reference-carried.tmp")); err != nil {
			return err
		}
	}
	if j.Recipe.Learn != nil {
		st.Targets, err = stage.NewStore(st.Windows, st.Tokens*st.Config.HiddenSize, j.spill("targets.tmp"))
	}
	return err
}

// block quantizes block i, or decodes it if an earlier run has written it, and computes the
// next block's calibration input. That always uses the decoded weights, so that a resumed job
// gives the same result.
func (j *job) block(ctx context.Context, st *stage.State, i int) error {
	start := time.Now()
	st.Tell = func(s string) { j.event(Event{Block: i, Stage: s}) }
	steps := j.plan.Schedule.Blocks[i]
	done, err := j.intact(j.blockFile(i), fmt.Sprintf("block %d is made again", i))
	if err != nil {
		return err
	}
	if done {
		steps = resumed(steps)
	}
	for _, step := range steps {
		if err := j.do(ctx, st, i, step); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("block %d: %w", i, err)
		}
	}
	j.meter.At(partBetween, 0)
	layers := st.Reports
	if err := j.strict(observedFallbacks(j.Recipe, layers)); err != nil {
		return err
	}
	j.manifest.Layers = append(j.manifest.Layers, layers...)
	j.event(Event{Block: i + 1, Layers: layers, Seconds: time.Since(start).Seconds(), Resumed: done})
	runtime.GC() // free the memory of this block before the next one allocates
	return nil
}

// do carries out a step of block i.
func (j *job) do(ctx context.Context, st *stage.State, i int, step stage.Step) error {
	switch step.Kind {
	case stepLoad:
		j.meter.At(partReading, 0)
		return st.Load(j.ck, i)
	case stepRound:
		j.meter.At(partReading, 0)
		return st.Round(ctx, j.ck, i)
	case stepDecode:
		j.meter.At(partReading, 0)
		return j.reload(st, i)
	case stepWrite:
		j.meter.At(partWriting, 0)
		if err := unchanged(j.sources); err != nil {
			return err
		}
		prefix := llama.TensorPrefix(i)
		for k := range st.Reports {
			st.Reports[k].Name = prefix + st.Reports[k].Name
		}
		err := j.writeBlock(i, j.blockFile(i), &st.Block, st.Quantized, &st.Transforms, st.Reports)
		st.Quantized = nil // no longer needed: the block has the decoded weights
		return err
	case stepAdvance:
		return st.AdvanceInputs(ctx)
	case stepAdvanceFull:
		return st.AdvanceFull(ctx, j.ck, i)
	case stepAdvanceReference:
		return st.AdvanceReference(ctx, j.ck, i)
	}
	return st.Do(ctx, step)
}
