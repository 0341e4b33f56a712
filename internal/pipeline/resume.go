package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/disk"
	"github.com/specquant/specquant/internal/input"
	"github.com/specquant/specquant/internal/stage"
)

// begin makes or takes up the folder of the unfinished artefact.
func (j *job) begin() error {
	r := j.Recipe
	var err error
	if j.sources, err = watch(j.sourcePaths()); err != nil {
		return err
	}
	var inputs []checkpoint.FileHash
	for _, s := range j.sources {
		inputs = append(inputs, s.hash)
	}
	j.manifest = artefact.Manifest{Tool: j.Tool, Recipe: r, Inputs: inputs, Rotations: j.plan.Rotations, Budget: j.budget}
	if j.set != nil {
		j.manifest.Calibration = &artefact.Calibration{Sources: j.set.Sources, Windows: len(j.set.Windows), HeldOut: len(j.set.HeldOut), Tokens: j.set.Tokens, Hash: j.set.Hash}
	}
	want, err := sealedJSON(&j.manifest)
	if err != nil {
		return err
	}
	if err := disk.MakeDir(j.partial, filepath.Dir(j.partial)); err != nil {
		return err
	}
	if j.unlock, err = lock(j.partial); err != nil {
		return err
	}
	if err := j.takeUp(want); err != nil {
		j.unlock()
		return err
	}
	return nil
}

// takeUp makes sure that what lies in the locked folder belongs to this job.
func (j *job) takeUp(want []byte) error {
	if j.Restart {
		if err := j.clear(); err != nil {
			return err
		}
	}
	path := filepath.Join(j.partial, jobFile)
	have, err := input.ReadFile(path, input.MaxSmall)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if have, err = j.readFinished(); err != nil {
			return err
		}
		if have == nil {
			return checkpoint.WriteFileAtomic(path, want)
		}
	case err != nil:
		return err
	}
	if !bytes.Equal(have, want) {
		if j.isEmpty() {
			return checkpoint.WriteFileAtomic(path, want)
		}
		if err := checkpoint.CheckSeal(have); err != nil {
			return fmt.Errorf("%s: %w, so it can't be told whose work %s is; remove that folder or say --restart", path, err, j.partial)
		}
		return fmt.Errorf("%s is the unfinished work of another job (recipe, bits, calibration, checkpoint or version differ); remove it or say --restart", j.partial)
	}
	if j.finished {
		return j.checkFinished(path, want)
	}
	return nil
}

// clear removes all that lies in the locked folder.
func (j *job) clear() error {
	entries, err := os.ReadDir(j.partial)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(j.partial, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// isEmpty reports whether the folder holds no finished work: what a job left that failed
// before its first block was written does not stop another job.
func (j *job) isEmpty() bool {
	entries, err := os.ReadDir(j.partial)
	return err == nil && !slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		return e.Name() != jobFile && filepath.Ext(e.Name()) != ".tmp"
	})
}

// readFinished reads the manifest that [job.finish] writes before it removes the
// job's own files, and returns what job.json would hold; nil where there is none.
func (j *job) readFinished() ([]byte, error) {
	path := filepath.Join(j.partial, artefact.ManifestFile)
	data, err := input.ReadFile(path, input.MaxSmall)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if j.manifest, err = readManifest(data); err != nil {
		return nil, fmt.Errorf("%s: %w; remove %s and start again", path, err, j.partial)
	}
	j.finished = true
	return begunOf(data)
}

// begunOf is what job.json held when the job of a manifest was begun.
func begunOf(manifest []byte) ([]byte, error) {
	m, err := readManifest(manifest)
	if err != nil {
		return nil, err
	}
	m.Layers, m.BitsPerWeight, m.Fallbacks, m.Check, m.Files = nil, 0, nil, nil, nil
	return sealedJSON(&m)
}

// checkFinished holds the files of a job that lacks only its name against its
// manifest. Where they are not those that were written, the job is begun anew: what it
// could be taken up with has been removed by then.
func (j *job) checkFinished(path string, want []byte) error {
	fault := ""
	for _, f := range j.manifest.Files {
		h, err := checkpoint.HashFiles(filepath.Join(j.partial, f.Name))
		if err != nil {
			fault = err.Error()
		} else if h[0] != f {
			fault = fmt.Sprintf("%s is damaged: its sha256 is %s, expected %s", filepath.Join(j.partial, f.Name), h[0].SHA256, f.SHA256)
		}
	}
	if fault == "" {
		return nil
	}
	j.event(Event{Note: fault + "; the job is begun anew"})
	m := &j.manifest
	j.finished, m.Layers, m.BitsPerWeight, m.Fallbacks, m.Check, m.Files = false, nil, 0, nil, nil, nil
	if err := j.clear(); err != nil {
		return err
	}
	return checkpoint.WriteFileAtomic(path, want)
}

// intact says whether a file that an earlier run has written is there, and as it was
// written. One that is damaged is removed, and people are told so and what is done
// again.
func (j *job) intact(path, again string) (bool, error) {
	err := checkpoint.CheckFile(path)
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case !notAsWritten(err):
		return false, err
	}
	j.event(Event{Note: fmt.Sprintf("%v; %s", err, again)})
	return false, remove(path)
}

// notAsWritten says whether an error is about what a file holds, not about reading it.
func notAsWritten(err error) bool {
	for _, kind := range []error{checkpoint.ErrDamaged, checkpoint.ErrNoSeal, checkpoint.ErrMalformed, checkpoint.ErrUnsupported} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// takeNew puts the distilled blocks in the place of the old ones, if they are all
// there, and reports whether they are. What a killed job has renamed by then is gone
// from under its first name.
func (j *job) takeNew(ctx context.Context) (bool, error) {
	if _, err := os.Lstat(filepath.Join(j.partial, distilFile)); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	if whole, err := j.checkNew(); err != nil || !whole {
		return false, err
	}
	for i := range j.ck.Config.Layers {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		path := j.blockFile(i)
		if err := disk.RenameTo(path+newSuffix, path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
		j.event(Event{Block: j.ck.Config.Layers, Stage: fmt.Sprintf("distilled block %d", i+1)})
	}
	return true, nil
}

// checkNew says whether all distilled blocks, renamed by now or not, are as they were
// written. If not, they are thrown away: distilling is done again from the blocks before
// it, or, where one of those has been replaced by now, everything from the first block.
func (j *job) checkNew() (bool, error) {
	var fault error
	renamed := map[string]bool{}
	for i := range j.ck.Config.Layers {
		path := j.blockFile(i)
		if _, err := os.Lstat(path + newSuffix); errors.Is(err, fs.ErrNotExist) {
			renamed[path] = true
		} else if err != nil {
			return false, err
		} else {
			path += newSuffix
		}
		switch err := checkpoint.CheckFile(path); {
		case err == nil || fault != nil:
		case notAsWritten(err) || errors.Is(err, fs.ErrNotExist):
			fault = err
		default:
			return false, err
		}
	}
	if fault == nil {
		return true, nil
	}
	again := "the blocks are distilled again"
	if len(renamed) > 0 {
		again = "all blocks are made again, since distilled ones have replaced some"
	}
	j.event(Event{Note: fmt.Sprintf("%v; %s", fault, again)})
	for i := range j.ck.Config.Layers { // the mark last: until then a killed job comes here again
		path := j.blockFile(i)
		if len(renamed) > 0 {
			if err := remove(path); err != nil {
				return false, err
			}
		}
		if err := remove(path + newSuffix); err != nil {
			return false, err
		}
	}
	return false, remove(filepath.Join(j.partial, distilFile))
}

// reload makes the state's block what calibration sees of block i, which an earlier run
// has written, and reads the report of its layers.
func (j *job) reload(st *stage.State, i int) error {
	path := j.blockFile(i)
	f, err := checkpoint.OpenFile(path)
	if err != nil {
		return fmt.Errorf("%w; remove %s and start again", err, j.partial)
	}
	defer f.Close()
	st.Begin(i)
	if st.Reports, err = readReports(f); err != nil {
		return fmt.Errorf("%w; remove %s and start again", err, j.partial)
	}
	return st.Decode(shardSource{f}, j.quantization())
}

// sourcePaths are the files of the checkpoint that the job reads.
func (j *job) sourcePaths() []string {
	paths := append([]string{filepath.Join(j.Dir, "config.json")}, j.ck.Files()...)
	for _, f := range j.tok.Files() {
		paths = append(paths, filepath.Join(j.Dir, f))
	}
	return paths
}
