package kv

import (
	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/shape"
)

// Attention over a [Cache], for all query heads that share a kv head and for several
// positions at once. A row is the query of one head at one position. Every sum has a fixed
// order, so that the result of a row depends on its query, on the positions that it sees
// and, for float32, on the active tier, but not on other rows, nor on how many positions a
// call has.

// Scratch is the working memory of [Cache.Attend], which is used again from call to call.
// Calls that run at the same time need one each.
type Scratch struct {
	q      []float32 // the queries of a float32 cache, in the order of the routines
	scores []float32 // scores, then probabilities, of each row
	sums   []float32 // Σ probability·value of each row
	parts  []float32 // the same over a segment of positions, or over each segment
	tiles  []kvTile

	// For a cache of integers: see int.go.
	ints    []byte    // the queries as integers, see kvIntRow
	total   []int32   // the sum of each query's integers
	scale   []float32 // the scale of each query's integers
	base    []float32 // Σ probability·minimum of each row
	step    []float32 // the scale of the weights' integers, of each row and block
	weights []byte    // the weights as integers, of each row
	vs, vm  []float32 // the scales and minima of the values
	places  kvPlaces  // where the positions lie
}

// kvTile is a set of rows that a routine computes together. A position that only some of
// the rows see has the weight 0 in the others, which changes no bit of their result as
// long as the values are finite. Rows after the last query are fillers.
type kvTile struct {
	row, rows int // the first row, and how many
	from, to  int // the positions that at least one of the rows sees
}

const (
	kvScoreBytes = 512 << 10 // bytes of scores that one call of Attend should not exceed
	kvRows       = 64        // the largest number of rows of a call
	kvChunk      = 256       // positions whose keys or values stay in a core's first-level cache
	kvSegment    = 512       // positions whose weighted values are added up by themselves
)

// Queries returns how many query positions to pass to one call of [Cache.Attend] if
// `group` query heads share a kv head and the sequence has so many positions: enough
// queries to read the keys once for many of them, but so few that their scores stay in a
// core's cache. Where the largest tile has more rows than that, it is that tile's.
func Queries(group, positions int) int {
	rows := min(kvRows, kvScoreBytes/(4*max(positions, 1)))
	if least := kvRowsTogether(); least > 1 { // a last tile of fewer rows takes nearly as long as a whole one
		rows = max(rows&^(least-1), least)
	}
	return max(1, rows/group)
}

// ScratchBytes returns an upper bound of the bytes of a [Scratch] for calls with as many
// queries as [Queries] returns.
func ScratchBytes(group, headDim, positions int) int64 {
	return scratchBytes(Queries(group, positions)*group+kvFillers, headDim, positions)
}

// kvFillers is the largest number of fillers of a call: see [kvTile].
const kvFillers = 15

// scratchBytes is [ScratchBytes] for calls with so many rows.
func scratchBytes(rows, headDim, positions int) int64 {
	return 10 * int64(rows) * int64(shape.RoundUp(positions, kvAlign)+kvAlign+kvLanes+headDim+shape.RoundUp(headDim, kvDims)+4)
}

// Attend computes attention, out = Σ softmax(scale·q·k)·v, for the `group` query heads that
// share kv head `head`, at the n positions first … first+n-1. The query of position first+t
// and of the group's head h is q[t·stride+h·head_dim:][:head_dim], and its result has the
// same place in out. A query at position p sees the positions up to p; if window > 0, only
// the last `window` of them. If the cache has a SoftCap, scaled scores are capped.
//
// Values are added up in segments of kvSegment positions, which begin at multiples of it, and
// the segments' sums in ascending order.
func (c *Cache) Attend(s *Scratch, out, q []float32, stride, head, group, first, n, window int, scale float32) {
	var a kvCall
	a.begin(c, s, q, stride, head, group, first, n, window)
	a.allScores(a.lo, a.end)
	for r := range a.rows {
		a.hide(r) // all first: scores that were written just before are read more slowly
	}
	for _, t := range s.tiles {
		for r := t.row; r < min(t.row+t.rows, a.rows); r++ {
			a.weigh(t, r, scale)
		}
	}
	clear(s.sums)
	if a.segments() == 1 {
		a.combineSegment(0, s.sums)
	} else {
		s.parts = growTo(s.parts, len(s.sums))
		for i := range a.segments() {
			clear(s.parts)
			a.combineSegment(i, s.parts)
			float.AddTo(s.sums, s.parts)
		}
	}
	a.write(out, stride)
}

// kvCall is one call of [Cache.Attend].
type kvCall struct {
	c           *Cache
	s           *Scratch
	head        int       // the kv head
	group, rows int       // query heads that share it; rows: their queries at all positions
	first, end  int       // positions of the queries
	window      int       // positions that a query sees; 0: all up to its own
	lo          int       // the position that the scores of each row begin with
	vs, vm      []float32 // the scales and minima of the values from position lo on
	width       int       // scores from row to row
	dims        int       // sums from row to row: the dimensions, rounded up
}

// begin sets the call up and packs the queries: see [Cache.Attend].
func (a *kvCall) begin(c *Cache, s *Scratch, q []float32, stride, head, group, first, n, window int) {
	*a = kvCall{c: c, s: s, head: head, group: group, rows: n * group, first: first, end: first + n, window: window}
	tileRows := kvTileRows
	if c.Bits != 16 {
		tileRows = func(left int) int { return kvIntTileRows(c, left) }
	}
	s.tile(a.rows, tileRows, a.see)
	lo, _ := a.see(0)
	a.lo = lo &^ (kvAlign - 1)
	a.width = shape.RoundUp(a.end-a.lo, kvAlign) + kvLanes // the last, so that rows begin in different cache sets
	last := s.tiles[len(s.tiles)-1]
	padded := last.row + last.rows
	a.dims = shape.RoundUp(c.HeadDim, kvDims)
	s.scores, s.sums = growTo(s.scores, padded*a.width), growTo(s.sums, padded*a.dims)
	if c.Bits == 16 {
		s.q = growTo(s.q, padded*c.HeadDim)
		for _, t := range s.tiles {
			s.pack(t, q, a.rows, stride, group, c.HeadDim)
		}
		return
	}
	c.growInt(s, padded, a.width)
	for r := range padded {
		a.packInt(r, q, stride)
	}
	a.listPlaces()
	a.vs, a.vm = c.valueScales(s, head, a.lo, shape.RoundUp(a.end, kvIntBlock))
}

// allScores computes the scores of all rows with positions lo…hi-1. lo is where the call or a
// segment begins, and hi where one ends.
func (a *kvCall) allScores(lo, hi int) {
	if a.c.Bits == 16 {
		a.scores(lo, hi)
		return
	}
	a.scoresInt(lo, hi)
}

// hide prepares the scores of row r for weigh.
func (a *kvCall) hide(r int) {
	if a.c.Bits != 16 {
		a.hideUnseen(r)
	}
}

// weigh replaces the scores of row r, in tile t, by the weights of the values.
func (a *kvCall) weigh(t kvTile, r int, scale float32) {
	if a.c.Bits == 16 {
		a.probabilities(t, r, scale)
		return
	}
	a.weightsOf(r, t, scale)
}

// segments returns how many segments the positions of the call lie in.
func (a *kvCall) segments() int { return shape.CeilDiv(a.end, kvSegment) - a.lo/kvSegment }

// segment returns the positions of segment i that the call has.
func (a *kvCall) segment(i int) (lo, hi int) {
	i += a.lo / kvSegment
	return max(a.lo, i*kvSegment), min(a.end, (i+1)*kvSegment)
}

// combineSegment adds the weighted values of segment i to the sums of all rows.
func (a *kvCall) combineSegment(i int, sums []float32) {
	lo, hi := a.segment(i)
	if a.c.Bits == 16 {
		a.combine(lo, hi, sums)
		return
	}
	a.combineInt(lo, hi, sums)
}

// write writes the results.
func (a *kvCall) write(out []float32, stride int) {
	a.s.places.forget()
	for r := range a.rows {
		dst, sums := out[r/a.group*stride+r%a.group*a.c.HeadDim:][:a.c.HeadDim], a.s.sums[r*a.dims:]
		if a.c.Bits == 16 {
			copy(dst, sums)
		} else {
			a.c.unpackSums(dst, sums, a.s.base[r])
		}
	}
}

// see returns the positions from…to-1, which a row sees.
func (a *kvCall) see(row int) (from, to int) {
	to = a.first + row/a.group + 1
	if a.window > 0 {
		from = max(0, to-a.window)
	}
	return from, to
}

// pieces calls f for all positions of lo…hi-1 that each tile sees, rounded outwards to multiples
// of `unit` (positions, for a tile of so many rows). lo and hi are as in allScores. It cuts them
// into pieces, so that the keys or values of a piece stay in the processor's first-level cache
// while all tiles use them, and so that a piece lies in one part of a paged cache: n positions of
// `in` from its position `at` on, which is position `from` of the sequence. If tile does the
// positions from…to-1 by itself, whatever part of the cache they lie in, f isn't called for them;
// tile may be nil.
func (a *kvCall) pieces(lo, hi int, unit func(rows int) int, tile func(t kvTile, from, to int) bool, f func(in *Cache, at, n int, t kvTile, from int)) {
	size := kvChunk
	if len(a.s.tiles) == 1 { // nothing is used twice, so that calls need not be short
		size = shape.RoundUp(hi-lo, kvAlign)
	}
	for chunk := lo; chunk < hi; chunk += size {
		for _, t := range a.s.tiles {
			u := unit(t.rows)
			from, to := max(chunk, t.from&^(u-1)), min(chunk+size, shape.RoundUp(min(t.to, hi), u))
			if from < to && tile != nil && tile(t, from, to) {
				continue
			}
			for from < to {
				in, at, n := a.c.piece(from, to)
				f(in, at, n, t, from)
				from += n
			}
		}
	}
}

// scores multiplies the queries with keys of float32.
func (a *kvCall) scores(lo, hi int) {
	a.pieces(lo, hi, kvUnit, nil, func(in *Cache, at, n int, t kvTile, from int) {
		in.scores(a.head, at, n, a.s.q[t.row*a.c.HeadDim:], t.rows, a.s.scores[t.row*a.width+from-a.lo:], a.width)
	})
}

// probabilities replaces the scores of row r of tile t by their softmax, and by 0 where the row
// does not see a position that its tile sees.
func (a *kvCall) probabilities(t kvTile, r int, scale float32) {
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

// combine adds the values of float32, multiplied by the probabilities, to the sums.
func (a *kvCall) combine(lo, hi int, sums []float32) {
	one := func(int) int { return 1 }
	a.pieces(lo, hi, one, nil, func(in *Cache, at, n int, t kvTile, from int) {
		in.combine(a.head, at, n, a.s.scores[t.row*a.width+from-a.lo:], a.width, t.rows, sums[t.row*a.dims:], a.dims)
	})
}

// growTo returns n elements in the memory of s, or in new memory if s has not enough. They
// hold anything.
func growTo[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n+n/2)[:n]
	}
	return s[:n]
}

// tile cuts the rows into tiles. tileRows returns the number of rows of the next tile.
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

// pack copies a tile's queries to s.q, as [head_dim][rows].
func (s *Scratch) pack(t kvTile, q []float32, rows, stride, group, hd int) {
	dst := s.q[t.row*hd:][:t.rows*hd]
	n := min(t.rows, rows-t.row)
	if n < t.rows {
		clear(dst)
	}
	for k := 0; k < n; { // the heads of a position follow each other in q
		h := (t.row + k) % group
		heads := min(n-k, group-h)
		float.Transpose(dst[k:], t.rows, q[(t.row+k)/group*stride+h*hd:], hd, heads, hd)
		k += heads
	}
}

// unpackSums sets out to the sums of a row in the order of the dimensions, plus base. In a
// cache of 4 bits, the sums of 32 dimensions are those of the low halves of their 16 bytes,
// followed by those of the high halves.
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

// scores sets dst[r·stride+j] to Σ_i q_ri·k_ji, i ascending, for n positions of a float32
// cache from position `from` on. Both are multiples of the number of positions that the
// routine takes. q is [head_dim][rows].
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

// combine adds Σ_j w[r·stride+j]·v_j, j ascending, to the sums of each row, for n positions
// of a float32 cache from position `from` on.
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
