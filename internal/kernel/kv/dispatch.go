//go:build amd64 || arm64

package kv

import (
	"unsafe"

	"github.com/specquant/specquant/internal/kernel/cpu"
)

// Attention in assembly. attend.go and int.go define in Go what the functions here compute.
// The functions return false, and do nothing, if the active tier has no assembly.
//
// Every routine takes a fixed number of rows (queries or their weights) and of positions or
// dimensions, which its name gives, followed by the format of the cache: 4x64q8 has 4 rows,
// 64 positions and a cache of 8 bits, f32 is a cache of float32. kvScore, kvCombine,
// kvIntScore and kvIntCombine (dispatch_*.go, calls_*.go) choose among them.

// hasAssembly reports whether the active tier has assembly for attention.
func hasAssembly() bool { return cpu.Active() != cpu.Portable }

// kvScoreArgs are the arguments of a routine that multiplies queries with keys of float32.
type kvScoreArgs struct {
	keys       unsafe.Pointer // the first block of 16 positions
	blockBytes int            // bytes from block to block
	steps      int            // dimensions of a key: head_dim
	groups     int            // how many times the routine's number of positions
	q          unsafe.Pointer // the queries [head_dim][rows]
	dst        unsafe.Pointer // the scores
	dstRow     int            // bytes from row to row of the scores
}

// kvCombineArgs are the arguments of a routine that adds weighted values of float32 to sums.
type kvCombineArgs struct {
	w       unsafe.Pointer // the weights
	wRow    int            // bytes from row to row of the weights
	values  unsafe.Pointer // the first value, from the first dimension that is taken
	next    int            // bytes from value to value
	n       int            // number of values
	sums    unsafe.Pointer // the sums, from that dimension on
	sumsRow int            // bytes from row to row of the sums
}

// kvIntScoreArgs are the arguments of a routine that multiplies queries with keys of 4 or 8
// bits.
type kvIntScoreArgs struct {
	keys       unsafe.Pointer // the first block of 16 positions
	blockBytes int            // bytes from block to block
	steps      int            // groups of four bytes of a key
	groups     int            // how many times the routine's number of positions
	q          unsafe.Pointer // the queries, as kvIntRow writes them
	qRow       int            // bytes from row to row; twice the bytes of a plane where there are planes
	total      unsafe.Pointer // [rows] int32: the sum of each query's integers
	scale, min unsafe.Pointer // of the keys, IEEE binary16
	dst        unsafe.Pointer // the scores
	dstRow     int            // bytes from row to row of the scores
	ahead      int            // bytes to the keys that the routine fetches ahead
}

// kvIntCombineArgs are the arguments of a routine that adds weighted values of 4 or 8 bits
// to sums.
type kvIntCombineArgs struct {
	w       unsafe.Pointer // the weights, as kvSoftmax writes them
	wRow    int            // bytes from row to row of the weights
	values  unsafe.Pointer // the first four values, from the first dimension that is taken
	next    int            // bytes from four values to the next four
	fours   int            // number of fours
	sums    unsafe.Pointer // the sums, from that dimension on
	sumsRow int            // bytes from row to row of the sums
	step    unsafe.Pointer // the weights' step of the first block
	stepRow int            // bytes from row to row of the steps
	ahead   int            // bytes to the values that the routine fetches ahead
}

// kvAhead returns the distance in bytes from data[at] to next[nextAt], in another page.
func kvAhead(data []byte, at int, next []byte, nextAt int) int {
	return int(uintptr(unsafe.Pointer(&next[nextAt])) - uintptr(unsafe.Pointer(&data[at])))
}

// kvScoreBlocks is [Cache.scores] in assembly.
func kvScoreBlocks(c *Cache, head, from, n int, q []float32, rows int, dst []float32, stride int) bool {
	if !hasAssembly() {
		return false
	}
	at, row := head*c.capacity+from, c.keyRow()
	a := kvScoreArgs{keys: unsafe.Pointer(&c.keys32[at*row]), blockBytes: 4 * kvLanes * row,
		steps: row, groups: n / kvUnit(rows), q: kvFirst(q), dst: kvFirst(dst), dstRow: 4 * stride}
	// Go checks the bounds of the last element that the routine reads or writes.
	_, _, _ = q[c.HeadDim*rows-1], dst[(rows-1)*stride+n-1], c.keys32[(at+n)*row-1]
	kvScore(&a, rows, kvUnit(rows), c.Bits)
	return true
}

// kvCombineBlocks is [Cache.combine] in assembly.
func kvCombineBlocks(c *Cache, head, from, n int, w []float32, stride, rows int, sums []float32, dims int) bool {
	if !hasAssembly() {
		return false
	}
	at, row := head*c.capacity+from, c.valueRow()
	a := kvCombineArgs{w: kvFirst(w), wRow: 4 * stride, n: n, sums: kvFirst(sums), sumsRow: 4 * dims}
	_, _ = w[(rows-1)*stride+n-1], sums[rows*dims-1]
	const piece, half = 4 * kvDims, 32 // bytes of 32 dimensions, of 8 dimensions
	a.values, a.next = unsafe.Pointer(&c.values32[at*row]), 4*row
	_ = c.values32[(at+n)*row-1]
	for d := 0; d < dims; d += kvDims {
		switch {
		case !kvWide() && rows == 4:
			// Dimensions 0…7 and 16…23 of the 32, then the others.
			kvCombine(&a, 4, 16, c.Bits)
			a.values, a.sums = unsafe.Add(a.values, half), unsafe.Add(a.sums, 32)
			kvCombine(&a, 4, 16, c.Bits)
			a.values, a.sums = unsafe.Add(a.values, -half), unsafe.Add(a.sums, -32)
		case kvWide() && rows == 1 && d+2*kvDims <= dims:
			kvCombine(&a, 1, 64, c.Bits)
			d += kvDims
			a.values, a.sums = unsafe.Add(a.values, piece), unsafe.Add(a.sums, 4*kvDims)
		default:
			kvCombine(&a, rows, 32, c.Bits)
		}
		if d+kvDims < dims {
			a.values, a.sums = unsafe.Add(a.values, piece), unsafe.Add(a.sums, 4*kvDims)
		}
	}
	return true
}

// kvIntScoreBlocks is [Cache.scoresInt] in assembly.
func kvIntScoreBlocks(c, next *Cache, head, from, n int, q []byte, total []int32, dst []float32, stride int) bool {
	if !hasAssembly() {
		return false
	}
	at, row, rows := head*c.capacity+from, c.keyRow(), len(total)
	a := kvIntScoreArgs{keys: unsafe.Pointer(&c.keys[at*row]), blockBytes: kvLanes * row, steps: row / 4, groups: n / kvIntUnit(rows),
		q: unsafe.Pointer(&q[0]), qRow: len(q) / rows, total: unsafe.Pointer(&total[0]), scale: unsafe.Pointer(&c.ks[at]), min: unsafe.Pointer(&c.km[at]),
		dst: kvFirst(dst), dstRow: 4 * stride}
	a.ahead = kvIntUnit(rows) * row
	if next != nil {
		a.ahead = kvAhead(c.keys, at*row, next.keys, head*Page*row)
	}
	// Go checks the bounds of the last element that the routine reads or writes.
	_, _, _ = c.keys[(at+n)*row-1], c.ks[at+n-1], dst[(rows-1)*stride+n-1]
	kvIntScore(&a, rows, kvIntUnit(rows), c.Bits)
	return true
}

// kvSoftmaxBlocks is [kvSoftmaxGo] in assembly.
func kvSoftmaxBlocks(dst []byte, step, s []float32, a, limit float32, vscale, vmin []float32) (sum, base float32, ok bool) {
	if !hasAssembly() || len(step) == 0 {
		return 0, 0, false
	}
	n := len(step) * kvIntBlock
	_, _, _, _ = dst[2*n-1], s[n-1], vscale[n-1], vmin[n-1]
	sum, base = kvSoftmaxRow(unsafe.Pointer(&dst[0]), kvFirst(step), kvFirst(s), kvFirst(vscale), kvFirst(vmin), len(step), a, limit)
	return sum, base, true
}

// kvIntCombineBlocks is [Cache.combineInt] in assembly.
func kvIntCombineBlocks(c, next *Cache, head, from, n int, w []byte, wRow int, step []float32, stepRow, rows int, sums []float32, dims int) bool {
	if !hasAssembly() {
		return false
	}
	at, row := head*c.capacity+from, c.valueRow()
	_, _, _ = w[(rows-1)*wRow+2*n-1], step[(rows-1)*stepRow+(n-1)/kvIntBlock], sums[rows*dims-1]
	_ = c.values[(at+n)*row-1]
	a := kvIntCombineArgs{w: unsafe.Pointer(&w[0]), wRow: wRow, values: unsafe.Pointer(&c.values[at*row]), next: 4 * row, fours: n / 4,
		sums: kvFirst(sums), sumsRow: 4 * dims, step: kvFirst(step), stepRow: 4 * stepRow}
	a.ahead = kvIntBlock * row
	if next != nil {
		a.ahead = kvAhead(c.values, at*row, next.values, head*Page*row)
	}
	kvIntCombineRows(c, a, rows, dims)
	return true
}

// kvIntCombineNarrow calls routines that take `wide` dimensions, at most 16. With 4 bits half
// of those are 16 dimensions further than the others, because they come from the other half
// of the same bytes.
func kvIntCombineNarrow(c *Cache, a kvIntCombineArgs, rows, wide, dims int) {
	for d := 0; d < dims; d += wide {
		b := a
		b.values = unsafe.Add(a.values, d*c.Bits/2)
		to := d
		if c.Bits == 4 {
			to = d/kvDims*kvDims + d%kvDims/2
		}
		b.sums = unsafe.Add(a.sums, 4*to)
		kvIntCombine(&b, rows, wide, c.Bits)
	}
}

// kvFirst returns the address of a vector's data.
func kvFirst(x []float32) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(x)) }

// kvBlocks returns how many of n numbers the assembly takes: whole blocks of 16.
func kvBlocks(n int) int {
	if !hasAssembly() {
		return 0
	}
	return n &^ 15
}
