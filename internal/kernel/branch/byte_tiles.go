package branch

import (
	"fmt"
	"math"

	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/kernel/shape"
)

// ByteTiles is a matrix C [Rows × Count] of a branch's coefficients in 8 bits. The
// coefficient of an output row and a component (an element of z) is a signed byte times
// the component's scale, which float32 holds exactly. Rows are taken 16 at a time, as a
// tile.
type ByteTiles struct {
	Rows, Count int       // output rows; components
	Codes       []int8    // the bytes, [tiles][Count][16 rows]
	Scale       []float32 // of each component
}

// Check returns an error unless there are as many codes and scales as the shape needs, and
// no more components than k, the number that z has.
func (w *ByteTiles) Check(k int) error {
	switch want := w.Tiles() * w.Count * tileRows; {
	case w.Rows < 0 || w.Count < 0 || w.Count > k:
		return fmt.Errorf("kernel: a branch of %d×%d; want 0 to %d components", w.Rows, w.Count, k)
	case len(w.Codes) != want:
		return fmt.Errorf("kernel: %d codes for %d×%d; want %d", len(w.Codes), w.Rows, w.Count, want)
	case len(w.Scale) != w.Count:
		return fmt.Errorf("kernel: %d scales for %d components", len(w.Scale), w.Count)
	}
	return nil
}

// Tiles returns the number of tiles of 16 rows.
func (w *ByteTiles) Tiles() int { return shape.CeilDiv(w.Rows, tileRows) }

// At returns the coefficient of row r and component c.
func (w *ByteTiles) At(r, c int) float32 {
	return float32(w.Codes[(r/tileRows*w.Count+c)*tileRows+r%tileRows]) * w.Scale[c]
}

// Scaled returns Scale[c]·z[t][c] for each token t and component c, [tokens × Count]: what
// the codes are multiplied with.
func (w *ByteTiles) Scaled(z []float32, ldz, tokens int) []float32 {
	if w.Count == 0 || tokens == 0 {
		return nil
	}
	shape.Fits("z", len(z), ldz, tokens, w.Count)
	s := make([]float32, tokens*w.Count)
	for t := range tokens {
		row, scale := z[t*ldz:][:w.Count], w.Scale[:w.Count]
		to := s[t*w.Count:][:w.Count]
		for c := range to {
			to[c] = scale[c] * row[c]
		}
	}
	return s
}

// MulByteTiles adds C·z to y for each token:
//
//	y[t][16·tile+lane] += Σ_c Codes[tile][c][lane]·float32(Scale[c]·z[t][c])
//
// The sum begins with zero and c ascends. Its multiplications and additions are fused, so
// that all tiers give the same bits. The caller has made sure, with [ByteTiles.Check], that
// there are enough codes and scales.
func MulByteTiles(p *parallel.Pool, y []float32, ldy int, w *ByteTiles, z []float32, ldz, tokens int) {
	if w.Rows == 0 || tokens == 0 || w.Count == 0 {
		return
	}
	shape.Fits("y", len(y), ldy, tokens, w.Rows)
	s := w.Scaled(z, ldz, tokens)
	tiles := w.Tiles()
	p.Run(shape.CeilDiv(tiles, tilesPerJob), func(job int) {
		first, end := job*tilesPerJob, min((job+1)*tilesPerJob, tiles)
		if tokens == 1 {
			w.AddOne(y, s, first, end)
			return
		}
		for t := 0; t < tokens; t += tileTokens {
			for i := first; i < end; i++ {
				w.Add(y[t*ldy:], ldy, s[t*w.Count:], min(tileTokens, tokens-t), i)
			}
		}
	})
}

// AddOne adds tiles first…end-1 for one token. s is the token's [ByteTiles.Scaled]. Four
// tiles are taken at a time, because with one each addition would have to wait for the
// result of the one before.
func (w *ByteTiles) AddOne(y, s []float32, first, end int) {
	for i := first; i < end; {
		if four := i + 4; four <= end && four*tileRows <= w.Rows && byteTiles4(y[i*tileRows:], w.codes(i, 4), w.Count, s) {
			i = four
			continue
		}
		w.Add(y, len(y), s, 1, i)
		i++
	}
}

// codes returns the codes of n tiles, from the given tile on.
func (w *ByteTiles) codes(tile, n int) []int8 {
	return w.Codes[tile*w.Count*tileRows:][:n*w.Count*tileRows]
}

// Add adds tile i for some tokens, at most tileTokens. s is their [ByteTiles.Scaled].
func (w *ByteTiles) Add(y []float32, ldy int, s []float32, tokens, i int) {
	if w.Count == 0 {
		return
	}
	r0 := i * tileRows
	lanes := min(tileRows, w.Rows-r0)
	if lanes == tileRows {
		byteTile(y[r0:], ldy, w.codes(i, 1), w.Count, s, tokens, tileAdd)
		return
	}
	var sum [tileTokens * tileRows]float32
	byteTile(sum[:], tileRows, w.codes(i, 1), w.Count, s, tokens, tileSet)
	for t := range tokens {
		mergeTile(y[t*ldy:][r0:][:lanes], sum[t*tileRows:][:lanes], tileAdd)
	}
}

// byteTileGo is the definition of byteTile: it computes s = Σ_p c[p][lane]·z[t][p], p
// ascending, for each token and each of the 16 lanes, and sets y[t][lane] to s or adds s to
// it, as update says.
func byteTileGo(y []float32, ldy int, c []int8, n int, z []float32, tokens, update int) {
	for t := range tokens {
		var s [tileRows]float32
		for p, v := range z[t*n:][:n] {
			for l, q := range c[p*tileRows:][:tileRows] {
				s[l] = fusedCode(q, v, s[l])
			}
		}
		mergeTile(y[t*ldy:][:tileRows], s[:], update)
	}
}

// fusedCode returns code·v + sum, rounded once, as a fused multiply-add does it. float64
// holds the product exactly. The sum is computed in float64, too, but rounded to odd (of
// the two numbers next to an inexact result, the one whose last bit is 1), because then
// the second rounding, to float32, gives what rounding once would give.
func fusedCode(code int8, v, sum float32) float32 {
	a, b := float64(code)*float64(v), float64(sum)
	s := a + b
	part := s - a
	if rest := (a - (s - part)) + (b - part); rest != 0 && math.Abs(s) <= math.MaxFloat64 {
		if u := math.Float64bits(s); u&1 == 0 {
			if (rest > 0) == (s > 0) {
				u++
			} else {
				u--
			}
			s = math.Float64frombits(u)
		}
	}
	return float32(s)
}
