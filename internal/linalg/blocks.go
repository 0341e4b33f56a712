package linalg

import (
	"fmt"

	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
)

// Blocks is a block-diagonal matrix: each piece of `size` numbers of a row is multiplied by
// its own matrix. Neighbouring pieces may share a matrix, as query heads share a kv head.
// The matrices are rounded to 16-bit floats, so that one token reads half as much.
type Blocks struct {
	size, share int
	flipped     []float.HalfPanels // the matrices, transposed
}

// NewBlocks returns the transform of rows of count·share pieces, of which pieces share·i …
// share·(i+1)−1 are multiplied by matrix i of matrices [count × size × size].
func NewBlocks(matrices []float32, count, size, share int) (*Blocks, error) {
	if count < 1 || size < 1 || share < 1 || count > MaxWidth/size/share || len(matrices) != count*size*size {
		return nil, fmt.Errorf("linalg: %d numbers for %d blocks of order %d, each %d times; want %d, and a width of at most %d",
			len(matrices), count, size, share, count*size*size, MaxWidth)
	}
	b := &Blocks{size: size, share: share}
	flip := make([]float32, size*size)
	for i := range count {
		m := matrices[i*size*size:][:size*size]
		for _, v := range m {
			if h := float.ToF16(v); h&0x7c00 == 0x7c00 {
				return nil, fmt.Errorf("linalg: block %d has the number %v, expected the range of a 16-bit float (±65504)", i, v)
			}
		}
		float.Transpose(flip, size, m, size, size, size)
		b.flipped = append(b.flipped, float.NewHalfPanels(flip, size, size))
	}
	return b, nil
}

// Matrices returns the matrices as they are applied [count × size × size].
func (b *Blocks) Matrices() []float32 {
	var m []float32
	for i := range b.flipped {
		one := make([]float32, b.size*b.size)
		float.Transpose(one, b.size, b.flipped[i].Decode(), b.size, b.size, b.size)
		m = append(m, one...)
	}
	return m
}

// Width implements [Transform].
func (b *Blocks) Width() int { return len(b.flipped) * b.share * b.size }

// Apply implements [Transform].
func (b *Blocks) Apply(p *parallel.Pool, x []float32, rows int) { b.apply(p, x, rows, false) }

// ApplyT implements [Transform].
func (b *Blocks) ApplyT(p *parallel.Pool, x []float32, rows int) { b.apply(p, x, rows, true) }

// blockRows is the number of rows of one piece in a unit of work.
const blockRows = 64

func (b *Blocks) apply(p *parallel.Pool, x []float32, rows int, transpose bool) {
	checkRows(b, x, rows)
	n, width := b.size, b.Width()
	if rows == 1 { // the pieces that share a matrix become the rows of one product
		p.Run(len(b.flipped), func(i int) { b.multiply(i, x[i*b.share*n:], n, b.share, transpose) })
		return
	}
	parts := (rows + blockRows - 1) / blockRows
	p.Run(len(b.flipped)*b.share*parts, func(i int) {
		piece, first := i/parts, i%parts*blockRows
		b.multiply(piece/b.share, x[first*width+piece*n:], width, min(blockRows, rows-first), transpose)
	})
}

// ApplyBlock is Apply for the pieces of one row that share matrix i,
// x [share × size].
func (b *Blocks) ApplyBlock(i int, x []float32) {
	b.multiply(i, x[:b.share*b.size], b.size, b.share, false)
}

// multiply multiplies rows of x, ld numbers apart, by matrix i or its transpose, in place.
func (b *Blocks) multiply(i int, x []float32, ld, rows int, transpose bool) {
	n, m := b.size, &b.flipped[i]
	if rows == 0 {
		return
	}
	width := m.Padded()
	if transpose {
		width = n
	}
	s := getScratch(rows * width)
	defer scratch.Put(s)
	if transpose {
		float.MatMulNT(nil, *s, n, x, ld, m.Decode(), n, rows, n, n, false)
	} else {
		float.MatMulPanels(*s, x, ld, m, rows)
	}
	for r := range rows {
		copy(x[r*ld:][:n], (*s)[r*width:])
	}
}

// Name implements [Transform].
func (b *Blocks) Name() string { return fmt.Sprintf("%d blocks of %d", len(b.flipped), b.size) }
