package llama

import (
	"fmt"
	"slices"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/shape"
	"github.com/specquant/specquant/internal/plural"
)

// Norms are the gains of a block's norms. An architecture without norms before attention
// and MLP has factors of the stream instead, 1 unless something was folded into them; all
// others are nil if there is no such norm.
type Norms struct {
	AttnNorm, MLPNorm []float32 // [hidden], before attention and MLP
	AttnPost, MLPPost []float32 // [hidden], of the outputs of attention and MLP
	QNorm, KNorm      []float32 // [head_dim] or [heads·head_dim], of queries and keys
}

// At is one of the gains by its place.
func (n *Norms) At(place checkpoint.Norm) *[]float32 {
	return [checkpoint.NumNorms]*[]float32{checkpoint.AttnNorm: &n.AttnNorm, checkpoint.QNorm: &n.QNorm, checkpoint.KNorm: &n.KNorm,
		checkpoint.AttnPost: &n.AttnPost, checkpoint.MLPNorm: &n.MLPNorm, checkpoint.MLPPost: &n.MLPPost}[place]
}

// Clone copies them.
func (n *Norms) Clone() Norms {
	var c Norms
	for place := range checkpoint.NumNorms {
		*c.At(place) = slices.Clone(*n.At(place))
	}
	return c
}

// Source returns tensors by name: a checkpoint, or one file of it.
type Source interface {
	Has(name string) bool
	Tensor(name string) (checkpoint.Tensor, error)
}

// Read reads the gains of block i, reusing memory. offset is added to each stored value of
// a norm: NormOffset of a checkpoint's config, or 0 for what the pipeline wrote.
func (n *Norms) Read(c *checkpoint.Config, src Source, i int, offset float32) error {
	for place := range checkpoint.NumNorms {
		at, name, width := n.At(place), TensorPrefix(i)+c.NormName(place)+".weight", c.NormWidth(place)
		switch factors := place == checkpoint.AttnNorm || place == checkpoint.MLPNorm; {
		case !c.HasNorm(place) && !factors:
			*at = nil
			continue
		case !c.HasNorm(place) && !src.Has(name):
			*at = shape.Grow(*at, width)
			for k := range *at {
				(*at)[k] = 1
			}
			continue
		}
		v, err := loadVector(src, name, *at)
		if err != nil {
			return err
		}
		if *at = v; len(v) != width {
			return fmt.Errorf("tensor %s: has %s, expected %d", name, plural.Of(len(v), "value"), width)
		}
		for k := range v {
			v[k] += offset
		}
	}
	return nil
}

// FinalGain is the gain of the norm before the output matrix, without the factor of the
// logits.
func FinalGain(ck *checkpoint.Checkpoint) ([]float32, error) {
	gain, err := Vector(ck, "model.norm.weight", ck.Config.HiddenSize)
	for i := range gain {
		gain[i] += float32(ck.Config.NormOffset)
	}
	return gain, err
}

// OutputGain is [FinalGain] times the factor of the logits, which are linear in the gain.
func OutputGain(ck *checkpoint.Checkpoint) ([]float32, error) {
	gain, err := FinalGain(ck)
	for i := range gain {
		gain[i] *= ck.Config.OutputScale()
	}
	return gain, err
}
