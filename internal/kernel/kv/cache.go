package kv

import (
	"encoding/binary"
	"fmt"
)

// Cache is the memory of attention in one transformer block for one
// sequence: keys and values by kv head and position, in 4 or 8 bits or as
// float32. A quantized vector is minimum + scale·q, the integers q being packed
// as in quant.KV: one a byte, or two, even index low.
//
// Kernels go through keys with positions in the lanes of a register, and
// through values with dimensions in the lanes. So keys lie in blocks of 16
// positions, transposed: [kv_heads][capacity/16][head_dim][16]. Values are rows,
// filled up with zeros to 32 dimensions: [kv_heads][capacity][row].
//
// The kernels for integers add the products of four bytes at once (see
// int.go). So of a packed key, filled up with zeros to four bytes, four bytes
// lie together, [kv_heads][capacity/16][packed bytes/4][16][4], and of the
// packed values four positions: [kv_heads][capacity/4][row][4]. Scales and
// minima are [kv_heads][capacity].
type Cache struct {
	Bits           int     // 4, 8, or 16 for float32
	Heads, HeadDim int     // kv heads; head_dim, which is even
	SoftCap        float32 // c in c·tanh(s/c) of the scaled scores s; 0: none
	capacity       int     // positions that fit, a multiple of kvAlign

	pages []*Cache // where the positions lie, if not in what follows: see pages.go

	keys, values   []byte
	keys32         []float32
	values32       []float32
	ks, km, vs, vm []uint16 // IEEE binary16
}

const (
	kvLanes = 16 // positions of a block of keys
	kvAlign = 64 // positions that the kernels take at once, at most
	kvDims  = 32 // dimensions of a piece of a value
)

func alignUp(n, to int) int { return (n + to - 1) / to * to }

// keyRow is the size of a key, in bytes or float32s, and valueRow of a value.
func (c *Cache) keyRow() int {
	if c.Bits == 16 {
		return c.HeadDim
	}
	return alignUp(c.HeadDim*c.Bits/8, 4)
}

func (c *Cache) valueRow() int {
	if c.Bits == 4 {
		return alignUp(c.HeadDim, kvDims) / 2
	}
	return alignUp(c.HeadDim, kvDims)
}

// Capacity is the number of positions that fit.
func (c *Cache) Capacity() int { return c.capacity }

// Bytes is the memory in use, that of pages apart.
func (c *Cache) Bytes() int64 {
	return int64(cap(c.keys)+cap(c.values)) + 4*int64(cap(c.keys32)+cap(c.values32)) +
		2*int64(cap(c.ks)+cap(c.km)+cap(c.vs)+cap(c.vm))
}

// Reserve makes room for n positions and keeps the first `used`. It allocates more than
// n, so that it need not grow at every call, but at most limit, rounded up to a block.
func (c *Cache) Reserve(n, used, limit int) {
	if n <= c.capacity {
		return
	}
	c.check()
	if c.pages != nil {
		panic("kernel: a paged cache has no room for more positions; pages are added by SetPage")
	}
	from, to := c.capacity, alignUp(max(n, min(2*c.capacity, limit)), kvAlign)
	c.capacity = to
	kept := min(alignUp(used, kvLanes), from)
	if c.Bits == 16 {
		c.keys32 = regrow(c.keys32, c.Heads, from, to, kept, c.keyRow())
		c.values32 = regrow(c.values32, c.Heads, from, to, kept, c.valueRow())
		return
	}
	c.keys = regrow(c.keys, c.Heads, from, to, kept, c.keyRow())
	c.values = regrow(c.values, c.Heads, from, to, kept, c.valueRow())
	c.ks, c.km = regrow(c.ks, c.Heads, from, to, kept, 1), regrow(c.km, c.Heads, from, to, kept, 1)
	c.vs, c.vm = regrow(c.vs, c.Heads, from, to, kept, 1), regrow(c.vm, c.Heads, from, to, kept, 1)
}

// check panics where there are no kernels for the shape.
func (c *Cache) check() {
	if c.Bits != 4 && c.Bits != 8 && c.Bits != 16 || c.HeadDim <= 0 || c.HeadDim%2 != 0 {
		panic(fmt.Sprintf("kernel: no cache of %d bits for heads of %d", c.Bits, c.HeadDim))
	}
	if c.Bits != 16 && c.HeadDim > kvIntDims {
		panic(fmt.Sprintf("kernel: no cache of %d bits for heads of %d dimensions, only of up to %d", c.Bits, c.HeadDim, kvIntDims))
	}
}

func regrow[T any](old []T, heads, from, to, kept, width int) []T {
	s := make([]T, heads*to*width)
	for h := range heads {
		copy(s[h*to*width:][:kept*width], old[h*from*width:])
	}
	return s
}

// CopyFrom makes the cache hold the first n positions of another of the same shape,
// and nothing else. limit is that of [Cache.Reserve].
func (c *Cache) CopyFrom(src *Cache, n, limit int) {
	if c.Bits != src.Bits || c.Heads != src.Heads || c.HeadDim != src.HeadDim || n > src.capacity {
		panic("kernel: copy between caches of different shapes")
	}
	c.Reserve(n, 0, limit)
	n = alignUp(n, kvLanes)
	copyHeads(c.keys, src.keys, c.Heads, c.capacity, src.capacity, n, c.keyRow())
	copyHeads(c.values, src.values, c.Heads, c.capacity, src.capacity, n, c.valueRow())
	copyHeads(c.keys32, src.keys32, c.Heads, c.capacity, src.capacity, n, c.keyRow())
	copyHeads(c.values32, src.values32, c.Heads, c.capacity, src.capacity, n, c.valueRow())
	copyHeads(c.ks, src.ks, c.Heads, c.capacity, src.capacity, n, 1)
	copyHeads(c.km, src.km, c.Heads, c.capacity, src.capacity, n, 1)
	copyHeads(c.vs, src.vs, c.Heads, c.capacity, src.capacity, n, 1)
	copyHeads(c.vm, src.vm, c.Heads, c.capacity, src.capacity, n, 1)
}

// copyHeads copies the first n positions of each head between arrays
// [heads][capacity][width], unless the cache does not use them.
func copyHeads[T any](dst, src []T, heads, to, from, n, width int) {
	if len(src) == 0 {
		return
	}
	for h := range heads {
		copy(dst[h*to*width:][:n*width], src[h*from*width:][:n*width])
	}
}

// keyAt returns where byte i of the packed key of a position is, or its float32.
func (c *Cache) keyAt(head, position, i int) int {
	block, lane := (head*c.capacity+position&^(kvLanes-1))*c.keyRow(), position%kvLanes
	if c.Bits == 16 {
		return block + i*kvLanes + lane
	}
	return block + (i/4*kvLanes+lane)*4 + i%4
}

// valueAt returns where byte i of the packed value of a position is, or its float32.
func (c *Cache) valueAt(head, position, i int) int {
	if c.Bits == 16 {
		return (head*c.capacity+position)*c.valueRow() + i
	}
	return (head*c.capacity+position&^3)*c.valueRow() + 4*i + position%4
}

// Put stores a key and a value [head_dim] in a cache of float32.
func (c *Cache) Put(head, position int, key, value []float32) {
	c, position, _ = c.piece(position, position+1)
	column := c.keys32[c.keyAt(head, position, 0):]
	for i, v := range key {
		column[i*kvLanes] = v
	}
	copy(c.values32[c.valueAt(head, position, 0):], value)
}

// PutPacked stores a packed key and value [head_dim·bits/8] with their scales
// and minima as IEEE binary16 in a quantized cache.
func (c *Cache) PutPacked(head, position int, key, value []byte, keyScale, keyMin, valueScale, valueMin uint16) {
	c, position, _ = c.piece(position, position+1)
	column := c.keys[c.keyAt(head, position, 0):]
	whole := len(key) &^ 3
	for i := 0; i < whole; i += 4 {
		binary.LittleEndian.PutUint32(column[i*kvLanes:], binary.LittleEndian.Uint32(key[i:]))
	}
	if whole < len(key) {
		copy(column[whole*kvLanes:][:4], key[whole:])
	}
	column = c.values[c.valueAt(head, position, 0):]
	for i, v := range value {
		column[4*i] = v
	}
	at := head*c.capacity + position
	c.ks[at], c.km[at], c.vs[at], c.vm[at] = keyScale, keyMin, valueScale, valueMin
}

// PositionBytes is the memory that one position takes, keys and values of all
// kv heads.
func (c *Cache) PositionBytes() int64 {
	n := c.keyRow() + c.valueRow()
	if c.Bits == 16 {
		n *= 4
	} else {
		n += 8
	}
	return int64(c.Heads) * int64(n)
}
