package spectrum

import (
	"fmt"
	"math"
	"sync"

	"gonum.org/v1/gonum/dsp/fourier"
)

// dft is the real orthonormal Fourier basis: DC, then a (cos, sin) pair for
// each rising frequency, and Nyquist last where n is even. With θ = 2πft/n:
//
//	DC √(1/n)   cos √(2/n)·cos θ   sin √(2/n)·sin θ   Nyquist √(1/n)·(−1)^t
//
// A component is one frequency: two real coefficients (amplitude and phase in
// the paper's eq. 9, or real and negated imaginary part), one for DC and
// Nyquist.
type dft struct {
	n     int
	work  sync.Pool // of *dftWork: gonum's plans have scratch memory and cannot be shared
	table func() []float64
}

type dftWork struct {
	fft  *fourier.FFT
	spec []complex128
}

// NewDFT returns the Fourier basis of length n. It panics if n is not in 1 … MaxLen; use
// NewBasis for lengths from outside.
func NewDFT(n int) Basis {
	if n < 1 || n > MaxLen {
		panic(fmt.Sprintf("spectrum: DFT of length %d", n))
	}
	return newDFT(n)
}

func newDFT(n int) *dft {
	d := &dft{n: n}
	d.work.New = func() any {
		return &dftWork{fft: fourier.NewFFT(n), spec: make([]complex128, n/2+1)}
	}
	// sin θ = cos(θ − π/2), and a quarter turn is a whole number of 1/(4n).
	d.table = sync.OnceValue(func() []float64 {
		t := make([]float64, 2*n)
		for r := range n {
			t[r] = cosTurns(r, n)
			t[n+r] = cosTurns((4*r+3*n)%(4*n), 4*n)
		}
		return t
	})
	return d
}

func (d *dft) Len() int        { return d.n }
func (d *dft) Components() int { return d.n/2 + 1 }

func (d *dft) Coefficients(k int) int {
	return min(max(2*k-1, 0), d.n)
}

func (d *dft) Forward(dst, src []float64) {
	checkLen(d, "dst", len(dst))
	checkLen(d, "src", len(src))
	w := d.work.Get().(*dftWork)
	spec := w.fft.Coefficients(w.spec, src)
	one, two := math.Sqrt(1/float64(d.n)), math.Sqrt(2/float64(d.n))
	dst[0] = one * real(spec[0])
	for f := 1; 2*f < d.n; f++ {
		dst[2*f-1] = two * real(spec[f])
		dst[2*f] = -two * imag(spec[f])
	}
	if d.n%2 == 0 {
		dst[d.n-1] = one * real(spec[d.n/2])
	}
	d.work.Put(w)
}

func (d *dft) Inverse(dst, src []float64) {
	checkLen(d, "dst", len(dst))
	checkLen(d, "src", len(src))
	w := d.work.Get().(*dftWork)
	spec := w.spec
	// gonum's inverse is Σ_f X_f e^{iθ} over both halves of the spectrum, so a frequency
	// that represents a conjugate pair counts twice.
	one, half := math.Sqrt(1/float64(d.n)), math.Sqrt(0.5/float64(d.n))
	spec[0] = complex(one*src[0], 0)
	for f := 1; 2*f < d.n; f++ {
		spec[f] = complex(half*src[2*f-1], -half*src[2*f])
	}
	if d.n%2 == 0 {
		spec[d.n/2] = complex(one*src[d.n-1], 0)
	}
	w.fft.Sequence(dst, spec)
	d.work.Put(w)
}

func (d *dft) Row(dst []float32, i int) {
	row := make([]float64, d.n)
	d.vector(row, i)
	checkLen(d, "dst", len(dst))
	narrow(dst, row)
}

// vector reads basis vector i from a table of one period, at f·t mod n: the argument is
// reduced in integers, so the last vector of n = 14336 is as exact as the first.
func (d *dft) vector(dst []float64, i int) {
	checkLen(d, "dst", len(dst))
	checkIndex(d, i)
	f := (i + 1) / 2
	table := d.table()[:d.n]
	if i > 0 && i%2 == 0 {
		table = d.table()[d.n:]
	}
	scale := math.Sqrt(2 / float64(d.n))
	if f == 0 || 2*f == d.n {
		scale = math.Sqrt(1 / float64(d.n))
	}
	r := 0
	for t := range dst {
		dst[t] = scale * table[r]
		if r += f; r >= d.n {
			r -= d.n
		}
	}
}
