package pipeline

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/disk"
	"github.com/specquant/specquant/internal/input"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/stage"
)

// jobFile identifies a job: a run may only continue an unfinished one with an equal job.json.
const jobFile = "job.json"

// rotationsFile stores the learned rotations for a resumed job.
const rotationsFile = "rotations.safetensors"

// distilFile marks that all blocks have been distilled and written beside the old ones, so that
// a resumed job only has to rename them.
const distilFile = "distilled"

// distilledSuffix is appended to the name of a distilled block until all of them are written.
const distilledSuffix = ".new"

// shardName is the format of a block's file name: its number, from 1, and the number of files.
const shardName = "model-%05d-of-%05d.safetensors"

// The names of files that are not blocks.
const (
	configFile = "config.json"
	indexFile  = "model.safetensors.index.json"
)

// copied are the tensors that are not quantized.
var copied = []string{stage.EmbedWeight, stage.NormWeight, stage.HeadWeight}

// layersKey is the shard's metadata entry that holds the report of its layers.
const layersKey = "specquant.layers"

func (j *job) shard(i int) string {
	return fmt.Sprintf(shardName, i+1, j.ck.Config.Layers+1)
}

// blockFile is the path of a block's file.
func (j *job) blockFile(i int) string { return filepath.Join(j.partial, j.shard(i)) }

// spill is the file that activations go to; "": they stay in memory.
func (j *job) spill(name string) string {
	if j.plan.Spill == 0 {
		return ""
	}
	return filepath.Join(j.partial, name)
}

// remove removes a file if it is there.
func remove(path string) error {
	if err := disk.RemoveFile(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// writeBlock writes a block's file.
func (j *job) writeBlock(i int, path string, block *llama.DenseBlock, quantized []*artefact.Linear, transforms *stage.BlockTransforms, layers []artefact.Layer) error {
	prefix := llama.TensorPrefix(i)
	var specs []checkpoint.TensorSpec
	for place := range checkpoint.NumNorms {
		if gain := *block.Norms.At(place); gain != nil {
			specs = append(specs, artefact.Floats(prefix+j.ck.Config.NormName(place)+".weight", gain))
		}
	}
	specs = append(specs, transforms.Tensors(prefix, &j.ck.Config)...)
	c := j.ck.Config.Of(i)
	if c.Experts.Count > 0 {
		router := artefact.Floats(prefix+llama.RouterName, block.Router)
		router.Shape = []int{c.Experts.Count, c.HiddenSize}
		specs = append(specs, router)
	}
	written := map[string]bool{} // the first reader of an input may be in 16 bits and have no branch
	for k, l := range llama.Layers(c) {
		name := prefix + l.String()
		if b := quantized[k].Branch; b != nil && b.Subspace != nil && !written[artefact.InputName(name)] {
			written[artefact.InputName(name)] = true
			specs = append(specs, b.Subspace.Tensors(artefact.InputName(name))...)
		}
		specs = append(specs, quantized[k].Tensors(name)...)
	}
	report, err := json.Marshal(layers)
	if err != nil {
		return err
	}
	return checkpoint.WriteSealed(path, specs, map[string]string{"format": "pt", layersKey: string(report)})
}

// quantization returns the quantization_config of the artefact.
func (j *job) quantization() *artefact.Quantization { return stage.Format(&j.ck.Config, j.Recipe) }

// sealedJSON encodes a manifest with a checksum of its text.
func sealedJSON(m *artefact.Manifest) ([]byte, error) {
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, err
	}
	return checkpoint.Seal(append(data, '\n'))
}

// readManifest decodes a manifest and verifies its checksum.
func readManifest(data []byte) (m artefact.Manifest, err error) {
	if err := checkpoint.CheckSeal(data); err != nil {
		return m, err
	}
	return m, input.JSON(data, &m)
}

// readReports reads the reports of a block's layers from its file.
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

// embedBytes returns the size of the tensors in copied.
func (j *job) embedBytes() int64 {
	var n int64
	for _, name := range copied {
		if t, err := j.ck.Tensor(name); err == nil && t.Name == name {
			n += int64(len(t.Data))
		}
	}
	return n
}

// Licences are the names of the files that are copied besides the tokenizer's.
var Licences = []string{"LICENSE", "LICENSE.txt"}

// sideFiles are the names of the files that are copied.
func (j *job) sideFiles() []string {
	names := j.tok.Files()
	for _, name := range Licences {
		if st, err := input.Stat(filepath.Join(j.Dir, name)); err == nil && st.Mode().IsRegular() {
			names = append(names, name)
		}
	}
	return names
}
