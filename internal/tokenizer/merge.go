package tokenizer

// mergeShort merges by scanning every pair each time: O(n²), but without a heap, for
// ordinary words.
func (m *bpe) mergeShort(st *state) {
	ids, offs := st.ids, st.offs
	ranks := st.ranks[:0]
	for i := 0; i+1 < len(ids); i++ {
		ranks = append(ranks, m.merges.rank(ids[i], ids[i+1]))
	}
	for len(ranks) > 0 {
		best, at := uint32(noRank), 0
		for i, r := range ranks {
			if r < best {
				best, at = r, i
			}
		}
		if best == noRank {
			break
		}
		_, id := m.merges.get(ids[at], ids[at+1])
		ids[at] = id
		ids = append(ids[:at+1], ids[at+2:]...)
		offs = append(offs[:at+1], offs[at+2:]...)
		ranks = append(ranks[:at], ranks[at+1:]...)
		if at > 0 {
			ranks[at-1] = m.merges.rank(ids[at-1], id)
		}
		if at < len(ranks) {
			ranks[at] = m.merges.rank(id, ids[at+1])
		}
	}
	st.ids, st.offs, st.ranks = ids, offs, ranks
}

// mergeLong merges with a heap of pairs and a linked list of symbols: O(n log n). A pair in
// the heap becomes stale when one of its symbols is merged; it is dropped when it reaches
// the top.
func (m *bpe) mergeLong(st *state) {
	n := len(st.ids)
	ids := st.ids
	next, prev := resize(st.next, n), resize(st.prev, n)
	heap := st.heap[:0]
	for i := range n {
		next[i], prev[i] = int32(i+1), int32(i-1)
		if i+1 < n {
			if r := m.merges.rank(ids[i], ids[i+1]); r != noRank {
				heap = append(heap, pairKey(r, i))
			}
		}
	}
	heap.init()
	for len(heap) > 0 {
		var top uint64
		top, heap = heap.pop()
		at := int32(uint32(top))
		if ids[at] < 0 || int(next[at]) >= n {
			continue
		}
		right := next[at]
		rank, id := m.merges.get(ids[at], ids[right])
		if rank == noRank || rank != uint32(top>>32) {
			continue
		}
		ids[at], ids[right] = id, -1
		after := next[right]
		next[at] = after
		if int(after) < n {
			prev[after] = at
			if r := m.merges.rank(id, ids[after]); r != noRank {
				heap = heap.push(pairKey(r, int(at)))
			}
		}
		if before := prev[at]; before >= 0 {
			if r := m.merges.rank(ids[before], id); r != noRank {
				heap = heap.push(pairKey(r, int(before)))
			}
		}
	}
	kept := 0
	for i := range n {
		if ids[i] >= 0 {
			ids[kept], st.offs[kept] = ids[i], st.offs[i]
			kept++
		}
	}
	st.ids, st.offs = ids[:kept], st.offs[:kept]
	st.next, st.prev, st.heap = next, prev, heap
}

func resize(s []int32, n int) []int32 {
	if cap(s) < n {
		return make([]int32, n)
	}
	return s[:n]
}

// pairHeap is a binary min-heap of rank<<32 | position: lowest rank first, leftmost first
// for equal ranks.
type pairHeap []uint64

func pairKey(rank uint32, at int) uint64 { return uint64(rank)<<32 | uint64(uint32(at)) }

func (h pairHeap) init() {
	for i := len(h)/2 - 1; i >= 0; i-- {
		h.down(i)
	}
}

func (h pairHeap) push(k uint64) pairHeap {
	h = append(h, k)
	i := len(h) - 1
	for i > 0 {
		up := (i - 1) / 2
		if h[up] <= k {
			break
		}
		h[i] = h[up]
		i = up
	}
	h[i] = k
	return h
}

func (h pairHeap) pop() (uint64, pairHeap) {
	top, last := h[0], len(h)-1
	h[0] = h[last]
	h = h[:last]
	if last > 0 {
		h.down(0)
	}
	return top, h
}

func (h pairHeap) down(i int) {
	k := h[i]
	for {
		c := 2*i + 1
		if c >= len(h) {
			break
		}
		if c+1 < len(h) && h[c+1] < h[c] {
			c++
		}
		if k <= h[c] {
			break
		}
		h[i] = h[c]
		i = c
	}
	h[i] = k
}

// pairTable maps a pair of symbols to the rank and the symbol of its merge. It uses open
// addressing, because its lookups take most of the encoder's time.
type pairTable struct {
	keys  []uint64 // left<<32 | right; freeKey: empty
	vals  []uint64 // rank<<32 | id
	shift uint
	used  int
}

// freeKey cannot be a pair, because symbols are not negative.
const freeKey = ^uint64(0)

func newPairTable(n int) pairTable {
	bits := uint(4)
	for 1<<bits < 2*n {
		bits++
	}
	t := pairTable{keys: make([]uint64, 1<<bits), vals: make([]uint64, 1<<bits), shift: 64 - bits}
	for i := range t.keys {
		t.keys[i] = freeKey
	}
	return t
}

func (t *pairTable) slot(key uint64) int {
	mask := len(t.keys) - 1
	// Fibonacci hashing: the multiplier is 2⁶⁴ over the golden ratio.
	i := int(key * 0x9E3779B97F4A7C15 >> t.shift)
	for t.keys[i] != key && t.keys[i] != freeKey {
		i = (i + 1) & mask
	}
	return i
}

// set stores a merge; if a pair is set twice, the later rank applies, as in the reference.
func (t *pairTable) set(left, right int32, rank uint32, id int32) {
	if 2*(t.used+1) > len(t.keys) {
		old := *t
		*t = newPairTable(len(t.keys))
		for i, k := range old.keys {
			if k != freeKey {
				at := t.slot(k)
				t.keys[at], t.vals[at] = k, old.vals[i]
				t.used++
			}
		}
	}
	key := uint64(uint32(left))<<32 | uint64(uint32(right))
	i := t.slot(key)
	if t.keys[i] == freeKey {
		t.used++
	}
	t.keys[i], t.vals[i] = key, uint64(rank)<<32|uint64(uint32(id))
}

func (t *pairTable) get(left, right int32) (rank uint32, id int32) {
	i := t.slot(uint64(uint32(left))<<32 | uint64(uint32(right)))
	if t.keys[i] == freeKey {
		return noRank, -1
	}
	return uint32(t.vals[i] >> 32), int32(uint32(t.vals[i]))
}

func (t *pairTable) rank(left, right int32) uint32 {
	r, _ := t.get(left, right)
	return r
}
