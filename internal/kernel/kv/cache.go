package kv

import (
	"encoding/binary"
	"fmt"

	"github.com/specquant/specquant/internal/kernel/shape"
)

// Cache holds the keys and values of one sequence in one transformer block, by kv head and
// position, in integers of 4 or 8 bits or in float32. A vector in integers q stands for
// minimum + scale·q. Integers of 8 bits are bytes; of 4 bits, two share a byte, the one with
// the even index in the low half (as in quant.KV).
//
// The routines compute scores for 16 positions side by side, and sums of values for
// several dimensions side by side. So float32 keys lie in blocks of 16 positions,
// transposed: [kv_heads][capacity/16][head_dim][16]. Values are rows, filled up with zeros
// to a multiple of 32 dimensions: [kv_heads][capacity][row].
//
// The routines for integers add products of four bytes at once (see int.go). So four bytes
// of a key lie together: [kv_heads][capacity/16][bytes/4][16][4], its bytes filled up with
// zeros to a multiple of four. Of the values, the bytes of four positions lie together:
// [kv_heads][capacity/4][row][4]. Scales and minima are [kv_heads][capacity].
type Cache struct {
	Bits           int     // 4 or 8; 16 stands for float32
	Heads, HeadDim int     // number of kv heads; head_dim, which is even
	SoftCap        float32 // c, if scaled scores s become c·tanh(s/c); 0 if not
	capacity       int     // positions that fit, a multiple of kvAlign

	pages []*Cache // if not nil, they hold the positions, and what follows is empty: see pages.go

	keys, values     []byte    // if Bits is 4 or 8
	keys32, values32 []float32 // if Bits is 16
	ks, km           []uint16  // scale and minimum of each key, IEEE binary16
	vs, vm           []uint16  // scale and minimum of each value
}

const (
	kvLanes = 16 // positions of a block of keys
	kvAlign = 64 // the largest number of positions that a routine takes at once
	kvDims  = 32 // values are filled up to a multiple of so many dimensions
)

// keyRow returns the size of a key, in bytes or in float32s.
func (c *Cache) keyRow() int {
	if c.Bits == 16 {
		return c.HeadDim
	}
	return shape.RoundUp(c.HeadDim*c.Bits/8, 4)
}

// valueRow returns the size of a value, in bytes or in float32s.
func (c *Cache) valueRow() int {
	if c.Bits == 4 {
		return shape.RoundUp(c.HeadDim, kvDims) / 2
	}
	return shape.RoundUp(c.HeadDim, kvDims)
}

// Capacity returns the number of positions that fit.
func (c *Cache) Capacity() int { return c.capacity }

// Bytes returns the bytes of memory in use, without those of pages.
func (c *Cache) Bytes() int64 {
	return int64(cap(c.keys)+cap(c.values)) + 4*int64(cap(c.keys32)+cap(c.values32)) +
		2*int64(cap(c.ks)+cap(c.km)+cap(c.vs)+cap(c.vm))
}

// Reserve makes room for n positions and keeps the first `used`. It doubles the capacity if
// that is more than n, so that few calls have to copy, but does not exceed limit (rounded up
// to a multiple of 64) for that.
func (c *Cache) Reserve(n, used, limit int) {
	if n <= c.capacity {
		return
	}
	c.check()
	if c.pages != nil {
		panic("kernel: a paged cache has no room for more positions; pages are added by SetPage")
	}
	from, to := c.capacity, shape.RoundUp(max(n, min(2*c.capacity, limit)), kvAlign)
	c.capacity = to
	kept := min(shape.RoundUp(used, kvLanes), from)
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

// check panics if attention does not support the cache's shape.
func (c *Cache) check() {
	if c.Bits != 4 && c.Bits != 8 && c.Bits != 16 || c.HeadDim <= 0 || c.HeadDim%2 != 0 {
		panic(fmt.Sprintf("kernel: no cache of %d bits for heads of %d", c.Bits, c.HeadDim))
	}
	if c.Bits != 16 && c.HeadDim > kvIntDims {
		panic(fmt.Sprintf("kernel: no cache of %d bits for heads of %d dimensions, only of up to %d", c.Bits, c.HeadDim, kvIntDims))
	}
}

// regrow returns an array [heads][to][width] with the first `kept` positions of each head of
// the array old [heads][from][width].
func regrow[T any](old []T, heads, from, to, kept, width int) []T {
	s := make([]T, heads*to*width)
	for h := range heads {
		copy(s[h*to*width:][:kept*width], old[h*from*width:])
	}
	return s
}

// CopyFrom makes the cache hold the first n positions of another cache of the same shape,
// and nothing else. limit is that of [Cache.Reserve].
func (c *Cache) CopyFrom(src *Cache, n, limit int) {
	if c.Bits != src.Bits || c.Heads != src.Heads || c.HeadDim != src.HeadDim || n > src.capacity {
		panic("kernel: copy between caches of different shapes")
	}
	c.Reserve(n, 0, limit)
	n = shape.RoundUp(n, kvLanes)
	copyHeads(c.keys, src.keys, c.Heads, c.capacity, src.capacity, n, c.keyRow())
	copyHeads(c.values, src.values, c.Heads, c.capacity, src.capacity, n, c.valueRow())
	copyHeads(c.keys32, src.keys32, c.Heads, c.capacity, src.capacity, n, c.keyRow())
	copyHeads(c.values32, src.values32, c.Heads, c.capacity, src.capacity, n, c.valueRow())
	copyHeads(c.ks, src.ks, c.Heads, c.capacity, src.capacity, n, 1)
	copyHeads(c.km, src.km, c.Heads, c.capacity, src.capacity, n, 1)
	copyHeads(c.vs, src.vs, c.Heads, c.capacity, src.capacity, n, 1)
	copyHeads(c.vm, src.vm, c.Heads, c.capacity, src.capacity, n, 1)
}

// copyHeads copies the first n positions of each head from array src [heads][from][width] to
// dst [heads][to][width]. It does nothing if src is empty, because a cache of that number of
// bits does not use the array.
func copyHeads[T any](dst, src []T, heads, to, from, n, width int) {
	if len(src) == 0 {
		return
	}
	for h := range heads {
		copy(dst[h*to*width:][:n*width], src[h*from*width:][:n*width])
	}
}

// keyAt returns the index of byte i of a position's key in c.keys, or of dimension i in
// c.keys32.
func (c *Cache) keyAt(head, position, i int) int {
	block, lane := (head*c.capacity+position&^(kvLanes-1))*c.keyRow(), position%kvLanes
	if c.Bits == 16 {
		return block + i*kvLanes + lane
	}
	return block + (i/4*kvLanes+lane)*4 + i%4
}

// valueAt returns the index of byte i of a position's value in c.values, or of dimension i
// in c.values32.
func (c *Cache) valueAt(head, position, i int) int {
	if c.Bits == 16 {
		return (head*c.capacity+position)*c.valueRow() + i
	}
	return (head*c.capacity+position&^3)*c.valueRow() + 4*i + position%4
}

// Put stores the key and the value [head_dim] of a position in a cache of float32.
func (c *Cache) Put(head, position int, key, value []float32) {
	c, position, _ = c.piece(position, position+1)
	column := c.keys32[c.keyAt(head, position, 0):]
	for i, v := range key {
		column[i*kvLanes] = v
	}
	copy(c.values32[c.valueAt(head, position, 0):], value)
}

// PutPacked stores the key and the value of a position in a cache of integers: bytes
// [head_dim·bits/8], and scales and minima in IEEE binary16.
func (c *Cache) PutPacked(head, position int, key, value []byte, keyScale, keyMin, valueScale, valueMin uint16) {
	c, position, _ = c.piece(position, position+1)
	putBytes(c.keys[c.keyAt(head, position, 0):], c.values[c.valueAt(head, position&^3, 0):], key, value, position&3)
	at := head*c.capacity + position
	c.ks[at], c.km[at], c.vs[at], c.vm[at] = keyScale, keyMin, valueScale, valueMin
}

// putBytes stores the bytes of a key, four together in every 64 bytes of keys, and those of
// a value, as byte `lane` of every four bytes of values.
func putBytes(keys, values, key, value []byte, lane int) {
	if putBlocks(keys, values, key, value, lane) {
		return
	}
	whole := len(key) &^ 3
	for i := 0; i < whole; i += 4 {
		binary.LittleEndian.PutUint32(keys[i*kvLanes:], binary.LittleEndian.Uint32(key[i:]))
	}
	if whole < len(key) {
		copy(keys[whole*kvLanes:][:4], key[whole:])
	}
	for i, v := range value {
		values[4*i+lane] = v
	}
}

// PositionBytes returns the bytes of a position: keys and values of all kv heads.
func (c *Cache) PositionBytes() int64 {
	n := c.keyRow() + c.valueRow()
	if c.Bits == 16 {
		n *= 4
	} else {
		n += 8
	}
	return int64(c.Heads) * int64(n)
}
