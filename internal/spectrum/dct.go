package spectrum

import (
	"fmt"
	"math"
	"sync"

	"gonum.org/v1/gonum/dsp/fourier"
)

// dct is the orthonormal DCT-II: vector k is s_k·cos(π(2t+1)k/2n) with
// s_0 = √(1/n), s_k = √(2/n). One coefficient is one component. It assumes no
// wrap-around from the last channel to the first, which the DFT does.
type dct struct {
	n     int
	work  sync.Pool // of *fourier.QuarterWaveFFT, which has scratch memory
	table func() []float64
}

// NewDCT returns the DCT-II basis of length n. It panics if n is not in 1 … MaxLen; use
// NewBasis for lengths from outside.
func NewDCT(n int) Basis {
	if n < 1 || n > MaxLen {
		panic(fmt.Sprintf("spectrum: DCT of length %d", n))
	}
	return newDCT(n)
}

func newDCT(n int) *dct {
	d := &dct{n: n}
	d.work.New = func() any { return fourier.NewQuarterWaveFFT(n) }
	d.table = sync.OnceValue(func() []float64 {
		t := make([]float64, 4*n)
		for r := range t {
			t[r] = cosTurns(r, 4*n)
		}
		return t
	})
	return d
}

func (d *dct) Len() int               { return d.n }
func (d *dct) Components() int        { return d.n }
func (d *dct) Coefficients(k int) int { return min(max(k, 0), d.n) }

// Forward: gonum's CosSequence is 4·Σ_t x_t cos(π(2t+1)k/2n).
func (d *dct) Forward(dst, src []float64) {
	checkLen(d, "dst", len(dst))
	checkLen(d, "src", len(src))
	w := d.work.Get().(*fourier.QuarterWaveFFT)
	w.CosSequence(dst, src)
	d.work.Put(w)
	dst[0] *= math.Sqrt(1/float64(d.n)) / 4
	scale := math.Sqrt(2/float64(d.n)) / 4
	for k := 1; k < d.n; k++ {
		dst[k] *= scale
	}
}

// Inverse: gonum's CosCoefficients is c_0 + 2·Σ_{k>0} c_k cos(π(2t+1)k/2n).
func (d *dct) Inverse(dst, src []float64) {
	checkLen(d, "dst", len(dst))
	checkLen(d, "src", len(src))
	first := src[0] * math.Sqrt(1/float64(d.n))
	scale := math.Sqrt(0.5 / float64(d.n))
	for k := 1; k < d.n; k++ {
		dst[k] = scale * src[k]
	}
	dst[0] = first
	w := d.work.Get().(*fourier.QuarterWaveFFT)
	w.CosCoefficients(dst, dst)
	d.work.Put(w)
}

func (d *dct) Row(dst []float32, i int) {
	row := make([]float64, d.n)
	d.vector(row, i)
	checkLen(d, "dst", len(dst))
	narrow(dst, row)
}

// vector reads basis vector i from a table of one period, at (2t+1)·k mod 4n.
func (d *dct) vector(dst []float64, i int) {
	checkLen(d, "dst", len(dst))
	checkIndex(d, i)
	table := d.table()
	scale := math.Sqrt(2 / float64(d.n))
	if i == 0 {
		scale = math.Sqrt(1 / float64(d.n))
	}
	r := i
	for t := range dst {
		dst[t] = scale * table[r]
		if r += 2 * i; r >= 4*d.n {
			r -= 4 * d.n
		}
	}
}
