package pipeline

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/input"
	"github.com/specquant/specquant/internal/plural"
)

// A job reads the checkpoint for minutes or hours. If one of its files is changed meanwhile,
// the artefact would mix two models. So sizes and modification times are compared before each
// block is written and before the final rename; if a time differs, the contents are compared.

// source is a file of the checkpoint as it was when the job began.
type source struct {
	path  string
	hash  checkpoint.FileHash
	bytes int64
	time  time.Time
}

// watch hashes the files and remembers their sizes and times.
func watch(paths []string) ([]source, error) {
	all := make([]source, len(paths))
	for i, path := range paths { // taken before they are read, so that a write during the reading is noticed
		info, err := input.Stat(path)
		if err != nil {
			return nil, err
		}
		all[i] = source{path: path, bytes: info.Size(), time: info.ModTime()}
	}
	hashes, err := checkpoint.HashFiles(paths...)
	for i := range hashes {
		all[i].hash = hashes[i]
	}
	return all, err
}

// ChangedError is the error of a checkpoint file that has changed since the job started.
type ChangedError struct{ Path, Found, Expected string }

func (e *ChangedError) Error() string {
	return fmt.Sprintf("%s changed while it was being quantized: found %s, expected %s as at the beginning; the finished blocks were made from the earlier file: restore it and repeat the command to continue, or give --restart to start again with the new one", e.Path, e.Found, e.Expected)
}

// unchanged returns a [ChangedError] for the first file that differs.
func unchanged(all []source) error {
	for i := range all {
		s := &all[i]
		info, err := input.Stat(s.path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return &ChangedError{s.path, "no such file", plural.Of(s.bytes, "byte")}
		case err != nil:
			return err
		case info.Size() != s.bytes:
			return &ChangedError{s.path, plural.Of(info.Size(), "byte"), fmt.Sprintf("%d", s.bytes)}
		case info.ModTime().Equal(s.time):
			continue
		}
		h, err := checkpoint.HashFiles(s.path)
		if err != nil {
			return err
		}
		if h[0].SHA256 != s.hash.SHA256 {
			return &ChangedError{s.path, "sha256 " + h[0].SHA256, s.hash.SHA256}
		}
		s.time = info.ModTime() // the time changed but not the contents
	}
	return nil
}
