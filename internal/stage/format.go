package stage

import (
	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/recipe"
)

// Format is the format of what the recipe makes of a model of this architecture.
func Format(c *checkpoint.Config, r *recipe.Recipe) *artefact.Quantization {
	q := &artefact.Quantization{Method: artefact.Method, Version: artefact.VersionOf(r.Weights.Scales, r.Head.Scales, r.Embedding.Scales), Bits: r.Bits,
		Group: r.Weights.Group, Scales: r.Weights.Scales, ActClip: r.Activations.Clip, ActGroup: r.ActGrid().Group,
		Head: r.Head.Bits, HeadGroup: r.Head.Group, HeadScales: r.Head.Scales,
		Embedding: r.Embedding.Bits, EmbeddingGroup: r.Embedding.Group, EmbeddingScales: r.Embedding.Scales}
	if b := r.Branch; b != nil {
		q.Branch = &artefact.BranchFormat{Basis: b.Basis, Axis: b.Axis, Truncate: b.Truncate, Remove: b.Remove}
		if b.Width() == 8 {
			q.Branch.Bits = 8
		}
	}
	q.Zero, q.Transforms = r.Weights.Zero, Transforms(r)
	for i := range c.Layers {
		r := r.InBlock(i)
		for _, l := range llama.Layers(c.Of(i)) {
			name := llama.TensorPrefix(i) + l.String()
			if bits := r.LayerBits(name); bits != r.Bits.Weights {
				if q.Layers == nil {
					q.Layers = map[string]int{}
				}
				q.Layers[name] = bits
			}
		}
	}
	return q
}
