package engine

import (
	"fmt"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel"
	"github.com/specquant/specquant/internal/linalg"
	"github.com/specquant/specquant/internal/llama"
)

// mixture is the MLP of a block with experts. Each expert's weights are read for the
// tokens that are sent to it, all of them together, and not at all where there are none.
type mixture struct {
	router    []float32        // [experts × hidden]
	transform linalg.Transform // of what gate and up read, not of what the router does; nil: none
	gateUp    []projection     // of each expert; nil while read has it
	down      []projection
	read      [][2][]*artefact.Linear // what is not ready yet, gate and up, and down
}

// mixtureScratch is the memory of a mixture at work.
type mixtureScratch struct {
	routing     llama.Routing
	rows, given []float32 // of one expert: what it reads and gives
}

// isMLP reports whether an input is one of those that each expert has of its own.
func isMLP(in llama.Input) bool { return in == llama.MLPInput || in == llama.DownInput }

// loadMixture reads the router of the block whose tensors start with prefix, and its
// experts.
func (m *Model) loadMixture(prefix string, c *checkpoint.Config) (*mixture, error) {
	n := c.Experts.Count
	x := &mixture{gateUp: make([]projection, n), down: make([]projection, n)}
	var err error
	if x.router, err = llama.Vector(m.Checkpoint, prefix+llama.RouterName, n*c.HiddenSize); err != nil {
		return nil, err
	}
	if m.Quantization != nil {
		x.read = make([][2][]*artefact.Linear, n)
	}
	for e := range n {
		for k, in := range []llama.Input{llama.MLPInput, llama.DownInput} {
			to := &x.gateUp[e]
			if in == llama.DownInput {
				to = &x.down[e]
			}
			layers := expertLayers(in, e)
			switch {
			case m.kept.Weights > 0:
				*to, err = m.keepLayers(prefix, layers)
			case m.Quantization == nil:
				*to, err = m.loadPlain(prefix, layers)
			default:
				x.read[e][k], err = m.readQuantized(prefix, c, layers)
			}
			if err != nil {
				return nil, err
			}
		}
	}
	return x, nil
}

// expertLayers are the layers that read an input, those of expert e where it is not
// negative.
func expertLayers(in llama.Input, e int) []llama.Layer {
	var layers []llama.Layer
	for _, w := range in.Readers() {
		layers = append(layers, llama.Layer{Which: w, Expert: e})
	}
	return layers
}

// ready lays out the experts' integers for the kernels, if that is still to be done.
func (x *mixture) ready(q *artefact.Quantization, bases *basisCache, down linalg.Transform) error {
	for e, read := range x.read {
		var err error
		if x.gateUp[e], err = newQuantized(read[0], q, bases, nil); err != nil {
			return fmt.Errorf("expert %d: %w", e, err)
		}
		if x.down[e], err = newQuantized(read[1], q, bases, down); err != nil {
			return fmt.Errorf("expert %d: %w", e, err)
		}
	}
	x.read = nil
	return nil
}

// forward writes to s.out what the chosen experts give together for the n tokens of
// s.norm, which s.fill, if there is one, makes first. A token's experts are added up in
// their order, so that its result does not depend on the rest of the batch.
func (x *mixture) forward(s *scratch, c *checkpoint.Config, n int) {
	h, inner := c.HiddenSize, c.IntermediateSize
	s.filled(n)
	r := &s.mixture
	r.routing.Route(s.pool, c, x.router, s.norm, n)
	if x.transform != nil && !s.skipTransforms {
		x.transform.Apply(s.pool, s.norm[:n*h], n)
	}
	r.rows, r.given = kernel.Grow(r.rows, n*h), kernel.Grow(r.given, n*h)
	clear(s.out[:n*h])
	gated := gateOf(c)
	for e := range x.gateUp {
		at, weights := r.routing.Of(e)
		m := len(at)
		if m == 0 {
			continue
		}
		llama.GatherRows(r.rows, s.norm, at, h)
		x.gateUp[e].forward(s, [][]float32{s.gate, s.up}, r.rows, m)
		s.fill = func(from, end int) { gated(s.gate[from*inner:end*inner], s.up[from*inner:end*inner]) }
		x.down[e].forward(s, [][]float32{r.given}, s.gate, m)
		llama.AddRows(s.pool, s.out, r.given, at, weights, h)
	}
}

// gateOf is the function that multiplies the gate, put through its activation, by up.
func gateOf(c *checkpoint.Config) func(gate, up []float32) {
	if c.Activation == checkpoint.GELUTanh {
		return kernel.GeGLU
	}
	return kernel.SwiGLU
}
