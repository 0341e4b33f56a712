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

// damped is what a factor has of h: dead channels stand alone, the diagonal is raised.
func damped(h []float64, n int, f *Factor) []float64 {
	h = slices.Clone(h)
	var mean float64
	for i := range n {
		mean += h[i*n+i] / float64(n)
	}
	if mean == 0 {
		mean = 1
	}
	for i := range n {
		if h[i*n+i] == 0 {
			h[i*n+i] = mean
		}
		h[i*n+i] += f.Damp * mean
	}
	return h
}

// TestRefineNeverRaises: the sum falls with every sweep and every fit of the scales,
// in each row, whatever grid, order and Hessian.
func TestRefineNeverRaises(t *testing.T) {
	for _, c := range []struct{ rows, n, tokens int }{{1, 1, 3}, {5, 40, 100}, {3, 300, 30}, {18, 129, 200}} {
		for _, g := range []quant.Grid{{Bits: 4}, {Bits: 8}, {Bits: 4, Group: 32}, {Bits: 2, Zero: quant.ZeroCentred}, {Bits: 3, Group: 32, Zero: quant.ZeroAsymmetric}} {
			t.Run(fmt.Sprintf("%d×%d, %+v", c.rows, c.n, g), func(t *testing.T) {
				rng := rand.New(rand.NewPCG(21, uint64(c.n)))
				x := correlated(rng, c.tokens, c.n)
				for i := range x {
					if i%c.n%17 == 5 {
						x[i] = 0
					}
				}
				h := gram(x, c.n)
				w := randomMatrix(rng, c.rows*c.n)
				kept := slices.Clone(w)
				steps := scalesOf(t, g, w, c.rows, c.n)
				s := recipe.Solve{Method: "gptq", Damp: 0.01, ActOrder: c.n%2 == 0, Sweeps: 1}
				q, f := solve(t, nil, h, c.n, s, g, w, steps, c.rows)
				h = damped(h, c.n, f)
				sums := func() []float64 {
					var all []float64
					groups := g.Groups(c.n)
					for r := range c.rows {
						own := quant.Steps{Scale: steps.Scale[r*groups:][:groups], Zero: steps.Zero}
						if len(steps.Zero) > 1 {
							own.Zero = steps.Zero[r*groups:][:groups]
						}
						all = append(all, outputError(h, c.n, g, q[r*c.n:][:c.n], w[r*c.n:][:c.n], own, 1))
					}
					return all
				}
				was := sums()
				first := slices.Clone(was)
				for round := range 6 {
					do := recipe.Solve{Sweeps: 1}
					if round%2 == 1 {
						do = recipe.Solve{Rescale: true}
					}
					f.Refine(nil, g, q, w, steps, c.rows, do)
					now := sums()
					for r := range now {
						if now[r] > was[r]*(1+1e-5)+1e-9 {
							t.Errorf("step %d, row %d: %v after %v", round, r, now[r], was[r])
						}
					}
					was = now
				}
				lower := 0
				for r := range was {
					if was[r] < 0.999*first[r] {
						lower++
					}
				}
				if c.n > 1 && g.Bits < 8 && lower < (c.rows+1)/2 {
					t.Errorf("only %d of %d rows have less than GPTQ left", lower, c.rows)
				}
				if !slices.Equal(w, kept) {
					t.Error("the weights were changed")
				}
				half := slices.Clone(steps.Scale)
				float.RoundF16(half)
				if !slices.Equal(half, steps.Scale) {
					t.Error("scales are not 16-bit floats")
				}
			})
		}
	}
}

// TestRefineIsTheReference: a sweep in float64, one code after the other with the
// whole sum worked out for each of its values, takes the same ones.
func TestRefineIsTheReference(t *testing.T) {
	for _, g := range []quant.Grid{{Bits: 2}, {Bits: 3, Group: 32}, {Bits: 2, Zero: quant.ZeroCentred}, {Bits: 3, Zero: quant.ZeroAsymmetric}} {
		const rows, n = 3, 70
		rng := rand.New(rand.NewPCG(23, 1))
		h := gram(correlated(rng, 100, n), n)
		w := randomMatrix(rng, rows*n)
		steps := scalesOf(t, g, w, rows, n)
		s := recipe.Solve{Method: "gptq", Damp: 0.01, ActOrder: true, Sweeps: 1}
		q, f := solve(t, nil, h, n, s, g, w, steps, rows)
		h = damped(h, n, f)
		want := slices.Clone(q)
		lo, hi := g.Limits()
		for j := range n {
			for r := range rows {
				row := want[r*n:][:n]
				own := quant.Steps{Scale: steps.Scale[r*g.Groups(n):][:g.Groups(n)], Zero: steps.Zero}
				if len(steps.Zero) > 1 {
					own.Zero = steps.Zero[r*g.Groups(n):][:g.Groups(n)]
				}
				best, least := row[j], outputError(h, n, g, row, w[r*n:][:n], own, 1)
				for z := lo; z <= hi; z++ {
					row[j] = int8(z)
					if e := outputError(h, n, g, row, w[r*n:][:n], own, 1); e < least*(1-1e-9) {
						best, least = row[j], e
					}
				}
				row[j] = best
			}
		}
		before := slices.Clone(q)
		f.Refine(nil, g, q, w, steps, rows, recipe.Solve{Sweeps: 1})
		if !slices.Equal(q, want) {
			t.Errorf("%+v: other codes than one after the other", g)
		}
		if slices.Equal(q, before) {
			t.Errorf("%+v: nothing changed, the test tests nothing", g)
		}
	}
}

// TestRefineBruteForce: on a few weights of 2 bits, sweeps end where no single code
// can do better, and near the best of all combinations.
func TestRefineBruteForce(t *testing.T) {
	const n, bits = 6, 2
	g := quant.Grid{Bits: bits, Zero: quant.ZeroCentred}
	optimal, gptq := 0, 0
	const trials = 40
	for seed := range uint64(trials) {
		rng := rand.New(rand.NewPCG(seed, 25))
		h := gram(correlated(rng, 12, n), n)
		w := randomMatrix(rng, n)
		steps := scalesOf(t, g, w, 1, n)
		q, f := solve(t, nil, h, n, recipe.Solve{Damp: 0.01, Sweeps: 1}, g, w, steps, 1)
		h = damped(h, n, f)
		least, all := math.Inf(1), make([]int8, n)
		for k := range 1 << (bits * n) {
			for i := range all {
				all[i] = int8(k>>(bits*i)&3) - 2
			}
			least = min(least, outputError(h, n, g, all, w, steps, 1))
		}
		first := outputError(h, n, g, q, w, steps, 1)
		f.Refine(nil, g, q, w, steps, 1, recipe.Solve{Sweeps: 20})
		last := outputError(h, n, g, q, w, steps, 1)
		if last < least*(1-1e-9) || last > first*(1+1e-6) {
			t.Fatalf("seed %d: %v, GPTQ %v, the best there is %v", seed, last, first, least)
		}
		if first < least*1.0001 {
			gptq++
		}
		if last < least*1.0001 {
			optimal++
		}
		again := slices.Clone(q)
		if f.Refine(nil, g, q, w, steps, 1, recipe.Solve{Sweeps: 1}); !slices.Equal(q, again) {
			t.Errorf("seed %d: twenty sweeps were not enough", seed)
		}
	}
	t.Logf("the best of all combinations: GPTQ %d of %d, swept %d", gptq, trials, optimal)
	if optimal <= gptq || optimal < trials/2 {
		t.Errorf("the best of all combinations: GPTQ %d of %d, swept %d", gptq, trials, optimal)
	}
}

// TestRescale: the scale is the best of all 16-bit floats about it.
func TestRescale(t *testing.T) {
	const rows, n = 4, 90
	for _, g := range []quant.Grid{{Bits: 3}, {Bits: 2, Zero: quant.ZeroCentred}} {
		rng := rand.New(rand.NewPCG(27, 1))
		h := gram(correlated(rng, 100, n), n)
		w := randomMatrix(rng, rows*n)
		steps := scalesOf(t, g, w, rows, n)
		q, f := solve(t, nil, h, n, recipe.Solve{Damp: 0.01, Rescale: true}, g, w, steps, rows)
		h = damped(h, n, f)
		before := slices.Clone(steps.Scale)
		f.Refine(nil, g, q, w, steps, rows, recipe.Solve{Rescale: true})
		if slices.Equal(before, steps.Scale) {
			t.Error("no scale has changed")
		}
		for r := range rows {
			of := func(s float32) float64 {
				return outputError(h, n, g, q[r*n:][:n], w[r*n:][:n], quant.Steps{Scale: []float32{s}, Zero: steps.Zero}, 1)
			}
			got := of(steps.Scale[r])
			for _, near := range []float32{-1, 1} {
				if other := of(steps.Scale[r] * (1 + near/1024)); other < got*(1-1e-6) {
					t.Errorf("%+v, row %d: %v with scale %v, %v near by", g, r, got, steps.Scale[r], other)
				}
			}
		}
	}
}

// TestRefineZeros: groups of zeros stay as they are.
func TestRefineZeros(t *testing.T) {
	const rows, n = 3, 96
	rng := rand.New(rand.NewPCG(29, 1))
	h := gram(correlated(rng, 200, n), n)
	w := randomMatrix(rng, rows*n)
	for i := range w {
		if w[i] *= 0.05; i/n == 1 || i%n/32 == 1 {
			w[i] = 0
		}
	}
	for _, zero := range []quant.ZeroKind{quant.ZeroSymmetric, quant.ZeroCentred, quant.ZeroAsymmetric} {
		g := quant.Grid{Bits: 4, Group: 32, Zero: zero}
		steps := scalesOf(t, g, w, rows, n)
		q, f := solve(t, nil, h, n, recipe.Solve{Damp: 0.01, Rescale: true}, g, w, steps, rows)
		f.Refine(nil, g, q, w, steps, rows, recipe.Solve{Sweeps: 3, Rescale: true})
		back := make([]float32, len(w))
		g.Dequantize(back, q, steps, rows, n, (*parallel.Pool)(nil).Run)
		for i, v := range back {
			if w[i] == 0 && math.Abs(float64(v)) > 16.0/(1<<25) {
				t.Fatalf("%s: row %d, column %d is %v", zero, i/n, i%n, v)
			}
		}
	}
}

func TestRefineThreads(t *testing.T) {
	const rows, n = 100, 300
	rng := rand.New(rand.NewPCG(31, 1))
	h := gram(correlated(rng, 350, n), n)
	w := randomMatrix(rng, rows*n)
	for _, g := range []quant.Grid{{Bits: 3}, {Bits: 3, Group: 64}} {
		s := recipe.Solve{Damp: 0.01, ActOrder: true, Sweeps: 2, Rescale: true}
		var want []int8
		var scales []float32
		for threads := range 4 {
			p := parallel.NewPool(threads + 1)
			steps := scalesOf(t, g, w, rows, n)
			got, f := solve(t, p, h, n, s, g, w, steps, rows)
			f.Refine(p, g, got, w, steps, rows, s)
			p.Close()
			if want == nil {
				want, scales = got, steps.Scale
			}
			if !slices.Equal(got, want) || !slices.Equal(steps.Scale, scales) {
				t.Errorf("%d threads give other integers than one", threads+1)
			}
		}
	}
}
