package spectrum

import (
	"fmt"
	"math"
	"sync"

	"github.com/specquant/specquant/internal/kernel/float"
)

// blockChannels is how many channels are moved and transformed together: 64 neighbouring
// float32 columns are a few cache lines, and 64 rows in a product are enough to amortize
// the basis vectors.
const blockChannels = 64

// maxMatrixLen is the largest side of a matrix: a channel must fit a basis.
const maxMatrixLen = MaxLen

// checkMatrix returns an error if the number of values does not match the shape.
func checkMatrix(what string, w []float32, rows, cols int, axis Axis) error {
	if axis != OutputChannel && axis != InputChannel {
		return fmt.Errorf("spectrum: %s: unknown axis %v: want output or input", what, axis)
	}
	if rows < 1 || cols < 1 || rows > maxMatrixLen || cols > maxMatrixLen {
		return fmt.Errorf("spectrum: %s: shape [%d, %d]: want both from 1 to %d", what, rows, cols, maxMatrixLen)
	}
	if len(w) != rows*cols {
		return fmt.Errorf("spectrum: %s: %d weights for shape [%d, %d]: want %d", what, len(w), rows, cols, rows*cols)
	}
	return nil
}

// blocks returns the number of channel blocks, and span the channels of one.
func blocks(channels int) int { return (channels + blockChannels - 1) / blockChannels }

func span(block, channels int) (lo, hi int) {
	lo = block * blockChannels
	return lo, min(lo+blockChannels, channels)
}

// blockBuf holds one block, channel after channel. Its stride is padded, so that channels
// of a power-of-two length are spread over the cache sets.
type blockBuf struct {
	n, stride int
	data      []float64
}

var blockBufs sync.Pool

// newBlockBuf returns a buffer for at most this many channels of length n, with undefined
// contents.
func newBlockBuf(n, channels int) *blockBuf {
	b, _ := blockBufs.Get().(*blockBuf)
	if b == nil {
		b = &blockBuf{}
	}
	b.n, b.stride = n, n+8
	if need := min(channels, blockChannels) * b.stride; cap(b.data) < need {
		b.data = make([]float64, need)
	} else {
		b.data = b.data[:need]
	}
	return b
}

// free returns the buffer to the pool.
func (b *blockBuf) free() { blockBufs.Put(b) }

func (b *blockBuf) channel(i int) []float64 {
	return b.data[i*b.stride : i*b.stride+b.n : i*b.stride+b.n]
}

// load copies channels lo … hi of w [rows, cols] into the buffer. If perm is not nil,
// element t of a channel is the matrix's element perm[t].
func (b *blockBuf) load(w []float32, cols int, axis Axis, lo, hi int, perm []int) {
	if axis == OutputChannel {
		for c := lo; c < hi; c++ {
			row, dst := w[c*cols:(c+1)*cols], b.channel(c-lo)
			if perm == nil {
				for t, v := range row {
					dst[t] = float64(v)
				}
				continue
			}
			for t, p := range perm {
				dst[t] = float64(row[p])
			}
		}
		return
	}
	for t := range b.n {
		p := t
		if perm != nil {
			p = perm[t]
		}
		for c, v := range w[p*cols+lo : p*cols+hi] {
			b.data[c*b.stride+t] = float64(v)
		}
	}
}

// addTo adds sign times the block to channels lo … hi of dst, rounding once.
func (b *blockBuf) addTo(dst []float32, cols int, axis Axis, lo, hi int, sign float64) {
	if axis == OutputChannel {
		for c := lo; c < hi; c++ {
			row, src := dst[c*cols:(c+1)*cols], b.channel(c-lo)
			for t, v := range src {
				row[t] = float32(float64(row[t]) + sign*v)
			}
		}
		return
	}
	for t := range b.n {
		row := dst[t*cols+lo : t*cols+hi]
		for c := range row {
			row[c] = float32(float64(row[c]) + sign*b.data[c*b.stride+t])
		}
	}
}

// vectors holds the lowest basis vectors, [count × n].
type vectors struct {
	n    int
	data []float64
}

func newVectors(b wave, count int) *vectors {
	v := &vectors{n: b.Len(), data: make([]float64, count*b.Len())}
	for i := range count {
		b.vector(v.data[i*v.n:(i+1)*v.n:(i+1)*v.n], i)
	}
	return v
}

// dots writes the products of the first channels of buf with the lowest vectors
// into z [channels × count].
func (v *vectors) dots(z []float64, buf *blockBuf, channels, count int) {
	float.MatMulNT64(nil, z, count, buf.data, buf.stride, v.data, v.n, channels, count, v.n, float.Set)
}

// combine writes the sums of the lowest vectors, times z [channels × count], into
// the first channels of buf.
func (v *vectors) combine(buf *blockBuf, z []float64, channels, count int) {
	float.MatMulNN64(nil, buf.data, buf.stride, z, count, v.data, v.n, channels, v.n, count, float.Set)
}

// finite reports whether v is neither NaN nor infinite.
func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
