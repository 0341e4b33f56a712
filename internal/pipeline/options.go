package pipeline

import (
	"context"
	"fmt"
	"time"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/calibration"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/meter"
	"github.com/specquant/specquant/internal/recipe"
	"github.com/specquant/specquant/internal/stage"
	"github.com/specquant/specquant/internal/tokenizer"
)

// Options describe a job.
type Options struct {
	Dir         string // the checkpoint
	Out         string // the artefact's folder; must not exist
	Recipe      *recipe.Recipe
	Calibration []string // text files; none: the embedded text
	Pool        *parallel.Pool
	MaxMemory   int64         // bytes; 0: no limit
	Size        int64         // largest size of the artefact in bytes, see [fit]; 0: as the recipe says
	Time        time.Duration // roughly how long the job may take: fewer calibration windows are used if necessary; 0: no limit
	Restart     bool          // delete an unfinished job of the same name
	Tool        string        // name and version for the manifest
	Choices     bool          // make [PlanJob] fill in [Plan].Choices
	Strict      bool          // make the first fallback an error, see [artefact.Fallback]

	Progress func(Event)    // may be nil
	Profile  *meter.Profile // filled in with where the time went, and written to the artefact's folder; nil: not measured
	// Verify compares the finished artefact, in its temporary folder, with full precision;
	// it may be nil. fitted are windows of tokens that the weights were fitted to, heldOut
	// are others, see [calibration.Set]; one of them may be empty.
	Verify func(ctx context.Context, dir string, full *checkpoint.Checkpoint, fitted, heldOut [][]int) (*artefact.Check, error)
}

// strict returns an error for fallbacks if the job is strict.
func (o *Options) strict(all []artefact.Fallback) error {
	if !o.Strict || len(all) == 0 {
		return nil
	}
	return &StrictError{all}
}

// PartialSuffix is appended to the artefact's name while it is being made.
const PartialSuffix = ".partial"

// RejectedError is the error of a job whose artefact was written, but predicts far worse
// than full precision.
type RejectedError struct {
	Check artefact.Check
	Dir   string
}

func (e *RejectedError) Error() string {
	return fmt.Sprintf("the quantized model fails the comparison with full precision: perplexity %.4g against %.4g, KL divergence %.3g, top-1 agreement %.1f %%; it is left in %s; try more bits, smoothing, or a calibration text closer to the model's training; or repeat the command with --keep-bad, which reuses the finished blocks and accepts the result",
		e.Check.Perplexity, e.Check.PerplexityRef, e.Check.KL, 100*e.Check.Top1, e.Dir)
}

// job is the state of a running job.
type job struct {
	Options
	ck        *checkpoint.Checkpoint
	tok       *tokenizer.Tokenizer
	set       *calibration.Set // nil: no calibration
	head      *stage.Head      // how the output matrix is quantized; set after the blocks
	plan      *Plan
	partial   string
	manifest  artefact.Manifest
	rotations *stage.LearnedRotations // learned rotations; nil: none
	left      *remaining              // estimate of the remaining time; nil: no progress is reported
	sources   []source                // the checkpoint's files, see [unchanged]
	budget    *artefact.TimeBudget    // of --time; nil: none was given
	meter     *meter.Meter            // measures where the time goes; nil: not measured
	tokenizer int64                   // bytes of its files as they are copied
	licences  int64                   // the same of [Licences]
	finished  bool                    // an earlier run has done everything except removing its own files and renaming
	start     time.Time
	unlock    func()
}

func (j *job) event(e Event) {
	if j.Progress != nil {
		e.Blocks, e.Elapsed = j.ck.Config.Layers, time.Since(j.start)
		j.left.told(e)
		e.LeftLeast, e.LeftMost = j.left.at(time.Now())
		j.Progress(e)
	}
}
