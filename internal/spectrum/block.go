package spectrum

import (
	"fmt"
	"math"
)

// blockChannels channels are moved and transformed together: 16 neighbouring
// float32 columns are one cache line.
const blockChannels = 16

// maxMatrixLen is the largest side of a matrix: a channel must fit a basis.
const maxMatrixLen = MaxLen

// checkMatrix reports a matrix whose values do not match its shape.
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

// blockBuf holds one block, channel after channel. Its stride is padded, so that
// channels of a power-of-two length do not all fall into one cache set.
type blockBuf struct {
	n, stride int
	data      []float64
}

func newBlockBuf(n int) *blockBuf {
	stride := n + 8
	return &blockBuf{n: n, stride: stride, data: make([]float64, blockChannels*stride)}
}

func (b *blockBuf) channel(i int) []float64 {
	return b.data[i*b.stride : i*b.stride+b.n : i*b.stride+b.n]
}

// load copies channels lo … hi of w [rows, cols] into the buffer. Where perm is
// not nil, element t of a channel is the matrix's element perm[t].
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

// vectors holds the lowest basis vectors in float64, padded with zeros to a
// multiple of four for the unrolled loops below.
type vectors struct {
	n    int
	data []float64
}

func newVectors(b wave, count int) *vectors {
	v := &vectors{n: b.Len(), data: make([]float64, (count+3)/4*4*b.Len())}
	for i := range count {
		b.vector(v.row(i), i)
	}
	return v
}

func (v *vectors) row(i int) []float64 { return v.data[i*v.n : (i+1)*v.n : (i+1)*v.n] }

// dots writes ⟨vector f, x⟩ for f < len(a) into a, and likewise of y into b, two
// channels at a time so that each vector is read once for both. Each sum runs
// over t in order: its value does not depend on what is computed beside it.
func (v *vectors) dots(a, b []float64, x, y []float64) {
	count := max(len(a), len(b))
	for f := 0; f < count; f += 4 {
		f0, f1, f2, f3 := v.row(f), v.row(f+1), v.row(f+2), v.row(f+3)
		x, y := x[:len(f0)], y[:len(f0)]
		f1, f2, f3 = f1[:len(f0)], f2[:len(f0)], f3[:len(f0)]
		var a0, a1, a2, a3, b0, b1, b2, b3 float64
		for t, p0 := range f0 {
			xt, yt := x[t], y[t]
			p1, p2, p3 := f1[t], f2[t], f3[t]
			a0 += p0 * xt
			b0 += p0 * yt
			a1 += p1 * xt
			b1 += p1 * yt
			a2 += p2 * xt
			b2 += p2 * yt
			a3 += p3 * xt
			b3 += p3 * yt
		}
		if f < len(a) {
			copy(a[f:], []float64{a0, a1, a2, a3})
		}
		if f < len(b) {
			copy(b[f:], []float64{b0, b1, b2, b3})
		}
	}
}

// combine writes Σ_f c_f·vector f into dst [n].
func (v *vectors) combine(dst []float64, c []float32) {
	clear(dst)
	for f := 0; f < len(c); f += 4 {
		var k [4]float32
		copy(k[:], c[f:])
		c0, c1, c2, c3 := float64(k[0]), float64(k[1]), float64(k[2]), float64(k[3])
		f0, f1, f2, f3 := v.row(f), v.row(f+1), v.row(f+2), v.row(f+3)
		out := dst[:len(f0)]
		f1, f2, f3 = f1[:len(f0)], f2[:len(f0)], f3[:len(f0)]
		for t, p0 := range f0 {
			out[t] += c0*p0 + c1*f1[t] + (c2*f2[t] + c3*f3[t])
		}
	}
}

// finite reports whether v is neither NaN nor infinite.
func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
