package engine

import (
	"github.com/specquant/specquant/internal/kernel"
	"github.com/specquant/specquant/internal/quant"
)

// Sequence is a text in progress: its key/value cache in every block. A
// sequence belongs to one model and to one goroutine at a time.
type Sequence struct {
	model  *Model
	tokens int
	blocks []kv
}

// Tokens is the number of tokens in the cache.
func (s *Sequence) Tokens() int { return s.tokens }

// Truncate forgets all but the first n tokens.
func (s *Sequence) Truncate(n int) { s.tokens = min(s.tokens, max(n, 0)) }

// Bytes is the memory that the cache holds now.
func (s *Sequence) Bytes() int64 {
	var n int64
	for i := range s.blocks {
		b := &s.blocks[i]
		n += int64(4*(cap(b.k)+cap(b.v)) + cap(b.kq) + cap(b.vq) + 2*(cap(b.ks)+cap(b.km)+cap(b.vs)+cap(b.vm)))
	}
	return n
}

// kv is the cache of one block. Per kv head the positions lie one after the
// other, so that attention streams.
type kv struct {
	capacity int // positions that fit

	// Full precision: [kv_heads][capacity][head_dim].
	k, v []float32

	// Quantized: packed integers [kv_heads][capacity][bytes], 16-bit scales
	// and minima [kv_heads][capacity].
	kq, vq         []byte
	ks, km, vs, vm []uint16
}

// reserve makes room for n positions, keeping the first `used`.
func (c *kv) reserve(heads, n, used, limit int, f cacheFormat) {
	if n <= c.capacity {
		return
	}
	capacity := min(max(n, 2*c.capacity, 64), limit)
	old := *c
	c.capacity = capacity
	if f.bits == 16 {
		c.k = regrow(old.k, heads, old.capacity, capacity, used, f.headDim)
		c.v = regrow(old.v, heads, old.capacity, capacity, used, f.headDim)
		return
	}
	bytes := f.packed.Bytes()
	c.kq = regrow(old.kq, heads, old.capacity, capacity, used, bytes)
	c.vq = regrow(old.vq, heads, old.capacity, capacity, used, bytes)
	c.ks = regrow(old.ks, heads, old.capacity, capacity, used, 1)
	c.km = regrow(old.km, heads, old.capacity, capacity, used, 1)
	c.vs = regrow(old.vs, heads, old.capacity, capacity, used, 1)
	c.vm = regrow(old.vm, heads, old.capacity, capacity, used, 1)
}

func regrow[T any](old []T, heads, from, to, used, width int) []T {
	s := make([]T, heads*to*width)
	for h := range heads {
		copy(s[h*to*width:], old[h*from*width:][:min(used, from)*width])
	}
	return s
}

// cacheFormat is how keys and values are held.
type cacheFormat struct {
	bits    int // 16: as float32, exact
	headDim int
	packed  quant.KV
}

// put stores one head's key and value at a position.
func (c *kv) put(f cacheFormat, head, position int, k, v []float32) {
	at := head*c.capacity + position
	if f.bits == 16 {
		copy(c.k[at*f.headDim:], k)
		copy(c.v[at*f.headDim:], v)
		return
	}
	n := f.packed.Bytes()
	var pair [2]float32
	pair[0], pair[1] = f.packed.Quantize(c.kq[at*n:][:n], k)
	var half [2]uint16
	kernel.F32ToF16(half[:], pair[:])
	c.ks[at], c.km[at] = half[0], half[1]
	pair[0], pair[1] = f.packed.Quantize(c.vq[at*n:][:n], v)
	kernel.F32ToF16(half[:], pair[:])
	c.vs[at], c.vm[at] = half[0], half[1]
}

// scores writes q·k for positions [from, to).
func (c *kv) scores(f cacheFormat, dst, q []float32, head, from, to int) {
	at := head*c.capacity + from
	if f.bits == 16 {
		for j := range to - from {
			dst[j] = kernel.Dot(q, c.k[(at+j)*f.headDim:][:f.headDim])
		}
		return
	}
	kernel.KVScores(dst, q, c.kq[at*f.packed.Bytes():], c.ks[at:], c.km[at:], f.bits, to-from)
}

// combine writes Σ p·v for positions [from, to).
func (c *kv) combine(f cacheFormat, dst, p []float32, head, from, to int) {
	at := head*c.capacity + from
	if f.bits == 16 {
		clear(dst)
		for j := range to - from {
			kernel.Axpy(dst, p[j], c.v[(at+j)*f.headDim:][:f.headDim])
		}
		return
	}
	kernel.KVCombine(dst, p, c.vq[at*f.packed.Bytes():], c.vs[at:], c.vm[at:], f.bits, to-from)
}
