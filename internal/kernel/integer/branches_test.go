package integer

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/specquant/specquant/internal/kernel/branch"
	"github.com/specquant/specquant/internal/kernel/branch/branchtest"
	"github.com/specquant/specquant/internal/kernel/kerneltest"
	"github.com/specquant/specquant/internal/kernel/parallel"
)

// TestBranches: products with branches have the bits of products followed by
// MulHalfTiles, in order of the rows or not, on every tier.
func TestBranches(t *testing.T) {
	pool := parallel.NewPool(2)
	defer pool.Close()
	r := rand.New(rand.NewPCG(21, 22))
	const cols, most = 200, 9
	for _, tokens := range []int{1, 2, 5, 12, 31} {
		x, z := intRandomTokens(r, tokens, cols), kerneltest.RandFloats(r, tokens*(most+1))
		var ws []*Matrix
		b := branch.Terms{Z: z, Ldz: most + 1}
		var ld []int
		for i, rows := range []int{64, 33, 100, 48, 150} {
			w, _ := intRandomMatrix(t, r, 4+i%2*4, rows, cols, 64, false)
			ws, ld = append(ws, w), append(ld, rows+i%2)
			c, _ := branchtest.RandomHalfTiles(r, rows, most, i == 2)
			b.Tiles = append(b.Tiles, &c)
		}
		b.Tiles[3] = nil
		intTiers(t, func(t *testing.T) {
			var a Activations
			a.Quantize(pool, x, cols, tokens, cols, ActGrid{Bits: 8, Clip: 1}, 64)
			results := func() (ys [][]float32) {
				for i := range ws {
					ys = append(ys, make([]float32, tokens*ld[i]))
				}
				return ys
			}
			y, yf, want, wantf := results(), results(), results(), results()
			MulAll(pool, y, ld, ws, &a, b)
			MulFloatAll(pool, yf, ld, ws, x, cols, tokens, b)
			MulAll(pool, want, ld, ws, &a, branch.Terms{})
			MulFloatAll(pool, wantf, ld, ws, x, cols, tokens, branch.Terms{})
			for i := range ws {
				if b.Tiles[i] != nil {
					branch.MulHalfTiles(pool, want[i], ld[i], *b.Tiles[i], z, most+1, tokens)
					branch.MulHalfTiles(pool, wantf[i], ld[i], *b.Tiles[i], z, most+1, tokens)
				}
				kerneltest.SameBits(t, fmt.Sprint(tokens, " tokens, integers, matrix ", i), y[i], want[i])
				kerneltest.SameBits(t, fmt.Sprint(tokens, " tokens, floats, matrix ", i), yf[i], wantf[i])
			}
		})
	}
}

// TestByteBranches: products with branches have the bits of products followed by
// MulByteTiles, beside branches in 16 bits, on every tier.
func TestByteBranches(t *testing.T) {
	pool := parallel.NewPool(2)
	defer pool.Close()
	r := rand.New(rand.NewPCG(21, 22))
	const cols, count = 200, 9
	for _, tokens := range []int{1, 2, 5, 12, 31} {
		x, z := intRandomTokens(r, tokens, cols), kerneltest.RandFloats(r, tokens*(count+1))
		var ws []*Matrix
		b := branch.Terms{Z: z, Ldz: count + 1}
		var ld []int
		for i, rows := range []int{64, 33, 100, 48, 150, 256} {
			w, _ := intRandomMatrix(t, r, 4+i%2*4, rows, cols, 64, false)
			ws, ld = append(ws, w), append(ld, rows+i%2)
			c, _ := branchtest.RandomByteTiles(r, rows, count-i%3)
			b.Bytes = append(b.Bytes, c)
			b.Tiles = append(b.Tiles, nil)
		}
		half, _ := branchtest.RandomHalfTiles(r, 48, count, false)
		b.Tiles[3], b.Bytes[3] = &half, nil
		b.Bytes, b.Tiles = b.Bytes[:5], b.Tiles[:4]
		intTiers(t, func(t *testing.T) {
			var a Activations
			a.Quantize(pool, x, cols, tokens, cols, ActGrid{Bits: 8, Clip: 1}, 64)
			results := func() (ys [][]float32) {
				for i := range ws {
					ys = append(ys, make([]float32, tokens*ld[i]))
				}
				return ys
			}
			y, yf, want, wantf := results(), results(), results(), results()
			MulAll(pool, y, ld, ws, &a, b)
			MulFloatAll(pool, yf, ld, ws, x, cols, tokens, b)
			MulAll(pool, want, ld, ws, &a, branch.Terms{})
			MulFloatAll(pool, wantf, ld, ws, x, cols, tokens, branch.Terms{})
			for i := range ws {
				for _, y := range [][]float32{want[i], wantf[i]} {
					if i < len(b.Bytes) && b.Bytes[i] != nil {
						branch.MulByteTiles(pool, y, ld[i], b.Bytes[i], z, count+1, tokens)
					} else if i < len(b.Tiles) && b.Tiles[i] != nil {
						branch.MulHalfTiles(pool, y, ld[i], *b.Tiles[i], z, count+1, tokens)
					}
				}
				kerneltest.SameBits(t, fmt.Sprint(tokens, " tokens, integers, matrix ", i), y[i], want[i])
				kerneltest.SameBits(t, fmt.Sprint(tokens, " tokens, floats, matrix ", i), yf[i], wantf[i])
			}
		})
	}
}
