package integer

import (
	"fmt"

	"github.com/specquant/specquant/internal/kernel/branch"
	"github.com/specquant/specquant/internal/kernel/cpu"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/kernel/shape"
)

// Mul multiplies quantized tokens with a matrix:
//
//	y[t][r] = sx[t]·( Σ_g s[r,g]·(float32(dot_g − offset·sum_g[t]) − (zero[r,g]−offset)·sum_g[t]) − float32(zx[t])·RowSum[r] )
//
// where dot_g = Σ u·q over the inputs of group g, exact in 32 bits, and the
// groups are added in ascending order in float32, every operation rounded by
// itself: tiers, thread counts and batch sizes all give the same bits. offset is 2^(bits−1);
// without zero points zero is that, too. With activations in groups of channels it is as
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
	a.check()
	a.shiftBy(ws)
	a.sumByMultiple(p, ws)
	prods := intProducts(ys, ldys, ws, b, a.Tokens)
	for i := range prods {
		prods[i].checkTokens(a)
	}
	parts := intSplit(prods)
	panel := intPanel(a.Tokens, a.Stride)
	p.RunStreams(parts*shape.CeilDiv(a.Tokens, panel), func(i int) {
		// Chunks of rows change fastest, so that a core keeps its panel of tokens in its cache.
		t0 := i / parts * panel
		pr, first, end := intFind(prods, i%parts)
		prods[pr].mul(a, first, end, t0, min(a.Tokens, t0+panel))
	})
	branch.AddOrdered(p, ys, ldys, b, a.Tokens)
}

// MulEach is [Mul] for several matrices, each with tokens of its own, in one fork and join:
// the experts of a mixture. ys[i], with rows of ws[i].Rows values one after the other, is the
// product of ws[i] with tokens from[i] up to but not end[i] of a.
func MulEach(p *parallel.Pool, ys [][]float32, ws []*Matrix, a *Activations, from, end []int) {
	a.check()
	a.shiftBy(ws)
	a.sumByMultiple(p, ws)
	prods, tokens := make([]intProduct, len(ws)), make([]Activations, len(ws))
	for i, w := range ws {
		if from[i] < 0 || end[i] <= from[i] || end[i] > a.Tokens {
			panic(fmt.Sprintf("kernel: tokens %d to %d of %d", from[i], end[i], a.Tokens))
		}
		tokens[i] = a.some(from[i], end[i])
		prods[i] = intProduct{y: ys[i], ldy: w.Rows, w: w, tokens: tokens[i].Tokens}
		prods[i].checkTokens(a)
	}
	p.RunStreams(intSplit(prods), func(i int) {
		pr, first, end := intFind(prods, i)
		panel := intPanel(prods[pr].tokens, a.Stride)
		for t0 := 0; t0 < prods[pr].tokens; t0 += panel {
			prods[pr].mul(&tokens[pr], first, end, t0, min(prods[pr].tokens, t0+panel))
		}
	})
}

// mul multiplies tokens t0 to t1-1 with pairs of row tiles first to end-1.
func (pr *intProduct) mul(a *Activations, first, end, t0, t1 int) {
	tile, tiles := 2*first, min(2*end, shape.CeilDiv(pr.w.Rows, intLanes))
	tile = intMulMultiples(pr, a, tile, tiles, t0, t1)
	if pr.one() {
		tile = intMulOne(pr, a, tile, tiles)
	} else {
		tile = intMulAMX(pr, a, tile, tiles, t0, t1)
	}
	for ; tile < tiles; tile += 2 {
		intMulPair(pr, a, tile, t0, t1)
	}
	pr.branchOne(first, end)
}

// check panics unless the tokens were made by Quantize.
func (a *Activations) check() {
	if groups, _ := intGroups(a.Cols, a.Group); !a.made(groups) {
		panic("kernel: activations were not made by Quantize")
	}
}

// some returns the tokens from…end-1, in the same memory.
func (a *Activations) some(from, end int) Activations {
	groups, _ := intGroups(a.Cols, a.Group)
	grids, _ := intGroups(a.Cols, a.ActGroup)
	s := *a
	s.Tokens = end - from
	s.Q, s.Scale, s.Zero, s.fsum = a.Q[from*a.Stride:], a.Scale[from*grids:], a.Zero[from*grids:], a.fsum[from*groups:]
	if a.shiftedBy != 0 {
		s.shifted = a.shifted[from*groups:]
	}
	if a.multipleGroup > 0 {
		n, _ := intGroups(a.Cols, a.multipleGroup)
		for bits, sums := range a.multipleSums {
			s.multipleSums[bits] = sums[min(len(sums), from*n):]
		}
	}
	if a.ActGroup > 0 {
		parts, _ := intParts(a.Cols, a.Group, a.ActGroup)
		s.parts = a.parts[from*parts:]
	} else {
		s.Sum, s.shift = a.Sum[from*groups:], a.shift[from*groups:]
	}
	return s
}

// made reports whether the buffers are as long as the kernels read.
func (a *Activations) made(groups int) bool {
	rows := a.Tokens + intTokenPad
	if len(a.Q) < rows*a.Stride || len(a.fsum) < (a.Tokens+intSumPad)*groups {
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
	y      []float32
	ldy    int
	w      *Matrix
	c      *branch.HalfTiles // added in the same pass; nil: nothing
	z      []float32
	ldz    int
	bytes  *branch.ByteTiles // likewise, instead of c
	codeZ  []float32         // z times the scales of bytes [tokens × bytes.Count]
	sums   []float32         // float tokens' group sums, for zero points; nil: none
	tokens int
	pairs  int // pairs of row tiles in a chunk
	parts  int // chunks of row tiles

	fromToken, fromTile int // token and row tile of y[0]; for products without a branch
}

// at is where y has the result of a token and the first row of a tile.
func (pr *intProduct) at(t, tile int) int {
	return (t-pr.fromToken)*pr.ldy + (tile-pr.fromTile)*intLanes
}

// one reports whether there is but one token.
func (pr *intProduct) one() bool { return pr.tokens == 1 }

// checkTokens panics unless the matrix fits the tokens.
func (pr *intProduct) checkTokens(a *Activations) {
	groups, size := intGroups(a.Cols, a.Group)
	if n, s := intGroups(pr.w.Cols, pr.w.Group); pr.w.Cols != a.Cols || n != groups || s != size {
		panic(fmt.Sprintf("kernel: matrix of %d columns in groups of %d times activations of %d in groups of %d",
			pr.w.Cols, s, a.Cols, size))
	}
}

func intProducts(ys [][]float32, ldys []int, ws []*Matrix, b branch.Terms, tokens int) []intProduct {
	prods := make([]intProduct, len(ws))
	for i, w := range ws {
		prods[i] = intProduct{y: ys[i], ldy: ldys[i], w: w, tokens: tokens}
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
	if pr.one() {
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
	if !pr.one() {
		return
	}
	if c := pr.bytes; c != nil {
		c.AddOne(pr.y, pr.codeZ, 2*first, min(2*end, c.Tiles()))
	}
	if pr.c != nil {
		pr.c.AddOne(pr.y, pr.z, 2*first, min(2*end, len(pr.c.Count)))
	}
}

// Cache blocking: a chunk is some pairs of row tiles times a panel of tokens, so that the weights and
// the tokens' panel stay in a core's L2 together, of 1 MB. Where that is smaller, tokens come from the L3
// in time; what panels cost is that weights are unpacked once for each.
const (
	intWeightChunk = 128 << 10 // bytes of weights in a chunk, at most, if a pair of tiles is less
	intLeastChunk  = 16 << 10  // and at least
	intTokenPanel  = 832 << 10 // bytes of tokens in a panel, or a block of tokens more
	intTokens      = 12        // tokens of the widest kernel
	intAMXBlock    = 16        // tokens of AMX's

	// Where there is AMX a core's L2 has 2 MB, and products are so fast that unpacking the weights
	// once more for each panel is felt.
	intTokenPanelAMX = 1280 << 10
)

// intSplit sets the chunks of row tiles and returns their number over all products. It
// depends on the shapes only.
func intSplit(prods []intProduct) int {
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
		if pr.ldy < w.Rows || len(pr.y) < (pr.tokens-1)*pr.ldy+w.Rows {
			panic(fmt.Sprintf("kernel: result of %d values, rows %d apart, is too short for %d×%d", len(pr.y), pr.ldy, pr.tokens, w.Rows))
		}
		pair := 2 * intTileBytes(w.Bits, w.Cols)
		pr.pairs = max(1, chunk/pair)
		pr.parts = shape.CeilDiv(shape.CeilDiv(w.Rows, 2*intLanes), pr.pairs)
		total += pr.parts
	}
	return total
}

// intPanelBytes is how many bytes of tokens a panel has, or a block of tokens more.
func intPanelBytes() int {
	if cpu.Active() >= cpu.AMX {
		return intTokenPanelAMX
	}
	return intTokenPanel
}

// intPanel is the number of tokens in a panel, of tokens of so many bytes each. Panels are of
// about one size: a last one of a few tokens would take as long for unpacking weights as any
// other. They are whole blocks of the widest kernel.
func intPanel(tokens, bytes int) int {
	panels := max(1, shape.CeilDiv(tokens*bytes, intPanelBytes()))
	panel := shape.CeilDiv(tokens, panels)
	switch {
	case cpu.Active() < cpu.AMX:
		return shape.RoundUp(panel, intTokens)
	case panel < 2*intAMXBlock:
		return shape.RoundUp(panel, intAMXBlock)
	}
	return shape.RoundUp(panel, 2*intAMXBlock)
}

// intFind is the index of the product of chunk part, and the chunk's first and last pair
// of row tiles.
func intFind(prods []intProduct, part int) (pr, first, end int) {
	for part >= prods[pr].parts {
		part -= prods[pr].parts
		pr++
	}
	first = part * prods[pr].pairs
	return pr, first, min(first+prods[pr].pairs, shape.CeilDiv(prods[pr].w.Rows, 2*intLanes))
}
