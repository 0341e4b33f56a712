package integer

import (
	"math/rand/v2"
	"testing"

	"github.com/specquant/specquant/internal/kernel/parallel"
)

// TestMulEach: matrices that have some of the tokens each give the bits that they give with
// these tokens alone.
func TestMulEach(t *testing.T) {
	pool := parallel.NewPool(3)
	defer pool.Close()
	const cols, group, tokens = 192, 32, 40
	spans := [][2]int{{0, 1}, {1, 4}, {0, 40}, {20, 37}, {39, 40}}
	intTiers(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(61, 1))
		x := intRandomTokens(r, tokens, cols)
		for _, grid := range []ActGrid{{Bits: 8, Clip: 1}, {Bits: 8, Clip: 1, Group: 32}, {Bits: 4, Clip: 1, Group: 16}} {
			var a, alone Activations
			a.Quantize(pool, x, cols, tokens, cols, grid, group)
			var ys, want [][]float32
			var ws []*Matrix
			var from, end []int
			for i, s := range spans {
				rows, n := 17+40*i, s[1]-s[0]
				w, _ := intRandomZeros(t, r, 2+i, rows, cols, group, false, intZeros(i%3))
				ys, ws, from, end = append(ys, make([]float32, n*rows)), append(ws, w), append(from, s[0]), append(end, s[1])
				alone.Quantize(pool, x[s[0]*cols:], cols, n, cols, grid, group)
				want = append(want, make([]float32, n*rows))
				Mul(pool, want[i], rows, w, &alone)
			}
			MulEach(pool, ys, ws, &a, from, end)
			for i, y := range ys {
				if n := intDiffer(y, want[i]); n >= 0 {
					t.Fatalf("%+v, matrix %d: value %d is %v, want %v", grid, i, n, y[n], want[i][n])
				}
			}
		}
	})
}
