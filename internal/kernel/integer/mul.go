package integer

import (
	"fmt"

	"github.com/specquant/specquant/internal/kernel/branch"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/kernel/shape"
)

// Mul multiplies quantized tokens with a matrix:
//
//	y[t][r] = sx[t]·( Σ_g s[r,g]·float32(dot_g − offset·sum_g[t]) − float32(zx[t])·RowSum[r] )
//
// where dot_g = Σ u·q over the inputs of group g, exact in 32 bits, and the
// groups are added in ascending order in float32, every operation rounded by
// itself: tiers, thread counts and batch sizes all give the same bits. They are
// added to 0, or to −Σ_g s[r,g]·(zero[r,g]−offset)·sum_g[t] where w has zero
// points; offset is 2^(bits−1). With activations in groups of channels it is as
// group.go has it. y has row t at y[t·ldy], rows of w.Rows; nothing else of
// it is written. It panics if the shapes or groups of w and a differ, or y is too short.
func Mul(p *parallel.Pool, y []float32, ldy int, w *Matrix, a *Activations) {
	MulAll(p, [][]float32{y}, []int{ldy}, []*Matrix{w}, a, branch.Terms{})
}

// MulAll is [Mul] for several matrices that share the activations
// (query, key and value; gate and up) in one fork and join: ys[i] with rows
// ldys[i] apart is the product with ws[i].
//
// The branches are added as [branch.MulHalfTiles] and [branch.MulByteTiles] would
// afterwards, to the same bits. Tiles in the order of the rows are added while the product's tile is in
// the cache; others take a second fork and join.
func MulAll(p *parallel.Pool, ys [][]float32, ldys []int, ws []*Matrix, a *Activations, b branch.Terms) {
	if a.Tokens <= 0 {
		return
	}
	groups, size := intGroups(a.Cols, a.Group)
	if !a.made(groups) {
		panic("kernel: activations were not made by Quantize")
	}
	prods := intProducts(ys, ldys, ws, b, a.Tokens)
	parts := intSplit(prods, a.Tokens, func(pr *intProduct) {
		w := pr.w
		n, s := intGroups(w.Cols, w.Group)
		if w.Cols != a.Cols || n != groups || s != size {
			panic(fmt.Sprintf("kernel: matrix of %d columns in groups of %d times activations of %d in groups of %d",
				w.Cols, s, a.Cols, size))
		}
	})
	panel := intPanel(a.Stride)
	p.RunStreams(parts*shape.CeilDiv(a.Tokens, panel), func(i int) {
		// Chunks of rows change fastest, so that a core keeps its panel of tokens in its cache.
		t0 := i / parts * panel
		pr, first, end := intFind(prods, i%parts)
		tile, tiles := 2*first, min(2*end, shape.CeilDiv(pr.w.Rows, intLanes))
		if pr.one {
			tile = intMulOne(pr, a, tile, tiles)
		} else {
			tile = intMulAMX(pr, a, tile, tiles, t0, min(a.Tokens, t0+panel))
		}
		for ; tile < tiles; tile += 2 {
			intMulPair(pr, a, tile, t0, min(a.Tokens, t0+panel))
		}
		pr.branchOne(first, end)
	})
	branch.AddOrdered(p, ys, ldys, b, a.Tokens)
}

// made reports whether the buffers are as long as the kernels read.
func (a *Activations) made(groups int) bool {
	rows := a.Tokens + intTokenPad
	if len(a.Q) < rows*a.Stride || len(a.fsum) < (a.Tokens+intStartPad)*groups {
		return false
	}
	if a.ActGroup > 0 {
		n, _ := intParts(a.Cols, a.Group, a.ActGroup)
		return len(a.parts) >= rows*n
	}
	return len(a.shift) >= rows*groups
}

// intProduct is one matrix of a fork-join.
type intProduct struct {
	y     []float32
	ldy   int
	w     *Matrix
	c     *branch.HalfTiles // added in the same pass; nil: nothing
	z     []float32
	ldz   int
	bytes *branch.ByteTiles // likewise, instead of c
	codeZ []float32         // z times the scales of bytes [tokens × bytes.Count]
	sums  []float32         // float tokens' group sums, for zero points; nil: none
	one   bool              // there is but one token
	pairs int               // pairs of row tiles in a chunk
	parts int               // chunks of row tiles
}

func intProducts(ys [][]float32, ldys []int, ws []*Matrix, b branch.Terms, tokens int) []intProduct {
	prods := make([]intProduct, len(ws))
	for i, w := range ws {
		prods[i] = intProduct{y: ys[i], ldy: ldys[i], w: w, one: tokens == 1}
		if i < len(b.Tiles) && b.Tiles[i] != nil {
			c := b.Tiles[i]
			if c.Rows != w.Rows {
				panic(fmt.Sprintf("kernel: branch of %d rows beside a matrix of %d", c.Rows, w.Rows))
			}
			if c.Order == nil {
				prods[i].c, prods[i].z, prods[i].ldz = c, b.Z, b.Ldz
			}
		}
		if i < len(b.Bytes) && b.Bytes[i] != nil && b.Bytes[i].Count > 0 {
			c := b.Bytes[i]
			if c.Rows != w.Rows || prods[i].c != nil {
				panic(fmt.Sprintf("kernel: branch of %d rows in 8 bits beside a matrix of %d, or beside one in 16", c.Rows, w.Rows))
			}
			prods[i].bytes, prods[i].codeZ = c, c.Scaled(b.Z, b.Ldz, tokens)
		}
	}
	return prods
}

// branch adds the branch to what is done of some row tiles: tokens t to
// t+tokens-1, at most intTokens.
func (pr *intProduct) branch(tile, tiles, t, tokens int) {
	if pr.one {
		return
	}
	if c := pr.bytes; c != nil {
		for i := tile; i < min(tile+tiles, c.Tiles()); i++ {
			c.Add(pr.y[t*pr.ldy:], pr.ldy, pr.codeZ[t*c.Count:], tokens, i)
		}
	}
	if pr.c == nil {
		return
	}
	for i := tile; i < min(tile+tiles, len(pr.c.Count)); i++ {
		pr.c.Add(pr.y[t*pr.ldy:], pr.ldy, pr.z[t*pr.ldz:], pr.ldz, tokens, i)
	}
}

// branchOne adds the branch to a chunk of pairs of row tiles of the only token, several
// tiles together: with a single sum each addition would wait for the one before it.
func (pr *intProduct) branchOne(first, end int) {
	if !pr.one {
		return
	}
	if c := pr.bytes; c != nil {
		c.AddOne(pr.y, pr.codeZ, 2*first, min(2*end, c.Tiles()))
	}
	if pr.c != nil {
		pr.c.AddOne(pr.y, pr.z, 2*first, min(2*end, len(pr.c.Count)))
	}
}

// Cache blocking: a chunk is some pairs of row tiles times a panel of tokens,
// so that the weights and the tokens' panel stay in a core's L2 together.
const (
	intWeightChunk = 128 << 10 // bytes of weights in a chunk, at most, if a pair of tiles is less
	intLeastChunk  = 16 << 10  // and at least
	intTokenPanel  = 448 << 10 // bytes of tokens in a panel
	intTokens      = 12        // tokens of the widest kernel
)

// intSplit sets the chunks of row tiles and returns their number over all products. It
// depends on the shapes only.
func intSplit(prods []intProduct, tokens int, check func(*intProduct)) int {
	// Small matrices too are in many chunks, so that threads end at the same time.
	bytes := 0
	for i := range prods {
		bytes += len(prods[i].w.Tiles)
	}
	chunk := min(intWeightChunk, max(intLeastChunk, bytes/32))
	total := 0
	for i := range prods {
		pr := &prods[i]
		w := pr.w
		check(pr)
		if pr.ldy < w.Rows || len(pr.y) < (tokens-1)*pr.ldy+w.Rows {
			panic(fmt.Sprintf("kernel: result of %d values, rows %d apart, is too short for %d×%d", len(pr.y), pr.ldy, tokens, w.Rows))
		}
		pair := 2 * intTileBytes(w.Bits, w.Cols)
		pr.pairs = max(1, chunk/pair)
		pr.parts = shape.CeilDiv(shape.CeilDiv(w.Rows, 2*intLanes), pr.pairs)
		total += pr.parts
	}
	return total
}

// intPanel is the number of tokens in a panel of rows of the given bytes.
func intPanel(bytes int) int {
	return max(1, intTokenPanel/max(1, bytes)/intTokens) * intTokens
}

// intFind is the product of chunk part, and the chunk's first and last pair of
// row tiles.
func intFind(prods []intProduct, part int) (pr *intProduct, first, end int) {
	i := 0
	for part >= prods[i].parts {
		part -= prods[i].parts
		i++
	}
	pr = &prods[i]
	first = part * pr.pairs
	return pr, first, min(first+pr.pairs, shape.CeilDiv(pr.w.Rows, 2*intLanes))
}
