package branch

import (
	"fmt"
	"math"

	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/kernel/shape"
)

// ByteTiles is a matrix C of signed bytes with a scale for each column: the
// coefficients of a branch on a stored basis, in 8 bits. What stands for row r
// and component c is Codes·Scale[c], exact in float32. All rows have Count
// components and are taken 16 at a time.
type ByteTiles struct {
	Rows, Count int
	Codes       []int8    // [tiles][Count][16], the lane being the row
	Scale       []float32 // [Count]
}

// Check reports an error unless the codes and scales are as many as the shape needs,
// for inputs of k components.
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

// Tiles is the number of tiles of 16 rows.
func (w *ByteTiles) Tiles() int { return shape.CeilDiv(w.Rows, tileRows) }

// At is the number that stands for row r and component c.
func (w *ByteTiles) At(r, c int) float32 {
	return float32(w.Codes[(r/tileRows*w.Count+c)*tileRows+r%tileRows]) * w.Scale[c]
}

// Scaled returns Scale[c]·z[t][c] [tokens × Count], each product rounded: the numbers
// that the codes are multiplied with.
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
// with the sum taken from zero, c ascending, multiplication and addition fused:
// all tiers give the same bits. A code or scale too few is the caller's to
// exclude: see [ByteTiles.Check].
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

// AddOne adds tiles first…end-1 for one token, four tiles at a time: with a single sum
// each addition would have to wait for the one before it.
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

// codes returns the codes of n tiles, from tile i on.
func (w *ByteTiles) codes(tile, n int) []int8 {
	return w.Codes[tile*w.Count*tileRows:][:n*w.Count*tileRows]
}

// Add adds tile i for some tokens, at most tileTokens. s is as [ByteTiles.Scaled] gives it, rows of Count.
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

// byteTileGo multiplies a tile c[n][16] with tokens rows of z [n]: y[t][lane] = s,
// or y[t][lane] + s as update says, for s = Σ_p c[p][lane]·z[t][p], p < n
// ascending.
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

// fusedCode returns code·v + sum, rounded once as a fused multiply-add does. The
// product is exact in float64; its sum with `sum` is rounded to odd there, which keeps
// the second rounding, to float32, correct.
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
