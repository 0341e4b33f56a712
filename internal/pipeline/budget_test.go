package pipeline

import (
	"strings"
	"testing"
	"time"

	"github.com/specquant/specquant/internal/testmodel"
)

func TestWindowsFor(t *testing.T) {
	each := func(w int) (time.Duration, error) { return 10*time.Second + time.Duration(w)*time.Second, nil }
	for _, c := range []struct {
		limit         time.Duration
		windows, want int
	}{
		{time.Hour, 48, 48}, {58 * time.Second, 48, 48}, {57 * time.Second, 48, 47}, {30 * time.Second, 48, 20},
		{14 * time.Second, 48, 4}, {13 * time.Second, 48, 0}, {time.Second, 48, 0}, {13 * time.Second, 3, 3}, {12 * time.Second, 3, 0},
	} {
		if got, err := windowsFor(c.limit, c.windows, each); err != nil || got != c.want {
			t.Errorf("%v for %d windows: %d, %v, expected %d", c.limit, c.windows, got, err, c.want)
		}
	}
}

// TestTimeBudget: a stated time takes fewer windows, says so and records it; the job is
// taken up with the windows that it began with, whatever the machine can do by then, and
// gives the bytes of a recipe with so many samples.
func TestTimeBudget(t *testing.T) {
	const yaml = "bits: 4-8-8\nsolve: {method: gptq, damp: 0.01}\ncalibration: {samples: 8, tokens: 16, propagate: runtime}\n"
	small := testmodel.Options{Hidden: 16, Intermediate: 24, Heads: 2, KVHeads: 2, Layers: 2}
	o := options(t, small, parsed(t, yaml), 1)
	o.Time = time.Hour
	m, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if b := m.Budget; b == nil || b.Windows != 8 || b.Asked != 8 || b.Seconds != 3600 {
		t.Errorf("an hour: the manifest has %+v", b)
	}

	o.Time, o.Out = time.Nanosecond, o.Out+"-none"
	if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "--time 1ns") || !strings.Contains(err.Error(), "rtn") {
		t.Errorf("a nanosecond: %v", err)
	}

	// As a job that began on a slower machine: what it chose is what is taken up.
	o.Time, o.Out = time.Hour, o.Out+"-again"
	began := parsed(t, strings.Replace(yaml, "samples: 8", "samples: 5", 1))
	j, err := prepare(o)
	if err != nil {
		t.Fatal(err)
	}
	defer j.ck.Close()
	j.budget.Windows, j.Recipe = 5, began
	if err := j.openPartial(); err != nil {
		t.Fatal(err)
	}
	j.unlock()
	again, err := prepare(o)
	if err != nil {
		t.Fatal(err)
	}
	defer again.ck.Close()
	if again.budget.Windows != 5 || len(again.set.Windows) != 5 || again.Recipe.Calibration.Samples != 5 {
		t.Errorf("taken up with %+v, %d windows", again.budget, len(again.set.Windows))
	}
	if s := gaveUp(again.budget); !strings.Contains(s, "5 of 8") {
		t.Errorf("what was given up: %q", s)
	}
}
