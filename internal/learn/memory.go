package learn

import (
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/llama"
)

// Upper bounds in bytes of the memory that learning holds, for plans. rows are the tokens
// of a step (windows × tokens in each). What jobs hold anyway, such as activations and the
// loaded block, is not counted.

// TuneBytes is the memory of [Tune].
func TuneBytes(c *checkpoint.Config, rows int, o Options) int64 {
	return tapeBytes(c, rows, 2, 1) + tunedBytes(c, o)
}

// tunedBytes is the memory of a block's parameters with their gradients, the two moments of
// AdamW and the best values so far, and of the levels. Offsets that are not learned are held
// all the same.
func tunedBytes(c *checkpoint.Config, o Options) int64 {
	const learned = 5 * 4
	groups := int64(learned) * (blockWeights(c)/16 + int64(c.HiddenSize)*2) // scales at most for every 16 weights, and norms
	if o.Rounding > 0 {
		return blockWeights(c)*(learned+1) + groups
	}
	return blockWeights(c)*(4+1) + groups
}

// ModelBytes is the memory of [TuneModel], including the model.
func ModelBytes(c *checkpoint.Config, rows int, o Options) int64 {
	head, stream := int64(c.VocabSize)*int64(c.HiddenSize), int64(rows)*int64(c.HiddenSize)
	return tapeBytes(c, rows, 2, 1) + headBytes(c, rows) + 4*head + 4*int64(c.Layers+6)*stream + int64(c.Layers)*(tunedBytes(c, o)+4*blockWeights(c))
}

// OmniQuantBytes is the memory of [OmniQuant].
func OmniQuantBytes(c *checkpoint.Config, rows int) int64 {
	return tapeBytes(c, rows, 0, 1) + 4*6*blockWeights(c)
}

// FlatQuantBytes is the memory of [FlatQuant].
func FlatQuantBytes(c *checkpoint.Config, rows int) int64 {
	return tapeBytes(c, rows, 2, 1) + 4*10*blockWeights(c)
}

// SpinBytes is the memory of [SpinQuant], including the model.
func SpinBytes(c *checkpoint.Config, rows int) int64 {
	embed := int64(c.VocabSize) * int64(c.HiddenSize)
	r1 := int64(c.HiddenSize) * int64(c.HiddenSize)
	return tapeBytes(c, rows, 4, c.Layers) + headBytes(c, rows) + 4*(2*embed+10*r1) + int64(c.Layers)*8*blockWeights(c)
}

func blockWeights(c *checkpoint.Config) (n int64) {
	for w := range llama.NumLinears {
		out, in := w.Shape(c)
		n += int64(out) * int64(in)
	}
	return n
}

// tapeBytes is what a tape holds for a chain of blocks: each value until the backward pass
// is over, a few gradients, rounded weights and their gradients. turns is the number of
// additional values computed from each input.
func tapeBytes(c *checkpoint.Config, rows, turns, layers int) int64 {
	h, m := int64(c.HiddenSize), int64(c.IntermediateSize)
	q, kv := int64(c.Heads*c.HeadDim), int64(c.KVHeads*c.HeadDim)
	inputs := 2*h + q + m
	values := 6*h + 4*q + 10*kv + 3*m + inputs*int64(turns+1)
	biases := q + 2*kv + 2*h + 2*m
	gradients := 5*h + 4*q + 4*kv + 6*m
	return 4*int64(rows)*(int64(layers)*(values+biases)+gradients) + int64(layers)*2*4*blockWeights(c)
}

// headBytes is the memory of the loss at the output matrix: logits for one block of rows at
// a time, and the hidden states with their gradients.
func headBytes(c *checkpoint.Config, rows int) int64 {
	const logits = 2 << 20
	block := min(int64(rows), max(16, logits/int64(max(c.VocabSize, 1))))
	return 4 * (3*block*int64(c.VocabSize) + 4*int64(rows)*int64(c.HiddenSize))
}
