package linalg

import (
	"fmt"

	"github.com/specquant/specquant/internal/kernel"
)

// Blocks is a block-diagonal matrix: the pieces of a row, size numbers each, are
// multiplied by matrices of their own. Neighbouring pieces may share one, as
// query heads share a kv head.
type Blocks struct {
	size, share, count int
	matrices           []float32 // [count × size × size]
}

// NewBlocks returns the transform of rows of count·share pieces, of which pieces
// share·i … share·(i+1)−1 are multiplied by matrix i of matrices
// [count × size × size]. It keeps matrices.
func NewBlocks(matrices []float32, count, size, share int) (*Blocks, error) {
	if count < 1 || size < 1 || share < 1 || count > MaxWidth/size/share || len(matrices) != count*size*size {
		return nil, fmt.Errorf("linalg: %d numbers for %d blocks of order %d, each %d times; want %d, and a width of at most %d",
			len(matrices), count, size, share, count*size*size, MaxWidth)
	}
	return &Blocks{size: size, share: share, count: count, matrices: matrices}, nil
}

// Width implements [Transform].
func (b *Blocks) Width() int { return b.count * b.share * b.size }

// Apply implements [Transform].
func (b *Blocks) Apply(p *kernel.Pool, x []float32, rows int) { b.apply(p, x, rows, false) }

// ApplyT implements [Transform].
func (b *Blocks) ApplyT(p *kernel.Pool, x []float32, rows int) { b.apply(p, x, rows, true) }

// blockRows is how many rows of a piece are a chunk of work.
const blockRows = 64

func (b *Blocks) apply(p *kernel.Pool, x []float32, rows int, transpose bool) {
	checkRows(b, x, rows)
	n, width := b.size, b.Width()
	parts := (rows + blockRows - 1) / blockRows
	p.Run(b.count*b.share*parts, func(i int) {
		piece, first := i/parts, i%parts*blockRows
		m := min(blockRows, rows-first)
		s := getScratch(m * n)
		defer scratch.Put(s)
		src := x[first*width+piece*n:]
		matrix := b.matrices[piece/b.share*n*n:][:n*n]
		var inline *kernel.Pool
		if transpose {
			inline.MatMulNN(*s, n, src, width, matrix, n, m, n, n, false)
		} else {
			inline.MatMulNT(*s, n, src, width, matrix, n, m, n, n, false)
		}
		for r := range m {
			copy(src[r*width:][:n], (*s)[r*n:])
		}
	})
}

// Name implements [Transform].
func (b *Blocks) Name() string { return fmt.Sprintf("%d blocks of %d", b.count, b.size) }
