package kv

import (
	"encoding/binary"
	"math"

	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/shape"
)

// Attention over a cache of 4 or 8 bits computes with integers. Queries and weights are
// rounded to integers of 14 bits (queries with a sign, too), which is so fine that the
// rounding of the cache itself remains the only loss that matters:
//
//	scores:  q ≈ scale·u, |u| ≤ 16383, a scale for each row (a head at a position)
//	         score = scale·(minimum_j·Σ_i u_i + scale_j·Σ_i u_i·k_ji)
//	values:  w_j = p_j·scale_j ≈ step·v_j, 0 ≤ v_j ≤ 16383, a step for each row and block of
//	         64 positions: see softmax.go
//	         out_i = Σ_blocks step·Σ_j v_j·x_ji + Σ_j p_j·minimum_j
//
// Here k and x are the integers of the cache, scale_j and minimum_j those of the key or
// value at position j, and p_j the probability of position j.
//
// Sums of integers are exact, so that their order does not matter and all tiers give the
// same bits. Blocks begin at multiples of 64 positions of the sequence. So the result of a
// row depends on its query and the positions that it sees, and on nothing else.
//
// The int8 dot product instructions add the products of four pairs of bytes to a 32-bit
// sum. So four dimensions of a key lie together in memory, and of values the bytes of four
// positions. u and v, which have more than 8 bits, are passed as two planes of bytes:
// u = 128·high + low. Tiers without such instructions multiply u and v as 16-bit integers.

const (
	kvIntTop   = 1<<14 - 1 // the largest u or v; 255 times that, summed over 512 dimensions, is below 2³¹
	kvIntBlock = kvAlign   // positions that share a step
	kvIntLeast = 0x1p-100  // queries below this count as 0, so that no scale is subnormal
	kvIntDims  = 512       // the largest head_dim whose sums fit 32 bits
)

// kvIntGroups returns how many groups of four dimensions a key has. With 4 bits four bytes
// hold two groups: the low halves, which are the even dimensions, and the high halves.
func (c *Cache) kvIntGroups() int { return c.keyRow() / 4 * (8 / c.Bits) }

// kvIntPlace returns the place of dimension i among the integers of a query: the order of
// the groups.
func kvIntPlace(i, bits int) int {
	if bits == 8 {
		return i
	}
	return i&^7 + i%8/2 + i%2*4
}

// kvIntRow rounds a query x [head_dim] to integers u in the form that the active tier's
// routines read: 16 bits each, or a plane of high bytes followed by one of low bytes. It
// returns their scale (NaN if an element of the query is not finite) and their sum.
func kvIntRow(u []byte, x []float32, bits int) (scale float32, total int32) {
	_, _, abs := float.MinMaxAbs(x)
	top := math.Float32frombits(abs)
	if top < kvIntLeast || abs >= 0x7f800000 {
		clear(u)
		return 1 + (top - top), 0
	}
	inv := kvIntTop / top
	n := len(x) &^ 15
	if n < len(x) || n < len(u)/2 {
		clear(u) // so that places beyond the last dimension are 0
	}
	n, total = kvIntRound(u, x, inv, bits)
	for i := n; i < len(x); i++ {
		v := int32(math.RoundToEven(float64(x[i] * inv)))
		total += v
		if at := kvIntPlace(i, bits); kvIntPlanes() {
			u[at], u[len(u)/2+at] = byte(v>>7), byte(v&127)
		} else {
			binary.LittleEndian.PutUint16(u[2*at:], uint16(v))
		}
	}
	return top / kvIntTop, total
}

// growInt makes room in the scratch for so many rows of `width` scores.
func (c *Cache) growInt(s *Scratch, rows, width int) {
	s.ints, s.weights = growTo(s.ints, rows*c.kvIntGroups()*8), growTo(s.weights, 2*rows*width)
	s.total, s.scale, s.base = growTo(s.total, rows), growTo(s.scale, rows), growTo(s.base, rows)
	s.step = growTo(s.step, rows*(width/kvIntBlock))
}

// packInt rounds the query of row r to integers.
func (a *kvCall) packInt(r int, q []float32, stride int) {
	s, size := a.s, a.c.kvIntGroups()*8
	u := s.ints[r*size:][:size]
	if r >= a.rows { // a filler
		clear(u)
		s.total[r], s.scale[r] = 0, 1
		return
	}
	s.scale[r], s.total[r] = kvIntRow(u, q[r/a.group*stride+r%a.group*a.c.HeadDim:][:a.c.HeadDim], a.c.Bits)
}

// scoresInt computes the scores of all rows, without the scale of the row.
func (a *kvCall) scoresInt(lo, hi int) {
	size := a.c.kvIntGroups() * 8
	a.pieces(lo, hi, kvIntUnit, a.scoreTile, func(in *Cache, at, n int, t kvTile, from int) {
		in.scoresInt(a.c.pageAfter(from), a.head, at, n, a.s.ints[t.row*size:][:t.rows*size], a.s.total[t.row:][:t.rows], a.s.scores[t.row*a.width+from-a.lo:], a.width)
	})
}

// combineInt adds the weighted values of all rows to the sums.
func (a *kvCall) combineInt(lo, hi int, sums []float32) {
	steps := a.width / kvIntBlock
	block := func(int) int { return kvIntBlock }
	tile := func(t kvTile, from, to int) bool { return a.combineTile(t, from, to, sums) }
	a.pieces(lo, hi, block, tile, func(in *Cache, at, n int, t kvTile, from int) {
		n = min(n, shape.RoundUp(t.to-from, 4)) // no row of the tile sees positions from t.to on
		in.combineInt(a.c.pageAfter(from), a.head, at, n, a.s.weights[2*(t.row*a.width+from-a.lo):], 2*a.width,
			a.s.step[t.row*steps+(from-a.lo)/kvIntBlock:], steps, t.rows, sums[t.row*a.dims:], a.dims)
	})
}

// kvIntSplit splits four 16-bit integers, which have 15 bits with the sign, into four high
// bytes and four low bytes.
func kvIntSplit(v uint64) (high, low uint32) {
	narrow := func(v uint64) uint32 {
		v &= 0x00ff00ff00ff00ff
		v |= v >> 8
		return uint32(v&0xffff | v>>16&0xffff0000)
	}
	return narrow(v >> 7), narrow(v & 0x007f007f007f007f)
}

// scoresInt sets dst[r·stride+j] to minimum_j·total_r + scale_j·Σ_i u_ri·k_ji, the score
// without the scale of the row, for n positions from position `from` on. Both are multiples
// of the number of positions that the routine takes. next is the page that is read after c, which
// may be fetched ahead; nil: none.
func (c *Cache) scoresInt(next *Cache, head, from, n int, q []byte, total []int32, dst []float32, stride int) {
	if kvIntScoreBlocks(c, next, head, from, n, q, total, dst, stride) {
		return
	}
	groups, rows := c.kvIntGroups(), len(total)
	at := head*c.capacity + from
	for j := 0; j < n; j += kvLanes {
		keys := c.keys[(at+j)*c.keyRow():][:kvLanes*c.keyRow()]
		for r := range rows {
			for l := range kvLanes {
				var sum int32
				for g := range groups {
					u := binary.LittleEndian.Uint64(q[(r*groups+g)*8:])
					k := binary.LittleEndian.Uint32(keys[(g*c.Bits/8*kvLanes+l)*4:])
					if c.Bits == 4 {
						k = k >> (g % 2 * 4) & 0x0f0f0f0f
					}
					sum += kvIntDot(u, k)
				}
				scale, minimum := float.FromF16(c.ks[at+j+l]), float.FromF16(c.km[at+j+l])
				dst[r*stride+j+l] = float32(minimum*float32(total[r])) + float32(scale*float32(sum))
			}
		}
	}
}

// kvIntDot returns the sum of the products of four 16-bit integers with four bytes.
func kvIntDot(u uint64, k uint32) int32 {
	return int32(int16(u))*int32(k&255) + int32(int16(u>>16))*int32(k>>8&255) +
		int32(int16(u>>32))*int32(k>>16&255) + int32(int16(u>>48))*int32(k>>24)
}

// hideUnseen makes the scores of row r -Inf at positions that it does not see, in the blocks of
// those that it sees.
func (a *kvCall) hideUnseen(r int) {
	row := a.s.scores[r*a.width:][:a.width]
	from, to := a.see(r)
	from, to = from-a.lo, to-a.lo
	copy(row[from/kvIntBlock*kvIntBlock:from], kvUnseen[:])
	copy(row[to:shape.RoundUp(to, kvIntBlock)], kvUnseen[:])
}

// weightsOf makes the weights of the values, in integers, of the scores of row r, of tile t, and
// computes the base of the row, after hideUnseen. Positions are counted from a.lo here.
func (a *kvCall) weightsOf(r int, t kvTile, scale float32) {
	s, row := a.s, a.s.scores[r*a.width:][:a.width]
	from, to := a.see(r)
	from, to = from-a.lo, to-a.lo
	after := float32(scale * s.scale[r])
	if a.c.SoftCap > 0 {
		float.SoftCap(row[from:to], after, a.c.SoftCap)
		after = 1
	}
	if after < 0 {
		for i := range row[from:to] {
			row[from+i] = -row[from+i]
		}
		after = -after
	}
	first, last := from/kvIntBlock, (to+kvIntBlock-1)/kvIntBlock // blocks
	start, end := first*kvIntBlock, last*kvIntBlock
	weights, step := s.weights[2*r*a.width:], s.step[r*(a.width/kvIntBlock):]
	s.base[r] = kvSoftmax(weights[2*start:], step[first:last], row[start:end], after, a.vs[start:end], a.vm[start:end])
	for b := (t.from - a.lo) / kvIntBlock; b < (t.to-a.lo+kvIntBlock-1)/kvIntBlock; b++ {
		if b < first || b >= last { // only other rows of the tile see this block
			step[b] = 0
			clear(weights[2*b*kvIntBlock:][:2*kvIntBlock])
		}
	}
}

// combineInt adds Σ_blocks step·Σ_j v_rj·x_j, blocks ascending, to the sums of each row, for
// n positions from position `from` on, where a block begins. The last block may be shorter;
// n is a multiple of four. next is as in scoresInt.
func (c *Cache) combineInt(next *Cache, head, from, n int, w []byte, wRow int, step []float32, stepRow, rows int, sums []float32, dims int) {
	if kvIntCombineBlocks(c, next, head, from, n, w, wRow, step, stepRow, rows, sums, dims) {
		return
	}
	values := c.values[(head*c.capacity+from)*c.valueRow():]
	for r := range rows {
		for b := 0; b < n; b += kvIntBlock {
			step := step[r*stepRow+b/kvIntBlock]
			if step == 0 {
				continue
			}
			for d := range dims {
				var sum int32
				for j := b; j < min(b+kvIntBlock, n); j += 4 {
					v := binary.LittleEndian.Uint64(w[r*wRow+2*j:])
					sum += kvIntDot(v, c.intValue(values[j*c.valueRow():], d))
				}
				sums[r*dims+d] += float32(float32(sum) * step)
			}
		}
	}
}

// intValue returns the integers of four positions that are added to sum d; `values` begins
// with those positions. With 4 bits, the sums of 32 dimensions are those of the low halves
// of 16 bytes, followed by those of the high halves.
func (c *Cache) intValue(values []byte, d int) uint32 {
	if c.Bits == 8 {
		return binary.LittleEndian.Uint32(values[4*d:])
	}
	at := d/kvDims*kvDims/2 + d%(kvDims/2)
	return binary.LittleEndian.Uint32(values[4*at:]) >> (d % kvDims / (kvDims / 2) * 4) & 0x0f0f0f0f
}
