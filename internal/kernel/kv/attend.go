package kv

import "github.com/specquant/specquant/internal/kernel/float"

// Attention over a [Cache], for all query heads that share a kv head and for
// several positions at once: a row is one query head at one position. Each sum
// has a fixed order, so that a row's result depends on the tier and on nothing
// else: not on the other rows, nor on how the positions are cut into calls.

// Scratch is the working memory of [Cache.Attend], reused between calls; it
// serves one call at a time.
type Scratch struct {
	q, scores, sums []float32
	tiles           []kvTile

	// Of a cache of integers: see int.go.
	ints        []byte    // queries, see kvIntRow
	total       []int32   // of each row
	scale, base []float32 // of each row
	step        []float32 // of each row and block
	weights     []byte    // of each row
	vs, vm      []uint16  // of values that lie in pages
}

// kvTile is a set of rows that one call of a kernel computes together. Positions that a
// row of them does not see have weight 0 in it, which changes no bit as long as values
// are finite. Rows after the last query are fillers.
type kvTile struct {
	row, rows int
	from, to  int // positions that any of its rows sees
}

const (
	kvScoreBytes = 512 << 10 // memory for scores that Attend aims at
	kvRows       = 64        // rows of one call, at most
	kvChunk      = 256       // positions that stay in the first-level cache
)

// Queries returns how many query positions to pass to one call of [Cache.Attend] if
// `group` query heads share a kv head and the sequence has that many positions: enough
// to unpack keys once for many queries, few enough for the scores to stay in the cache.
func Queries(group, positions int) int {
	rows := min(kvRows, kvScoreBytes/(4*max(positions, 1)))
	return max(1, rows/group)
}

// ScratchBytes bounds the memory of a [Scratch] for such calls.
func ScratchBytes(group, headDim, positions int) int64 {
	rows := int64(Queries(group, positions)*group + 7) // fillers included
	return 10 * rows * int64(alignUp(positions, kvAlign)+kvAlign+kvLanes+headDim+alignUp(headDim, kvDims)+4)
}

// Attend computes attention for n query positions first … first+n-1 and the
// group query heads of one kv head. The query of position first+t and head h of
// the group is q[t·stride+h·head_dim:][:head_dim], and its result goes to the
// same place of out. A query at position p sees the positions up to p, if
// window > 0 the last `window` of them: out = Σ softmax(scale·q·k)·v, the scaled
// scores capped where the cache has a SoftCap.
func (c *Cache) Attend(s *Scratch, out, q []float32, stride, head, group, first, n, window int, scale float32) {
	a := kvCall{c: c, s: s, head: head, group: group, rows: n * group, first: first, end: first + n, window: window}
	tileRows := kvTileRows
	if c.Bits != 16 {
		tileRows = kvIntTileRows
	}
	s.tile(a.rows, tileRows, a.see)
	lo, _ := a.see(0)
	a.lo = lo &^ (kvAlign - 1)
	a.width = alignUp(a.end-a.lo, kvAlign) + kvLanes // rows start in different cache sets
	last := s.tiles[len(s.tiles)-1]
	padded := last.row + last.rows
	a.dims = alignUp(c.HeadDim, kvDims)
	s.scores, s.sums = growTo(s.scores, padded*a.width), growTo(s.sums, padded*a.dims)
	clear(s.sums)
	if c.Bits == 16 {
		s.q = growTo(s.q, padded*c.HeadDim)
		for _, t := range s.tiles {
			s.pack(t, q, a.rows, stride, group, c.HeadDim)
		}
		a.scores()
		a.probabilities(scale)
		a.combine()
	} else {
		c.growInt(s, padded, a.width)
		for r := range padded {
			a.packInt(r, q, stride)
		}
		a.scoresInt()
		a.weightsInt(scale)
		a.combineInt()
	}
	for r := range a.rows {
		dst, sums := out[r/group*stride+r%group*c.HeadDim:][:c.HeadDim], s.sums[r*a.dims:]
		if c.Bits == 16 {
			copy(dst, sums)
		} else {
			c.unpackSums(dst, sums, s.base[r])
		}
	}
}

// kvCall is one call of [Cache.Attend].
type kvCall struct {
	c                 *Cache
	s                 *Scratch
	head, group, rows int
	first, end        int // positions of the queries
	window            int
	lo                int // position at which the scores of each row begin
	width             int // scores from row to row
	dims              int // of the sums
}

// see gives the positions that a row sees.
func (a *kvCall) see(row int) (from, to int) {
	to = a.first + row/a.group + 1
	if a.window > 0 {
		from = max(0, to-a.window)
	}
	return from, to
}

// pieces calls f for the positions that each tile sees, as far as they are between multiples
// of unit, in pieces that stay in the first-level cache and each lie in one part of the cache
// from its position `at` on.
func (a *kvCall) pieces(unit func(rows int) int, f func(in *Cache, at, n int, t kvTile, from int)) {
	for chunk := a.lo; chunk < a.end; chunk += kvChunk {
		for _, t := range a.s.tiles {
			u := unit(t.rows)
			from, to := max(chunk, t.from&^(u-1)), min(chunk+kvChunk, alignUp(t.to, u))
			for from < to {
				in, at, n := a.c.piece(from, to)
				f(in, at, n, t, from)
				from += n
			}
		}
	}
}

// scores multiplies queries with keys of float32, probabilities takes their softmax, and
// combine multiplies that with values.
func (a *kvCall) scores() {
	a.pieces(kvUnit, func(in *Cache, at, n int, t kvTile, from int) {
		in.scores(a.head, at, n, a.s.q[t.row*a.c.HeadDim:], t.rows, a.s.scores[t.row*a.width+from-a.lo:], a.width)
	})
}

func (a *kvCall) probabilities(scale float32) {
	for _, t := range a.s.tiles {
		for r := t.row; r < min(t.row+t.rows, a.rows); r++ {
			from, to := a.see(r)
			row, after := a.s.scores[r*a.width:][:a.width], scale
			if a.c.SoftCap > 0 {
				float.SoftCap(row[from-a.lo:to-a.lo], scale, a.c.SoftCap)
				after = 1
			}
			clear(row[t.from-a.lo : from-a.lo])
			clear(row[to-a.lo : t.to-a.lo])
			float.Softmax(row[from-a.lo:to-a.lo], after)
		}
	}
}

func (a *kvCall) combine() {
	one := func(int) int { return 1 }
	a.pieces(one, func(in *Cache, at, n int, t kvTile, from int) {
		in.combine(a.head, at, n, a.s.scores[t.row*a.width+from-a.lo:], a.width, t.rows, a.s.sums[t.row*a.dims:], a.dims)
	})
}

func growTo[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n+n/2)[:n]
	}
	return s[:n]
}

// tile cuts rows into tiles. tileRows is [kvTileRows], or what replaces it.
func (s *Scratch) tile(rows int, tileRows func(left int) int, see func(row int) (from, to int)) {
	s.tiles = s.tiles[:0]
	for row := 0; row < rows; {
		t := kvTile{row: row, rows: tileRows(rows - row)}
		t.from, _ = see(row)
		_, t.to = see(min(row+t.rows, rows) - 1)
		s.tiles = append(s.tiles, t)
		row += t.rows
	}
}

// pack lays out a tile's queries as [head_dim][rows].
func (s *Scratch) pack(t kvTile, q []float32, rows, stride, group, hd int) {
	dst := s.q[t.row*hd:][:t.rows*hd]
	n := min(t.rows, rows-t.row)
	if n < t.rows {
		clear(dst)
	}
	for k := 0; k < n; { // the heads of one position lie together
		h := (t.row + k) % group
		heads := min(n-k, group-h)
		float.Transpose(dst[k:], t.rows, q[(t.row+k)/group*stride+h*hd:], hd, heads, hd)
		k += heads
	}
}

// unpackSums puts the sums of a row of integers in the order of the dimensions and adds
// base. With 4 bits the kernels sum the low halves of the bytes of a piece first, then the
// high halves.
func (c *Cache) unpackSums(out, sums []float32, base float32) {
	if c.Bits == 8 {
		for i := kvShiftBlocks(out, sums, base); i < len(out); i++ {
			out[i] = sums[i] + base
		}
		return
	}
	for i := 0; i < len(out); i += 2 {
		at := i&^(kvDims-1) + i%kvDims/2
		out[i], out[i+1] = sums[at]+base, sums[at+kvDims/2]+base
	}
}

// scores writes dst[r·stride+j] = Σ_i q_ri·k_ji for n positions from `from` of a float32
// cache, multiples of the tile's unit; q is [head_dim][rows]. Each sum ascends in i.
func (c *Cache) scores(head, from, n int, q []float32, rows int, dst []float32, stride int) {
	if kvScoreBlocks(c, head, from, n, q, rows, dst, stride) {
		return
	}
	at := head*c.capacity + from
	for j := 0; j < n; j += kvLanes {
		for r := range rows {
			var sums [kvLanes]float32
			key := (at + j) * c.keyRow()
			for i := range c.HeadDim {
				v := q[i*rows+r]
				for l, k := range c.keys32[key+i*kvLanes:][:kvLanes] {
					sums[l] += float32(v * k)
				}
			}
			copy(dst[r*stride+j:], sums[:])
		}
	}
}

// kvProbabilities replaces scores p[from:to] by their softmax and multiplies
// p[:to], zeros before `from`, by the scales of their values: see [Softmax] and
// kvWeights, whose result it returns. All slices are of whole blocks; p is 0
// from `to` on.
func kvProbabilities(p []float32, from, to int, scale float32, vscale, vmin []uint16) (base float32) {
	if from == 0 {
		if base, ok := kvSoftmaxRow(p, to, scale, vscale, vmin); ok {
			return base
		}
	}
	float.Softmax(p[from:to], scale)
	return kvWeights(p[:to], vscale[:to], vmin[:to])
}

// kvWeights multiplies probabilities by the scales of their values and returns
// Σ p·minimum, in 16 lanes by index modulo 16, folded in halves. Probabilities
// below 2⁻¹⁰⁰ become 0, so that nothing after them is subnormal.
func kvWeights(p []float32, scale, minimum []uint16) float32 {
	var lanes [kvLanes]float32
	n := kvWeightBlocks(p, scale, minimum, &lanes)
	for i := n; i < len(p); i++ {
		v := p[i]
		if v < 0x1p-100 {
			v = 0
		}
		lanes[i%kvLanes] += float32(v * float.FromF16(minimum[i]))
		p[i] = v * float.FromF16(scale[i])
	}
	for h := kvLanes / 2; h > 0; h /= 2 {
		for i := range h {
			lanes[i] += lanes[i+h]
		}
	}
	return lanes[0]
}

// combine adds Σ_j w[r·stride+j]·v_j over n positions from `from` of a float32 cache to the
// sums of each row, j ascending.
func (c *Cache) combine(head, from, n int, w []float32, stride, rows int, sums []float32, dims int) {
	if kvCombineBlocks(c, head, from, n, w, stride, rows, sums, dims) {
		return
	}
	at, size := head*c.capacity+from, c.valueRow()
	for r := range rows {
		dst := sums[r*dims:][:dims]
		for j, p := range w[r*stride:][:n] {
			if p == 0 {
				continue
			}
			for i, v := range c.values32[(at+j)*size:][:size] {
				dst[i] += float32(p * v)
			}
		}
	}
}
