package integer

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestUnpackRow looks up every row of matrices of every width and of shapes at the
// edges of tiles and steps, and wants what UnpackTiles gives.
func TestUnpackRow(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for bits := 2; bits <= 8; bits++ {
		for _, s := range [][2]int{{1, 1}, {3, 5}, {16, 32}, {17, 33}, {40, 63}, {5, 130}} {
			rows, cols := s[0], s[1]
			q := make([]int8, rows*cols)
			for i := range q {
				q[i] = int8(rng.IntN(1<<bits) - 1<<(bits-1))
			}
			tiles := make([]byte, TileBytes(bits, rows, cols))
			PackTiles(tiles, bits, q, rows, cols)
			got := make([]int8, cols)
			for r := range rows {
				UnpackRow(got, bits, tiles, r, cols)
				if want := q[r*cols:][:cols]; !slices.Equal(got, want) {
					t.Fatalf("%d bits, row %d of %d×%d: %v, want %v", bits, r, rows, cols, got, want)
				}
			}
		}
	}
}
