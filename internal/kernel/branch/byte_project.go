package branch

import (
	"fmt"

	"github.com/specquant/specquant/internal/kernel/shape"
)

// NewByteProjection is [NewStoredProjection] for vectors of signed bytes with a scale each:
// element j of vector r is codes[r·cols+j]·scale[r], which float32 holds exactly. It
// computes dot_r = Σ_j codes[r·cols+j]·x[j] in the order that [Projection] describes, and
//
//	z_r = scale_r·dot_r     x_j −= codes[r·cols+j]·(scale_r·z_r), r ascending
//
// Products with bytes are fused with the addition or subtraction that follows; every other
// operation is rounded. So all tiers give the same bits.
func NewByteProjection(codes []int8, scale []float32, count, cols int, remove bool) *Projection {
	if count < 0 || cols < 1 || len(codes) != count*cols || len(scale) != count {
		panic(fmt.Sprintf("kernel: a basis of %d codes and %d scales is not %d×%d", len(codes), len(scale), count, cols))
	}
	p := &Projection{Count: count, Cols: cols, removes: remove}
	for first := 0; first < count; first += 8 {
		b := storedBlock{codes: make([]int8, shape.CeilDiv(cols, 16)*128), first: first, rows: min(8, count-first)}
		copy(b.scale[:], scale[first:])
		for slot := range b.rows {
			putVector(b.codes, codes[(first+slot)*cols:][:cols], slot)
		}
		p.stored = append(p.stored, b)
	}
	return p
}

// Bytes returns how many bytes of a stored basis are read to project a token.
func (p *Projection) Bytes() int {
	n := 0
	for _, b := range p.stored {
		if b.codes != nil {
			n += b.rows * (p.Cols + 4)
		} else {
			n += 2 * b.rows * p.Cols
		}
	}
	return n
}

// byteDotsGo is the definition of byteDots.
func byteDotsGo(out *[foldTokens][8]float32, data []int8, x []float32, ldx, n, tokens int) {
	for t := range tokens {
		var lanes [128]float32
		for i := 0; i < n; i += 16 {
			row, v := data[i*8:][:128], x[t*ldx+i:][:16]
			for k := range lanes {
				lanes[k] = fusedCode(row[k], v[k&15], lanes[k])
			}
		}
		foldLanes(&out[t], &lanes)
	}
}

// byteOutGo is the definition of byteOut.
func byteOutGo(x []float32, ldx int, data []int8, z *[foldTokens][8]float32, n, tokens int) {
	for t := range tokens {
		for i := 0; i < n; i += 16 {
			row, v := data[i*8:][:128], x[t*ldx+i:][:16]
			for k := range row {
				v[k&15] = fusedCode(row[k], -z[t][k>>4], v[k&15])
			}
		}
	}
}

// dots multiplies the block's vectors with tokens whose first column is column `from` of
// the basis.
func (b *storedBlock) dots(out *[foldTokens][8]float32, from int, x []float32, ldx, n, tokens int) {
	if b.codes != nil {
		byteDots(out, b.codes[from*8:], x, ldx, n, tokens)
	} else {
		storedDots(out, b.data[from*8:], x, ldx, n, tokens)
	}
}

// out subtracts z times the block's vectors from tokens whose first column is column `from`
// of the basis.
func (b *storedBlock) out(x []float32, ldx, from int, z *[foldTokens][8]float32, n, tokens int) {
	if b.codes != nil {
		byteOut(x, ldx, b.codes[from*8:], z, n, tokens)
	} else {
		storedOut(x, ldx, b.data[from*8:], z, n, tokens)
	}
}
