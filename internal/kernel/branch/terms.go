package branch

import (
	"math"

	"github.com/specquant/specquant/internal/kernel/parallel"
)

// Terms are the branches of several matrices that are multiplied with the same tokens.
// Tiles[i]·z or Bytes[i]·z (coefficients in 16 or 8 bits) is added to the product with
// matrix i; nothing is added if the entry is nil or the list shorter than that. z of token
// t is Z[t·Ldz:]. The zero value adds nothing.
type Terms struct {
	Tiles []*HalfTiles
	Bytes []*ByteTiles
	Z     []float32
	Ldz   int
}

// AddOrdered is [MulHalfTiles] for those branches whose rows have an order of their own
// ([HalfTiles.Order]). The threads of the pool are started once for all of them.
func AddOrdered(p *parallel.Pool, ys [][]float32, ldys []int, b Terms, tokens int) {
	jobs := 0
	for _, w := range b.Tiles {
		if w != nil && w.Order != nil {
			jobs += w.jobs()
		}
	}
	if jobs == 0 {
		return
	}
	p.Run(jobs, func(job int) {
		for i, w := range b.Tiles {
			if w == nil || w.Order == nil {
				continue
			}
			if n := w.jobs(); job >= n {
				job -= n
				continue
			}
			w.job(job, ys[i], ldys[i], b.Z, b.Ldz, tokens)
			return
		}
	})
}

// PairSums are the sums of two tiles for up to 12 tokens, [12 tokens][2 tiles][16 rows].
type PairSums [tileTokens * 2 * tileRows]float32

// Nothing is −0 for each row of a tile. Adding −0 changes no number, not even −0, whereas
// adding +0 would make +0 of it.
var Nothing = func() (z [tileRows]float32) {
	for i := range z {
		z[i] = float32(math.Copysign(0, -1))
	}
	return z
}()
