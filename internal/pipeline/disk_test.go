package pipeline

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/specquant/specquant/internal/disk"
	"github.com/specquant/specquant/internal/testmodel"
)

var faults = flag.Int("faults", 6, "at how many of a job's changes of the disk TestPowerLoss and TestFullDisk let it fail, evenly spaced; 0: at all")

const faultBlocks = 2

// faultJobs are small jobs that write every kind of file.
func faultJobs(t *testing.T) map[string]Options {
	jobs := map[string]Options{}
	shape := testmodel.Options{Hidden: 16, Intermediate: 24, Heads: 2, KVHeads: 2, Layers: faultBlocks}
	const calibration = "calibration: {samples: 2, tokens: 16, propagate: runtime}\n"
	for name, yaml := range map[string]string{
		"blocks":    "bits: 4-8-8\nsolve: {method: gptq, damp: 0.01}\nhead: {bits: 6, method: gptq}\n" + calibration,
		"spilled":   "bits: 4-8-8\nsolve: {method: gptq, damp: 0.01}\n" + calibration,
		"rotations": "bits: 4-4-4\nrotate: {residual: hadamard, heads: hadamard, learn: {steps: 2, rate: 1.5, windows: 2}}\nsolve: {method: rtn}\n" + calibration,
		"distilled": "bits: 4-8-8\nsolve: {method: rtn}\ndistil: {epochs: 1, batch: 2, scales: 0.01, norms: 0.01}\n" + calibration,
	} {
		o := options(t, shape, parsed(t, yaml), 1)
		if name == "spilled" {
			plan, err := PlanJob(o)
			if err != nil {
				t.Fatal(err)
			}
			o.MaxMemory = plan.Peak - 1
		}
		jobs[name] = o
	}
	return jobs
}

// watchDisk calls fn before every change of the disk, with how many there were before it, until
// the test ends. Nothing is really flushed.
func watchDisk(t *testing.T, fn func(n int, op disk.Op, path, to string) error) {
	n := 0
	var mu sync.Mutex
	disk.Before = func(op disk.Op, path, to string) error {
		mu.Lock()
		defer mu.Unlock()
		if err := fn(n, op, path, to); err != nil {
			return err
		}
		n++
		if op == disk.Sync || op == disk.SyncDir {
			return disk.ErrSkip
		}
		return nil
	}
	t.Cleanup(func() { disk.Before = nil })
}

// points are which of n changes fail.
func points(n int) (at []int) {
	count := n
	if *faults > 0 {
		count = min(n, *faults)
	}
	for k := range count {
		at = append(at, k*n/count)
	}
	return at
}

// changes is how many changes of the disk a job makes, and what it leaves.
func changes(t *testing.T, o Options) (n int, want map[string]string) {
	watchDisk(t, func(at int, _ disk.Op, _, _ string) error { n = at + 1; return nil })
	if _, err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	return n, sums(t, o.Out)
}

// TestFullDisk: whatever change of the disk finds no room, the error names the file, the
// blocks that were finished are still there, and the job taken up gives the same bytes.
func TestFullDisk(t *testing.T) {
	for name, o := range faultJobs(t) {
		n, want := changes(t, o)
		out, failed := o.Out, 0
		for _, at := range points(n) {
			o := o
			o.Out = fmt.Sprintf("%s-%d", out, at)
			var file string
			finished := 0
			o.Progress = func(e Event) {
				if e.Layers != nil {
					finished++
				}
			}
			watchDisk(t, func(n int, op disk.Op, path, to string) error {
				if n >= at && file == "" && op != disk.Remove {
					file = path
					return syscall.ENOSPC
				}
				return nil
			})
			_, err := Run(t.Context(), o)
			if file == "" {
				continue // only files were removed from there on
			}
			failed++
			if err == nil || !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), strings.TrimSuffix(filepath.Base(file), ".tmp")) {
				t.Errorf("%s, change %d, of %s: %v", name, at, file, err)
			}
			made := 0
			o.Progress = func(e Event) {
				if e.Layers != nil && !e.Resumed {
					made++
				}
			}
			if _, err := os.Stat(o.Out); err == nil {
				same(t, name, sums(t, o.Out), want) // the last flush came after the rename
				continue
			}
			if _, err := Run(t.Context(), o); err != nil {
				t.Fatalf("%s, change %d, of %s, taken up: %v", name, at, file, err)
			}
			if made > faultBlocks-finished {
				t.Errorf("%s, change %d, of %s: of %d blocks %d were finished, %d were made again", name, at, file, faultBlocks, finished, made)
			}
			same(t, fmt.Sprintf("%s, change %d, of %s", name, at, file), sums(t, o.Out), want)
		}
		t.Logf("%s: %d changes, %d made to fail", name, n, failed)
	}
}

// node is a file or folder of a disk that forgets what was not flushed.
type node struct {
	entries, flushed map[string]*node // of a folder: as they are, and as they were flushed
	data             []byte           // of a file, as it was flushed
}

// forgetful follows the changes below a folder.
type forgetful struct {
	dir  string
	root *node
}

func newFolder() *node { return &node{entries: map[string]*node{}, flushed: map[string]*node{}} }

// find returns the folder that path lies in and its name there; nil: it lies elsewhere.
func (f *forgetful) find(path string) (folder *node, name string) {
	rest, err := filepath.Rel(f.dir, path)
	if err != nil || strings.HasPrefix(rest, "..") {
		return nil, ""
	}
	parts := strings.Split(rest, string(filepath.Separator))
	folder = f.root
	for _, p := range parts[:len(parts)-1] {
		if folder = folder.entries[p]; folder == nil || folder.entries == nil {
			return nil, ""
		}
	}
	return folder, parts[len(parts)-1]
}

func (f *forgetful) change(op disk.Op, path, to string) {
	folder, name := f.find(path)
	if folder == nil {
		return
	}
	switch op {
	case disk.Mkdir:
		if folder.entries[name] == nil {
			folder.entries[name] = newFolder()
		}
	case disk.Create:
		folder.entries[name] = &node{}
	case disk.Sync:
		folder.entries[name].data, _ = os.ReadFile(path)
	case disk.Rename:
		if target, as := f.find(to); target != nil && folder.entries[name] != nil {
			target.entries[as] = folder.entries[name]
			delete(folder.entries, name)
		}
	case disk.Remove:
		delete(folder.entries, name)
	case disk.SyncDir:
		if name != "." {
			folder = folder.entries[name]
		}
		if folder != nil {
			folder.flushed = maps.Clone(folder.entries)
		}
	}
}

// write makes what a power failure leaves: folders as they were flushed, or, if entries is
// true, as they were at that moment; files as they were flushed, empty if they never were.
func (n *node) write(t *testing.T, dir string, entries bool) {
	of := n.flushed
	if entries {
		of = n.entries
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, e := range of {
		path := filepath.Join(dir, name)
		if e.entries != nil {
			e.write(t, path, entries)
		} else if err := os.WriteFile(path, e.data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestPowerLoss: power fails before any change of the disk, and what was not flushed is gone,
// in one of two ways: changes of folders too, or only the contents of files. The job that
// is taken up finds all blocks that were reported, and gives the same bytes.
func TestPowerLoss(t *testing.T) {
	off := errors.New("no power")
	for name, o := range faultJobs(t) {
		n, want := changes(t, o)
		for _, at := range points(n) {
			for _, entries := range []bool{false, true} {
				o := o
				dir := t.TempDir()
				f := &forgetful{dir, newFolder()}
				o.Out = filepath.Join(dir, "out")
				finished := 0
				o.Progress = func(e Event) {
					if e.Layers != nil {
						finished++
					}
				}
				last := ""
				watchDisk(t, func(n int, op disk.Op, path, to string) error {
					if n >= at {
						if last == "" {
							last = fmt.Sprintf("%s: before change %d, %s %s", name, at, op, filepath.Base(path))
						}
						return off
					}
					f.change(op, path, to)
					return nil
				})
				if _, err := Run(t.Context(), o); err == nil {
					t.Errorf("%s: no error", last)
				}
				watchDisk(t, func(int, disk.Op, string, string) error { return nil })
				left := filepath.Join(t.TempDir(), "left")
				f.root.write(t, left, entries)
				o.Out = filepath.Join(left, "out")
				if _, err := os.Stat(o.Out); err == nil {
					same(t, last, sums(t, o.Out), want) // the rename had been flushed, or seen
					continue
				}
				made := 0
				o.Progress = func(e Event) {
					if e.Layers != nil && !e.Resumed {
						made++
					}
				}
				if _, err := Run(t.Context(), o); err != nil {
					t.Fatalf("%s, taken up: %v", last, err)
				}
				if made > faultBlocks-finished {
					t.Errorf("%s: of %d blocks %d were finished, %d were made again", last, faultBlocks, finished, made)
				}
				same(t, last, sums(t, o.Out), want)
			}
		}
		t.Logf("%s: %d changes", name, n)
	}
}
