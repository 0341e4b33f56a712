package report

import (
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/stage"
)

// The experts of a block share the input of gate and up, which is looked at as that of other
// blocks, over all tokens. What an expert's own layers read is known only from the tokens
// that the router sends to it: a short run sends none at all to some experts, and of these
// nothing is said.

// expertSample is the number of tokens of each expert that are kept to measure its layers'
// errors.
const expertSample = 32

// expertLook is what a look knows of one expert of the current block.
type expertLook struct {
	shared *stage.Stats // what its gate and up read; empty if no errors are measured
	down   *stage.Stats
	lambda []float32 // of the input of down
	rows   []float32 // of one window
}

// expect prepares the statistics for the block that c describes.
func (k *looker) expect(c *checkpoint.Config) {
	all := len(k.x) * k.set.Tokens
	for in := range llama.NumInputs {
		if s := k.stats[in]; s != nil && s.Width == in.Width(c) {
			s.Reset()
		} else {
			k.stats[in] = stage.NewStats(in.Width(c), all, min(256, all))
		}
	}
	n := c.Experts.Count
	if len(k.experts) == n {
		for e := range k.experts {
			k.experts[e].shared.Reset()
			k.experts[e].down.Reset()
		}
		return
	}
	k.experts = make([]expertLook, n)
	for e := range k.experts {
		own := max(1, all*c.Experts.Used/n)
		k.experts[e].shared = stage.NewStats(c.HiddenSize, own, min(expertSample, own))
		k.experts[e].down = stage.NewStats(c.IntermediateSize, own, min(expertSample, own))
	}
}

// statsAt is the statistics of an input of the current block.
func (k *looker) statsAt(at place) *stage.Stats {
	if at.expert >= 0 {
		return k.experts[at.expert].down
	}
	return k.stats[at.in]
}

// statsOf is the statistics of what a layer of the current block reads, of an expert's layer
// over its own tokens.
func (k *looker) statsOf(l llama.Layer) *stage.Stats {
	switch {
	case l.Expert < 0:
		return k.stats[l.Input()]
	case l.Which == llama.Down:
		return k.experts[l.Expert].down
	}
	return k.experts[l.Expert].shared
}

// lambdaOf is λ of the input that a layer of the current block reads.
func (k *looker) lambdaOf(l llama.Layer) []float32 {
	if l.Which == llama.Down && l.Expert >= 0 {
		return k.experts[l.Expert].lambda
	}
	return k.lambda[l.Input()]
}

// routed follows a window through the experts of a block: their inputs of down come in the
// order of the experts, without those that get no token.
type routed struct {
	look *looker
	by   *llama.Routing // nil: the block has no experts
	next int            // expert whose input of down may come next
}

func (r *routed) route(by *llama.Routing) { r.by = by }

// place is what a tap sees now.
func (r *routed) place(in llama.Input) (place, *stage.Stats) {
	at := place{in, -1}
	if in == llama.DownInput && r.by != nil {
		for tokens, _ := r.by.Of(r.next); len(tokens) == 0; tokens, _ = r.by.Of(r.next) {
			r.next++
		}
		at.expert = r.next
		r.next++
	}
	return at, r.look.statsAt(at)
}

// share gives each expert its tokens of the input of gate and up.
func (r *routed) share(x []float32, width int) error {
	if r.by == nil || !r.look.measures() {
		return nil
	}
	for e := range r.look.experts {
		own := &r.look.experts[e]
		tokens, _ := r.by.Of(e)
		if cap(own.rows) < len(tokens)*width {
			own.rows = make([]float32, len(tokens)*width)
		}
		own.rows = own.rows[:len(tokens)*width]
		llama.GatherRows(own.rows, x, tokens, width)
		if err := own.shared.Add(r.look.Pool, own.rows, len(tokens)); err != nil {
			return err
		}
	}
	return nil
}
