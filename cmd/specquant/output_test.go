package main

import (
	"bytes"
	"errors"
	"github.com/specquant/specquant"
	"math"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/specquant/specquant/internal/testmodel"
)

// full is a disk with room for so many bytes.
type full struct{ room int }

func (f *full) Write(p []byte) (int, error) {
	if n := min(f.room, len(p)); n < len(p) {
		f.room = 0
		return n, syscall.ENOSPC
	}
	f.room -= len(p)
	return len(p), nil
}

// No command says that it is done when its output was lost, at once or in the middle.
func TestOutputLost(t *testing.T) {
	dir := t.TempDir() + "/model"
	if err := testmodel.Write(dir, testmodel.Options{Layers: 1}); err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{
		"", "--help", "--version", "help", "help run", "version", "recipes", "recipes rtn", "recipes --json", "info", "info --json", "completion zsh", "man", "man run",
		"inspect " + dir + " --brief", "inspect " + dir + " --brief --json", "plan " + dir + " -r rtn", "plan " + dir + " -r rtn --json", "run " + dir + " -p a -n 2 --ignore-eos",
		"layer --shape 32x32 --tokens 64 --recipes rtn", "layer --shape 32x32 --tokens 64 --recipes rtn --json", "bench " + dir + " --prefill 4 --decode 1 --batch 1 --rounds 1 --json",
	} {
		_, whole, _ := call(strings.Fields(args)...)
		if len(whole) == 0 {
			t.Errorf("%s: wrote nothing", args)
		}
		for _, room := range []int{0, len(whole) / 2} {
			var e bytes.Buffer
			if code := run(strings.Fields(args), &full{room}, &e); code != 1 || !strings.Contains(e.String(), "no space left on device") {
				t.Errorf("%s: room for %d of %d bytes: %d, %s", args, room, len(whole), code, e.String())
			}
		}
	}
	// A command that failed by itself keeps its code.
	o := &output{w: &full{}}
	o.Write([]byte("x"))
	if code := o.status(2, &bytes.Buffer{}); code != 2 || !errors.Is(o.err, syscall.ENOSPC) {
		t.Errorf("%d, %v", code, o.err)
	}
}

// TestLimitThreads: --threads holds for the whole process while the command runs.
func TestLimitThreads(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	for args, want := range map[string]int{"plan x --threads 1": 1, "plan x": 4, "plan x --threads 0": 4, "plan x --threads 9": 4, "eval ppl x --text y --threads 3": 3, "info": 4} {
		parser, err := newParser(&cli{}, &bytes.Buffer{}, &bytes.Buffer{}, func(int) {})
		if err != nil {
			t.Fatal(err)
		}
		k, err := parser.Parse(strings.Fields(args))
		if err != nil {
			t.Fatal(args, err)
		}
		restore := limitThreads(k)
		if got := runtime.GOMAXPROCS(0); got != want {
			t.Errorf("%s: %d threads at once, want %d", args, got, want)
		}
		restore()
		if got := runtime.GOMAXPROCS(0); got != 4 {
			t.Errorf("%s: %d threads afterwards", args, got)
		}
	}
}

func TestEstimateText(t *testing.T) {
	for want, v := range map[string]specquant.Estimate{"1.5000 ± 0.2500": {Mean: 1.5, StdErr: 0.25}, "2.0000 ± unknown": {Mean: 2, StdErr: math.NaN()}, "+Inf ± unknown": {Mean: math.Inf(1), StdErr: math.NaN()}} {
		if got := estimateText(v, 1, "%.4f"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := estimateText(specquant.Estimate{Mean: 1, StdErr: 2}, 1, "%+.1f"); got != "+1.0 ± 2.0" {
		t.Error(got)
	}
	for want, d := range map[string][2]time.Duration{"1.0 to 3.3 s": {time.Second, 3300 * time.Millisecond}, "9 to 14 min": {9 * time.Minute, 14 * time.Minute}, "2.0 to 5.5 h": {2 * time.Hour, 330 * time.Minute},
		"at most 0.3 s": {time.Millisecond, 300 * time.Millisecond}, "20 s": {19900 * time.Millisecond, 20 * time.Second}, "1 to 2 min": {time.Minute, 2 * time.Minute}} {
		if got := spanText(d[0], d[1]); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}
