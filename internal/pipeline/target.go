package pipeline

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/input"
)

// CheckTarget says why a job can't write the folder out: no name, a name that is
// taken, a parent that is missing, no folder, or can't be written to. Nothing is
// left behind.
func CheckTarget(out string) error {
	if out == "" {
		return errors.New("the folder to write: found an empty name, expected one such as OUT")
	}
	out = filepath.Clean(out)
	parent := filepath.Dir(out)
	info, err := os.Stat(parent)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: the folder %s that it is to lie in does not exist; make it or choose another name", out, parent)
	case err != nil:
		return fmt.Errorf("%s: %w", out, err)
	case !info.IsDir():
		return fmt.Errorf("%s: %s, which it is to lie in, is a file, expected a folder", out, parent)
	}
	if _, err := os.Lstat(out); err == nil {
		return fmt.Errorf("%s exists; remove it or choose another name", out)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w; choose another name", err)
	}
	partial := out + PartialSuffix
	if info, err := os.Stat(partial); err == nil && !info.IsDir() {
		return fmt.Errorf("%s is a file, expected nothing or the folder of an unfinished job; remove it or choose another name than %s", partial, out)
	}
	// Rights, access lists and read-only mounts answer to nothing but the attempt.
	probe, err := os.MkdirTemp(parent, ".specquant-*")
	if err != nil {
		var at *fs.PathError
		if errors.As(err, &at) {
			err = at.Err // the probe's name says nothing
		}
		return fmt.Errorf("%s: the folder %s that it is to lie in can't be written to: %w; choose another place", out, parent, err)
	}
	return os.Remove(probe)
}

// CheckSpace is an error if the disk that out will lie on has no room for what the plan
// writes. What an unfinished job of that name already takes counts as free. Where
// the free space is not known, no disk is too small.
func CheckSpace(out string, p *Plan) error {
	out = filepath.Clean(out)
	free, ok := freeSpace(filepath.Dir(out))
	if !ok {
		return nil
	}
	need := p.Disk - folderBytes(out+PartialSuffix)
	if need <= free {
		return nil
	}
	what := fmt.Sprintf("%s of artefact", MB(p.Artefact))
	if p.Spill > 0 {
		what += fmt.Sprintf(" and %s of activations, for which --max-memory leaves no room", MB(p.Spill))
	}
	return fmt.Errorf("%s: the disk has %s free, the job needs about %s (%s); free space there or choose another place", out, MB(free), MB(need), what)
}

// folderBytes is what the files of a folder take, 0 where there is none.
func folderBytes(dir string) int64 {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0
	}
	var n int64
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			n += info.Size()
		}
	}
	return n
}

// UnfinishedError says that a folder is what a job is making, not what it made.
type UnfinishedError struct {
	Dir          string
	Done, Blocks int  // blocks on disk, and in all; 0: none is on disk, so how many is not known
	Written      bool // all blocks are: what lacks is the comparison with full precision
	Compared     bool // that too: what lacks is the name
}

func (e *UnfinishedError) Error() string {
	have := "no block is finished"
	switch {
	case e.Compared:
		have = "all is done but giving it its name"
	case e.Written:
		have = "all blocks are finished, but the comparison with full precision has not been passed"
	case e.Done > 0:
		have = fmt.Sprintf("%d of %d blocks are finished", e.Done, e.Blocks)
	}
	name := strings.TrimSuffix(filepath.Clean(e.Dir), PartialSuffix)
	do := fmt.Sprintf("the quantize command that made it, with -o %s, takes it up", name)
	if e.Written && !e.Compared {
		do += "; --keep-bad accepts a result that fails the comparison"
	}
	return fmt.Sprintf("%s: is the work of a job that is unfinished: %s; expected a finished model; %s", e.Dir, have, do)
}

// CheckFinished returns an [UnfinishedError] where dir is the folder of a job that
// is under way, was stopped or failed; nil for all else, whatever it is.
func CheckFinished(dir string) error {
	data, err := input.ReadFile(filepath.Join(dir, jobFile), input.MaxSmall)
	if err != nil {
		return nil
	}
	var m artefact.Manifest
	if json.Unmarshal(data, &m) != nil || m.Tool == "" || m.Recipe == nil {
		return nil // someone else's file of that name
	}
	e := &UnfinishedError{Dir: dir}
	e.Done, e.Blocks = finishedBlocks(dir)
	exists := func(name string) bool {
		_, err := os.Stat(filepath.Join(dir, name))
		return err == nil
	}
	e.Compared = exists(artefact.ManifestFile)
	e.Written = e.Compared || exists(configFile)
	return e
}

// finishedBlocks counts the blocks that lie finished in a job's folder, and says
// how many there will be; 0 and 0 where there is none.
func finishedBlocks(dir string) (done, blocks int) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, 0
	}
	for _, e := range entries {
		var i, n int
		if _, err := fmt.Sscanf(e.Name(), shardName, &i, &n); err != nil || e.Name() != fmt.Sprintf(shardName, i, n) {
			continue
		}
		blocks = n - 1
		if i < n { // the last shard holds what is not a block
			done++
		}
	}
	return done, blocks
}
