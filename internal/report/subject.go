// Package report analyses one model, quantized or not, for a person: the job's manifest,
// the stored tensors, and a short run of the original model. It draws the page of specquant
// report and finds the causes that specquant doctor names.
package report

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/input"
	"github.com/specquant/specquant/internal/kernel/integer"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/pipeline"
	"github.com/specquant/specquant/internal/quant"
)

// Subject is an open model and the information in its files.
type Subject struct {
	Dir          string
	Checkpoint   *checkpoint.Checkpoint
	Config       *checkpoint.Config
	Quantization *artefact.Quantization // nil: a checkpoint in full precision
	Manifest     *artefact.Manifest     // nil for a checkpoint, too
	Layers       []Layer                // in the order of the model; nil for a checkpoint
}

// Layer is a quantized linear layer: the job's report on it, and statistics of its tensors.
type Layer struct {
	artefact.Layer
	Block   int
	Which   llama.Which
	Expert  int // that it is of; −1: of none
	Out, In int

	BranchBits float64 // bits per weight that the branch takes
	Kept       []int   // components of each channel of the branch's axis; nil: no branch
	AtEnd      float64 // fraction of the integers that are the grid's smallest or largest
	ZeroRows   int     // output channels whose integers are all zero
	ZeroShare  float64 // fraction of the integers that are zero
	LeastScale float64 // of rows that are not all zero
	MostScale  float64

	Measured *LayerError // by a short run of the original model; nil: not measured
}

// OutputError is the relative error of the layer's output, from the job or, if it measured
// none, from a short run; ok is false if there is neither.
func (l *Layer) OutputError() (e float64, ok bool) {
	switch {
	case l.Error > 0:
		return l.Error, true
	case l.Measured != nil:
		return l.Measured.Total, true
	}
	return 0, false
}

// subnormal is the smallest 16-bit float with full precision; below it digits are lost.
const subnormal = 1.0 / (1 << 14)

// maxManifest is the largest manifest that is read: that of a model with a hundred blocks
// has less than a megabyte.
const maxManifest = 64 << 20

// Open reads a folder: an artefact with its manifest, or a checkpoint. The caller closes
// its Checkpoint. A job's unfinished folder gives a [pipeline.UnfinishedError].
func Open(dir string, pool *parallel.Pool) (*Subject, error) {
	if err := pipeline.CheckFinished(dir); err != nil {
		return nil, err
	}
	ck, err := checkpoint.OpenFolder(dir)
	if err != nil {
		return nil, err
	}
	s := &Subject{Dir: dir, Checkpoint: ck, Config: &ck.Config}
	if err := s.read(pool); err != nil {
		ck.Close()
		return nil, err
	}
	return s, nil
}

func (s *Subject) read(pool *parallel.Pool) error {
	if s.Config.Quantization == nil {
		return s.Checkpoint.Check()
	}
	var err error
	if s.Quantization, err = artefact.ParseQuantization(s.Config.Quantization, filepath.Join(s.Dir, "config.json")); err != nil {
		return err
	}
	if s.Manifest, err = readManifest(s.Dir); err != nil {
		return err
	}
	said := map[string]artefact.Layer{}
	for _, l := range s.Manifest.Layers {
		said[l.Name] = l
	}
	for block := range s.Config.Layers {
		c := s.Config.Of(block)
		for _, w := range llama.Layers(c) {
			name := llama.TensorPrefix(block) + w.String()
			l := Layer{Layer: said[name], Block: block, Which: w.Which, Expert: w.Expert}
			l.Name = name
			l.Out, l.In = w.Shape(c)
			linear, err := artefact.ReadLinear(s.Checkpoint, name, l.Out, l.In, s.Quantization)
			if err != nil {
				return err
			}
			l.tensors(linear)
			s.Layers = append(s.Layers, l)
		}
	}
	return nil
}

// readManifest reads the artefact's manifest; one that lacks what a report needs is an
// error.
func readManifest(dir string) (*artefact.Manifest, error) {
	path := filepath.Join(dir, artefact.ManifestFile)
	data, err := input.ReadFile(path, maxManifest)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: missing, expected the manifest that quantizing writes; quantize again", path)
	}
	if err != nil {
		return nil, err
	}
	var m artefact.Manifest
	if err := input.JSON(data, &m); err != nil {
		return nil, fmt.Errorf("%s: %w; quantize again", path, err)
	}
	if m.Recipe == nil {
		return nil, fmt.Errorf("%s: field recipe is missing; quantize again", path)
	}
	return &m, nil
}

// tensors computes the statistics of the layer's tensors.
func (l *Layer) tensors(a *artefact.Linear) {
	if a.Whole.Rows > 0 {
		l.BitsPerWeight = a.StoredBits()
		return
	}
	q, steps := make([]int8, l.Out*l.In), a.Steps()
	integer.UnpackTiles(q, a.Grid.Bits, a.Tiles, l.Out, l.In)
	lo, hi := a.Grid.Limits()
	groups := a.Grid.Groups(l.In)
	ends, zeros := 0, 0
	for r := range l.Out {
		any := false
		for c, v := range q[r*l.In:][:l.In] {
			g := 0
			if groups > 1 {
				g = c / a.Grid.Group
			}
			// A centred grid has no level at zero; an asymmetric one may have it anywhere.
			if s, shift := steps.At(a.Grid, r*groups+g); quant.Value(v, s, shift) == 0 {
				zeros++
				continue
			}
			any = true
			if f := float32(v); f == lo || f == hi {
				ends++
			}
		}
		if !any {
			l.ZeroRows++
			continue
		}
		stored := steps.Scale[r*groups:][:groups]
		if steps.Row != nil {
			stored = steps.Row[r:][:1]
		}
		for _, f := range stored {
			s := float64(f)
			if l.LeastScale == 0 || s < l.LeastScale {
				l.LeastScale = s
			}
			l.MostScale = max(l.MostScale, s)
		}
	}
	n := float64(len(q))
	l.AtEnd, l.ZeroShare = float64(ends)/n, float64(zeros)/n
	if a.Branch != nil {
		if v := a.Branch.Subspace; v != nil {
			for range l.Out { // all have the same value
				l.Kept = append(l.Kept, v.Count)
			}
		} else {
			l.Kept = a.Branch.Spectrum().Kept
		}
		l.BranchBits = 8 * float64(a.Branch.Bytes()) / n
	}
	if l.BitsPerWeight == 0 {
		l.BitsPerWeight = a.StoredBits()
	}
}

// Short is the layer's name without the parts that all layers share, such as "3 v_proj" or
// "3 up_proj of expert 7".
func (l *Layer) Short() string {
	_, name, _ := strings.Cut(l.Which.String(), ".")
	return fmt.Sprintf("%d %s%s", l.Block, name, ofExpert(l.Expert))
}

// ofExpert names an expert behind the name of a layer or an input; "": it is of none.
func ofExpert(e int) string {
	if e < 0 {
		return ""
	}
	return fmt.Sprintf(" of expert %d", e)
}

// first is the index in Layers of the first layer of a block.
func (s *Subject) first(block int) int {
	at, _ := slices.BinarySearchFunc(s.Layers, block, func(l Layer, block int) int { return l.Block - block })
	return at
}

// reading lists the indexes in Layers of the layers that read an input of a block: of that
// of gate and up, those of all experts; of that of down, the expert's, or with −1 the only.
func (s *Subject) reading(block int, in llama.Input, expert int) (layers []int) {
	for i := s.first(block); i < len(s.Layers) && s.Layers[i].Block == block; i++ {
		if l := &s.Layers[i]; l.Which.Input() == in && (in != llama.DownInput || l.Expert == expert) {
			layers = append(layers, i)
		}
	}
	return layers
}

// inputsOf lists the inputs of a block that c describes, and for the inputs of down the expert;
// −1: none.
func inputsOf(c *checkpoint.Config) (all []place) {
	for in := range llama.DownInput {
		all = append(all, place{in, -1})
	}
	if c.Experts.Count == 0 {
		return append(all, place{llama.DownInput, -1})
	}
	for e := range c.Experts.Count {
		all = append(all, place{llama.DownInput, e})
	}
	return all
}

// place is an input of a block.
type place struct {
	in     llama.Input
	expert int // whose it is; −1: no single one's
}
