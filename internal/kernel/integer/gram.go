package integer

import (
	"encoding/binary"
	"slices"
	"sync"
	"unsafe"

	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/kernel/shape"
)

// Gram adds up the second moments of tokens, h += Σ_t x_t·x_tᵀ, with products of bytes,
// which are several times as fast as products of floats. The channels of up to 512 tokens
// are rounded to integers of 8 bits with a scale each, and
//
//	h[i][j] += scale_i·scale_j·Σ_t q_ti·q_tj
//
// with the sums exact in 32 bits. Rounding adds 1/12 of a squared step to a diagonal
// element for each token: with a largest magnitude of k standard deviations that is
// k²/193,548 of the element, 1/12,000 for k = 4, where GPTQ adds a hundredth of the mean
// (its damping). A few tokens have far larger values than all others, the first of a text
// above all; they would make the steps of all others coarse. Tokens with more than 16
// times the median sum of squares are therefore added in float32, the 32 largest of them if
// there are more.
//
// [Gram.AddCross] does the same for Σ_t y_t·x_tᵀ. The zero value is ready for use; its buffers
// are used again from call to call.
type Gram struct {
	acts   Activations // the channels as "tokens" of a product: Q[channel][token]
	tiles  []byte      // the same integers as a matrix of weights
	rowSum []float32   // zeros
	sums   []float32   // a block of rows of Σ x·xᵀ
	norms  []float64   // sums of squares of the tokens
	sorted []float64
	far    []int     // tokens that are added in float32
	apart  []float32 // those tokens [far × n]

	left      Activations // of AddCross: the channels of y
	leftApart []float32   // and its tokens that are added in float32
}

// gramColumns holds the values of some channels, one after the other.
var gramColumns = sync.Pool{New: func() any { return new([]float32) }}

const (
	gramTokens = 512 // tokens that share the channels' scales
	gramRows   = 96  // rows of h that are computed at a time: a multiple of what kernels take
	gramFar    = 16  // times the median sum of squares
	gramMost   = 32  // tokens that are added in float32
	gramTop    = 127
)

// GramBytes returns the bytes that a [Gram] holds for tokens of n channels, in calls with
// so many tokens on so many threads.
func GramBytes(n, tokens, threads int) int64 {
	t := min(tokens, gramTokens)
	stride := (shape.CeilDiv(t, 64) | 1) * 64
	rows := int64(shape.CeilDiv(n, intLanes)*intLanes + intTokenPad)
	integers := rows * int64(stride+shape.CeilDiv(t, 4)*4)
	floats := int64(gramRows+min(gramMost, t))*int64(n) + int64(threads*intLanes*t)
	return integers + 4*floats + 28*rows
}

// AddLower adds the second moments of x [tokens × n], row t at x[t·ldx], to what is on and
// below the diagonal of h [n×n]; what is above is left as it is. x must be finite.
func (g *Gram) AddLower(p *parallel.Pool, h []float64, n int, x []float32, ldx, tokens int) {
	shape.Fits("h", len(h), n, n, n)
	for t := 0; t < tokens; t += gramTokens {
		g.add(p, h, n, x[t*ldx:], ldx, min(gramTokens, tokens-t))
	}
}

// CrossBytes returns the bytes that [Gram.AddCross] holds besides, for y of m channels and x of n.
func CrossBytes(m, n, tokens, threads int) int64 {
	return GramBytes(m, tokens, threads) + 4*int64(gramRows)*int64(n)
}

// AddCross adds Σ_t y_t·x_tᵀ [m×n] to h, for the rows of y [tokens × m] and x [tokens × n],
// which must be finite.
func (g *Gram) AddCross(p *parallel.Pool, h []float32, y []float32, m int, x []float32, n, tokens int) {
	shape.Fits("h", len(h), n, m, n)
	for t := 0; t < tokens; t += gramTokens {
		g.cross(p, h, y[t*m:], m, x[t*n:], n, min(gramTokens, tokens-t))
	}
}

func (g *Gram) cross(p *parallel.Pool, h []float32, y []float32, m int, x []float32, n, tokens int) {
	g.far = g.far[:0]
	g.choose(y, m, m, tokens)
	g.choose(x, n, n, tokens)
	slices.Sort(g.far)
	g.far = slices.Compact(g.far)
	g.leftApart = g.keepApart(g.leftApart, y, m, m)
	g.apart = g.keepApart(g.apart, x, n, n)
	g.round(p, &g.left, y, m, m, tokens) // its tiles are not used
	g.round(p, &g.acts, x, n, n, tokens)
	g.sums = shape.Grow(g.sums, min(gramRows, m)*n)
	for i := 0; i < m; i += gramRows {
		end := min(m, i+gramRows)
		w, a := g.operands(&g.left, i, end, n, tokens)
		Mul(p, g.sums, n, &w, &a)
		if k := len(g.far); k > 0 {
			float.MatMulTN(p, g.sums, n, g.leftApart[i:], m, g.apart, n, end-i, n, k, true)
		}
		p.Run(end-i, func(r int) {
			row := h[(i+r)*n:][:n]
			for j, v := range g.sums[r*n:][:n] {
				row[j] += v
			}
		})
	}
}

func (g *Gram) add(p *parallel.Pool, h []float64, n int, x []float32, ldx, tokens int) {
	g.far = g.far[:0]
	g.choose(x, ldx, n, tokens)
	g.apart = g.keepApart(g.apart, x, ldx, n)
	g.round(p, &g.acts, x, ldx, n, tokens)
	g.sums = shape.Grow(g.sums, min(gramRows, n)*n)
	for i := 0; i < n; i += gramRows {
		end := min(n, i+gramRows)
		w, a := g.operands(&g.acts, i, end, end, tokens)
		Mul(p, g.sums, n, &w, &a)
		if k := len(g.far); k > 0 {
			float.MatMulTN(p, g.sums, n, g.apart[i:], n, g.apart, n, end-i, end, k, true)
		}
		p.Run(end-i, func(r int) {
			float.AddWide(h[(i+r)*n:][:i+r+1], g.sums[r*n:][:i+r+1])
		})
	}
}

// choose adds to far the tokens that are added in float32 because of x.
func (g *Gram) choose(x []float32, ldx, n, tokens int) {
	g.norms = shape.Grow(g.norms, tokens)
	for t := range g.norms {
		g.norms[t] = float.SumSquares(x[t*ldx:][:n])
	}
	g.sorted = append(g.sorted[:0], g.norms...)
	slices.Sort(g.sorted)
	limit := max(gramFar*g.sorted[(tokens-1)/2], g.sorted[max(0, tokens-1-gramMost)])
	for t, v := range g.norms {
		if v > limit {
			g.far = append(g.far, t)
		}
	}
}

// keepApart copies the tokens of x that are added in float32 to dst, which grows if needed.
func (g *Gram) keepApart(dst, x []float32, ldx, n int) []float32 {
	dst = shape.Grow(dst, len(g.far)*n)
	for i, t := range g.far {
		copy(dst[i*n:], x[t*ldx:][:n])
	}
	return dst
}

// round rounds the channels of the other tokens to integers, in a, and lays these out as a
// matrix of weights too.
func (g *Gram) round(p *parallel.Pool, a *Activations, x []float32, ldx, n, tokens int) {
	a.reset(n, tokens, ActGrid{Bits: 8}, 0)
	size := intTileBytes(8, tokens)
	blocks := shape.CeilDiv(n, intLanes)
	g.tiles = shape.Grow(g.tiles, blocks*size)
	g.rowSum = shape.Grow(g.rowSum, blocks*intLanes)
	a.Scale = shape.Grow(a.Scale, blocks*intLanes) // the matrix has whole tiles
	clear(g.rowSum)
	clear(a.Scale[n:])
	p.Run(blocks, func(b int) {
		from, channels := b*intLanes, min(intLanes, n-b*intLanes)
		scratch := gramColumns.Get().(*[]float32)
		*scratch = shape.Grow(*scratch, channels*tokens)
		columns := *scratch
		float.Transpose(columns, tokens, x[from:], ldx, tokens, channels)
		for c := range channels {
			g.roundChannel(a, from+c, columns[c*tokens:][:tokens])
		}
		gramColumns.Put(scratch)
		packTile(a, g.tiles[b*size:][:size], from, channels, tokens)
	})
}

// roundChannel rounds the values v of a channel.
func (g *Gram) roundChannel(a *Activations, channel int, v []float32) {
	for _, t := range g.far {
		v[t] = 0
	}
	lo, hi, _ := float.MinMaxAbs(v)
	step := max(hi, -lo) / gramTop
	if !(step > 0) {
		step = 1 // all 0, or too small to be divided
	}
	intQuantize(a.Q[channel*a.Stride:][:len(v)], v, step, gramTop+1, 2*gramTop+1, gramTop+1)
	a.Scale[channel] = step
	a.sums(channel)
}

// packTile lays out the integers of some channels, at most 16, as a row tile of weights of
// 8 bits. Four tokens of a channel are four bytes that stay together.
func packTile(a *Activations, dst []byte, from, channels, tokens int) {
	words := shape.CeilDiv(tokens, 4)
	tile := unsafe.Slice((*float32)(unsafe.Pointer(&dst[0])), words*intLanes)
	if channels < intLanes {
		clear(tile)
	}
	rows := unsafe.Slice((*float32)(unsafe.Pointer(&a.Q[from*a.Stride])), ((channels-1)*a.Stride)/4+words)
	float.Transpose(tile, intLanes, rows, a.Stride/4, channels, words)
	for i := 0; i < len(dst); i += 8 { // signed to unsigned: + 128
		binary.LittleEndian.PutUint64(dst[i:], binary.LittleEndian.Uint64(dst[i:])^0x8080808080808080)
	}
}

// operands are the two sides of a product: channels from to end-1 of left, and of x, whose
// integers lie in tiles, the first rows channels.
func (g *Gram) operands(left *Activations, from, end, rows, tokens int) (Matrix, Activations) {
	blocks := shape.CeilDiv(rows, intLanes)
	w := Matrix{Bits: 8, Rows: rows, Cols: tokens, Tiles: g.tiles[:blocks*intTileBytes(8, tokens)],
		Scale: g.acts.Scale[:blocks*intLanes], RowSum: g.rowSum[:blocks*intLanes]}
	a := *left
	a.Tokens = end - from
	a.Q, a.Scale, a.Zero, a.Sum = a.Q[from*a.Stride:], a.Scale[from:], a.Zero[from:], a.Sum[from:]
	a.shift, a.fsum = a.shift[from:], a.fsum[from:]
	return w, a
}
