package stage

import (
	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/integer"
	"github.com/specquant/specquant/internal/linalg"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
)

// Item is a named amount of memory.
type Item struct {
	Name  string
	Bytes int64
}

// Shape is what the memory of the stages depends on: the model, the recipe and the amount
// of calibration data.
type Shape struct {
	Config          *checkpoint.Config
	Recipe          *recipe.Recipe
	Threads         int
	Windows, Tokens int // calibration windows, and tokens in each; 0: none
}

// samples is the number of tokens in the sample.
func (s Shape) samples() int { return min(SampleTokens, s.Windows*s.Tokens) }

// Holds lists the memory that a step takes while it runs, in addition to what a [State]
// always holds. Each amount is declared beside the code that allocates it.
func (step Step) Holds(s Shape) (items []Item) {
	c, r, in := s.Config, s.Recipe, step.Input
	add := func(name string, bytes int64) {
		if bytes > 0 {
			items = append(items, Item{name, bytes})
		}
	}
	switch step.Kind {
	case StepStatistics, StepKeys:
		if Transforms(r).Cache == artefact.Balanced {
			add("moments of queries and keys", keysBytes(c))
		}
	case StepSmooth:
		if r.Smooth.Method == recipe.SmoothAWQ {
			add("outputs that AWQ compares", awqBytes(s))
		}
	case StepBasis:
		name := "the branch's eigenproblem"
		if r.Branch.Iterated() {
			name = "singular vectors of the branch"
		}
		add(name, basisBytes(s, in))
	case StepHead:
		// In the place of the last block.
		add("moments and factor of the output matrix's input", headBytes(c, r, s.Threads)-4*BlockWeights(c))
	case StepFactor:
		add("factor of the widest Hessian", FactorBytes(in.Width(c), r.Solve, s.Threads))
	case StepSolve:
		out, width := step.Layer.Shape(c)
		if s.Windows > 0 && r.Solve.Method == "gptq" {
			add("the widest Hessian, to refine codes by", RefineBytes(width, r.Solve))
			_, _, widest := Largest(c)
			spare := 8*int64(widest)*int64(widest) - 4*int64(width)*int64(width)
			add("the largest layer, column by column", SolveBytes(out, width, r.Solve, spare))
		}
		if r.Weights.Clip == recipe.ClipAWQ {
			add("AWQ's search for clips", awqClipBytes(r, out, width))
		}
	}
	return items
}

// Kept lists the memory of the state that [New] makes, without the model's runners and the
// activations of all windows, whose size the job decides.
func (s Shape) Kept() (items []Item) {
	c, r := s.Config, s.Recipe
	layer, _, in := Largest(c)
	add := func(name string, bytes int64) {
		if bytes > 0 {
			items = append(items, Item{name, bytes})
		}
	}
	hessian := 0
	if sharesHessian(r, s.Windows) {
		hessian = in
	}
	scratch := weightScratchBytes(layer, hessian) + stepsBytes(c, r)
	switch {
	case RoundsOnly(r, s.Windows): // the codes, and a part in float32 and as pages of the file
		scratch = int64(layer) + 2*min(partBytes, 4*int64(layer)) + stepsBytes(c, r)
	case r.Branch != nil: // the branch, and the layer quantized without it
		_, quantized := QuantizedBytes(c, r)
		scratch += quantized + int64(layer)
	}
	add("work on the largest layer", scratch)
	if s.Windows == 0 {
		return items
	}
	add("calibration statistics and samples", statsBytes(c, s.samples())+sampleScratchBytes(c, s.samples()))
	if r.Runtime() {
		add("activations as the runtime rounds them", runScratchBytes(s.Tokens, in))
		add("scales of a block as the runtime reads them", codesBytes(c, r))
	}
	if r.Solve.Correct != "" {
		add("fitting to full precision", fitBytes(c, r, s.Windows, s.Tokens, s.Threads))
	}
	if r.NeedsHessian() {
		add("Hessian of the widest input", 8*int64(in)*int64(in))
		add("tokens rounded for Hessians", integer.GramBytes(in, s.Tokens, s.Threads))
	}
	return items
}

// Pooled lists memory that stages leave in pools for reuse.
func (s Shape) Pooled() (items []Item) {
	if s.Recipe.Rotate != nil {
		items = append(items, Item{"rows being transformed", linalg.TransformBytes(s.Threads)})
	}
	if b := s.Recipe.Branch; b == nil || b.Stored() || s.Windows == 0 {
		return items
	}
	_, out, in := Largest(s.Config)
	return append(items, Item{"the branch's channels", channelBytes(s.Threads, max(in, out))})
}

// QuantizedBytes returns the size of a block's quantized layers, where it is largest, and that
// of the largest layer; branches are not counted.
func QuantizedBytes(c *checkpoint.Config, r *recipe.Recipe) (block, layer int64) {
	for i := range c.Layers {
		of, r := c.Of(i), r.InBlock(i)
		var sum int64
		for _, l := range llama.Layers(of) {
			g := r.Weights.Grid(r.LayerBits(llama.TensorPrefix(i) + l.String()))
			out, in := l.Shape(of)
			bytes := artefact.LinearBytes(g, out, in)
			sum, layer = sum+bytes, max(layer, bytes)
		}
		block = max(block, sum)
	}
	return block, layer
}

// stepsBytes is the memory of a layer's scales, and with zero points of their own of those,
// while they are computed and stored: as the grid has them and in the stored order, in float32,
// with what is left of shorter lists where rows are rounded part by part.
func stepsBytes(c *checkpoint.Config, r *recipe.Recipe) (most int64) {
	kinds := int64(1)
	if r.Weights.Zero == quant.ZeroAsymmetric {
		kinds = 2
	}
	for _, block := range c.Kinds() {
		for l := range llama.NumLinears {
			out, in := l.Shape(c.Of(block))
			groups := quant.Grid{Group: r.Weights.Group}.Groups(in)
			most = max(most, 12*kinds*int64(out)*int64(groups))
		}
	}
	return most
}

// readers returns the total number of outputs of a block's layers, and the largest number
// of weights in the layers that read one input.
func readers(c *checkpoint.Config) (outputs, weights int64) {
	for in := range llama.NumInputs {
		var sum int64
		for _, l := range in.Readers() {
			o, i := l.Shape(c)
			outputs += int64(o)
			sum += int64(o) * int64(i)
		}
		weights = max(weights, sum)
	}
	return outputs, weights
}

// BlockWeights is the number of weights of the largest block's linear layers, router
// included.
func BlockWeights(c *checkpoint.Config) (most int64) {
	for _, block := range c.Kinds() {
		of := c.Of(block)
		sum := int64(of.Experts.Count) * int64(c.HiddenSize)
		for _, l := range llama.Layers(of) {
			o, i := l.Shape(of)
			sum += int64(o) * int64(i)
		}
		most = max(most, sum)
	}
	return most
}
