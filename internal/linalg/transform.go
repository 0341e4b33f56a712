package linalg

import (
	"fmt"

	"github.com/specquant/specquant/internal/kernel/parallel"
)

// Transform is a square matrix T of some width n, applied by an efficient algorithm. Its
// methods may be called by several goroutines at once. The result for a row depends, to the
// bit, neither on the number of threads nor on the other rows. An x of the wrong length is
// a programming error and panics.
type Transform interface {
	// Width returns n.
	Width() int
	// Apply replaces each of the rows of x [rows × n] by T times it: as a
	// matrix, x becomes x·Tᵀ.
	Apply(p *parallel.Pool, x []float32, rows int)
	// ApplyT does the same with Tᵀ, which undoes Apply where T is orthogonal.
	ApplyT(p *parallel.Pool, x []float32, rows int)
	// Name describes T for people.
	Name() string
}

// checkRows panics unless x is [rows × n].
func checkRows(t Transform, x []float32, rows int) {
	if rows < 0 || len(x) != rows*t.Width() {
		panic(fmt.Sprintf("linalg: %s on %d numbers; need %d rows of %d", t.Name(), len(x), rows, t.Width()))
	}
}

// Matrix returns T row by row, [n × n].
func Matrix(p *parallel.Pool, t Transform) []float32 {
	n := t.Width()
	m := make([]float32, n*n)
	for i := range n {
		m[i*n+i] = 1
	}
	t.ApplyT(p, m, n) // turns row i into Tᵀ·eᵢ
	return m
}

// FoldInput changes the layer W [rows × n] to take T·x instead of x, for orthogonal T: W
// becomes W·T⁻¹ = W·Tᵀ, so that (W·Tᵀ)·(T·x) = W·x.
func FoldInput(p *parallel.Pool, w []float32, rows int, t Transform) { t.Apply(p, w, rows) }

// foldColumns is how many columns FoldOutput transposes at a time.
const foldColumns = 256

// FoldOutput changes the layer W [n × cols] to return T·y instead of y: W becomes T·W.
func FoldOutput(p *parallel.Pool, w []float32, cols int, t Transform) {
	n := t.Width()
	if cols < 0 || len(w) != n*cols {
		panic(fmt.Sprintf("linalg: %s on the output of %d weights; need %d × %d", t.Name(), len(w), n, cols))
	}
	strip := make([]float32, min(foldColumns, cols)*n)
	const tile = 16 // a cache line of each row
	for from := 0; from < cols; from += foldColumns {
		width := min(foldColumns, cols-from)
		rows := strip[:width*n]
		each := func(move func(row, weight *float32)) {
			p.Run((n+tile-1)/tile, func(i int) {
				for j0 := 0; j0 < width; j0 += tile {
					for r := i * tile; r < min((i+1)*tile, n); r++ {
						line := w[r*cols+from:][:width]
						for j := j0; j < min(j0+tile, width); j++ {
							move(&rows[j*n+r], &line[j])
						}
					}
				}
			})
		}
		each(func(row, weight *float32) { *row = *weight })
		t.Apply(p, rows, width)
		each(func(row, weight *float32) { *weight = *row })
	}
}

// Chain is a sequence of transforms of the same width, the first one applied first: T =
// Tₖ···T₁.
type Chain []Transform

// NewChain returns the chain of the given transforms; it is an error if there is none or
// widths differ.
func NewChain(ts ...Transform) (Chain, error) {
	if len(ts) == 0 {
		return nil, fmt.Errorf("linalg: a chain of no transforms has no width; give one")
	}
	for _, t := range ts[1:] {
		if t.Width() != ts[0].Width() {
			return nil, fmt.Errorf("linalg: chain of %s, width %d, and %s, width %d; widths must agree", ts[0].Name(), ts[0].Width(), t.Name(), t.Width())
		}
	}
	return Chain(ts), nil
}

// Width implements [Transform].
func (c Chain) Width() int { return c[0].Width() }

// Apply implements [Transform].
func (c Chain) Apply(p *parallel.Pool, x []float32, rows int) {
	for _, t := range c {
		t.Apply(p, x, rows)
	}
}

// ApplyT implements [Transform].
func (c Chain) ApplyT(p *parallel.Pool, x []float32, rows int) {
	for i := len(c) - 1; i >= 0; i-- {
		c[i].ApplyT(p, x, rows)
	}
}

// Name implements [Transform].
func (c Chain) Name() string {
	s := c[0].Name()
	for _, t := range c[1:] {
		s += ", then " + t.Name()
	}
	return s
}
