package pipeline

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
)

// A file size is met with one grid for all layers, of which some get more bits than others, so that
// little of the size is left over; an average number of bits is met on the recipe's grid. The loss that
// is expected of a choice is
//
//	Σ over the layers: share of its kind · squared error of its weights relative to their variance
//
// The second factor is [recipe.Weights.Error]. That the losses of layers add up, and the shares, were
// measured on real models (docs/REPRODUCTION.md).

// shares are those of the KL divergence that the kinds of layers have if all weights have the same
// relative error, measured on SmolLM2-135M and Qwen2.5-0.5B. A share does not depend on the number of
// weights, which is why layers of few weights, such as k and v where several query heads share them,
// get more bits than others. It differs little by block but in the last one.
var shares = [llama.NumLinears]float64{llama.Q: .07, llama.K: .09, llama.V: .155, llama.O: .115, llama.Gate: .16, llama.Up: .205, llama.Down: .205}

// lastBlock is how much more layers count in the last block, and head and embedding how much the
// vocabulary's two matrices count for each block of the model; an embedding that is also the output
// matrix counts as that.
const (
	lastBlock = 1.5
	head      = .35
	embedding = .08
)

// leastBlocks is the number of blocks that these are taken for at least: they were measured at 24 and 30.
const leastBlocks = 24

// leastTable is the fewest bits of the vocabulary's matrices, unless the recipe gives them fewer.
const leastTable = 4

// filled is a layer, or are those of the same kind of all experts of a block, which get the same
// number of bits, or the embedding or output matrix.
type filled struct {
	kind, match string // patterns for the layers' names: of all blocks, of this block
	count       int
	rows, cols  int
	share       float64       // of the loss
	fixed       bool          // the recipe names it
	table       *recipe.Table // nil: a layer
	bits        int
}

func (f *filled) weights() int { return f.count * f.rows * f.cols }

// bytes are those with so many bits, where layers have grid w.
func (f *filled) bytes(w *recipe.Weights, bits int) int64 {
	if f.table != nil {
		return artefact.LinearBytes(f.table.WithBits(bits).Grid(), f.rows, f.cols)
	}
	return int64(f.count) * artefact.LinearBytes(w.Grid(bits), f.rows, f.cols)
}

// loss is what is expected with so many bits, where layers have grid w.
func (f *filled) loss(w *recipe.Weights, bits int) float64 {
	if f.table != nil {
		return f.share * f.table.WithBits(bits).Error()
	}
	return f.share * w.Error(bits)
}

// widths lists the numbers of bits to choose from, ascending, where layers have grid w and one of these.
func (f *filled) widths(w *recipe.Weights, of []int) (all []int) {
	if f.table != nil {
		return atLeast(min(leastTable, f.table.Bits))
	}
	for _, bits := range of {
		if w.Can(bits) {
			all = append(all, bits)
		}
	}
	return all
}

// atLeast lists the numbers of bits that weights may have from so many on.
func atLeast(bits int) []int {
	from, _ := slices.BinarySearch(quant.WeightBits, bits)
	return quant.WeightBits[from:]
}

// limit is what a choice of bits must not exceed: the sum of the costs of all layers. With grid w a
// layer costs its bytes, or its bits, without scales.
type limit struct {
	most int64
	cost func(f *filled, w *recipe.Weights, bits int) int64
}

func inBytes(f *filled, w *recipe.Weights, bits int) int64 { return f.bytes(w, bits) }
func inBits(f *filled, _ *recipe.Weights, bits int) int64  { return int64(f.weights()) * int64(bits) }

// filledTables lists the output matrix, and an embedding of its own, if the recipe has the first
// rounded by GPTQ, with which their share was measured; otherwise they keep the recipe's bits.
func filledTables(c *checkpoint.Config, r *recipe.Recipe) (all []*filled) {
	if !fillsTables(r) {
		return nil
	}
	add := func(t recipe.Table, share float64) {
		all = append(all, &filled{count: 1, rows: c.VocabSize, cols: c.HiddenSize, share: share * float64(max(leastBlocks, c.Layers)), table: &t})
	}
	add(r.Head.Table(), head)
	if !staysTied(c, r) {
		add(r.Embedding, embedding)
	}
	return all
}

func fillsTables(r *recipe.Recipe) bool {
	return r.Head.Method == "gptq" && r.Head.Bits < quant.FullBits && r.Embedding.Bits < quant.FullBits
}

// filledLayers lists all layers of a model. Those that the recipe names have the bits that it gives them.
func filledLayers(c *checkpoint.Config, r *recipe.Recipe) []*filled {
	var all []*filled
	apart := r.Weights.TellsExperts() // otherwise the first expert of a block stands for all
	for i := range c.Layers {
		of, prefix, r := c.Of(i), llama.TensorPrefix(i), r.InBlock(i)
		experts := map[string]*filled{}
		for _, l := range llama.Layers(of) {
			same := 1
			if l.Expert >= 0 && !apart {
				if l.Expert > 0 {
					break
				}
				same = of.Experts.Count
			}
			rows, cols := l.Shape(of)
			f := &filled{kind: l.String(), rows: rows, cols: cols, fixed: r.Weights.Named(prefix + l.String()), bits: r.LayerBits(prefix + l.String())}
			if l.Expert >= 0 && !f.fixed {
				f.kind = strings.Replace(f.kind, checkpoint.ExpertPrefix(l.Expert), strings.Replace(checkpoint.ExpertPrefix(l.Expert), strconv.Itoa(l.Expert), "*", 1), 1)
				if same := experts[f.kind]; same != nil {
					f = same
				}
				experts[f.kind] = f
			}
			if f.count == 0 {
				f.match = prefix + f.kind
				all = append(all, f)
			}
			f.count += same
			share := shares[l.Which]
			if l.Expert >= 0 {
				share *= float64(same) / float64(of.Experts.Count)
			}
			if i == c.Layers-1 {
				share *= lastBlock
			}
			f.share += share
		}
	}
	return all
}

// raise gives all layers the fewest bits of the widths, and then the next more to that in which it lowers
// the expected loss most for what it costs, and so on, as long as all cost no more than the limit. It
// returns the expected loss, or false if even the fewest bits cost more. Of equal layers later ones
// are raised first.
func raise(layers []*filled, w *recipe.Weights, widths []int, limit limit) (loss float64, ok bool) {
	type step struct {
		f        *filled
		from, to int
		gain     float64
		cost     int64
	}
	var steps []step
	left := limit.most
	for _, f := range layers {
		if f.fixed {
			left -= limit.cost(f, w, f.bits)
			if f.bits < quant.FullBits {
				loss += f.loss(w, f.bits) // its scales are of this grid too
			}
			continue
		}
		own := f.widths(w, widths)
		if len(own) == 0 {
			return 0, false
		}
		f.bits = own[0]
		left -= limit.cost(f, w, f.bits)
		loss += f.loss(w, f.bits)
		for i, to := range own[1:] {
			from := own[i]
			steps = append(steps, step{f, from, to, f.loss(w, from) - f.loss(w, to), limit.cost(f, w, to) - limit.cost(f, w, from)})
		}
	}
	if left < 0 {
		return 0, false
	}
	slices.Reverse(steps)
	slices.SortStableFunc(steps, func(a, b step) int {
		return cmp.Compare(b.gain/float64(b.cost), a.gain/float64(a.cost))
	})
	for _, s := range steps {
		if s.f.bits == s.from && s.cost <= left {
			s.f.bits = s.to
			left -= s.cost
			loss -= s.gain
		}
	}
	return loss, true
}

// fill returns a copy of the recipe with the grid, and the bits of each layer and of the vocabulary's
// matrices, of which the least loss is expected where all take no more than size bytes, and a layer
// has no fewer than least bits; nil if no grid fits. copied is the size of embedding and output matrix
// in the checkpoint.
func fill(c *checkpoint.Config, r *recipe.Recipe, least int, size, copied int64) *recipe.Recipe {
	layers, tables := filledLayers(c, r), filledTables(c, r)
	if tables == nil {
		size -= tableBytes(c, r, copied)
	}
	all := slices.Concat(layers, tables)
	var best *recipe.Weights
	var bits []int
	var lowest float64
	for _, w := range r.Weights.Grids() {
		loss, ok := raise(all, &w, atLeast(least), limit{size, inBytes})
		if !ok || best != nil && loss >= lowest {
			continue
		}
		best, lowest, bits = &w, loss, bits[:0]
		for _, f := range all {
			bits = append(bits, f.bits)
		}
	}
	if best == nil {
		return nil
	}
	for i, f := range all {
		f.bits = bits[i]
	}
	out := withLayers(r, best, layers)
	if tables != nil {
		out.Head.SetTable(tables[0].table.WithBits(tables[0].bits))
		last := tables[len(tables)-1]
		out.Embedding = last.table.WithBits(last.bits)
	}
	return out
}

// mix returns a copy of the recipe with the bits of each layer that it does not name, of which the least
// loss is expected where these layers' weights have weights.average bits on average, or hardly fewer; or
// false if none of weights.widths is as few.
func mix(c *checkpoint.Config, r *recipe.Recipe) (out *recipe.Recipe, ok bool) {
	layers := filledLayers(c, r)
	var unnamed []*filled
	var weights float64
	for _, f := range layers {
		if !f.fixed {
			unnamed = append(unnamed, f)
			weights += float64(f.weights())
		}
	}
	w := &r.Weights
	if _, ok := raise(unnamed, w, w.MixWidths(), limit{int64(w.Average * weights * (1 + 1e-12)), inBits}); !ok {
		return nil, false
	}
	return withLayers(r, w, layers), true
}

// withLayers returns a copy of the recipe with these weights and the layers' bits.
func withLayers(r *recipe.Recipe, w *recipe.Weights, layers []*filled) *recipe.Recipe {
	out := *r
	out.Weights = *w
	if bits := commonBits(layers); bits > 0 { // not all layers are named
		out.Bits.Weights = bits
	}
	out.BitsText = out.Bits.String()
	chosen := layerBits(layers, out.Bits.Weights)
	out.Weights.Filled = len(chosen)
	out.Weights.Layers = append(chosen, r.Weights.Layers...) // the last match applies
	return &out
}

// commonBits is the number of bits that most weights have, of equally many the smallest; 0 if the recipe
// names all layers.
func commonBits(layers []*filled) (bits int) {
	var weights [quant.FullBits + 1]int
	for _, f := range layers {
		if !f.fixed {
			weights[f.bits] += f.weights()
		}
	}
	for b, n := range weights {
		if n > weights[bits] {
			bits = b
		}
	}
	return bits
}

// layerBits lists the layers that have other bits than most, those of a kind in one line where they
// are alike in all blocks.
func layerBits(layers []*filled, common int) []recipe.LayerBits {
	var list []recipe.LayerBits
	kinds := map[string][]*filled{}
	for _, f := range layers {
		if !f.fixed {
			kinds[f.kind] = append(kinds[f.kind], f)
		}
	}
	listed := map[string]bool{}
	for _, f := range layers {
		kind := kinds[f.kind]
		switch alike := !slices.ContainsFunc(kind, func(x *filled) bool { return x.bits != f.bits }); {
		case f.fixed || f.bits == common || listed[f.kind]:
		case alike:
			listed[f.kind] = true
			list = append(list, recipe.LayerBits{Match: f.kind, Bits: f.bits})
		default:
			list = append(list, recipe.LayerBits{Match: f.match, Bits: f.bits})
		}
	}
	return list
}

// linearBytes returns the size of all blocks' linear layers with their scales and zero points,
// and of the routers, without branches.
func linearBytes(c *checkpoint.Config, r *recipe.Recipe) int64 {
	total := routerBytes(c)
	for _, f := range filledLayers(c, r) {
		total += f.bytes(&r.Weights, f.bits)
	}
	return total
}

// linearWeights is the number of weights of all blocks' linear layers, routers apart.
func linearWeights(c *checkpoint.Config) (total int64) {
	for _, f := range filledLayers(c, &recipe.Recipe{}) {
		total += int64(f.weights())
	}
	return total
}

// WidthShare is how many of the layers' weights have a number of bits.
type WidthShare struct {
	Bits  int     `json:"bits"`  // 16: not quantized
	Share float64 `json:"share"` // of all weights of the blocks' linear layers
}

// widthShares lists the numbers of bits that layers have, the most common first.
func widthShares(c *checkpoint.Config, r *recipe.Recipe) (list []WidthShare) {
	var all float64
	var weights [quant.FullBits + 1]float64
	for _, f := range filledLayers(c, r) {
		weights[f.bits] += float64(f.weights())
		all += float64(f.weights())
	}
	for bits, n := range weights {
		if n > 0 {
			list = append(list, WidthShare{bits, n / all})
		}
	}
	slices.SortStableFunc(list, func(a, b WidthShare) int { return cmp.Compare(b.Share, a.Share) })
	return list
}
