package branch

import (
	"math"

	"github.com/specquant/specquant/internal/kernel/parallel"
)

// Terms are the branches of matrices that share activations, in 16 or 8 bits:
// Tiles[i]·z, or Bytes[i]·z, is added to the product with matrix i, unless it is
// nil or the list ends before it. Z has row t at Z[t·Ldz]. The zero value adds
// nothing.
type Terms struct {
	Tiles []*HalfTiles
	Bytes []*ByteTiles
	Z     []float32
	Ldz   int
}

// AddOrdered is MulHalfTiles for the branches whose tiles are not in the order of the
// rows, all of them in one fork and join.
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

// PairSums are the sums of two tiles of 16 rows for up to 12 tokens, [12][2][16].
type PairSums [tileTokens * 2 * tileRows]float32

// Nothing is −0 in all lanes of a tile: adding it leaves every number as it is, −0
// included.
var Nothing = func() (z [tileRows]float32) {
	for i := range z {
		z[i] = float32(math.Copysign(0, -1))
	}
	return z
}()
