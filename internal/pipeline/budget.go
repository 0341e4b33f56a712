package pipeline

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/calibration"
	"github.com/specquant/specquant/internal/input"
)

// A stated time is kept by taking fewer calibration windows: nothing else that a recipe
// does can be given up without making it another recipe. How many is decided once, from
// the speed measured just then, and written into the job: whoever takes it up again, or
// gives the same number of windows, gets the same bytes.

// least is the fewest windows that a stated time may leave: with fewer, statistics say
// little, and half precision of the weights is lost by their noise.
const leastWindows = 4

// windowsFor is the largest number of windows, of so many, with which the plan's estimate
// stays within a time; 0: not even leastWindows do. estimate gives it for a number of
// windows, and grows with it.
func windowsFor(limit time.Duration, windows int, estimate func(windows int) (time.Duration, error)) (int, error) {
	low, high := 0, windows // low fits, above high nothing does
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

// keepTime lowers the number of calibration windows until the plan's estimate stays
// within the stated time.
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
			p, err := NewPlan(c, j.ck.Bytes(), j.embedBytes(), j.Recipe, j.Pool.Threads(), windows, j.set.Tokens, j.MaxMemory)
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
			return fmt.Errorf("--time %s: with %d calibration windows the job takes about %s on this machine; allow more, or take a recipe without calibration, such as rtn", j.Time, min(leastWindows, asked), fastest.Round(time.Second))
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

// earlierWindows is how many windows an unfinished job of the same time and text has
// taken; 0: there is none.
func (j *job) earlierWindows(asked int) int {
	if j.Restart {
		return 0
	}
	data, err := input.ReadFile(filepath.Join(j.partial, jobFile), input.MaxSmall)
	if err != nil {
		return 0
	}
	m, err := readManifest(data) // what is wrong with it, [job.takeUp] says
	if err != nil || m.Budget == nil || m.Budget.Seconds != j.Time.Seconds() || m.Budget.Asked != asked || m.Budget.Windows < 1 || m.Budget.Windows > asked {
		return 0
	}
	return m.Budget.Windows
}

// gaveUp says what a stated time has cost; "" for nothing.
func gaveUp(b *artefact.TimeBudget) string {
	if b == nil || b.Windows == b.Asked {
		return ""
	}
	return fmt.Sprintf("a time of %s leaves %d of %d calibration windows; the choice is in the manifest, and stays when the job is taken up again", seconds(b.Seconds), b.Windows, b.Asked)
}
