package engine

import (
	"fmt"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/integer"
	"github.com/specquant/specquant/internal/kernel/shape"
	"github.com/specquant/specquant/internal/linalg"
	"github.com/specquant/specquant/internal/llama"
)

// mixture is the MLP of a block with experts. An expert computes all tokens that the router
// sends to it together; its weights are not read if there are none.
type mixture struct {
	router    []float32        // [experts × hidden]
	transform linalg.Transform // of the input of gate and up, but not of the router's; nil if there is none
	gateUp    []projection     // of each expert; nil until [mixture.ready] has made it
	down      []projection
	read      [][2][]*artefact.Linear // the layers that are not prepared yet, of each expert: gate and up, and down
}

// mixtureScratch is the scratch memory of a mixture.
type mixtureScratch struct {
	routing     llama.Routing
	rows, given []float32 // input and output of one expert, or of all

	chosen   chosenExperts
	gate, up []float32 // of experts that are computed together
}

// isMLP reports whether each expert has its own layers for an input.
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
			case m.ggufBits.Weights > 0:
				*to, err = m.ggufLayers(prefix, layers)
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

// expertLayers returns the layers that read an input; those of expert e if e is not negative.
func expertLayers(in llama.Input, e int) []llama.Layer {
	var layers []llama.Layer
	for _, w := range in.Readers() {
		layers = append(layers, llama.Layer{Which: w, Expert: e})
	}
	return layers
}

// ready prepares the experts' layers for the kernels, if that has not been done yet.
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

// forward writes the weighted sum of the chosen experts' outputs for the n tokens of s.norm to
// s.out. If s.fill is set, it computes s.norm first. A token's experts are summed in the order
// of their numbers, so that the result does not depend on the rest of the batch.
func (x *mixture) forward(s *scratch, c *checkpoint.Config, n int) {
	h := c.HiddenSize
	s.filled(n)
	s.meter.At(PartInputs, 0)
	r := &s.mixture
	r.routing.Route(s.pool, c, x.router, s.norm, n)
	if x.transform != nil && !s.skipTransforms {
		x.transform.Apply(s.pool, s.norm[:n*h], n)
	}
	clear(s.out[:n*h])
	if n*c.Experts.Used > togetherRows || !x.together(s, c, n) {
		x.apart(s, c, n)
	}
}

// apart computes the chosen experts of n tokens one after the other.
func (x *mixture) apart(s *scratch, c *checkpoint.Config, n int) {
	h, inner, r := c.HiddenSize, c.IntermediateSize, &s.mixture
	r.rows, r.given = shape.Grow(r.rows, n*h), shape.Grow(r.given, n*h)
	gated := gateOf(c)
	for e := range x.gateUp {
		at, weights := r.routing.Of(e)
		m := len(at)
		if m == 0 {
			continue
		}
		s.meter.At(PartInputs, 0)
		llama.GatherRows(r.rows, s.norm, at, h)
		s.part = llama.MLPInput.String()
		x.gateUp[e].forward(s, s.gateAndUp(m, inner), r.rows, m)
		s.fill = func(from, end int) { gated(s.gate[from*inner:end*inner], s.up[from*inner:end*inner]) }
		s.part = llama.DownInput.String()
		x.down[e].forward(s, [][]float32{r.given}, s.gate, m)
		s.meter.At(PartInputs, 0)
		llama.AddRows(s.pool, s.out, r.given, at, weights, h)
	}
}

// gateOf returns the function that computes act(gate)·up in place.
func gateOf(c *checkpoint.Config) func(gate, up []float32) {
	if c.Activation == checkpoint.GELUTanh {
		return float.GeGLU
	}
	return float.SwiGLU
}

// gatingOf is [gateOf] for rows.
func gatingOf(c *checkpoint.Config) integer.Gating {
	if c.Activation == checkpoint.GELUTanh {
		return float.GeGLURows
	}
	return float.SwiGLURows
}
