package integer

import (
	"fmt"
	"sync"

	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/kernel/shape"
)

// Gating writes activation(gate)·up to rows of dst that are ldd values apart; the rows of gate and up have
// width values and follow each other. It may write over gate ([float.SwiGLURows]).
type Gating func(dst []float32, ldd int, gate, up []float32, width int)

// MulGated sets y to activation(gate·x)·(up·x), as [MulAll] does with activation over its results
// afterwards, to the same bits. Of many tokens this is faster: each pair of results meets while it is in
// a core's cache, and one of two reaches memory. The matrices have as many rows, and y has row t at
// y[t·ldy].
func MulGated(p *parallel.Pool, y []float32, ldy int, gate, up *Matrix, a *Activations, activation Gating) {
	if a.Tokens <= 0 {
		return
	}
	a.check()
	ws := []*Matrix{gate, up}
	a.shiftBy(ws)
	a.sumByMultiple(p, ws)
	rows := gate.Rows
	if up.Rows != rows || ldy < rows || len(y) < (a.Tokens-1)*ldy+rows {
		panic(fmt.Sprintf("kernel: result of %d values, rows %d apart, for %d tokens of %d and %d rows", len(y), ldy, a.Tokens, rows, up.Rows))
	}
	prods := [2]intProduct{{w: gate, tokens: a.Tokens}, {w: up, tokens: a.Tokens}}
	for i := range prods {
		prods[i].checkTokens(a)
	}
	panel := intPanel(a.Tokens, a.Stride)
	all := shape.CeilDiv(rows, 2*intLanes)
	pairs := intGatedPairs(all, panel, intTileBytes(gate.Bits, gate.Cols)+intTileBytes(up.Bits, up.Cols), p.Threads())
	parts := shape.CeilDiv(all, pairs)
	p.RunStreams(parts*shape.CeilDiv(a.Tokens, panel), func(i int) {
		t0, first := i/parts*panel, i%parts*pairs
		t1, end := min(a.Tokens, t0+panel), min(all, first+pairs)
		from := first * 2 * intLanes
		width := min(rows, end*2*intLanes) - from
		b := intGatedPool.Get().(*intGatedResults)
		defer intGatedPool.Put(b)
		for n := range prods {
			b[n] = shape.Grow(b[n], (t1-t0)*width)
			pr := prods[n]
			pr.y, pr.ldy, pr.fromToken, pr.fromTile = b[n], width, t0, 2*first
			pr.mul(a, first, end, t0, t1)
		}
		activation(y[t0*ldy+from:], ldy, b[0], b[1], width)
	})
}

// intGatedResults are the results of a chunk of both matrices.
type intGatedResults [2][]float32

var intGatedPool = sync.Pool{New: func() any { return new(intGatedResults) }}

// intGatedBytes is how many bytes the results of a chunk have, or those of one pair of row tiles of
// each matrix: they stay in a core's L2 beside the tokens.
const intGatedBytes = 384 << 10

// intGatedPairs is the number of pairs of row tiles in a chunk, of all, whose weights have tileBytes for a row
// tile of both matrices: as many as the caches hold, but several chunks for each thread, so that these end at
// the same time.
func intGatedPairs(all, panel, tileBytes, threads int) int {
	const each = 4
	results := 2 * panel * 2 * intLanes * 4
	return max(1, min(intWeightChunk/(2*tileBytes), intGatedBytes/results, all/(each*threads)))
}
