package pipeline

import (
	"encoding/json"
	"fmt"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/stage"
)

// reload fills the state's block from a finished shard.
func (j *job) reload(st *stage.State, i int, path string) ([]artefact.Layer, error) {
	f, err := checkpoint.OpenFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w; remove %s and start again", err, j.partial)
	}
	defer f.Close()
	var reports []artefact.Layer
	if err := json.Unmarshal([]byte(f.Metadata[layersKey]), &reports); err != nil {
		return nil, fmt.Errorf("%s: metadata %s: %w; remove %s and start again", path, layersKey, err, j.partial)
	}
	src := shardSource{f}
	st.Begin(i)
	return reports, st.Decode(src, j.quantization())
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
