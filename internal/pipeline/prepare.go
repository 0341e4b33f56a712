package pipeline

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/specquant/specquant/internal/calibration"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/recipe"
	"github.com/specquant/specquant/internal/tokenizer"
)

// Prepare opens the checkpoint, reads the calibration text and plans.
func prepare(o Options) (*job, error) {
	o.Out = filepath.Clean(o.Out)
	j := &job{Options: o, start: time.Now(), partial: o.Out + PartialSuffix}
	var err error
	if j.ck, err = checkpoint.OpenFolder(o.Dir); err != nil {
		return nil, err
	}
	c := &j.ck.Config
	if c.Quantization != nil {
		j.ck.Close()
		return nil, fmt.Errorf("%s: is quantized already (config.json has a quantization_config); quantize the original checkpoint", o.Dir)
	}
	if err := j.open(); err != nil {
		j.ck.Close()
		return nil, err
	}
	return j, nil
}

func (j *job) open() error {
	if err := j.ck.Check(); err != nil {
		return err
	}
	c := &j.ck.Config
	var err error
	if j.tok, err = tokenizer.Load(j.Dir); err != nil {
		return err
	}
	if err := j.tok.Fits(c.VocabSize); err != nil {
		return fmt.Errorf("%s: %w", j.Dir, err)
	}
	r, err := j.resolved()
	if err != nil {
		return err
	}
	j.Recipe = r
	windows, tokens := 0, 0
	if r.NeedsCalibration() || len(j.Calibration) > 0 {
		texts, err := calibration.ReadFiles(context.Background(), j.Calibration)
		if err != nil {
			return err
		}
		j.set, err = calibration.NewSet(j.tok, texts, r.Calibration.Samples, min(r.Calibration.Tokens, c.MaxPositions), r.Calibration.Seed)
		if err != nil {
			return err
		}
		if err := j.keepTime(texts); err != nil {
			return err
		}
		r = j.Recipe
		windows, tokens = len(j.set.Windows), j.set.Tokens
		freeMemory() // return the memory of tokenizing before the blocks need theirs
	}
	j.plan, err = NewPlan(c, j.ck.Bytes(), j.embedBytes(), j.tokenizer+j.licences, r, j.Pool.Threads(), windows, tokens, j.MaxMemory)
	if err != nil {
		return err
	}
	j.plan.Budget = j.budget
	return j.strict(j.plan.Fallbacks)
}

// resolved returns the recipe adapted to this checkpoint.
func (j *job) resolved() (*recipe.Recipe, error) {
	j.tokenizer, j.licences = 0, 0
	for _, name := range j.sideFiles() { // all of them, so that one that can't be read is told before the work
		data, err := sideFile(filepath.Join(j.Dir, name))
		if err != nil {
			return nil, err
		}
		if slices.Contains(Licences, name) {
			j.licences += int64(len(data))
		} else {
			j.tokenizer += int64(len(data))
		}
	}
	return Resolve(&j.ck.Config, j.Recipe, j.Size, j.embedBytes(), j.tokenizer, j.licences)
}

// scan reads all weights once before any work. It returns an error that names the first element
// that is not finite, or the first tensor whose scales would not fit a 16-bit float.
func (j *job) scan() error {
	tops, err := j.ck.Scan()
	if err != nil {
		return err
	}
	return checkRanges(j.ck, j.Recipe, tops)
}
