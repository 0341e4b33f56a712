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
	Size        int64         // bytes of the artefact, at most, see [fit]; 0: as the recipe says
	Time        time.Duration // that the job may take, about: as much calibration as that allows; 0: as the recipe says
	Restart     bool          // throw away an unfinished job of the same name
	Tool        string        // name and version for the manifest
	Choices     bool          // [PlanJob] tells the settings beside the chosen one; takes a moment and 256 MB
	Strict      bool          // make the first fallback an error, see [artefact.Fallback]

	Progress func(Event)    // may be nil
	Profile  *meter.Profile // filled in with where the time went, and written beside the artefact; nil: nobody asks
	// Verify judges the finished artefact in its temporary folder before it
	// gets its name; it may be nil. fitted are windows of tokens that the weights were
	// fitted on, heldOut others, see [calibration.Set]; one of them may be empty.
	Verify func(ctx context.Context, dir string, full *checkpoint.Checkpoint, fitted, heldOut [][]int) (*artefact.Check, error)
}

// strict makes fallbacks an error, where the job is strict.
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
	return fmt.Sprintf("the quantized model fails the comparison with full precision: perplexity %.4g against %.4g, KL divergence %.3g, top-1 agreement %.1f %%; it is left in %s; try more bits, smoothing, or a calibration text closer to the model's training; or say --keep-bad with the same command: it takes the finished blocks up and accepts the result as it is",
		e.Check.Perplexity, e.Check.PerplexityRef, e.Check.KL, 100*e.Check.Top1, e.Dir)
}

// job is a job under way.
type job struct {
	Options
	ck        *checkpoint.Checkpoint
	tok       *tokenizer.Tokenizer
	set       *calibration.Set // nil: no calibration
	head      *stage.Head      // how the output matrix is rounded; set when all blocks are done
	plan      *Plan
	partial   string
	manifest  artefact.Manifest
	rotations *stage.LearnedRotations // learned rotations; nil: none
	left      *remaining              // time; nil: nobody asks
	sources   []source                // the checkpoint's files, see [unchanged]
	budget    *artefact.TimeBudget    // of --time; nil: none was given
	meter     *meter.Meter            // where the time goes; nil: nobody asks
	finished  bool                    // an earlier run has done all but clean up
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
