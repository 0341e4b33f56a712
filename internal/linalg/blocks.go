package linalg

import (
	"fmt"

	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
)

// Blocks is a block-diagonal matrix: each piece of `size` numbers of a row is multiplied by
// its own matrix. Neighbouring pieces may share a matrix, as query heads share a kv head.
type Blocks struct {
	size, share, count int
	flipped            []float32 // the matrices, transposed: [count] panels of blockColumns columns, [size × columns]
}

// blockColumns is the width of the panels in which a matrix is stored: products with few
// rows read the panels sequentially.
const blockColumns = 32

// NewBlocks returns the transform of rows of count·share pieces, of which pieces share·i …
// share·(i+1)−1 are multiplied by matrix i of matrices [count × size × size].
func NewBlocks(matrices []float32, count, size, share int) (*Blocks, error) {
	if count < 1 || size < 1 || share < 1 || count > MaxWidth/size/share || len(matrices) != count*size*size {
		return nil, fmt.Errorf("linalg: %d numbers for %d blocks of order %d, each %d times; want %d, and a width of at most %d",
			len(matrices), count, size, share, count*size*size, MaxWidth)
	}
	flipped := make([]float32, 0, len(matrices))
	for first := 0; first < len(matrices); first += size * size {
		for from := 0; from < size; from += blockColumns {
			for j := range size {
				for i := from; i < min(from+blockColumns, size); i++ {
					flipped = append(flipped, matrices[first+i*size+j])
				}
			}
		}
	}
	return &Blocks{size: size, share: share, count: count, flipped: flipped}, nil
}

// Width implements [Transform].
func (b *Blocks) Width() int { return b.count * b.share * b.size }

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
		p.Run(b.count, func(i int) { b.multiply(i, x[i*b.share*n:], n, b.share, transpose) })
		return
	}
	parts := (rows + blockRows - 1) / blockRows
	p.Run(b.count*b.share*parts, func(i int) {
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
	n := b.size
	s := getScratch(rows * n)
	defer scratch.Put(s)
	var inline *parallel.Pool
	for from := 0; from < n; from += blockColumns {
		columns := min(blockColumns, n-from)
		panel := b.flipped[(i*n+from)*n:][:columns*n]
		if transpose {
			float.MatMulNT(inline, *s, n, x[from:], ld, panel, columns, rows, n, columns, from > 0)
		} else {
			float.MatMulNN(inline, (*s)[from:], n, x, ld, panel, columns, rows, columns, n, false)
		}
	}
	for r := range rows {
		copy(x[r*ld:][:n], (*s)[r*n:])
	}
}

// Name implements [Transform].
func (b *Blocks) Name() string { return fmt.Sprintf("%d blocks of %d", b.count, b.size) }
