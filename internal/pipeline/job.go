// Package pipeline runs a quantization job: it makes the plan, takes one block after the other
// through the stages of the recipe, writes each finished block to disk, and renames the folder
// when everything is done.
//
// Its files in reading order: job.go is the entry, prepare.go makes the plan, run.go carries it
// out, finish.go writes the files that are not blocks, compares and renames. They use resume.go
// (what an earlier run has left) and store.go (the files of a job). The files of the plan come
// last and do not use the job. No file uses an earlier one of this order (order_test.go).
package pipeline

import (
	"context"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/stage"
)

// PlanJob returns what [Run] would do with the same options.
func PlanJob(o Options) (*Plan, error) {
	j, err := prepare(o)
	if err != nil {
		return nil, err
	}
	defer j.ck.Close()
	j.plan.Measure(o.Pool)
	if o.Choices {
		embed := j.embedBytes()
		j.plan.Choices = newChoices(&j.ck.Config, o.Recipe, j.Recipe, embed, j.ck.Bytes()-embed, j.tokenizer+j.licences, o.Pool.Threads())
	}
	return j.plan, nil
}

// Run quantizes a checkpoint. It continues a job that was interrupted, and writes the same
// bytes as without the interruption.
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
	if err := j.openPartial(); err != nil {
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
