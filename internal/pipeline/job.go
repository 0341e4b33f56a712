// Package pipeline is the job: plan, then block by block through the stages
// of a recipe, each finished block committed to disk, then the whole made
// visible under its final name.
//
// Its files read from the top: job.go is the door, prepare.go makes the plan, run.go
// carries it out, finish.go writes what is not a block, compares and renames. They use
// resume.go (what an earlier run has left) and store.go (the files of a job). Below lie
// the plan's own files, which know no job. No file uses one above it (order_test.go).
package pipeline

import (
	"context"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/kernel/cpu"
	"github.com/specquant/specquant/internal/stage"
)

// PlanJob says what [Run] would do with the same options.
func PlanJob(o Options) (*Plan, error) {
	j, err := prepare(o)
	if err != nil {
		return nil, err
	}
	defer j.ck.Close()
	j.plan.Measure(o.Pool)
	if o.Choices {
		embed := j.embedBytes()
		j.plan.Choices = newChoices(&j.ck.Config, j.Recipe, embed, j.ck.Bytes()-embed, o.Pool.Threads(), cpu.MeasureLimits(o.Pool, limitRounds))
	}
	return j.plan, nil
}

// limitRounds is how often the machine's limits are measured, some 20 ms each.
const limitRounds = 3

// Run quantizes a checkpoint. A run that was killed is taken up where it was
// and writes the same bytes.
func Run(ctx context.Context, o Options) (*artefact.Manifest, error) {
	if err := CheckTarget(o.Out); err != nil {
		return nil, err
	}
	j, err := prepare(o)
	if err != nil {
		return nil, err
	}
	defer j.ck.Close()
	if err := CheckSpace(o.Out, j.plan); err != nil {
		return nil, err
	}
	if j.Progress != nil {
		j.plan.Measure(o.Pool)
		j.left = j.plan.remaining()
		j.event(Event{Stage: "reading the checkpoint"})
		if s := gaveUp(j.budget); s != "" {
			j.event(Event{Note: s})
		}
	}
	j.meter = o.Profile.Begin(o.Pool, stage.PartFactor)
	j.meter.At(partChecking, 0)
	if err := j.scan(); err != nil {
		return nil, err
	}
	if err := j.begin(); err != nil {
		return nil, err
	}
	defer j.unlock()
	if j.finished {
		if err := j.strict(j.manifest.Fallbacks); err != nil {
			return nil, err
		}
		return &j.manifest, j.publish()
	}
	if err := j.blocks(ctx); err != nil {
		return nil, err
	}
	freeMemory()
	if err := j.finish(ctx); err != nil {
		return nil, err
	}
	return &j.manifest, nil
}
