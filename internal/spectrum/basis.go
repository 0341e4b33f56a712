// Package spectrum is the second stage of the SpecQuant paper: orthonormal frequency bases,
// spectral energy with its shuffled control, channel importance, component budgets,
// low-pass truncation of a weight matrix, and the resulting branch.
//
// It depends on no model, files or threads: matrices are row-major []float32 in Hugging
// Face's layout (W is [out, in], y = W x), and callers that want several threads pass a
// [Runner]. Every result depends only on the inputs, never on the Runner.
//
// Source: SpecQuant, arXiv 2511.11663, equations 4-14. The recipes specquant and
// specquant-input are two readings of it; they note where the choice is ours.
package spectrum

import (
	"fmt"
	"math"
)

// MaxLen is the longest transform that NewBasis makes. It is far above any layer's width
// and limits what a malformed shape can allocate.
const MaxLen = 1 << 20

// Runner calls fn(0) … fn(n-1), in any order and on any number of goroutines,
// and returns when all have returned. nil runs them in sequence.
type Runner = func(n int, fn func(i int))

// each calls fn with run, or in sequence if run is nil.
func each(run Runner, n int, fn func(i int)) {
	if run != nil {
		run(n, fn)
		return
	}
	for i := range n {
		fn(i)
	}
}

// Axis is the side of a weight matrix W [rows = out, cols = in] that forms the channels;
// the transform runs along the other side.
type Axis int

const (
	// OutputChannel: a channel is a row of W, transformed along the inputs; its
	// length is cols (the paper's text: eq. 4, 5, 14).
	OutputChannel Axis = iota
	// InputChannel: a channel is a column of W, transformed along the outputs;
	// its length is rows (the paper's scaling formula, score and figure 3).
	InputChannel
)

// String returns "output" or "input".
func (a Axis) String() string {
	switch a {
	case OutputChannel:
		return "output"
	case InputChannel:
		return "input"
	}
	return fmt.Sprintf("Axis(%d)", int(a))
}

// MarshalText implements encoding.TextMarshaler: the axis by its name.
func (a Axis) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// ParseAxis is the inverse of String.
func ParseAxis(s string) (Axis, error) {
	switch s {
	case "output":
		return OutputChannel, nil
	case "input":
		return InputChannel, nil
	}
	return 0, fmt.Errorf("spectrum: unknown axis %q: want \"output\" or \"input\"", s)
}

// Shape returns the number of channels of a [rows, cols] matrix on this axis
// and the length of each.
func (a Axis) Shape(rows, cols int) (channels, length int) {
	if a == InputChannel {
		return cols, rows
	}
	return rows, cols
}

// Basis is a real orthonormal basis of R^n whose vectors are grouped into components of
// rising frequency. Methods may be called by several goroutines at once. A slice of the
// wrong length or an index out of range is a programming error and panics.
type Basis interface {
	// Len returns n: the length of the transform and the number of coefficients.
	Len() int
	// Components returns the number of components (frequencies).
	Components() int
	// Coefficients returns how many real coefficients the k lowest components
	// hold; k is limited to 0 … Components().
	Coefficients(k int) int
	// Forward writes the n coefficients of src [n] into dst [n], lowest
	// component first. dst may be src.
	Forward(dst, src []float64)
	// Inverse writes the signal whose coefficients are src [n] into dst [n].
	// dst may be src.
	Inverse(dst, src []float64)
	// Row writes basis vector i into dst [n]: coefficient i of w is ⟨Row i, w⟩.
	Row(dst []float32, i int)
}

// BasisNames lists the names that NewBasis accepts.
func BasisNames() []string { return []string{"dft", "dct"} }

// NewBasis returns the basis called name ("dft" or "dct") of length n.
func NewBasis(name string, n int) (Basis, error) {
	return newWave(name, n)
}

// wave is a basis whose vectors are available in float64, which truncation needs.
type wave interface {
	Basis
	vector(dst []float64, i int)
}

func newWave(name string, n int) (wave, error) {
	if n < 1 || n > MaxLen {
		return nil, fmt.Errorf("spectrum: basis %q of length %d: want a length from 1 to %d", name, n, MaxLen)
	}
	switch name {
	case "dft":
		return newDFT(n), nil
	case "dct":
		return newDCT(n), nil
	}
	return nil, fmt.Errorf("spectrum: unknown basis %q: want one of %q", name, BasisNames())
}

// Matrix returns the count lowest basis vectors as the rows of F_K
// [count × n]; count is limited to 0 … n. Values are computed in float64 from
// exactly reduced arguments, then rounded once.
func Matrix(b Basis, count int) []float32 {
	n := b.Len()
	count = min(max(count, 0), n)
	m := make([]float32, count*n)
	for i := range count {
		b.Row(m[i*n:(i+1)*n], i)
	}
	return m
}

// cosTurns returns cos(2π·num/den) for 0 ≤ num < den, folded into the first
// eighth of a turn so that zeros, ±1 and mirror images are exact.
func cosTurns(num, den int) float64 {
	half := 2 * num // the angle is π·half/den
	if half > den {
		half = 2*den - half
	}
	sign := 1.0
	if 2*half > den {
		sign, half = -1, den-half
	}
	if 4*half > den {
		return sign * math.Sin(math.Pi*float64(den-2*half)/float64(2*den))
	}
	return sign * math.Cos(math.Pi*float64(half)/float64(den))
}

// narrow rounds src into dst.
func narrow(dst []float32, src []float64) {
	for i, v := range src {
		dst[i] = float32(v)
	}
}

func checkLen(b Basis, what string, n int) {
	if n != b.Len() {
		panic(fmt.Sprintf("spectrum: %s has length %d, the basis %d", what, n, b.Len()))
	}
}

func checkIndex(b Basis, i int) {
	if i < 0 || i >= b.Len() {
		panic(fmt.Sprintf("spectrum: basis vector %d of %d", i, b.Len()))
	}
}
