package branch

import (
	"fmt"

	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/kernel/shape"
)

// HalfTiles is a matrix C of a branch's coefficients in 16-bit floats. Every row has a
// number of coefficients of its own: those of the first components (elements of z). Rows
// are taken 16 at a time, as a tile; the rows of a tile have the same number of
// coefficients.
type HalfTiles struct {
	Rows   int
	Count  []int    // coefficients of a row, for each tile
	Offset []int    // where each tile begins in Data
	Data   []uint16 // IEEE binary16, for each tile [count][16 rows]
	Order  []int32  // the output row of each row of the tiles, a permutation; nil for 0, 1, 2, …
}

// tileRows is the number of rows of a tile.
const tileRows = 16

// What a routine does with y. The assembly compares with these numbers.
const (
	tileSet = iota // sets y to the sums
	tileAdd        // adds the sums to y
)

// mergeTile sets y to the first len(y) elements of sum, or adds them.
func mergeTile(y, sum []float32, update int) {
	sum = sum[:len(y)]
	if update == tileSet {
		copy(y, sum)
		return
	}
	for j, v := range sum {
		y[j] += v
	}
}

// Check returns an error unless tiles, order and data agree with each other and no row has
// more coefficients than k, the number of elements of z.
func (w *HalfTiles) Check(k int) error {
	tiles := (w.Rows + tileRows - 1) / tileRows
	if w.Rows < 0 || len(w.Count) != tiles || len(w.Offset) != tiles {
		return fmt.Errorf("kernel: %d counts and %d offsets for %d rows; want %d of each", len(w.Count), len(w.Offset), w.Rows, tiles)
	}
	if w.Order != nil && len(w.Order) != w.Rows {
		return fmt.Errorf("kernel: an order of %d for %d rows", len(w.Order), w.Rows)
	}
	for i, n := range w.Count {
		if n < 0 || n > k {
			return fmt.Errorf("kernel: tile %d has %d coefficients; want 0 to %d", i, n, k)
		}
		if o := w.Offset[i]; o < 0 || o > len(w.Data) || len(w.Data)-o < n*tileRows {
			return fmt.Errorf("kernel: tile %d of %d×16 at %d lies outside %d halves", i, n, o, len(w.Data))
		}
	}
	seen := make([]bool, len(w.Order))
	for i, r := range w.Order {
		if r < 0 || int(r) >= w.Rows {
			return fmt.Errorf("kernel: row %d goes to output row %d of %d", i, r, w.Rows)
		}
		if seen[r] {
			return fmt.Errorf("kernel: two rows go to output row %d", r)
		}
		seen[r] = true
	}
	return nil
}

// tileTokens is the largest number of tokens that are taken at a time.
const tileTokens = 12

// MulHalfTiles adds C·z to y for each token:
//
//	y[t][Order[16·tile+lane]] += Σ_c C[tile][c][lane]·z[t][c]
//
// The sum begins with zero and c ascends. The caller has made sure, with
// [HalfTiles.Check], that counts do not exceed z and that tiles lie within the data.
func MulHalfTiles(p *parallel.Pool, y []float32, ldy int, w HalfTiles, z []float32, ldz, tokens int) {
	if w.Rows == 0 || tokens == 0 {
		return
	}
	shape.Fits("y", len(y), ldy, tokens, w.Rows)
	p.Run(w.jobs(), func(job int) { w.job(job, y, ldy, z, ldz, tokens) })
}

// tilesPerJob is the number of tiles that a thread takes at a time.
const tilesPerJob = 8

// jobs returns the number of jobs that the tiles are cut into.
func (w *HalfTiles) jobs() int { return (len(w.Count) + tilesPerJob - 1) / tilesPerJob }

// job adds the tiles of a job for all tokens. It goes through all tiles for some tokens
// before it takes the next tokens, so that it writes longer runs of y.
func (w *HalfTiles) job(job int, y []float32, ldy int, z []float32, ldz, tokens int) {
	if tokens == 1 {
		w.AddOne(y, z, job*tilesPerJob, min((job+1)*tilesPerJob, len(w.Count)))
		return
	}
	for t := 0; t < tokens; t += tileTokens {
		m := min(tileTokens, tokens-t)
		for i := job * tilesPerJob; i < min((job+1)*tilesPerJob, len(w.Count)); i++ {
			w.Add(y[t*ldy:], ldy, z[t*ldz:], ldz, m, i)
		}
	}
}

// AddOne adds tiles first…end-1 for one token, four tiles at a time if they have the same
// number of coefficients.
func (w *HalfTiles) AddOne(y, z []float32, first, end int) {
	for i := first; i < end; {
		n := w.Count[i]
		if four := i + 4; n > 0 && four <= end && four*tileRows <= w.Rows && w.alike(i, four) {
			if w.Order == nil && halfTiles4(y[i*tileRows:], w.Data[w.Offset[i]:], n, z) {
				i = four
				continue
			}
			var sum [4 * tileRows]float32
			if w.Order != nil && halfTiles4(sum[:], w.Data[w.Offset[i]:], n, z) {
				for l, r := range w.Order[i*tileRows : four*tileRows] {
					y[r] += sum[l]
				}
				i = four
				continue
			}
		}
		w.Add(y, len(y), z, len(z), 1, i)
		i++
	}
}

// alike reports whether the tiles follow each other in memory and have the same number
// of coefficients.
func (w *HalfTiles) alike(first, end int) bool {
	n := w.Count[first]
	for i := first + 1; i < end; i++ {
		if w.Count[i] != n || w.Offset[i] != w.Offset[i-1]+n*tileRows {
			return false
		}
	}
	return true
}

// Add adds tile i for some tokens, at most tileTokens.
func (w *HalfTiles) Add(y []float32, ldy int, z []float32, ldz, tokens, i int) {
	n := w.Count[i]
	if n == 0 {
		return
	}
	shape.Fits("z", len(z), ldz, tokens, n)
	c := w.Data[w.Offset[i]:][:n*tileRows]
	r0 := i * tileRows
	lanes := min(tileRows, w.Rows-r0)
	if w.Order == nil && lanes == tileRows {
		halfTile(y[r0:], ldy, c, n, z, ldz, tokens, tileAdd)
		return
	}
	var sum [tileTokens * tileRows]float32
	halfTile(sum[:], tileRows, c, n, z, ldz, tokens, tileSet)
	for t := range tokens {
		row, add := y[t*ldy:], sum[t*tileRows:][:lanes]
		if w.Order == nil {
			mergeTile(row[r0:][:lanes], add, tileAdd)
			continue
		}
		for l, r := range w.Order[r0:][:lanes] {
			row[r] += add[l]
		}
	}
}

// halfTileGo is the definition of halfTile: it computes s = Σ_p c[p][lane]·z[t][p], p
// ascending, for each token and each of the 16 lanes, and sets y[t][lane] to s or adds s to
// it, as update says.
func halfTileGo(y []float32, ldy int, c []uint16, n int, z []float32, ldz, tokens, update int) {
	for t := range tokens {
		var s [tileRows]float32
		for p, v := range z[t*ldz:][:n] {
			for l, h := range c[p*tileRows:][:tileRows] {
				s[l] += float32(v * float.FromF16(h))
			}
		}
		mergeTile(y[t*ldy:][:tileRows], s[:], update)
	}
}
