package branch

import (
	"sync"

	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/kernel/shape"
)

// Projection multiplies tokens with a few vectors, z = F x: the first half of a branch. The
// vectors are the Count rows of F, each of Cols elements.
//
// Cosines and sines of a whole number of periods are symmetric or antisymmetric about
// n/2 = Cols/2 and about n/4. If all rows of F are, to the bit, x is folded twice before
// it is multiplied, so that a product with a row takes a quarter of the multiplications
// and a quarter of the memory for F:
//
//	e[j] = x[j] ± x[n-j]     f[j] = e[j] ± e[n/2-j]     j < n/4
//
// The signs depend on the row: four combinations, the rows of each of which are taken 8 at
// a time. The product of a row is added up in 16 partial sums (lanes): element j belongs
// to lane j modulo 16. The lanes are then added in halves, and the term of j = n/4 last.
// All assembly gives the same bits, with multiplication and addition fused; the portable
// code rounds every product.
type Projection struct {
	Count, Cols int
	blocks      []foldBlock   // F if its rows fold
	dense       []float32     // F [Count×Cols] if they do not: [float.MatMulNT] multiplies
	stored      []storedBlock // F if it is stored in 16 or 8 bits
	removes     bool          // subtract Fᵀz from the tokens; only if F is stored
}

// foldBlock holds up to 8 rows of F with the same symmetries.
type foldBlock struct {
	class   int        // the symmetries of the rows, see below
	data    []float32  // the first Cols/4 elements of the rows, [Cols/4/16][8][16]
	row     [8]int     // the rows' indices in F; -1 where there are fewer than 8
	quarter [8]float32 // element Cols/4 of the rows
}

// The classes of rows, by the signs of their symmetry about Cols/2 and about Cols/4. The
// last two are sines.
const (
	foldPlusPlus = iota
	foldPlusMinus
	foldMinusPlus
	foldMinusMinus
	foldClasses
)

// NewProjection makes a projection on the rows of f [count×cols]. If the rows do not fold,
// the projection keeps a reference to f.
func NewProjection(f []float32, count, cols int) *Projection {
	f = f[:count*cols]
	p := &Projection{Count: count, Cols: cols}
	var rows [foldClasses][]int
	for i := range count {
		class := foldClass(f[i*cols:][:cols])
		if class < 0 {
			p.dense = f
			return p
		}
		rows[class] = append(rows[class], i)
	}
	for class, rows := range rows {
		for at := 0; at < len(rows); at += 8 {
			b := foldBlock{class: class, data: make([]float32, cols/4*8), row: [8]int{-1, -1, -1, -1, -1, -1, -1, -1}}
			for slot, row := range rows[at:min(at+8, len(rows))] {
				v := f[row*cols:][:cols]
				b.row[slot], b.quarter[slot] = row, v[cols/4]
				putVector(b.data, v[:cols/4], slot)
			}
			p.blocks = append(p.blocks, b)
		}
	}
	return p
}

// putVector puts vector v at place `slot` of a block of 8 vectors, [len(v)/16][8][16]: the
// order in which the routines read them.
func putVector[T any](block, v []T, slot int) {
	for j, x := range v {
		block[j/16*128+slot*16+j%16] = x
	}
}

// foldClass returns the class of a row, or -1 if the row does not fold.
func foldClass(v []float32) int {
	n := len(v)
	if n == 0 || n%64 != 0 {
		return -1
	}
	for class := range foldClasses {
		half, quarter := foldSigns(class)
		ok := (half > 0 || v[0] == 0 && v[n/2] == 0) && v[n/2] == quarter*v[0]
		for j := 1; ok && j < n/2; j++ {
			ok = v[n-j] == half*v[j] && v[n/2-j] == quarter*v[j]
		}
		if ok {
			return class
		}
	}
	return -1
}

// foldSigns returns the signs of a class's symmetry about Cols/2 and about Cols/4.
func foldSigns(class int) (half, quarter float32) {
	return [...]float32{1, 1, -1, -1}[class], [...]float32{1, -1, 1, -1}[class]
}

// foldGo folds columns j0…j1-1 of x for each of the four classes: y [4][len(x)/4].
func foldGo(y, x []float32, j0, j1 int) {
	n := len(x)
	for j := j0; j < j1; j++ {
		a, c := x[j], x[n/2-j]
		b, d := x[(n-j)%n], x[n/2+j]
		if j == 0 {
			b, c = 0, 0
		}
		e, f := a+b, c+d
		y[j], y[n/4+j] = e+f, e-f
		e, f = a-b, c-d
		y[n/2+j], y[3*(n/4)+j] = e+f, e-f
		if j == 0 { // sines are 0 there
			y[n/2], y[3*(n/4)] = 0, 0
		}
	}
}

// foldDotGo sets lanes to the 16 partial sums of the products of 8 rows with x, [8][16].
func foldDotGo(lanes *[128]float32, data, x []float32) {
	*lanes = [128]float32{}
	for i := 0; i < len(x); i += 16 {
		row, v := data[i*8:][:128], x[i:][:16]
		for k := range lanes {
			lanes[k] += float32(row[k] * v[k&15])
		}
	}
}

// foldLanes adds up the 16 lanes of each of 8 rows: the upper half to the lower one, until
// one number is left.
func foldLanes(out *[8]float32, lanes *[128]float32) {
	for r := range out {
		l := lanes[16*r:][:16]
		for h := 8; h > 0; h /= 2 {
			for i := range h {
				l[i] += l[i+h]
			}
		}
		out[r] = l[0]
	}
}

// foldTokens is the largest number of tokens that a routine takes at a time.
const foldTokens = 3

// tokens projects some tokens, at most foldTokens, on rows that fold. Token t is
// x[t·ldx:], and its result z[t·ldz:].
func (p *Projection) tokens(z []float32, ldz int, x []float32, ldx, tokens int) {
	n := p.Cols
	buf := foldBuffers.Get().(*[]float32)
	defer foldBuffers.Put(buf)
	*buf = shape.Grow(*buf, foldTokens*n)
	folded := *buf
	var mid [foldTokens][2]float32 // x[n/4] ± x[n-n/4]
	for t := range tokens {
		v := x[t*ldx:][:n]
		fold(folded[t*n:][:n], v)
		mid[t] = [2]float32{v[n/4] + v[n-n/4], v[n/4] - v[n-n/4]}
	}
	var out [foldTokens][8]float32
	for i := range p.blocks {
		b := &p.blocks[i]
		foldDots(&out, b.data, folded[b.class*(n/4):], n, n/4, tokens)
		for t := range tokens {
			for slot, row := range b.row {
				if row >= 0 {
					z[t*ldz+row] = out[t][slot] + float32(b.quarter[slot]*mid[t][b.class/2])
				}
			}
		}
	}
}

// foldBuffers are buffers for folded tokens that are not in use.
var foldBuffers = sync.Pool{New: func() any { return new([]float32) }}

// Project computes z = F x for each token: token t is x[t·ldx:], and its result z[t·ldz:].
// If f removes, x becomes x − Fᵀz. A token's result does not depend on other tokens.
func Project(p *parallel.Pool, z []float32, ldz int, f *Projection, x []float32, ldx, tokens int) {
	if tokens == 0 || f.Count == 0 {
		return
	}
	shape.Fits("z", len(z), ldz, tokens, f.Count)
	shape.Fits("x", len(x), ldx, tokens, f.Cols)
	switch {
	case f.dense != nil:
		float.MatMulNT(p, z, ldz, x, ldx, f.dense, f.Cols, tokens, f.Count, f.Cols, false)
		return
	case f.stored != nil && tokens == 1:
		f.storedOne(p, z, x)
		return
	}
	per := ProjectChunk(f.Cols, tokens)
	p.Run(shape.CeilDiv(tokens, per), func(i int) { f.Chunk(z, ldz, x, ldx, i*per, min(tokens, (i+1)*per)) })
}

// ProjectChunk returns how many tokens one chunk of work for a thread has: few enough to
// stay in a core's cache, and so few that there are at least 32 chunks if there are enough
// tokens for that.
func ProjectChunk(cols, tokens int) int {
	return min(parallel.ChunkTokens(cols), max(2, shape.CeilDiv(tokens, 32)))
}

// Chunk is [Project] for tokens t0…t1-1 on the calling thread. p must not be dense.
func (p *Projection) Chunk(z []float32, ldz int, x []float32, ldx, t0, t1 int) {
	for t := t0; t < t1; t += foldTokens {
		if n := min(foldTokens, t1-t); p.stored != nil {
			p.storedTokens(z[t*ldz:], ldz, x[t*ldx:], ldx, n)
		} else {
			p.tokens(z[t*ldz:], ldz, x[t*ldx:], ldx, n)
		}
	}
}

// foldDotsGo is the definition of foldDots.
func foldDotsGo(out *[foldTokens][8]float32, data, x []float32, ldx, n, tokens int) {
	var lanes [128]float32
	for t := range tokens {
		foldDotGo(&lanes, data, x[t*ldx:][:n])
		foldLanes(&out[t], &lanes)
	}
}

// Dense reports whether the projection is an ordinary product of matrices, which
// [Projection.Chunk] does not compute.
func (p *Projection) Dense() bool { return p.dense != nil }

// Folded reports whether the rows fold, which saves three quarters of the multiplications.
func (p *Projection) Folded() bool { return p.dense == nil && p.stored == nil }
