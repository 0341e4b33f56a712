package kernel

// Attention over a [KVCache], for all query heads that share a kv head and for
// several positions at once: a row is one query head at one position. Each sum
// has a fixed order, so that a row's result depends on the tier and on nothing
// else: not on the other rows, nor on how the positions are cut into calls.

// KVScratch is the working memory of [KVCache.Attend], reused between calls; it
// serves one call at a time.
type KVScratch struct {
	q, total, scores, sums, base []float32
	tiles                        []kvTile
	vs, vm                       []uint16 // of values that lie in pages
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

// KVQueries returns how many query positions to pass to one call of [KVCache.Attend] if
// `group` query heads share a kv head and the sequence has that many positions: enough
// to unpack keys once for many queries, few enough for the scores to stay in the cache.
func KVQueries(group, positions int) int {
	rows := min(kvRows, kvScoreBytes/(4*max(positions, 1)))
	return max(1, rows/group)
}

// KVScratchBytes bounds the memory of a [KVScratch] for such calls.
func KVScratchBytes(group, headDim, positions int) int64 {
	rows := int64(KVQueries(group, positions)*group + 7) // fillers included
	return 6 * rows * int64(alignUp(positions, kvAlign)+kvAlign+kvLanes+headDim+alignUp(headDim, kvDims)+2)
}

// Attend computes attention for n query positions first … first+n-1 and the
// group query heads of one kv head. The query of position first+t and head h of
// the group is q[t·stride+h·head_dim:][:head_dim], and its result goes to the
// same place of out. A query at position p sees the positions up to p, if
// window > 0 the last `window` of them: out = Σ softmax(scale·q·k)·v, the scaled
// scores capped where the cache has a SoftCap.
func (c *KVCache) Attend(s *KVScratch, out, q []float32, stride, head, group, first, n, window int, scale float32) {
	hd := c.HeadDim
	see := func(row int) (from, to int) {
		to = first + row/group + 1
		if window > 0 {
			from = max(0, to-window)
		}
		return from, to
	}
	rows := n * group
	s.tile(rows, see)
	lo, _ := see(0)
	lo &^= kvAlign - 1
	width := alignUp(first+n-lo, kvAlign) + kvLanes // rows start in different cache sets
	padded := 0
	for _, t := range s.tiles {
		padded = max(padded, t.row+t.rows)
	}
	dims := alignUp(hd, kvDims)
	s.q, s.total = growTo(s.q, padded*hd), growTo(s.total, padded)
	s.scores, s.sums, s.base = growTo(s.scores, padded*width), growTo(s.sums, padded*dims), growTo(s.base, padded)
	for _, t := range s.tiles {
		s.pack(t, q, rows, stride, group, hd)
	}
	for at := lo; at < first+n; at += kvChunk {
		for _, t := range s.tiles {
			unit := kvUnit(t.rows)
			from, to := max(at, t.from&^(unit-1)), min(at+kvChunk, alignUp(t.to, unit))
			for from < to {
				in, first, n := c.piece(from, to)
				in.scores(head, first, n, s.q[t.row*hd:], s.total[t.row:], t.rows, s.scores[t.row*width+from-lo:], width)
				from += n
			}
		}
	}
	after := scale
	if c.SoftCap > 0 {
		after = 1
	}
	var scales, minima []uint16 // from lo on
	if c.Bits != 16 {
		scales, minima = c.valueScales(s, head, lo, alignUp(first+n, kvLanes))
	}
	for _, t := range s.tiles {
		for r := t.row; r < min(t.row+t.rows, rows); r++ {
			from, to := see(r)
			row := s.scores[r*width:][:width]
			if c.SoftCap > 0 {
				SoftCap(row[from-lo:to-lo], scale, c.SoftCap)
			}
			// Lanes of the weights begin at multiples of 16, whatever the row.
			start, end := from&^(kvLanes-1), alignUp(to, kvLanes)
			clear(row[min(t.from, start)-lo : from-lo])
			clear(row[to-lo : max(t.to, end)-lo])
			if c.Bits == 16 {
				Softmax(row[from-lo:to-lo], after)
				continue
			}
			s.base[r] = kvProbabilities(row[start-lo:end-lo], from-start, to-start, after, scales[start-lo:end-lo], minima[start-lo:end-lo])
		}
	}
	clear(s.sums)
	for at := lo; at < first+n; at += kvChunk {
		for _, t := range s.tiles {
			from, to := max(at, t.from), min(at+kvChunk, t.to)
			for from < to {
				in, first, n := c.piece(from, to)
				in.combine(head, first, n, s.scores[t.row*width+from-lo:], width, t.rows, s.sums[t.row*dims:], dims)
				from += n
			}
		}
	}
	for t := range n {
		for h := range group {
			r := t*group + h
			c.unpackSums(out[t*stride+h*hd:][:hd], s.sums[r*dims:], s.base[r])
		}
	}
}

func growTo(s []float32, n int) []float32 {
	if cap(s) < n {
		return make([]float32, n+n/2)[:n]
	}
	return s[:n]
}

// tile cuts rows into tiles.
func (s *KVScratch) tile(rows int, see func(row int) (from, to int)) {
	s.tiles = s.tiles[:0]
	for row := 0; row < rows; {
		t := kvTile{row: row, rows: kvTileRows(rows - row)}
		t.from, _ = see(row)
		_, t.to = see(min(row+t.rows, rows) - 1)
		s.tiles = append(s.tiles, t)
		row += t.rows
	}
}

// pack lays out a tile's queries as [head_dim][rows] and sums each one up, its
// dimensions ascending.
func (s *KVScratch) pack(t kvTile, q []float32, rows, stride, group, hd int) {
	dst := s.q[t.row*hd:][:t.rows*hd]
	n := min(t.rows, rows-t.row)
	if n < t.rows {
		clear(dst)
	}
	for k := 0; k < n; { // the heads of one position lie together
		h := (t.row + k) % group
		heads := min(n-k, group-h)
		transpose(dst[k:], t.rows, q[(t.row+k)/group*stride+h*hd:], hd, heads, hd)
		k += heads
	}
	total := s.total[t.row:][:t.rows]
	clear(total)
	if len(total) == 8 { // in registers, side by side
		var a, b, c, d, e, f, g, h float32
		for i := 0; i < len(dst); i += 8 {
			v := dst[i:][:8]
			a, b, c, d = a+v[0], b+v[1], c+v[2], d+v[3]
			e, f, g, h = e+v[4], f+v[5], g+v[6], h+v[7]
		}
		copy(total, []float32{a, b, c, d, e, f, g, h})
		return
	}
	for i := 0; i < len(dst); i += len(total) {
		for k, v := range dst[i:][:len(total)] {
			total[k] += v
		}
	}
}

// unpackSums puts the sums of a row in the order of the dimensions. With 4 bits the
// kernels sum the low halves of the 16 bytes of a piece first, then the high halves.
func (c *KVCache) unpackSums(out, sums []float32, base float32) {
	switch c.Bits {
	case 16:
		copy(out, sums)
	case 8:
		for i := kvShiftBlocks(out, sums, base); i < len(out); i++ {
			out[i] = sums[i] + base
		}
	default:
		for i := 0; i < len(out); i += 2 {
			at := i&^(kvDims-1) + i%kvDims/2
			out[i], out[i+1] = sums[at]+base, sums[at+kvDims/2]+base
		}
	}
}

// scores writes dst[r·stride+j] = minimum_j·total_r + scale_j·Σ_i q_ri·k_ji for
// n positions from `from`, multiples of the tile's unit; q is [head_dim][rows].
// Each sum ascends in i. A float32 cache has no minimum and no scale.
func (c *KVCache) scores(head, from, n int, q, total []float32, rows int, dst []float32, stride int) {
	if kvScoreBlocks(c, head, from, n, q, total, rows, dst, stride) {
		return
	}
	at := head*c.capacity + from
	var sums [kvLanes]float32
	for j := 0; j < n; j += kvLanes {
		for r := range rows {
			sums = [kvLanes]float32{}
			key := (at + j) * c.keyRow()
			switch c.Bits {
			case 16:
				for i := range c.HeadDim {
					v := q[i*rows+r]
					for l, k := range c.keys32[key+i*kvLanes:][:kvLanes] {
						sums[l] += float32(v * k)
					}
				}
				copy(dst[r*stride+j:], sums[:])
				continue
			case 8:
				for i := range c.HeadDim {
					v := q[i*rows+r]
					for l, k := range c.keys[key+i*kvLanes:][:kvLanes] {
						sums[l] += float32(v * float32(k))
					}
				}
			default:
				for i := range c.HeadDim / 2 {
					v, w := q[2*i*rows+r], q[(2*i+1)*rows+r]
					for l, k := range c.keys[key+i*kvLanes:][:kvLanes] {
						sums[l] += float32(v * float32(k&15))
						sums[l] += float32(w * float32(k>>4))
					}
				}
			}
			for l, v := range sums {
				scale, minimum := f16ToF32(c.ks[at+j+l]), f16ToF32(c.km[at+j+l])
				dst[r*stride+j+l] = float32(minimum*total[r]) + float32(scale*v)
			}
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
	Softmax(p[from:to], scale)
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
		lanes[i%kvLanes] += float32(v * f16ToF32(minimum[i]))
		p[i] = v * f16ToF32(scale[i])
	}
	for h := kvLanes / 2; h > 0; h /= 2 {
		for i := range h {
			lanes[i] += lanes[i+h]
		}
	}
	return lanes[0]
}

// combine adds Σ_j w[r·stride+j]·v_j over n positions from `from` to the sums
// of each row, j ascending.
func (c *KVCache) combine(head, from, n int, w []float32, stride, rows int, sums []float32, dims int) {
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
			switch c.Bits {
			case 16:
				for i, v := range c.values32[(at+j)*size:][:size] {
					dst[i] += float32(p * v)
				}
			case 8:
				for i, v := range c.values[(at+j)*size:][:size] {
					dst[i] += float32(p * float32(v))
				}
			default:
				for i, v := range c.values[(at+j)*size:][:size] {
					o := 2*i - i%(kvDims/2)
					dst[o] += float32(p * float32(v&15))
					dst[o+kvDims/2] += float32(p * float32(v>>4))
				}
			}
		}
	}
}
