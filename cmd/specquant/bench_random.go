package main

import (
	"github.com/specquant/specquant"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/engine"
	"github.com/specquant/specquant/internal/forecast"
	"github.com/specquant/specquant/internal/pipeline"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
)

// random makes the random model that --shape asks for: what quantize with the same recipe and
// bits makes of a checkpoint of that shape.
func (c *benchCmd) random(o engine.Options) (*engine.Model, error) {
	shape := engine.Shapes[c.Shape]
	if c.Recipe == "" {
		c.Recipe = specquant.DefaultRecipe
	}
	r, err := c.resolved(&shape)
	if err != nil {
		return nil, err
	}
	q, random, err := forecast.Formats(&shape, r)
	if err != nil {
		return nil, err
	}
	if c.HeadBits != nil {
		q.Head, q.HeadGroup, q.HeadScales, q.Transforms.Head = *c.HeadBits, 0, quant.ScalesHalves, ""
		q.Embedding, q.EmbeddingGroup, q.EmbeddingScales = quant.FullBits, 0, quant.ScalesHalves
	}
	return engine.NewRandom(shape, q, random, o)
}

// resolved returns the recipe with the bits and groups that the flags, or the shape, give it. A
// shape has no tokenizer, whose size would count where the recipe fills a size.
func (c *benchCmd) resolved(shape *checkpoint.Config) (*recipe.Recipe, error) {
	r, err := recipe.Load(c.Recipe)
	if err != nil {
		return nil, err
	}
	if c.Bits != "" {
		b, err := quant.ParseBits(c.Bits)
		if err != nil {
			return nil, err
		}
		if err := r.SetBits(b); err != nil {
			return nil, err
		}
	}
	if c.Group != nil {
		r.SetGroup(*c.Group)
	}
	tables := 2 * int64(shape.VocabSize) * int64(shape.HiddenSize)
	if !shape.TieEmbeddings {
		tables *= 2
	}
	return pipeline.Resolve(shape, r, 0, tables, 0, 0)
}
