package pipeline

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/input"
	"github.com/specquant/specquant/internal/stage"
)

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

// readReports reads what a block's file says of its layers.
func readReports(f *checkpoint.File) (reports []artefact.Layer, err error) {
	if err := input.JSON([]byte(f.Metadata[layersKey]), &reports); err != nil {
		return nil, fmt.Errorf("%s: metadata %s: %w", f.Path(), layersKey, err)
	}
	return reports, nil
}

// shardSource gives the tensors of one file.
type shardSource struct{ f *checkpoint.File }

func (s shardSource) Has(name string) bool {
	_, ok := s.f.Tensor(name)
	return ok
}

func (s shardSource) Tensor(name string) (checkpoint.Tensor, error) {
	t, ok := s.f.Tensor(name)
	if !ok {
		return t, fmt.Errorf("%s: has no tensor %s", s.f.Path(), name)
	}
	return t, nil
}

func vector(src shardSource, name string) ([]float32, error) {
	t, err := src.Tensor(name)
	if err != nil {
		return nil, err
	}
	v := make([]float32, t.Elems())
	return v, t.Float32(v)
}
