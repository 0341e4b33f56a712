package engine

import (
	"github.com/specquant/specquant/internal/kernel/kv"
	"github.com/specquant/specquant/internal/quant"
)

// Sequence is a text in progress: its key/value cache in every block. A
// sequence belongs to one model and to one goroutine at a time.
type Sequence struct {
	model  *Model
	memory *Pages // nil: the sequence allocates its own pages
	tokens int
	want   int // tokens after the step under way
	pages  []*Page
	blocks []kv.Cache // each block's cache, in these pages
}

// Tokens is the number of tokens in the cache.
func (s *Sequence) Tokens() int { return s.tokens }

// Truncate removes all but the first n tokens. It does not free memory.
func (s *Sequence) Truncate(n int) { s.tokens = min(s.tokens, max(n, 0)) }

// put stores one head's key and value at a position of a cache.
func put(c *kv.Cache, head, position int, k, v []float32) {
	if c.Bits == 16 {
		c.Put(head, position, k, v)
		return
	}
	f := quant.KV{Bits: c.Bits, HeadDim: c.HeadDim}
	var packed [2 * maxHeadBytes]byte
	kq, vq := packed[:maxHeadBytes], packed[maxHeadBytes:]
	if n := f.Bytes(); n > maxHeadBytes {
		kq, vq = make([]byte, n), make([]byte, n)
	}
	kq, vq = kq[:f.Bytes()], vq[:f.Bytes()]
	ks, km := f.QuantizeHalf(kq, k)
	vs, vm := f.QuantizeHalf(vq, v)
	c.PutPacked(head, position, kq, vq, ks, km, vs, vm)
}

// maxHeadBytes is the packed size up to which put needs no allocation.
const maxHeadBytes = 128
