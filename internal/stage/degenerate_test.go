package stage

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
)

// TestGPTQZeroGroups: rows of zeros stay zeros, exactly, where the grid has a zero;
// groups of zeros in other rows may take some of their neighbours' errors, never
// more than their few smallest steps on a centred grid, and never a step elsewhere:
// theirs is 1, far above the errors. With multiples a row of zeros has that step, too, and
// groups of zeros have the largest of their row.
func TestGPTQZeroGroups(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	const rows, n, group = 4, 96, 32
	h := gram(correlated(rng, 200, n), n)
	w := randomMatrix(rng, rows*n)
	for i := range w {
		if w[i] *= 0.05; i/n == 1 || i/n == 2 && i%n/group == 1 {
			w[i] = 0
		}
	}
	const multiples = quant.ZeroKind("multiples")
	for bits := 2; bits <= 8; bits++ {
		for _, zero := range []quant.ZeroKind{quant.ZeroSymmetric, quant.ZeroCentred, quant.ZeroAsymmetric, multiples} {
			for _, dynamic := range []bool{false, true} {
				if zero == multiples && (dynamic || !slices.Contains(quant.MultipleBits, bits)) {
					continue
				}
				t.Run(fmt.Sprint(bits, zero, dynamic), func(t *testing.T) {
					g := quant.Grid{Bits: bits, Group: group, Zero: zero}
					if zero == multiples {
						g = quant.MultipleGrid(bits, group)
					}
					f, err := NewFactor(nil, slices.Clone(h), n, recipe.Solve{Damp: 0.01})
					if err != nil {
						t.Fatal(err)
					}
					q, back := make([]int8, len(w)), make([]float32, len(w))
					var steps quant.Steps
					if dynamic {
						steps, err = f.GPTQDynamic(nil, g, q, w, nil, quant.ClipMSE, rows)
					} else if steps, err = g.Scales(w, rows, n, quant.ClipMSE, (*parallel.Pool)(nil).Run); err == nil {
						f.GPTQ(nil, g, q, w, steps, rows)
					}
					if err != nil {
						t.Fatal(err)
					}
					g.Dequantize(back, q, steps, rows, n, (*parallel.Pool)(nil).Run)
					for i, v := range back {
						least := 0.0
						if g.Zero == quant.ZeroCentred { // half of all its steps of 2⁻²⁴
							least = float64(int(1)<<bits) / (1 << 25)
						}
						switch r := i / n; {
						case r == 1 && math.Abs(float64(v)) > least:
							t.Fatalf("row of zeros, column %d: %v", i%n, v)
						case r == 2 && i%n/group == 1 && !dynamic && zero != multiples && math.Abs(float64(v)) > least:
							t.Fatalf("group of zeros, column %d: %v", i%n, v)
						case !(math.Abs(float64(v)) < 1):
							t.Fatalf("row %d, column %d: %v", r, i%n, v)
						}
					}
				})
			}
		}
	}
}

// TestMostCorrection: an input of rounding noise is not blown up to stand for what
// the outputs lack, and weights of nothing stay nothing.
func TestMostCorrection(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	const rows, n, tokens = 3, 20, 50
	for _, c := range []struct {
		name           string
		input, weights float32
		want           bool
	}{{"as it should be", 1, 1, true}, {"a faint input", 1e-6, 1, false}, {"no weights", 1, 0, false}, {"no input", 0, 1, true}} {
		x, e, w := randomMatrix(rng, tokens*n), randomMatrix(rng, tokens*rows), randomMatrix(rng, rows*n)
		for i := range x {
			x[i] *= c.input
		}
		for i := range w {
			w[i] *= c.weights
		}
		h, lack := make([]float64, n*n), make([]float32, rows*n)
		float.SyrkTN(nil, h, n, x, n, tokens)
		float.MatMulTN(nil, lack, n, e, rows, x, n, rows, n, tokens, false)
		f, err := NewFactor(nil, h, n, recipe.Solve{Damp: 0.01})
		if err != nil {
			t.Fatal(err)
		}
		f.Solve(nil, lack, rows)
		if got := !tooFar(lack, w); got != c.want {
			t.Errorf("%s: corrected %v", c.name, got)
		}
		if changes := norm(lack) > 0; changes != (c.input > 0) {
			t.Errorf("%s: changes %v", c.name, changes)
		}
	}
}
