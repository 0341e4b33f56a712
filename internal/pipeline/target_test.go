package pipeline

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/testmodel"
)

// names are the entries of a folder.
func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return strings.Join(all, " ")
}

// TestCheckTarget: where nothing can be written, the reason is said, and nothing is
// left there.
func TestCheckTarget(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"taken", "closed", "busy.partial"} {
		if err := os.Mkdir(at(name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"file", "blocked.partial"} {
		if err := os.WriteFile(at(name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(at("nowhere"), at("dangling")); err != nil && runtime.GOOS != "windows" {
		t.Fatal(err)
	}
	before := names(t, dir)
	cases := []struct{ out, want string }{
		{"", "found an empty name"},
		{".", "exists"},
		{at("taken"), "exists"},
		{at("file"), "exists"},
		{at("missing/out"), "its parent folder " + at("missing") + " does not exist"},
		{at("file/out"), "is a file, expected a folder"},
		{at("blocked"), "blocked.partial is a file"},
		{at("new"), ""}, {at("new/"), ""}, {at("busy"), ""},
	}
	if runtime.GOOS != "windows" {
		cases = append(cases, struct{ out, want string }{at("dangling"), "exists"})
	}
	if err := os.Chmod(at("closed"), 0o555); err != nil {
		t.Fatal(err)
	}
	if probe, err := os.MkdirTemp(at("closed"), ""); err == nil { // of root, and of Windows, nothing is closed
		os.Remove(probe)
	} else {
		cases = append(cases, struct{ out, want string }{at("closed/out"), "closed can't be written to"})
	}
	if runtime.GOOS == "linux" { // there no one may
		cases = append(cases, struct{ out, want string }{"/proc/out", "can't be written to"})
	}
	for _, c := range cases {
		err := CheckTarget(c.out)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%q: got %v, want %q", c.out, err, c.want)
		}
	}
	if after := names(t, dir); after != before {
		t.Errorf("the folder holds %s, held %s", after, before)
	}
}

// TestRunChecksTarget: the job itself refuses too, before it reads anything.
func TestRunChecksTarget(t *testing.T) {
	for _, out := range []string{"", filepath.Join(t.TempDir(), "missing", "out")} {
		_, err := Run(t.Context(), Options{Dir: "no such checkpoint", Out: out})
		if err == nil || strings.Contains(err.Error(), "no such checkpoint") {
			t.Errorf("%q: %v", out, err)
		}
	}
}

// TestCheckSpace: too small a disk is refused with what there is and what it takes,
// less what the job has written by now.
func TestCheckSpace(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	free, ok := freeSpace(filepath.Dir(out))
	if !ok {
		t.Skip("the free space is not known here")
	}
	if free <= 0 {
		t.Skip("no space left to test with")
	}
	if err := CheckSpace(out, &Plan{Artefact: 1, Disk: 1}); err != nil {
		t.Errorf("one byte: %v", err)
	}
	err := CheckSpace(out, &Plan{Artefact: 1e15, Spill: math.MaxInt64 / 2, Disk: math.MaxInt64})
	for _, want := range []string{"free, the job needs about 9223372036.85 GB", "1000000.00 GB of artefact and", "of activations", "choose another place"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if err := os.Mkdir(out+PartialSuffix, 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(out+PartialSuffix, "activations.tmp"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const there = 1 << 40 // a hole, which takes no room
	if err := f.Truncate(there); err != nil {
		t.Skip("no file of that size here:", err)
	}
	if err := CheckSpace(out, &Plan{Disk: there + 1}); err != nil {
		t.Errorf("what lies there is not counted: %v", err)
	}
}

// stopped is a job that was interrupted once a block was finished.
func stopped(t *testing.T) Options {
	t.Helper()
	o := options(t, testmodel.Options{Layers: 3}, smallRecipe(t, "spec", "4-4-4"), 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o.Progress = func(e Event) {
		if e.Block == 1 {
			cancel()
		}
	}
	if _, err := Run(ctx, o); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	o.Progress = nil
	return o
}

// TestUnfinished: a job's folder is known for what it is at each stage, and other
// folders are not taken for one.
func TestUnfinished(t *testing.T) {
	want := func(dir string, parts ...string) {
		t.Helper()
		err := CheckFinished(dir)
		if len(parts) == 0 && err != nil {
			t.Errorf("got %v", err)
		}
		var unfinished *UnfinishedError
		for _, p := range parts {
			if !errors.As(err, &unfinished) || !strings.Contains(err.Error(), p) {
				t.Errorf("got %v, want %q", err, p)
			}
		}
	}
	o := stopped(t)
	want(o.Dir)
	want(o.Out+PartialSuffix, "(1 of 3 blocks finished)", "with -o "+o.Out+", to continue")
	if err := CheckFinished(o.Out + PartialSuffix); strings.Contains(err.Error(), "--keep-bad") {
		t.Error(err)
	}
	o.Verify = func(context.Context, string, *checkpoint.Checkpoint, [][]int, [][]int) (*artefact.Check, error) {
		return &artefact.Check{}, nil
	}
	var rejected *RejectedError
	if _, err := Run(t.Context(), o); !errors.As(err, &rejected) || !strings.Contains(err.Error(), "--keep-bad") {
		t.Fatal(err)
	}
	want(o.Out+PartialSuffix, "all blocks are finished, but the comparison", "--keep-bad")
	job, err := os.ReadFile(filepath.Join(o.Out+PartialSuffix, jobFile))
	if err != nil {
		t.Fatal(err)
	}
	o.Verify = nil
	if _, err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	want(o.Out)
	if err := os.WriteFile(filepath.Join(o.Out, jobFile), []byte(`{"name": "someone else's"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	want(o.Out)
	if err := os.WriteFile(filepath.Join(o.Out, jobFile), job, 0o644); err != nil {
		t.Fatal(err)
	}
	want(o.Out, "all is done but giving it its name")
}

// TestTakenUpAtTheEnd: a job killed before its folder had its name is done by the
// same command.
func TestTakenUpAtTheEnd(t *testing.T) {
	o := options(t, testmodel.Options{}, smallRecipe(t, "spec", "4-4-4"), 1)
	if _, err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	sums1 := sums(t, o.Out)
	if err := os.Rename(o.Out, o.Out+PartialSuffix); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	same(t, "named later", sums(t, o.Out), sums1)
}

// TestBarren: a job that failed before its first block was done is not in the way
// of another; one that had a block is.
func TestBarren(t *testing.T) {
	o := options(t, testmodel.Options{Bias: true}, smallRecipe(t, "spec", "4-4-4"), 1)
	whole := filepath.Join(o.Dir, "model.safetensors")
	good, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	edit(t, o.Dir, func(name string, w []float32, _, _ int) {
		if name == "model.layers.0.mlp.gate_proj.bias" || name == "model.layers.0.mlp.up_proj.bias" {
			for i := range w {
				w[i] = 1e25 // whose product is infinite
			}
		}
	})
	if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "Inf") {
		t.Fatal(err)
	}
	if err := CheckFinished(o.Out + PartialSuffix); err == nil || !strings.Contains(err.Error(), "no block is finished") {
		t.Errorf("got %v", err)
	}
	if err := os.WriteFile(whole, good, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), o); err != nil {
		t.Errorf("the mended checkpoint: %v", err)
	}
	o = stopped(t)
	o.Recipe = smallRecipe(t, "spec", "4-8-8")
	if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "another job") {
		t.Errorf("got %v", err)
	}
}
