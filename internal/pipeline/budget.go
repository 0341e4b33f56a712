package pipeline

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/calibration"
	"github.com/specquant/specquant/internal/input"
	"github.com/specquant/specquant/internal/plural"
)

// A time limit (--time) is met by using fewer calibration windows, because anything else that
// is left out would make it another recipe. Their number is decided once, from the speed
// measured at that moment, and stored in job.json, so that a resumed job uses the same number
// and writes the same bytes.

// leastWindows is the smallest number of windows that a time limit may leave. With fewer, the
// statistics are too noisy to be of use.
const leastWindows = 4

// windowsFor returns the largest number of windows, at most the given one, with which the job's
// estimated time stays within the limit; 0 if leastWindows take too long. estimate returns the
// time for a number of windows and must grow with it.
func windowsFor(limit time.Duration, windows int, estimate func(windows int) (time.Duration, error)) (int, error) {
	low, high := 0, windows // low windows fit, more than high do not
	for low < high {
		middle := (low + high + 1) / 2
		if low == 0 && middle < leastWindows {
			middle = min(leastWindows, high)
		}
		t, err := estimate(middle)
		if err != nil {
			return 0, err
		}
		switch {
		case t <= limit:
			low = middle
		case middle <= leastWindows:
			return 0, nil
		default:
			high = middle - 1
		}
	}
	return low, nil
}

// keepTime lowers the number of calibration windows until the estimated time is within the
// limit.
func (j *job) keepTime(texts []calibration.Text) error {
	if j.Time <= 0 || j.set == nil {
		return nil
	}
	c, asked := &j.ck.Config, len(j.set.Windows)
	chosen := j.earlierWindows(asked)
	if chosen == 0 {
		s := measureSpeeds(c, j.Pool, j.set.Tokens)
		var fastest time.Duration
		var err error
		chosen, err = windowsFor(j.Time, asked, func(windows int) (time.Duration, error) {
			p, err := NewPlan(c, j.ck.Bytes(), j.embedBytes(), j.tokenizer+j.licences, j.Recipe, j.Pool.Threads(), windows, j.set.Tokens, j.MaxMemory)
			if err != nil {
				return 0, err
			}
			p.estimate(&s)
			fastest = (p.Least + p.Most) / 2
			return fastest, nil
		})
		if err != nil {
			return err
		}
		if chosen == 0 {
			return fmt.Errorf("--time %s: with %s the job takes about %s on this machine; allow more time, or use a recipe without calibration, such as rtn", j.Time, plural.Of(min(leastWindows, asked), "calibration window"), fastest.Round(time.Second))
		}
	}
	j.budget = &artefact.TimeBudget{Seconds: j.Time.Seconds(), Windows: chosen, Asked: asked}
	if chosen == asked {
		return nil
	}
	r := *j.Recipe
	r.Calibration.Samples = chosen
	j.Recipe = &r
	var err error
	j.set, err = calibration.NewSet(j.tok, texts, chosen, j.set.Tokens, r.Calibration.Seed)
	return err
}

// earlierWindows returns the number of windows of an unfinished job with the same time limit
// and text; 0 if there is none.
func (j *job) earlierWindows(asked int) int {
	if j.Restart {
		return 0
	}
	data, err := input.ReadFile(filepath.Join(j.partial, jobFile), input.MaxSmall)
	if err != nil {
		return 0
	}
	m, err := readManifest(data) // [job.checkResumable] reports an error in it
	if err != nil || m.Budget == nil || m.Budget.Seconds != j.Time.Seconds() || m.Budget.Asked != asked || m.Budget.Windows < 1 || m.Budget.Windows > asked {
		return 0
	}
	return m.Budget.Windows
}

// gaveUp describes how many windows the time limit has cost; "" if none.
func gaveUp(b *artefact.TimeBudget) string {
	if b == nil || b.Windows == b.Asked {
		return ""
	}
	return fmt.Sprintf("a time of %s allows %d of %s; the number is in the manifest and is kept when the job is resumed", seconds(b.Seconds), b.Windows, plural.Of(b.Asked, "calibration window"))
}
