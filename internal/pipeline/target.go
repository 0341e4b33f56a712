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
	"github.com/specquant/specquant/internal/plural"
)

// CheckTarget returns an error if a job can't write the folder out: the name is empty or
// exists, or its parent is missing, is no folder, or is not writable. It leaves no files.
func CheckTarget(out string) error {
	if out == "" {
		return errors.New("the folder to write: found an empty name, expected one such as OUT")
	}
	out = filepath.Clean(out)
	parent := filepath.Dir(out)
	info, err := input.Stat(parent)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: its parent folder %s does not exist; make it or choose another name", out, parent)
	case err != nil:
		return fmt.Errorf("%s: %w", out, err)
	case !info.IsDir():
		return fmt.Errorf("%s: its parent %s is a file, expected a folder", out, parent)
	}
	if _, err := input.Lstat(out); err == nil {
		return fmt.Errorf("%s exists; remove it or choose another name", out)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w; choose another name", err)
	}
	partial := out + PartialSuffix
	if info, err := input.Stat(partial); err == nil && !info.IsDir() {
		return fmt.Errorf("%s is a file, expected nothing or the folder of an unfinished job; remove it or choose another name than %s", partial, out)
	}
	// The only reliable test of permissions, access lists and read-only mounts is to write.
	probe, err := os.MkdirTemp(parent, ".specquant-*")
	if err != nil {
		var at *fs.PathError
		if errors.As(err, &at) {
			err = at.Err // without the name of the test file
		}
		return fmt.Errorf("%s: its parent folder %s can't be written to: %w; choose another place", out, parent, err)
	}
	return os.Remove(probe)
}

// CheckSpace returns an error if the disk of the folder out has too little free space for the
// plan. Files of an unfinished job of that name count as free space. If the free space is not
// known, there is no error.
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
	what := fmt.Sprintf("%s of artefact", input.SizeText(p.Artefact))
	if p.Spill > 0 {
		what += fmt.Sprintf(" and %s of activations that do not fit into --max-memory", input.SizeText(p.Spill))
	}
	return fmt.Errorf("%s: the disk has %s free, the job needs about %s (%s); free space there or choose another place", out, input.SizeText(free), input.SizeText(need), what)
}

// folderBytes returns the size of the files in a folder; 0 if it does not exist.
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

// UnfinishedError is the error of opening the folder of an unfinished job.
type UnfinishedError struct {
	Dir          string
	Done, Blocks int  // blocks on disk, and in all (0 if none is on disk, since their number is not known then)
	Written      bool // all blocks are written; the comparison with full precision is missing
	Compared     bool // compared too; only the final rename is missing
}

func (e *UnfinishedError) Error() string {
	have := "no block is finished"
	switch {
	case e.Compared:
		have = "all is done but giving it its name"
	case e.Written:
		have = "all blocks are finished, but the comparison with full precision has not been passed"
	case e.Done > 0:
		have = fmt.Sprintf("%d of %s finished", e.Done, plural.Of(e.Blocks, "block"))
	}
	name := strings.TrimSuffix(filepath.Clean(e.Dir), PartialSuffix)
	do := fmt.Sprintf("repeat the quantize command that made it, with -o %s, to continue", name)
	if e.Written && !e.Compared {
		do += "; --keep-bad accepts a result that fails the comparison"
	}
	return fmt.Sprintf("%s: found an unfinished job (%s), expected a finished model; %s", e.Dir, have, do)
}

// CheckFinished returns an [UnfinishedError] if dir is the folder of a job that is running, was
// stopped or failed, and nil for everything else.
func CheckFinished(dir string) error {
	data, err := input.ReadFile(filepath.Join(dir, jobFile), input.MaxSmall)
	if err != nil {
		return nil
	}
	var m artefact.Manifest
	if json.Unmarshal(data, &m) != nil || m.Tool == "" || m.Recipe == nil {
		return nil // a file of that name from another program
	}
	e := &UnfinishedError{Dir: dir}
	e.Done, e.Blocks = finishedBlocks(dir)
	exists := func(name string) bool {
		_, err := input.Stat(filepath.Join(dir, name))
		return err == nil
	}
	e.Compared = exists(artefact.ManifestFile)
	e.Written = e.Compared || exists(configFile)
	return e
}

// finishedBlocks returns the number of finished blocks in a job's folder, and how many there
// will be; 0 and 0 if there is none.
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
		if i < n { // the last file holds the tensors that belong to no block
			done++
		}
	}
	return done, blocks
}
