package main

import (
	"errors"
	"fmt"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/engine"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
	"github.com/specquant/specquant/internal/spectrum"
)

// fourierBranch is the branch that a random model without a recipe has.
const fourierBranch = 16

// random makes the random model that --shape asks for.
func (c *benchCmd) random(o engine.Options) (*engine.Model, error) {
	bits := c.Bits
	if bits == "" && c.Recipe == "" {
		bits = "4-8-8"
	}
	var b quant.Bits
	var err error
	if bits != "" {
		if b, err = quant.ParseBits(bits); err != nil {
			return nil, err
		}
	}
	if c.Recipe == "" {
		q := artefact.Quantization{Bits: b, Head: c.headBits(), Branch: &artefact.BranchFormat{Basis: "dft", Axis: "output"}}
		if c.Group != nil {
			q.Group = *c.Group
		}
		components := fourierBranch
		if c.Branch != nil {
			components = *c.Branch
		}
		if width := engine.Shapes[c.Shape].HiddenSize; components > width {
			return nil, fmt.Errorf("--branch: found %d, expected at most the %d channels of %s", components, width, c.Shape)
		}
		return engine.NewRandom(c.Shape, q, engine.Random{Keep: func(llama.Input, int, int) int { return components }}, o)
	}
	if c.Branch != nil {
		return nil, errors.New("--branch is for random models without a recipe; change the recipe's branch.components instead")
	}
	r, err := recipe.Load(c.Recipe)
	if err != nil {
		return nil, err
	}
	if bits != "" {
		if err := r.SetBits(b); err != nil {
			return nil, err
		}
	}
	if c.Group != nil {
		r.Weights.Group = *c.Group
	}
	q, random, err := priced(r, c.Shape)
	if err != nil {
		return nil, err
	}
	q.Head = c.headBits()
	return engine.NewRandom(c.Shape, q, random, o)
}

// headBits returns the bits of a random model's output matrix.
func (c *benchCmd) headBits() int {
	if c.HeadBits != nil {
		return *c.HeadBits
	}
	return 8
}

// priced returns the formats of a model of a shape that the recipe would make, as far as the
// recipe alone decides them. The output matrix has the bits of --head-bits.
func priced(r *recipe.Recipe, shape string) (artefact.Quantization, engine.Random, error) {
	q := artefact.Quantization{Bits: r.Bits, Group: r.Weights.Group, Zero: r.Weights.Zero, ActGroup: r.ActGrid().Group}
	if r.Weights.Average > 0 {
		return q, engine.Random{}, fmt.Errorf("recipe %s: weights.average lets calibration choose each layer's bits, which a random model does not have; use --bits, and a recipe without weights.average", r.Name)
	}
	if o := r.Rotate; o != nil {
		q.Transforms = artefact.Transforms{Attn: o.Attn, O: o.O, MLP: o.MLP, Down: o.Down, Cache: r.CacheTransform()}
	}
	if r.Learn != nil && r.Learn.Method == recipe.LearnFlatQuant {
		const k = artefact.Kronecker
		q.Transforms.Attn, q.Transforms.O, q.Transforms.MLP, q.Transforms.Down = k, k, k, k
	}
	config := engine.Shapes[shape]
	for i := range config.Layers {
		for l := range llama.NumLinears {
			name := llama.TensorPrefix(i) + l.String()
			if bits := r.LayerBits(name); bits != r.Bits.Weights {
				if q.Layers == nil {
					q.Layers = map[string]int{}
				}
				q.Layers[name] = bits
			}
		}
	}
	b := r.Branch
	if b == nil {
		return q, engine.Random{}, nil
	}
	q.Branch = &artefact.BranchFormat{Basis: b.Basis, Axis: b.Axis, Truncate: b.Truncate, Remove: b.Remove, Bits: b.Bits}
	axis, err := spectrum.ParseAxis(b.Axis)
	if err != nil {
		return q, engine.Random{}, err
	}
	keep := func(in llama.Input, outputs, width int) int {
		switch {
		case !b.Has(in):
			return 0
		case b.Stored():
			return b.Dimensions(width, outputs)
		}
		return int(b.PerChannel(axis, outputs, width))
	}
	return q, engine.Random{Keep: keep, Temperature: b.Temperature}, nil
}
