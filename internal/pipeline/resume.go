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

// openPartial makes and locks the folder of the unfinished artefact, or resumes the one that an
// earlier run of the same job has left.
func (j *job) openPartial() error {
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
	if err := j.checkResumable(want); err != nil {
		j.unlock()
		return err
	}
	return nil
}

// checkResumable returns an error if the locked folder holds the work of another job. want
// is this job's job.json, which is written if the folder is empty.
func (j *job) checkResumable(want []byte) error {
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
			return fmt.Errorf("%s: %w, so it can't be told which job %s belongs to; remove that folder or give --restart", path, err, j.partial)
		}
		return fmt.Errorf("%s is the unfinished work of another job (recipe, bits, calibration, checkpoint or version differ); remove it or give --restart", j.partial)
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

// isEmpty reports whether the folder holds no finished work. A job that failed before it
// wrote its first block leaves only job.json, which another job may replace.
func (j *job) isEmpty() bool {
	entries, err := os.ReadDir(j.partial)
	return err == nil && !slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		return e.Name() != jobFile && filepath.Ext(e.Name()) != ".tmp"
	})
}

// readFinished reads the manifest, which [job.finish] writes before it removes job.json,
// and returns what job.json held; nil if there is no manifest.
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
	return jobJSONOf(data)
}

// jobJSONOf derives the job.json with which a job started from its final manifest.
func jobJSONOf(manifest []byte) ([]byte, error) {
	m, err := readManifest(manifest)
	if err != nil {
		return nil, err
	}
	m.Layers, m.BitsPerWeight, m.Fallbacks, m.Check, m.Files = nil, 0, nil, nil, nil
	return sealedJSON(&m)
}

// checkFinished compares the files of a job that lacks only the last renaming with the
// checksums in its manifest. If one differs, the job starts again from the first block,
// because the files that a resumed job needs have been removed by then.
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
	j.event(Event{Note: fault + "; the job starts again from the first block"})
	m := &j.manifest
	j.finished, m.Layers, m.BitsPerWeight, m.Fallbacks, m.Check, m.Files = false, nil, 0, nil, nil, nil
	if err := j.clear(); err != nil {
		return err
	}
	return checkpoint.WriteFileAtomic(path, want)
}

// intact reports whether a file that an earlier run has written exists and is undamaged. A
// damaged one is removed, and an event says so; again is the part of its text that tells
// what is computed again.
func (j *job) intact(path, again string) (bool, error) {
	err := checkpoint.CheckFile(path)
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case !isDamage(err):
		return false, err
	}
	j.event(Event{Note: fmt.Sprintf("%v; %s", err, again)})
	return false, remove(path)
}

// isDamage reports whether an error is about the contents of a file, not about reading it.
func isDamage(err error) bool {
	for _, kind := range []error{checkpoint.ErrDamaged, checkpoint.ErrNoSeal, checkpoint.ErrMalformed, checkpoint.ErrUnsupported} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// installDistilled replaces the blocks by the distilled ones if all of those are written, and
// reports whether they are. A job that was killed meanwhile has renamed some already, so a
// missing one is no error.
func (j *job) installDistilled(ctx context.Context) (bool, error) {
	if _, err := input.Lstat(filepath.Join(j.partial, distilFile)); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	if whole, err := j.checkDistilled(); err != nil || !whole {
		return false, err
	}
	for i := range j.ck.Config.Layers {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		path := j.blockFile(i)
		if err := disk.RenameTo(path+distilledSuffix, path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
		j.event(Event{Block: j.ck.Config.Layers, Stage: fmt.Sprintf("distilled block %d", i+1)})
	}
	return true, nil
}

// checkDistilled reports whether all distilled blocks, renamed or not, are undamaged. If not,
// it removes them: distilling is repeated from the blocks before it, or, if one of those
// has been replaced already, the job from the first block.
func (j *job) checkDistilled() (bool, error) {
	var fault error
	renamed := map[string]bool{}
	for i := range j.ck.Config.Layers {
		path := j.blockFile(i)
		if _, err := input.Lstat(path + distilledSuffix); errors.Is(err, fs.ErrNotExist) {
			renamed[path] = true
		} else if err != nil {
			return false, err
		} else {
			path += distilledSuffix
		}
		switch err := checkpoint.CheckFile(path); {
		case err == nil || fault != nil:
		case isDamage(err) || errors.Is(err, fs.ErrNotExist):
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
	for i := range j.ck.Config.Layers { // the marker file is removed last: until then a killed job comes here again
		path := j.blockFile(i)
		if len(renamed) > 0 {
			if err := remove(path); err != nil {
				return false, err
			}
		}
		if err := remove(path + distilledSuffix); err != nil {
			return false, err
		}
	}
	return false, remove(filepath.Join(j.partial, distilFile))
}

// reload reads the report of the layers of block i, which an earlier run has written, and, if
// calibration goes on from there, decodes it into the state.
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
	if st.Windows == 0 { // nothing is computed with it
		return nil
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
