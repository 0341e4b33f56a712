package engine

import "github.com/specquant/specquant/internal/meter"

// The parts of a forward pass that a model's meter tells apart, beside the products of the layers
// that read one input, which have the input's name ([llama.Input]).
const (
	PartEmbedding = "embedding"
	PartInputs    = "inputs of products: sum, norm, activation, transform, rounding"
	PartKeys      = "queries, keys and values: positions, transforms, cache"
	PartAttention = "attention" // of a few tokens, PartKeys included
	PartHead      = "output matrix"
	PartLogits    = "check and use of the result"
)

// Measure has a meter measure the parts of every following forward pass; nil ends that. Of many
// tokens, whose gate and up are multiplied together, the activation is measured with these.
func (m *Model) Measure(c *meter.Meter) { m.s.meter = c }
