package branch

import (
	"sync"

	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/kernel/shape"
)

// Projection multiplies tokens with a few vectors of a cosine and sine basis, z = F x:
// the first half of the spectral branch. A cosine or sine of period Cols/f is symmetric
// or antisymmetric about Cols/2 and about Cols/4. Where all rows of F are, to the bit, x
// is folded twice, and a product with a row takes a quarter of the multiplications and of
// the memory:
//
//	e[j] = x[j] ± x[n-j]     f[j] = e[j] ± e[n/2-j]     j < n/4
//
// The rows of each of the four combinations of signs are taken 8 at a time. The
// product of a row is summed in 16 lanes, j modulo 16, ascending, which are
// folded in halves; the term of j = n/4 is added last. The assembly tiers fuse
// multiply and add and agree to the bit; the portable one rounds the product.
type Projection struct {
	Count, Cols int
	blocks      []foldBlock
	dense       []float32 // [Count×Cols] where rows don't fold: [float.MatMulNT]
	stored      []storedBlock
	removes     bool // subtracts the projection from the tokens; stored bases only
}

// foldBlock holds up to 8 rows of F with the same symmetries.
type foldBlock struct {
	class   int        // of the folded x
	data    []float32  // [Cols/4/16][8][16]
	row     [8]int     // of F; -1 for padding
	quarter [8]float32 // F at Cols/4
}

// Classes of rows by the signs of their symmetry about Cols/2 and Cols/4. The last two
// are sines.
const (
	foldPlusPlus = iota
	foldPlusMinus
	foldMinusPlus
	foldMinusMinus
	foldClasses
)

// NewProjection makes a projection on the rows of f [count×cols]. It keeps f if the rows
// do not fold.
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
				for j, w := range v[:cols/4] {
					b.data[j/16*128+slot*16+j%16] = w
				}
			}
			p.blocks = append(p.blocks, b)
		}
	}
	return p
}

// foldClass is the class of a row, or -1 if it does not fold.
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

func foldSigns(class int) (half, quarter float32) {
	return [...]float32{1, 1, -1, -1}[class], [...]float32{1, -1, 1, -1}[class]
}

// foldGo writes the folded values of columns j0…j1 of x into y, class by class,
// len(x)/4 apart.
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
		if j == 0 { // sines begin with 0
			y[n/2], y[3*(n/4)] = 0, 0
		}
	}
}

// foldDotGo writes the 16 lanes of the products of 8 rows with x, [8][16].
func foldDotGo(lanes *[128]float32, data, x []float32) {
	*lanes = [128]float32{}
	for i := 0; i < len(x); i += 16 {
		row, v := data[i*8:][:128], x[i:][:16]
		for k := range lanes {
			lanes[k] += float32(row[k] * v[k&15])
		}
	}
}

// foldLanes adds up lanes in halves.
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

// foldTokens is how many tokens a kernel takes at a time.
const foldTokens = 3

// tokens projects some tokens, at most foldTokens: z has row t at z[t·ldz], x
// at x[t·ldx].
func (p *Projection) tokens(z []float32, ldz int, x []float32, ldx, tokens int) {
	n := p.Cols
	buf := foldBuffers.Get().(*[]float32)
	defer foldBuffers.Put(buf)
	*buf = shape.Grow(*buf, foldTokens*n)
	folded := *buf
	var mid [foldTokens][2]float32
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

var foldBuffers = sync.Pool{New: func() any { return new([]float32) }}

// Project computes z = F x for each token; z has row t at z[t·ldz], x at
// x[t·ldx]. A token's result does not depend on the others. If f removes, x
// becomes x − Fᵀz.
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

// ProjectChunk returns the number of tokens in a chunk of work, which is done while they
// are in the cache. If there are tokens enough there are at least 32 chunks.
func ProjectChunk(cols, tokens int) int {
	return min(parallel.ChunkTokens(cols), max(2, shape.CeilDiv(tokens, 32)))
}

// Chunk projects tokens t0…t1-1 on the calling thread: z has row t at z[t·ldz], x at
// x[t·ldx]. The rows of f must not be dense.
func (p *Projection) Chunk(z []float32, ldz int, x []float32, ldx, t0, t1 int) {
	for t := t0; t < t1; t += foldTokens {
		if n := min(foldTokens, t1-t); p.stored != nil {
			p.storedTokens(z[t*ldz:], ldz, x[t*ldx:], ldx, n)
		} else {
			p.tokens(z[t*ldz:], ldz, x[t*ldx:], ldx, n)
		}
	}
}

// foldDotsGo is foldDots in Go: out[t] are the products of 8 rows with x[t·ldx:]
// of n values.
func foldDotsGo(out *[foldTokens][8]float32, data, x []float32, ldx, n, tokens int) {
	var lanes [128]float32
	for t := range tokens {
		foldDotGo(&lanes, data, x[t*ldx:][:n])
		foldLanes(&out[t], &lanes)
	}
}

// Dense reports whether the projection is a product of matrices, which [Projection.Chunk]
// does not compute.
func (p *Projection) Dense() bool { return p.dense != nil }

// Folded reports whether the rows fold, which saves three quarters of the work.
func (p *Projection) Folded() bool { return p.dense == nil && p.stored == nil }
