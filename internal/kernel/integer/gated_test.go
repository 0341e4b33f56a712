package integer

import (
	"math/rand/v2"
	"testing"

	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
)

// TestMulGated: the products of both matrices that meet in the cache give the bits of those that are
// written and gated afterwards, whatever the tier, the widths of the weights and the number of tokens.
func TestMulGated(t *testing.T) {
	pool := parallel.NewPool(3)
	defer pool.Close()
	intTiers(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(71, 1))
		for _, s := range []struct{ rows, cols, group, tokens int }{
			{70, 256, 32, 1}, {853, 64, 32, 33}, {100, 576, 16, 97}, {32, 1536, 16, 64}, {16, 640, 32, 32},
			{5, 96, 32, 40}, {192, 896, 16, 130}, {64, 1408, 16, 1000},
		} {
			x := intRandomTokens(r, s.tokens, s.cols)
			for _, multiples := range []bool{true, false} {
				var ws [2]*Matrix
				group := s.group
				for i := range ws {
					if multiples {
						ws[i], _ = intRandomMultiples(t, r, 4+i, s.rows, s.cols, s.group)
						group = 0
					} else {
						ws[i], _ = intRandomZeros(t, r, 3+i, s.rows, s.cols, group, false, intZeros(i))
					}
				}
				var a Activations
				grid := ActGrid{Bits: 8, Clip: 1}
				if s.group == 16 && !multiples {
					grid = ActGrid{Bits: 4, Clip: 1, Group: 16}
				}
				a.Quantize(pool, x, s.cols, s.tokens, s.cols, grid, group)
				ldy := s.rows + 3
				want, up, y := make([]float32, s.tokens*s.rows), make([]float32, s.tokens*s.rows), make([]float32, s.tokens*ldy)
				Mul(pool, want, s.rows, ws[0], &a)
				Mul(pool, up, s.rows, ws[1], &a)
				for i := range want { // as small as activations are: the exponential is then neither 0 nor infinite
					want[i], up[i] = want[i]/64, up[i]/64
				}
				gating := func(dst []float32, ldd int, gate, up []float32, width int) {
					for i := range gate {
						gate[i], up[i] = gate[i]/64, up[i]/64
					}
					float.SwiGLURows(dst, ldd, gate, up, width)
				}
				for i := range y {
					y[i] = 7
				}
				MulGated(pool, y, ldy, ws[0], ws[1], &a, gating)
				float.SwiGLU(want, up)
				for tok := range s.tokens {
					row := y[tok*ldy:][:ldy]
					if n := intDiffer(row[:s.rows], want[tok*s.rows:][:s.rows]); n >= 0 {
						t.Fatalf("%+v, multiples %v, token %d: value %d is %v, want %v", s, multiples, tok, n, row[n], want[tok*s.rows+n])
					}
					for _, v := range row[s.rows:] {
						if v != 7 {
							t.Fatalf("%+v: token %d: %v is written beyond the rows", s, tok, v)
						}
					}
				}
			}
		}
	})
}
