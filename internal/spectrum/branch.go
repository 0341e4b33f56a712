package spectrum

import (
	"fmt"
	"sync"
)

// directMax is the coefficient count up to which a channel is projected by dot
// products with the basis vectors; beyond it a full FFT is cheaper.
const directMax = 64

// Branch is W', the truncation of a matrix W [Rows, Cols] to the lowest components of every
// channel (eq. 14), stored as coefficients and never as a dense matrix.
//
// The exported fields are the complete state, so that it can be stored; code that fills
// them in must call Validate before anything else. A Branch must not be copied or changed
// once it is in use; then it may be used by several goroutines.
type Branch struct {
	Axis  Axis
	Basis string // "dft" or "dct"
	Rows  int    // out
	Cols  int    // in
	// Kept is the number of components of each channel: [channels].
	Kept []int
	// Offset bounds each channel's part of Coeff: [channels+1], from 0.
	Offset []int
	// Coeff holds the coefficients, channel after channel, lowest first.
	Coeff []float32
	// Full, on the input axis only ([Cols]): the column keeps all its components and is
	// stored as the original column, an exact outlier column that is read directly instead
	// of transformed. nil on the output axis.
	Full []bool

	once sync.Once
	wave wave
}

// Truncate keeps the kept[c] lowest components of each channel c of w
// [rows, cols] in the named basis.
//
// Coefficients are computed in float64, rounded to float32 and passed to round (nil: none),
// which rounds them in place to the stored format, such as 16 bits. A column that keeps all
// its components is stored as the original column (see Branch.Full). Errors: a wrong shape,
// kept outside 0 … Components, and weights or rounded coefficients that are not finite
// (float16 overflows at 65520).
func Truncate(w []float32, rows, cols int, axis Axis, basis string, kept []int, round func([]float32), run Runner) (*Branch, error) {
	if err := checkMatrix("truncate", w, rows, cols, axis); err != nil {
		return nil, err
	}
	b := &Branch{Axis: axis, Basis: basis, Rows: rows, Cols: cols}
	channels, n := axis.Shape(rows, cols)
	wv, err := newWave(basis, n)
	if err != nil {
		return nil, err
	}
	b.once.Do(func() { b.wave = wv })
	if err := checkKept(kept, channels, wv.Components()); err != nil {
		return nil, err
	}
	b.Kept = append([]int(nil), kept...)
	b.Offset = make([]int, channels+1)
	if axis == InputChannel {
		b.Full = make([]bool, channels)
	}
	for c, k := range kept {
		b.Offset[c+1] = b.Offset[c] + wv.Coefficients(k)
		if b.Full != nil {
			b.Full[c] = k == wv.Components()
		}
	}
	b.Coeff = make([]float32, b.Offset[channels])
	low := b.lowVectors()
	each(run, blocks(channels), func(i int) {
		lo, hi := span(i, channels)
		if b.Offset[lo] == b.Offset[hi] {
			return
		}
		buf := newBlockBuf(n, hi-lo)
		defer buf.free()
		buf.load(w, cols, axis, lo, hi, nil)
		b.analyse(buf, low, lo, hi)
	})
	if c := b.notFinite(); c >= 0 {
		return nil, fmt.Errorf("spectrum: truncate: a coefficient of %v channel %d is not finite: check the weights for NaN and Inf", axis, c)
	}
	if round != nil {
		round(b.Coeff)
		if c := b.notFinite(); c >= 0 {
			return nil, fmt.Errorf("spectrum: truncate: a coefficient of %v channel %d overflows the stored format: store bfloat16 or scale the layer", axis, c)
		}
	}
	return b, nil
}

func checkKept(kept []int, channels, components int) error {
	if len(kept) != channels {
		return fmt.Errorf("spectrum: kept has %d entries for %d channels", len(kept), channels)
	}
	for c, k := range kept {
		if k < 0 || k > components {
			return fmt.Errorf("spectrum: channel %d keeps %d components: want 0 to %d", c, k, components)
		}
	}
	return nil
}

// notFinite returns the first channel with a coefficient that is NaN or
// infinite, or -1.
func (b *Branch) notFinite() int {
	c := 0
	for i, v := range b.Coeff {
		for i >= b.Offset[c+1] {
			c++
		}
		if !finite(float64(v)) {
			return c
		}
	}
	return -1
}

// Validate checks that the fields are consistent, which is necessary if they come from a
// file. Every other method relies on it.
func (b *Branch) Validate() error {
	if b.Axis != OutputChannel && b.Axis != InputChannel {
		return fmt.Errorf("spectrum: branch: unknown axis %v: want output or input", b.Axis)
	}
	if b.Rows < 1 || b.Cols < 1 || b.Rows > maxMatrixLen || b.Cols > maxMatrixLen {
		return fmt.Errorf("spectrum: branch: shape [%d, %d]: want both from 1 to %d", b.Rows, b.Cols, maxMatrixLen)
	}
	channels, n := b.Axis.Shape(b.Rows, b.Cols)
	wv, err := newWave(b.Basis, n)
	if err != nil {
		return err
	}
	if err := checkKept(b.Kept, channels, wv.Components()); err != nil {
		return err
	}
	if len(b.Offset) != channels+1 || b.Offset[0] != 0 {
		return fmt.Errorf("spectrum: branch: %d offsets for %d channels: want %d, the first 0", len(b.Offset), channels, channels+1)
	}
	wantFull := 0
	if b.Axis == InputChannel {
		wantFull = channels
	}
	if len(b.Full) != wantFull {
		return fmt.Errorf("spectrum: branch: full has %d entries on the %v axis: want %d", len(b.Full), b.Axis, wantFull)
	}
	for c, k := range b.Kept {
		if got, want := b.Offset[c+1]-b.Offset[c], wv.Coefficients(k); got != want {
			return fmt.Errorf("spectrum: branch: channel %d has %d coefficients for %d components: want %d", c, got, k, want)
		}
		if b.full(c) && k != wv.Components() {
			return fmt.Errorf("spectrum: branch: column %d is marked full and keeps %d of %d components", c, k, wv.Components())
		}
	}
	if len(b.Coeff) != b.Offset[channels] {
		return fmt.Errorf("spectrum: branch: %d coefficients, the offsets end at %d", len(b.Coeff), b.Offset[channels])
	}
	if c := b.notFinite(); c >= 0 {
		return fmt.Errorf("spectrum: branch: a coefficient of %v channel %d is not finite", b.Axis, c)
	}
	return nil
}

// Coefficients returns the number of stored numbers.
func (b *Branch) Coefficients() int { return len(b.Coeff) }

// Depth returns how many of the lowest coefficients the transform has to compute: the
// largest count of a channel that is not Full.
func (b *Branch) Depth() int {
	depth := 0
	for c := range b.Kept {
		if !b.full(c) {
			depth = max(depth, b.Offset[c+1]-b.Offset[c])
		}
	}
	return depth
}

func (b *Branch) full(c int) bool { return b.Full != nil && b.Full[c] }

func (b *Branch) channel(c int) []float32 { return b.Coeff[b.Offset[c]:b.Offset[c+1]] }

// basis returns the transform, which is made on first use.
func (b *Branch) basis() wave {
	b.once.Do(func() {
		_, n := b.Axis.Shape(b.Rows, b.Cols)
		wv, err := newWave(b.Basis, n)
		if err != nil {
			panic(err) // Validate was not called
		}
		b.wave = wv
	})
	return b.wave
}

// direct reports whether channel c is computed by dot products instead of the FFT.
func (b *Branch) direct(c int) bool {
	return !b.full(c) && b.Offset[c+1]-b.Offset[c] <= directMax
}

// lowVectors returns the basis vectors that the direct channels need.
func (b *Branch) lowVectors() *vectors {
	return newVectors(b.basis(), b.directCount(0, len(b.Kept)))
}

// directCount returns how many of the lowest vectors the direct channels among
// lo … hi need.
func (b *Branch) directCount(lo, hi int) int {
	count := 0
	for c := lo; c < hi; c++ {
		if b.direct(c) {
			count = max(count, b.Offset[c+1]-b.Offset[c])
		}
	}
	return count
}

// analyse computes the coefficients of channels lo … hi, which are loaded in buf.
func (b *Branch) analyse(buf *blockBuf, low *vectors, lo, hi int) {
	count := b.directCount(lo, hi)
	sums := make([]float64, (hi-lo)*count)
	low.dots(sums, buf, hi-lo, count)
	for c := lo; c < hi; c++ {
		switch x, coeff := buf.channel(c-lo), b.channel(c); {
		case b.full(c):
			narrow(coeff, x)
		case b.direct(c):
			narrow(coeff, sums[(c-lo)*count:][:len(coeff)])
		default:
			b.basis().Forward(x, x)
			narrow(coeff, x[:len(coeff)])
		}
	}
}

// synthesise writes channels lo … hi of W' into buf.
func (b *Branch) synthesise(buf *blockBuf, low *vectors, lo, hi int) {
	count := b.directCount(lo, hi)
	z := make([]float64, (hi-lo)*count)
	for c := lo; c < hi; c++ {
		if b.direct(c) {
			for i, v := range b.channel(c) {
				z[(c-lo)*count+i] = float64(v)
			}
		}
	}
	low.combine(buf, z, hi-lo, count)
	for c := lo; c < hi; c++ {
		if b.direct(c) {
			continue
		}
		x := buf.channel(c - lo)
		clear(x)
		for i, v := range b.channel(c) {
			x[i] = float64(v)
		}
		if !b.full(c) {
			b.basis().Inverse(x, x)
		}
	}
}

// AddTo adds sign·W' to the dense dst [Rows, Cols]: with dst = Ŵ and sign = −1 the result
// is the residual R = Ŵ − W' of eq. 15. Each element is rounded once. A dst of another size
// panics.
func (b *Branch) AddTo(dst []float32, sign float32, run Runner) {
	if len(dst) != b.Rows*b.Cols {
		panic(fmt.Sprintf("spectrum: AddTo: %d weights for a branch of [%d, %d]", len(dst), b.Rows, b.Cols))
	}
	channels, n := b.Axis.Shape(b.Rows, b.Cols)
	low := b.lowVectors()
	each(run, blocks(channels), func(i int) {
		lo, hi := span(i, channels)
		if b.Offset[lo] == b.Offset[hi] {
			return
		}
		buf := newBlockBuf(n, hi-lo)
		defer buf.free()
		b.synthesise(buf, low, lo, hi)
		buf.addTo(dst, b.Cols, b.Axis, lo, hi, float64(sign))
	})
}
