package engine

import (
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/integer"
	"github.com/specquant/specquant/internal/kernel/shape"
	"github.com/specquant/specquant/internal/llama"
)

// togetherRows is the most rows, tokens times experts of a token, whose experts are computed
// together. With more, each expert has enough tokens of its own to keep the threads busy.
const togetherRows = 64

// chosenExperts are the experts that the tokens of a batch are sent to, in the order of their
// numbers, and which rows are theirs.
type chosenExperts struct {
	number       []int
	gateUp, down []*quantized
	from, end    []int // rows
}

// productsOnly reports whether the projection is nothing but products with tokens that are
// rounded to integers: no branches, biases or layers in 16 bits.
func (l *quantized) productsOnly() bool {
	for _, b := range l.bias {
		if b != nil {
			return false
		}
	}
	return l.act.Bits < 16 && len(l.whole) == 0 && len(l.branches) == 0 && l.count == 0
}

// choose lists the experts that have tokens. It returns false if they can't be computed
// together.
func (c *chosenExperts) choose(x *mixture, r *llama.Routing) bool {
	c.number, c.gateUp, c.down, c.from, c.end = c.number[:0], c.gateUp[:0], c.down[:0], c.from[:0], c.end[:0]
	rows := 0
	for e := range x.gateUp {
		at, _ := r.Of(e)
		if len(at) == 0 {
			continue
		}
		gateUp, isGateUp := x.gateUp[e].(*quantized)
		down, isDown := x.down[e].(*quantized)
		if !isGateUp || !isDown || !gateUp.productsOnly() || !down.productsOnly() || gateUp.transform != nil {
			return false
		}
		if rows > 0 && (gateUp.act != c.gateUp[0].act || gateUp.group != c.gateUp[0].group || down.act != c.down[0].act || down.group != c.down[0].group) {
			return false
		}
		c.number, c.gateUp, c.down = append(c.number, e), append(c.gateUp, gateUp), append(c.down, down)
		c.from, c.end = append(c.from, rows), append(c.end, rows+len(at))
		rows += len(at)
	}
	return true
}

// together computes the chosen experts of n tokens as [mixture.apart] does, to the same bits,
// in two products instead of two for each expert. It returns false if it can't, and has
// done nothing then.
func (x *mixture) together(s *scratch, c *checkpoint.Config, n int) bool {
	rows, h, inner := n*c.Experts.Used, c.HiddenSize, c.IntermediateSize
	r := &s.mixture
	if !r.chosen.choose(x, &r.routing) {
		return false
	}
	chosen := &r.chosen
	r.gate, r.up, r.given = shape.Grow(r.gate, rows*inner), shape.Grow(r.up, rows*inner), shape.Grow(r.given, rows*h)
	input, tokens := s.norm[:n*h], n
	if n > 1 { // the only token is rounded once for all its experts
		r.rows, tokens = shape.Grow(r.rows, rows*h), rows
		for i, e := range chosen.number {
			at, _ := r.routing.Of(e)
			llama.GatherRows(r.rows[chosen.from[i]*h:], input, at, h)
		}
		input = r.rows
	}
	first := chosen.gateUp[0]
	s.acts.Quantize(s.pool, input, h, tokens, h, first.act, first.group)
	p := products{}
	for i, l := range chosen.gateUp {
		from, end := chosen.from[i], chosen.end[i]
		gate, up := r.gate[from*inner:end*inner], r.up[from*inner:end*inner]
		if n == 1 {
			from, end = 0, 1
		}
		p.add(gate, l.matrices[0], from, end)
		p.add(up, l.matrices[1], from, end)
	}
	s.meter.At(llama.MLPInput.String(), 0)
	p.run(s)

	s.meter.At(PartInputs, 0)
	gated, down := gateOf(c), chosen.down[0]
	s.acts.QuantizeProject(s.pool, r.gate, inner, rows, inner, down.act, down.group, nil, 0, nil, func(from, end int) {
		gated(r.gate[from*inner:end*inner], r.up[from*inner:end*inner])
		if down.transform != nil && !s.skipTransforms {
			down.transform.Apply(nil, r.gate[from*inner:end*inner], end-from)
		}
	})
	p = products{}
	for i, l := range chosen.down {
		from, end := chosen.from[i], chosen.end[i]
		p.add(r.given[from*h:end*h], l.matrices[0], from, end)
	}
	s.meter.At(llama.DownInput.String(), 0)
	p.run(s)
	s.meter.At(PartInputs, 0)
	for i, e := range chosen.number {
		at, weights := r.routing.Of(e)
		llama.AddRows(s.pool, s.out, r.given[chosen.from[i]*h:], at, weights, h)
	}
	return true
}

// products are the arguments of [integer.MulEach].
type products struct {
	ys        [][]float32
	ws        []*integer.Matrix
	from, end []int
}

func (p *products) add(y []float32, w *integer.Matrix, from, end int) {
	p.ys, p.ws, p.from, p.end = append(p.ys, y), append(p.ws, w), append(p.from, from), append(p.end, end)
}

func (p *products) run(s *scratch) { integer.MulEach(s.pool, p.ys, p.ws, &s.acts, p.from, p.end) }
