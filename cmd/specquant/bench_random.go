package main

import (
	"errors"
	"fmt"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/engine"
	"github.com/specquant/specquant/internal/forecast"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
)

// fourierBranch is the branch that a random model without a recipe has.
const fourierBranch = 16

// random makes the random model that --shape asks for.
func (c *benchCmd) random(o engine.Options) (*engine.Model, error) {
	shape := engine.Shapes[c.Shape]
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
		if width := shape.HiddenSize; components > width {
			return nil, fmt.Errorf("--branch: found %d, expected at most the %d channels of %s", components, width, c.Shape)
		}
		return engine.NewRandom(shape, q, engine.Random{Keep: func(llama.Input, int, int) int { return components }}, o)
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
	q, random, err := forecast.Formats(&shape, r)
	if err != nil {
		return nil, err
	}
	// The tables are the same for all recipes, so that only what differs in the blocks is compared.
	q.Head, q.HeadGroup, q.Embedding, q.EmbeddingGroup, q.Transforms.Head = c.headBits(), 0, quant.FullBits, 0, ""
	return engine.NewRandom(shape, q, random, o)
}

// headBits returns the bits of a random model's output matrix.
func (c *benchCmd) headBits() int {
	if c.HeadBits != nil {
		return *c.HeadBits
	}
	return 8
}
