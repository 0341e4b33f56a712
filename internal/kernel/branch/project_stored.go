package branch

import (
	"fmt"

	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/kernel/shape"
)

// storedBlock holds up to 8 vectors of a stored basis V, the columns padded with zeros to a
// multiple of 16. Products with V and with Vᵀ read the same copy.
type storedBlock struct {
	data  []uint16   // the vectors in IEEE binary16 [cols/16][8][16], or nil
	codes []int8     // the vectors in signed bytes in the same order, or nil
	scale [8]float32 // what the bytes of each vector are multiplied with
	first int        // index of the first vector in V
	rows  int        // number of vectors
}

// NewStoredProjection makes a projection on the vectors v [count×cols] of 16-bit floats:
// z = V·x. With remove, the projection is also subtracted from the tokens: x −= Vᵀz, one
// vector after the other. Products are summed in the order that [Projection] describes,
// and columns beyond a multiple of 16 are added last.
func NewStoredProjection(v []uint16, count, cols int, remove bool) *Projection {
	if count < 0 || cols < 1 || len(v) != count*cols {
		panic(fmt.Sprintf("kernel: a basis of %d halves is not %d×%d", len(v), count, cols))
	}
	p := &Projection{Count: count, Cols: cols, removes: remove}
	for first := 0; first < count; first += 8 {
		b := storedBlock{data: make([]uint16, shape.CeilDiv(cols, 16)*128), first: first, rows: min(8, count-first)}
		for slot := range b.rows {
			putVector(b.data, v[(first+slot)*cols:][:cols], slot)
		}
		p.stored = append(p.stored, b)
	}
	return p
}

// Removes reports whether the projection is subtracted from the tokens.
func (p *Projection) Removes() bool { return p.removes }

// project computes the elements of z that belong to the block's vectors, for some tokens,
// at most foldTokens.
func (b *storedBlock) project(z []float32, ldz int, x []float32, ldx, cols, tokens int) {
	var out, rest [foldTokens][8]float32
	n := cols &^ 15
	if n > 0 {
		b.dots(&out, 0, x, ldx, n, tokens)
	}
	if n < cols {
		var tail [foldTokens * 16]float32 // the last columns, filled up with zeros
		for t := range tokens {
			copy(tail[t*16:], x[t*ldx+n:][:cols-n])
		}
		b.dots(&rest, n, tail[:], 16, 16, tokens)
	}
	for t := range tokens {
		for slot := range b.rows {
			v := out[t][slot] + rest[t][slot]
			if b.codes != nil {
				v *= b.scale[slot]
			}
			z[t*ldz+b.first+slot] = v
		}
	}
}

// remove subtracts z times the block's vectors from columns from…end-1 of some tokens, at
// most foldTokens. from is a multiple of 16, and so is end unless it is the number of
// columns.
func (b *storedBlock) remove(x []float32, ldx, from, end int, z []float32, ldz, tokens int) {
	var c [foldTokens][8]float32
	for t := range tokens {
		copy(c[t][:b.rows], z[t*ldz+b.first:])
		if b.codes != nil {
			for slot, s := range b.scale {
				c[t][slot] *= s
			}
		}
	}
	n := end &^ 15
	if n > from {
		b.out(x[from:], ldx, from, &c, n-from, tokens)
	}
	if n < end {
		var tail [foldTokens * 16]float32
		for t := range tokens {
			copy(tail[t*16:], x[t*ldx+n:][:end-n])
		}
		b.out(tail[:], 16, n, &c, 16, tokens)
		for t := range tokens {
			copy(x[t*ldx+n:][:end-n], tail[t*16:])
		}
	}
}

// storedTokens projects some tokens, at most foldTokens, on a stored basis.
func (p *Projection) storedTokens(z []float32, ldz int, x []float32, ldx, tokens int) {
	for i := range p.stored {
		p.stored[i].project(z, ldz, x, ldx, p.Cols, tokens)
	}
	if !p.removes {
		return
	}
	for i := range p.stored {
		p.stored[i].remove(x, ldx, 0, p.Cols, z, ldz, tokens)
	}
}

// storedColumns is the number of columns of a single token that a thread subtracts from at
// a time.
const storedColumns = 1024

// storedOne projects a single token on a stored basis, on the threads of the pool.
func (p *Projection) storedOne(pool *parallel.Pool, z, x []float32) {
	pool.Run(len(p.stored), func(i int) { p.stored[i].project(z, 0, x, 0, p.Cols, 1) })
	if !p.removes {
		return
	}
	pool.Run(shape.CeilDiv(p.Cols, storedColumns), func(j int) {
		for i := range p.stored {
			p.stored[i].remove(x, 0, j*storedColumns, min(p.Cols, (j+1)*storedColumns), z, 0, 1)
		}
	})
}

// storedDotsGo is the definition of storedDots.
func storedDotsGo(out *[foldTokens][8]float32, data []uint16, x []float32, ldx, n, tokens int) {
	for t := range tokens {
		var lanes [128]float32
		for i := 0; i < n; i += 16 {
			row, v := data[i*8:][:128], x[t*ldx+i:][:16]
			for k := range lanes {
				lanes[k] += float32(float.FromF16(row[k]) * v[k&15])
			}
		}
		foldLanes(&out[t], &lanes)
	}
}

// storedOutGo is the definition of storedOut.
func storedOutGo(x []float32, ldx int, data []uint16, z *[foldTokens][8]float32, n, tokens int) {
	for t := range tokens {
		for i := 0; i < n; i += 16 {
			row, v := data[i*8:][:128], x[t*ldx+i:][:16]
			for k := range row {
				v[k&15] -= float32(z[t][k>>4] * float.FromF16(row[k]))
			}
		}
	}
}
