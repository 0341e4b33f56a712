package stage

import (
	"math"
	"slices"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/llama"
)

// Scales are stored as 16-bit floats, and the cache has 16-bit ranges. A checkpoint in
// 32-bit floats may have values of 1e-7 whose readers multiply them by 1e5: the same
// function as with values around one, but the scales would not fit. So when a block is
// loaded, the two sides of each such pair are brought to one level: one is multiplied and
// the other divided. The factors are powers of two, so nothing is rounded and the block
// computes the same bits.

// How far the magnitudes on the two sides of a pair may differ, as a power of two, before
// they are levelled. Trained models stay well inside these limits and are not changed.
const (
	gapLayers  = 12 // typical channels of two layers: a factor of 64 on each side
	gapNorm    = 16 // the same for a norm and the layers that read it
	gapChannel = 16 // one channel compared with the typical one
)

// Level brings both sides of each pair in the block to one level: norms and the layers that
// read them, queries and keys, values and o, up and down.
func Level(p *parallel.Pool, c *checkpoint.Config, b *llama.DenseBlock) {
	levelBlock(p, c, b, func(l llama.Layer) leveled { return loaded{b.Layer(l)} })
}

// leveled is a layer that [Level] looks at and changes.
type leveled interface {
	size() (out, in int)
	rowTops(p *parallel.Pool) []float32         // the largest magnitude of each row
	columnTops(p *parallel.Pool) []float32      // the same of each column
	shiftRows(p *parallel.Pool, shift []int)    // multiplies each row, and its bias, by 2^shift
	shiftColumns(p *parallel.Pool, shift []int) // multiplies each column by 2^shift
}

// levelBlock is [Level] for layers that need not be in memory; norms and router are b's.
func levelBlock(p *parallel.Pool, c *checkpoint.Config, b *llama.DenseBlock, layer func(llama.Layer) leveled) {
	of := func(w llama.Which) leveled { return layer(llama.Layer{Which: w, Expert: -1}) }
	q, k, v, o := of(llama.Q), of(llama.K), of(llama.V), of(llama.O)
	levelNorm(p, b.AttnNorm, q, k, v)
	levelNorm(p, b.MLPNorm, mlpReaders(c, b, layer)...)
	if c.QKNorm == checkpoint.QKNone { // otherwise the norms of queries and keys undo any factor
		levelKeys(p, c, q, k)
	}

	// A value channel is read by the columns of all query heads of its kv head.
	tie := llama.ValueChannels(c)
	values, _ := v.size()
	_, read := o.size()
	columns := make([]float32, values)
	for i, top := range o.columnTops(p) {
		columns[tie[i]] = max(columns[tie[i]], top)
	}
	if shift := shifts(v.rowTops(p), columns, gapLayers); shift != nil {
		spread := make([]int, read)
		for i, kv := range tie {
			spread[i] = -shift[kv]
		}
		v.shiftRows(p, shift)
		o.shiftColumns(p, spread)
	}

	if c.Experts.Count == 0 {
		levelPair(p, of(llama.Up), of(llama.Down))
	}
	for e := range b.Experts {
		levelPair(p, layer(llama.Layer{Which: llama.Up, Expert: e}), layer(llama.Layer{Which: llama.Down, Expert: e}))
	}
}

// levelPair levels up and down.
func levelPair(p *parallel.Pool, up, down leveled) {
	if shift := shifts(up.rowTops(p), down.columnTops(p), gapLayers); shift != nil {
		up.shiftRows(p, shift)
		down.shiftColumns(p, negated(shift))
	}
}

// mlpReaders are the layers that read the output of the norm before the MLP: the router, if
// there is one, and gate and up of all experts.
func mlpReaders(c *checkpoint.Config, b *llama.DenseBlock, layer func(llama.Layer) leveled) (readers []leveled) {
	if c.Experts.Count > 0 {
		readers = append(readers, loaded{&llama.Dense{Out: c.Experts.Count, In: c.HiddenSize, W: b.Router}})
	}
	for _, l := range llama.Layers(c) {
		if l.Input() == llama.MLPInput {
			readers = append(readers, layer(l))
		}
	}
	return readers
}

// levelNorm levels a norm's gains and the layers that read its output, by the part that all
// of these layers need: an excess of one of them alone is left to that layer's own pair.
func levelNorm(p *parallel.Pool, gain []float32, readers ...leveled) {
	tops := make([]float32, len(gain))
	for i, g := range gain {
		tops[i] = max(g, -g)
	}
	var shift []int
	for k, d := range readers {
		one := shifts(tops, d.columnTops(p), gapNorm)
		if one == nil {
			return
		}
		if k == 0 {
			shift = one
			continue
		}
		for i, s := range one {
			shift[i] = common(shift[i], s)
		}
	}
	for i, s := range shift {
		gain[i] = scaled(gain[i], s)
	}
	for _, d := range readers {
		d.shiftColumns(p, negated(shift))
	}
}

// common is the part that two shifts share: the smaller one if they have the same sign,
// otherwise 0.
func common(a, b int) int {
	switch {
	case a > 0 && b > 0:
		return min(a, b)
	case a < 0 && b < 0:
		return max(a, b)
	}
	return 0
}

// levelKeys levels the queries and keys of each kv head. All channels of a head get the
// same factor, because RoPE mixes them.
func levelKeys(p *parallel.Pool, c *checkpoint.Config, q, k leveled) {
	share := c.Heads / c.KVHeads * c.HeadDim // rows of q for each kv head
	queries, keys := q.rowTops(p), k.rowTops(p)
	left, right := make([]float32, c.KVHeads), make([]float32, c.KVHeads)
	for h := range c.KVHeads {
		left[h] = slices.Max(queries[h*share:][:share])
		right[h] = slices.Max(keys[h*c.HeadDim:][:c.HeadDim])
	}
	shift := shifts(left, right, gapLayers)
	if shift == nil {
		return
	}
	ofQueries, ofKeys := make([]int, len(queries)), make([]int, len(keys))
	for i := range ofQueries {
		ofQueries[i] = shift[i/share]
	}
	for i := range ofKeys {
		ofKeys[i] = -shift[i/c.HeadDim]
	}
	q.shiftRows(p, ofQueries)
	k.shiftRows(p, ofKeys)
}

// shifts returns for each channel the exponent s of the power of two by which the left side
// is to be multiplied and the right side divided; nil if all are zero. left and right are
// the largest magnitudes of each channel. Channels whose weights are all zero on one side
// get 0.
func shifts(left, right []float32, maxGap float64) []int {
	var gaps []float64 // log₂ of right/left
	gap := func(i int) float64 { return math.Log2(float64(right[i])) - math.Log2(float64(left[i])) }
	for i := range left {
		if left[i] > 0 && right[i] > 0 {
			gaps = append(gaps, gap(i))
		}
	}
	if len(gaps) == 0 {
		return nil
	}
	slices.Sort(gaps)
	typical := gaps[len(gaps)/2]
	whole := 0
	if math.Abs(typical) >= maxGap {
		whole = int(math.Round(typical / 2))
	}
	shift := make([]int, len(left))
	for i := range shift {
		shift[i] = whole
		if left[i] > 0 && right[i] > 0 && math.Abs(gap(i)-typical) >= gapChannel {
			shift[i] += int(math.Round((gap(i) - typical) / 2))
		}
	}
	if !slices.ContainsFunc(shift, func(s int) bool { return s != 0 }) {
		return nil
	}
	return shift
}

func negated(shift []int) []int {
	out := make([]int, len(shift))
	for i, s := range shift {
		out[i] = -s
	}
	return out
}

// scaled is v·2^s.
func scaled(v float32, s int) float32 { return float32(math.Ldexp(float64(v), s)) }

// loaded is a layer in memory.
type loaded struct{ *llama.Dense }

func (d loaded) size() (out, in int) { return d.Out, d.In }

func (d loaded) rowTops(p *parallel.Pool) []float32 {
	top := make([]float32, d.Out)
	p.Run(d.Out, func(r int) {
		for _, v := range d.W[r*d.In:][:d.In] {
			top[r] = max(top[r], v, -v)
		}
	})
	return top
}

func (d loaded) columnTops(p *parallel.Pool) []float32 {
	const width = 256 // columns that one thread takes
	top := make([]float32, d.In)
	p.Run((d.In+width-1)/width, func(k int) {
		part := top[k*width : min(d.In, (k+1)*width)]
		for r := range d.Out {
			for i, v := range d.W[r*d.In+k*width:][:len(part)] {
				part[i] = max(part[i], v, -v)
			}
		}
	})
	return top
}

func (d loaded) shiftRows(p *parallel.Pool, shift []int) {
	p.Run(d.Out, func(r int) {
		row := d.W[r*d.In:][:d.In]
		for i, v := range row {
			row[i] = scaled(v, shift[r])
		}
		if d.Bias != nil {
			d.Bias[r] = scaled(d.Bias[r], shift[r])
		}
	})
}

func (d loaded) shiftColumns(p *parallel.Pool, shift []int) {
	p.Run(d.Out, func(r int) {
		row := d.W[r*d.In:][:d.In]
		for i, v := range row {
			row[i] = scaled(v, shift[i])
		}
	})
}

// LevelTops predicts the largest magnitudes of a block's linear layers after [Level] from
// those of the stored layers (w) and of the norms before attention and MLP. The prediction
// is exact to a power of two unless single channels stand out.
func LevelTops(c *checkpoint.Config, attnNorm, mlpNorm float64, w [llama.NumLinears]float64) [llama.NumLinears]float64 {
	pair := func(left, right, maxGap float64) int {
		if left == 0 || right == 0 || math.Abs(math.Log2(right/left)) < maxGap {
			return 0
		}
		return int(math.Round(math.Log2(right/left) / 2))
	}
	for in, norm := range map[llama.Input]float64{llama.AttnInput: attnNorm, llama.MLPInput: mlpNorm} {
		readers := in.Readers()
		shift := pair(norm, w[readers[0]], gapNorm)
		for _, l := range readers[1:] {
			shift = common(shift, pair(norm, w[l], gapNorm))
		}
		for _, l := range readers {
			w[l] = math.Ldexp(w[l], -shift)
		}
	}
	between := func(l, r llama.Which) {
		shift := pair(w[l], w[r], gapLayers)
		w[l], w[r] = math.Ldexp(w[l], shift), math.Ldexp(w[r], -shift)
	}
	if c.QKNorm == checkpoint.QKNone {
		between(llama.Q, llama.K)
	}
	between(llama.V, llama.O)
	between(llama.Up, llama.Down)
	return w
}
