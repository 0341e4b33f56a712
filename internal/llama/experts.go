package llama

import (
	"math"
	"slices"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/kernel/shape"
)

// Routing says which experts the tokens of a batch are sent to, and with what weights.
// Its memory is used again for the next batch.
type Routing struct {
	used   int
	logits []float32 // of the router [tokens × experts]
	expert []int32   // [tokens × used], ascending for each token
	weight []float32 // [tokens × used]

	first   []int     // where each expert's tokens begin in token, and the end of the last
	token   []int     // by expert, ascending for each
	weights []float32 // in the order of token
}

// Route fills the routing of x [tokens × hidden], which the router reads as the norm
// gives it, whatever is done to what the experts read. router is [experts × hidden]. A
// token's choice depends on no other token. Of equal logits the first experts are
// chosen.
func (r *Routing) Route(p *parallel.Pool, c *checkpoint.Config, router, x []float32, tokens int) {
	n := c.Experts.Count
	r.logits = shape.Grow(r.logits, tokens*n)
	float.MatMulNT(p, r.logits, n, x, c.HiddenSize, router, c.HiddenSize, tokens, n, c.HiddenSize, false)
	r.choose(p, c.Experts, tokens)
}

// choose fills the routing from the logits.
func (r *Routing) choose(p *parallel.Pool, x checkpoint.Experts, tokens int) {
	r.used = x.Used
	r.expert, r.weight = slices.Grow(r.expert[:0], tokens*x.Used)[:tokens*x.Used], shape.Grow(r.weight, tokens*x.Used)
	p.Run(tokens, func(t int) {
		chooseExperts(x, r.logits[t*x.Count:][:x.Count], r.expert[t*x.Used:][:x.Used], r.weight[t*x.Used:][:x.Used])
	})
	r.first = append(r.first[:0], make([]int, x.Count+1)...)
	for _, e := range r.expert {
		r.first[e+1]++
	}
	for e := range x.Count {
		r.first[e+1] += r.first[e]
	}
	r.token = slices.Grow(r.token[:0], len(r.expert))[:len(r.expert)]
	r.weights = shape.Grow(r.weights, len(r.expert))
	next := slices.Clone(r.first[:x.Count])
	for i, e := range r.expert {
		r.token[next[e]], r.weights[next[e]] = i/x.Used, r.weight[i]
		next[e]++
	}
}

// chooseExperts writes the experts of one token, ascending, and their weights: the
// softmax of the logits over all experts, or, where that is to add up to 1, over those
// that are chosen.
func chooseExperts(x checkpoint.Experts, logits []float32, expert []int32, weight []float32) {
	for i := range expert {
		best := -1
		for e, v := range logits {
			if (best < 0 || v > logits[best]) && !slices.Contains(expert[:i], int32(e)) {
				best = e
			}
		}
		expert[i] = int32(best)
	}
	top := float64(logits[expert[0]])
	var sum float64
	if !x.Normed {
		for _, v := range logits {
			sum += math.Exp(float64(v) - top)
		}
	}
	slices.Sort(expert)
	if x.Normed {
		for _, e := range expert {
			sum += math.Exp(float64(logits[e]) - top)
		}
	}
	for i, e := range expert {
		weight[i] = float32(math.Exp(float64(logits[e])-top) / sum)
	}
}

// Of lists the tokens that are sent to an expert, ascending, and its weight in each.
func (r *Routing) Of(expert int) (tokens []int, weights []float32) {
	from, to := r.first[expert], r.first[expert+1]
	return r.token[from:to], r.weights[from:to]
}

// GatherRows writes the rows of x [· × width] with these numbers to dst, one after the
// other.
func GatherRows(dst, x []float32, rows []int, width int) {
	for i, t := range rows {
		copy(dst[i*width:][:width], x[t*width:])
	}
}

// AddRows adds each row of y [rows × width], times its weight, to the row of dst with its
// number. Rows are all different.
func AddRows(p *parallel.Pool, dst, y []float32, rows []int, weights []float32, width int) {
	p.Run(len(rows), func(i int) { float.Axpy(dst[rows[i]*width:][:width], weights[i], y[i*width:][:width]) })
}

// ExpertLayers are the linear layers of one expert.
type ExpertLayers struct{ Gate, Up, Down Linear }

// experts is the part of a block behind the norm before its MLP, where that is a mixture:
// r.norm is what the norm gives, and r.out becomes what the chosen experts give
// together. Each expert's weights are read once, for all its tokens. It reports whether
// it came to the end.
func (r *Runner) experts(c *checkpoint.Config, b *Block, tokens int, h Hooks) bool {
	p, hidden, inner := r.Pool, c.HiddenSize, c.IntermediateSize
	r.routing.Route(p, c, b.Router, r.norm, tokens)
	if h.Route != nil {
		h.Route(&r.routing)
	}
	if !r.tap(b, h, MLPInput, r.norm, tokens, hidden) {
		return false
	}
	r.rows, r.given = shape.Grow(r.rows, tokens*hidden), shape.Grow(r.given, tokens*hidden)
	clear(r.out)
	for e, expert := range b.Experts {
		at, weights := r.routing.Of(e)
		m := len(at)
		if m == 0 {
			continue
		}
		GatherRows(r.rows, r.norm, at, hidden)
		gate, up := r.gate[:m*inner], r.up[:m*inner]
		expert.Gate.Forward(p, gate, r.rows, m)
		expert.Up.Forward(p, up, r.rows, m)
		Gated(p, c, gate, up)
		if !r.tap(b, h, DownInput, gate, m, inner) {
			return false
		}
		expert.Down.Forward(p, r.given, gate, m)
		AddRows(p, r.out, r.given, at, weights, hidden)
	}
	return true
}

// Layer is a linear layer of a block by its place.
type Layer struct {
	Which
	Expert int // that it is of; −1: of none
}

// String is the layer's name within its block.
func (l Layer) String() string {
	if l.Expert < 0 {
		return l.Which.String()
	}
	return checkpoint.ExpertPrefix(l.Expert) + whichNames[l.Which][len(checkpoint.ExpertPrefix(-1)):]
}

// Layers lists the linear layers of a block that c describes (see [checkpoint.Config.Of]),
// the router apart: those of attention, then of the MLP, or of one expert after the
// other.
func Layers(c *checkpoint.Config) []Layer {
	var all []Layer
	for w := range Gate {
		all = append(all, Layer{w, -1})
	}
	for e := range max(1, c.Experts.Count) {
		if c.Experts.Count == 0 {
			e = -1
		}
		for w := Gate; w < NumLinears; w++ {
			all = append(all, Layer{w, e})
		}
	}
	return all
}

// Index is the place of a layer in [Layers].
func (l Layer) Index() int {
	if l.Expert < 0 {
		return int(l.Which)
	}
	return int(l.Which) + l.Expert*int(NumLinears-Gate)
}
