package pipeline

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/recipe"
	"github.com/specquant/specquant/internal/testmodel"
)

// flips is how many bits are flipped of each kind of file, each in a job of its own, and
// how often [TestKilledAndDamaged] goes through its jobs, each time with other bits. More
// take long, since all that jobs write is flushed to the disk.
var flips = flag.Int("flips", 2, "bits flipped of each kind of intermediate file; rounds of TestKilledAndDamaged")

// flipBit flips a random bit of a file and says which.
func flipBit(t *testing.T, rng *rand.Rand, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(data) == 0 {
		return "nothing of " + filepath.Base(path)
	}
	at := rng.IntN(8 * len(data))
	data[at/8] ^= 1 << (at % 8)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("bit %d of byte %d of %d of %s", at%8, at/8, len(data), filepath.Base(path))
}

// TestKilledAndDamaged: jobs with every kind of intermediate file are stopped anywhere,
// a bit of what they have left is flipped, and they are taken up: what comes out is what
// a job that nothing happened to has written, or the damage is refused by name.
func TestKilledAndDamaged(t *testing.T) {
	small := testmodel.Options{Hidden: 16, Intermediate: 24, Heads: 2, KVHeads: 2, Layers: 2}
	const calibration = "calibration: {samples: 2, tokens: 16, propagate: runtime}\n"
	flipped, noticed, redone := 0, 0, 0
	for name, yaml := range map[string]string{
		"blocks":    "bits: 4-8-8\nsolve: {method: gptq, damp: 0.01}\n" + calibration,
		"no tokens": "bits: 4-8-8\nsolve: {method: rtn}\n",
		"rotations": "bits: 4-4-4\nrotate: {residual: hadamard, heads: hadamard, learn: {steps: 2, rate: 1.5, windows: 2}}\nsolve: {method: rtn}\n" + calibration,
		"distilled": "bits: 4-8-8\nsolve: {method: rtn}\ndistil: {epochs: 1, batch: 2, scales: 0.01, norms: 0.01}\n" + calibration,
		"kronecker": "bits: 4-4-4\nlearn: {method: flatquant, epochs: 1, batch: 2, rate: 0.02, clip-rate: 0.05}\nsolve: {method: rtn}\n" + calibration,
	} {
		rng := rand.New(rand.NewPCG(7, uint64(len(name))))
		o := options(t, small, parsed(t, yaml), 1)
		o.Verify = func(context.Context, string, *checkpoint.Checkpoint, [][]int, [][]int) (*artefact.Check, error) {
			return &artefact.Check{Passed: true}, nil
		}
		if _, err := Run(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		want, out := sums(t, o.Out), o.Out
		for round, stop := 0, 1; round < (*flips+1)/2; stop += 2 {
			func() {
				o := o
				o.Out = fmt.Sprintf("%s-%d-%d", out, round, stop)
				ctx, cancel := context.WithCancel(t.Context())
				seen := 0
				o.Progress = func(e Event) {
					if seen++; seen == stop {
						cancel()
					}
				}
				_, err := Run(ctx, o)
				cancel()
				if seen < stop { // the job has no more events: once more, from the first
					round, stop = round+1, -1
				}
				if err == nil {
					return // the last event is too late to stop anything
				}
				left, err := os.ReadDir(o.Out + PartialSuffix)
				if err != nil {
					return // nothing was written yet
				}
				what := flipBit(t, rng, filepath.Join(o.Out+PartialSuffix, left[rng.IntN(len(left))].Name()))
				flipped++
				var notes []string
				o.Progress = func(e Event) {
					if e.Note != "" {
						notes = append(notes, e.Note)
					}
				}
				if _, err = Run(t.Context(), o); err != nil {
					noticed++
					if s := err.Error(); !strings.Contains(s, "job.json") || !strings.Contains(s, "--restart") {
						t.Errorf("%s, stopped at %d, %s: %v", name, stop, what, err)
					}
					o.Restart = true
					if _, err := Run(t.Context(), o); err != nil {
						t.Fatal(err)
					}
				} else if len(notes) > 0 {
					redone++
				}
				same(t, fmt.Sprintf("%s, stopped at %d, %s, %q", name, stop, what, notes), sums(t, o.Out), want)
			}()
		}
	}
	t.Logf("%d bits flipped: %d refused, %d redone and told, the others in files that are written anew in any case", flipped, noticed, redone)
	if flipped < 20 {
		t.Errorf("only %d bits were flipped", flipped)
	}
}

// TestDamagedKinds: each kind of intermediate file by itself, whatever bit is flipped, is
// noticed and made again.
func TestDamagedKinds(t *testing.T) {
	const calibration = "calibration: {samples: 2, tokens: 16, propagate: runtime}\n"
	small := testmodel.Options{Hidden: 16, Intermediate: 24, Heads: 2, KVHeads: 2, Layers: 2}
	for _, c := range []struct{ file, yaml, stage, note string }{
		{"model-00001-of-00003.safetensors", "bits: 4-8-8\nsolve: {method: gptq, damp: 0.01}\n" + calibration, "", "block 0 is made again"},
		{"rotations.safetensors", "bits: 4-4-4\nrotate: {residual: hadamard, heads: hadamard, learn: {steps: 2, rate: 1.5, windows: 2}}\nsolve: {method: rtn}\n" + calibration, "", "learned again"},
		{"model-00002-of-00003.safetensors.new", "bits: 4-8-8\nsolve: {method: rtn}\ndistil: {epochs: 1, batch: 2, scales: 0.01, norms: 0.01}\n" + calibration, "distilled block 1", "all blocks are made again"},
		{"model-00001-of-00003.safetensors", "bits: 4-8-8\nsolve: {method: rtn}\ndistil: {epochs: 1, batch: 2, scales: 0.01, norms: 0.01}\n" + calibration, "distilled block 2", "all blocks are made again"},
	} {
		t.Run(c.file+" "+c.note, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(3, 4))
			o := options(t, small, parsed(t, c.yaml), 1)
			if _, err := Run(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			want, out := sums(t, o.Out), o.Out
			for flip := range *flips {
				o := o
				o.Out = fmt.Sprintf("%s-%d", out, flip)
				ctx, cancel := context.WithCancel(t.Context())
				o.Progress = func(e Event) {
					if e.Block == 1 && e.Layers != nil && c.stage == "" || c.stage != "" && e.Stage == c.stage {
						cancel()
					}
				}
				_, err := Run(ctx, o)
				cancel()
				if c.stage == "distilled block 2" { // too late to stop: the same state by hand
					if err == nil {
						o.Out += "-late"
						if err := os.Rename(strings.TrimSuffix(o.Out, "-late"), o.Out+PartialSuffix); err != nil {
							t.Fatal(err)
						}
						stateOfDistilled(t, o)
					}
				} else if err == nil {
					t.Fatal("the job was not stopped")
				}
				what := flipBit(t, rng, filepath.Join(o.Out+PartialSuffix, c.file))
				var notes []string
				o.Progress = func(e Event) {
					if e.Note != "" {
						notes = append(notes, e.Note)
					}
				}
				if _, err := Run(t.Context(), o); err != nil {
					t.Fatalf("%s: %v", what, err)
				}
				if !slices.ContainsFunc(notes, func(s string) bool { return strings.Contains(s, c.note) && strings.Contains(s, o.Out) }) {
					t.Errorf("%s: told only %q", what, notes)
				}
				same(t, what, sums(t, o.Out), want)
			}
		})
	}
}

// stateOfDistilled makes of a finished artefact, under its temporary name, what a job
// leaves that is killed when its distilled blocks have their names.
func stateOfDistilled(t *testing.T, o Options) {
	t.Helper()
	dir := o.Out + PartialSuffix
	data, err := os.ReadFile(filepath.Join(dir, artefact.ManifestFile))
	if err != nil {
		t.Fatal(err)
	}
	begun, err := jobJSONOf(data)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, jobFile), begun, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, distilFile), nil, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestDamagedAtTheEnd: a job that lacks only its name is held against its manifest.
func TestDamagedAtTheEnd(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	r, err := recipe.Load("rtn")
	if err != nil {
		t.Fatal(err)
	}
	o := options(t, testmodel.Options{Hidden: 16, Intermediate: 24, Heads: 2, KVHeads: 2}, r, 1)
	if _, err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	want, out := sums(t, o.Out), o.Out
	for round := range 8 * *flips {
		o := o
		o.Out = fmt.Sprintf("%s-%d", out, round)
		if err := os.CopyFS(o.Out+PartialSuffix, os.DirFS(out)); err != nil {
			t.Fatal(err)
		}
		entries, err := os.ReadDir(o.Out + PartialSuffix)
		if err != nil {
			t.Fatal(err)
		}
		what := flipBit(t, rng, filepath.Join(o.Out+PartialSuffix, entries[round%len(entries)].Name()))
		told := false
		o.Progress = func(e Event) { told = told || strings.Contains(e.Note, "starts again from the first block") }
		_, err = Run(t.Context(), o)
		switch {
		case err != nil && strings.Contains(err.Error(), artefact.ManifestFile) && strings.Contains(err.Error(), "start again"):
			continue
		case err != nil:
			t.Fatalf("%s: %v", what, err)
		case !told:
			t.Errorf("%s: unnoticed", what)
		}
		same(t, what, sums(t, o.Out), want)
	}
}

// TestDamagedActivations: a bit of the activations that a job has spilled to the disk is
// flipped while it runs; it ends by saying so, and the next run gives the right bytes.
func TestDamagedActivations(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	small := testmodel.Options{Hidden: 16, Intermediate: 24, Heads: 2, KVHeads: 2, Layers: 3}
	const calibration = "calibration: {samples: 3, tokens: 16, propagate: runtime}\n"
	blockDone := func(e Event) bool { return e.Block == 1 && e.Layers != nil }
	stage := func(name string, block int) func(Event) bool {
		return func(e Event) bool { return e.Block == block && e.Stage == name }
	}
	for _, c := range []struct {
		file, yaml string
		when       func(Event) bool // the file is written and will be read again
		family     string           // of the model; "": a LLaMA
	}{
		{"activations.tmp", "bits: 4-8-8\nsolve: {method: gptq, damp: 0.01}\n" + calibration, blockDone, ""},
		{"reference.tmp", "bits: 4-8-8\nsolve: {method: gptq, damp: 0.01, correct: stream}\n" + calibration, blockDone, ""},
		{"targets.tmp", "bits: 4-4-4\nlearn: {method: flatquant, epochs: 1, batch: 2, rate: 0.02, clip-rate: 0.05}\nsolve: {method: rtn}\n" + calibration, stage("learning transforms", 1), ""},
		{"carried.tmp", "bits: 4-8-8\nsolve: {method: gptq, damp: 0.01}\n" + calibration, stage("quantizing feed-forward (gate, up)", 1), ""},
		{"experts.tmp", "bits: 4-8-8\nsolve: {method: gptq, damp: 0.01}\n" + calibration, stage("quantizing feed-forward (gate, up)", 1), "olmoe"},
	} {
		file := c.file
		t.Run(file, func(t *testing.T) {
			o := options(t, small, parsed(t, c.yaml), 1)
			if c.family != "" {
				o.Dir = filepath.Join(t.TempDir(), "model")
				if err := testmodel.FamilyNamed(c.family).Write(o.Dir); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := Run(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			want, out := sums(t, o.Out), o.Out
			plan, err := PlanJob(o)
			if err != nil {
				t.Fatal(err)
			}
			o.MaxMemory = plan.Peak - 1
			for flip := range 2 * *flips {
				o := o
				o.Out = fmt.Sprintf("%s-%d", out, flip)
				what := ""
				o.Progress = func(e Event) {
					if c.when(e) && what == "" {
						what = flipBit(t, rng, filepath.Join(o.Out+PartialSuffix, file))
					}
				}
				if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), file+": window ") || !strings.Contains(err.Error(), "of the activations") {
					t.Fatalf("%s: %v", what, err)
				}
				o.Progress = nil
				if _, err := Run(t.Context(), o); err != nil {
					t.Fatal(err)
				}
				same(t, what, sums(t, o.Out), want)
			}
		})
	}
}
