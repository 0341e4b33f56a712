package stage

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
)

// correlated draws tokens × n activations whose channels depend on each other,
// with a few large channels, as in a language model.
func correlated(rng *rand.Rand, tokens, n int) []float32 {
	x := make([]float32, tokens*n)
	for t := range tokens {
		var walk float64
		for i := range n {
			walk = 0.9*walk + rng.NormFloat64()
			x[t*n+i] = float32(walk)
			if i%11 == 3 {
				x[t*n+i] *= 5
			}
		}
	}
	return x
}

// gram is H = Σ x xᵀ in float64.
func gram(x []float32, n int) []float64 {
	h := make([]float64, n*n)
	for t := 0; t < len(x); t += n {
		for i, a := range x[t : t+n] {
			for j, b := range x[t : t+n] {
				h[i*n+j] += float64(a) * float64(b)
			}
		}
	}
	return h
}

// inverse is a⁻¹ by Gauss-Jordan elimination.
func inverse(a []float64, n int) []float64 {
	a = slices.Clone(a)
	inv := make([]float64, n*n)
	for i := range n {
		inv[i*n+i] = 1
	}
	for c := range n {
		pivot := c
		for r := c; r < n; r++ {
			if math.Abs(a[r*n+c]) > math.Abs(a[pivot*n+c]) {
				pivot = r
			}
		}
		for k := range n {
			a[c*n+k], a[pivot*n+k] = a[pivot*n+k], a[c*n+k]
			inv[c*n+k], inv[pivot*n+k] = inv[pivot*n+k], inv[c*n+k]
		}
		d := 1 / a[c*n+c]
		for k := range n {
			a[c*n+k] *= d
			inv[c*n+k] *= d
		}
		for r := range n {
			f := a[r*n+c]
			if r == c || f == 0 {
				continue
			}
			for k := range n {
				a[r*n+k] -= f * a[c*n+k]
				inv[r*n+k] -= f * inv[c*n+k]
			}
		}
	}
	return inv
}

// reference is optimal brain quantization in a fixed column order, from the
// paper's equations (Frantar et al., section 3): no Cholesky factor, no blocks,
// the inverse Hessian of the columns to come updated after every column. It
// also returns the values that were rounded, in units of the scale.
func reference(h []float64, n int, s recipe.Solve, g quant.Grid, w []float32, steps quant.Steps, rows int) (q []int8, at []float64) {
	return referenceSeen(h, n, s, g, w, steps, rows, func(int, []float64) {})
}

// referenceSeen shows the weights as they are before each column's turn.
func referenceSeen(h []float64, n int, s recipe.Solve, g quant.Grid, w []float32, steps quant.Steps, rows int, see func(column int, v []float64)) (q []int8, at []float64) {
	h = slices.Clone(h)
	var mean float64
	for i := range n {
		mean += h[i*n+i] / float64(n)
	}
	if mean == 0 {
		mean = 1
	}
	order := make([]int, n)
	for i := range n {
		order[i] = i
		if h[i*n+i] == 0 {
			h[i*n+i] = mean
		}
	}
	if s.ActOrder {
		diagonal := func(i int) float64 { return h[i*n+i] }
		slices.SortStableFunc(order, func(a, b int) int {
			if diagonal(a) > diagonal(b) {
				return -1
			} else if diagonal(a) < diagonal(b) {
				return 1
			}
			return 0
		})
	}
	for i := range n {
		h[i*n+i] += s.Damp * mean
	}
	inv := inverse(h, n)
	v := make([]float64, len(w))
	for i, x := range w {
		v[i] = float64(x)
	}
	q, at = make([]int8, len(w)), make([]float64, len(w))
	lo, hi := g.Limits()
	groups := g.Groups(n)
	for _, c := range order {
		d := inv[c*n+c]
		see(c, v)
		for r := range rows {
			k := r * groups
			if groups > 1 {
				k += c / g.Group
			}
			s32, d32 := steps.At(g, k)
			scale, shift := float64(s32), float64(d32)
			at[r*n+c] = v[r*n+c]/scale + shift
			z := min(max(math.RoundToEven(at[r*n+c]), float64(lo)), float64(hi))
			q[r*n+c] = int8(z)
			err := (v[r*n+c] - scale*(z-shift)) / d
			for k := range n {
				v[r*n+k] -= err * inv[c*n+k]
			}
		}
		// Take column c out of the inverse.
		row := slices.Clone(inv[c*n:][:n])
		for i := range n {
			f := inv[i*n+c] / d
			for k := range n {
				inv[i*n+k] -= f * row[k]
			}
		}
	}
	return q, at
}

func solve(t testing.TB, p *parallel.Pool, h []float64, n int, s recipe.Solve, g quant.Grid, w []float32, scales quant.Steps, rows int) ([]int8, *Factor) {
	t.Helper()
	f, err := NewFactor(p, slices.Clone(h), n, s)
	if err != nil {
		t.Fatal(err)
	}
	q := make([]int8, rows*n)
	f.GPTQ(p, g, q, w, scales, rows)
	return q, f
}

func scalesOf(t testing.TB, g quant.Grid, w []float32, rows, cols int) quant.Steps {
	t.Helper()
	s, err := g.Scales(w, rows, cols, quant.ClipMSE, (*parallel.Pool)(nil).Run)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// outputError is tr((W−Q) H (W−Q)ᵀ).
func outputError(h []float64, n int, g quant.Grid, q []int8, w []float32, scales quant.Steps, rows int) float64 {
	d := make([]float32, len(w))
	g.Dequantize(d, q, scales, rows, n, (*parallel.Pool)(nil).Run)
	var sum float64
	for r := range rows {
		for i := range n {
			e := float64(w[r*n+i]) - float64(d[r*n+i])
			for k := range n {
				sum += e * h[i*n+k] * (float64(w[r*n+k]) - float64(d[r*n+k]))
			}
		}
	}
	return sum
}

func TestGPTQIsTheReference(t *testing.T) {
	for _, c := range []struct{ rows, n, tokens int }{{1, 1, 4}, {5, 40, 100}, {3, 300, 400}, {35, 129, 200}, {2, 128, 60}} {
		for _, order := range []bool{false, true} {
			for _, g := range []quant.Grid{{Bits: 4}, {Bits: 8}, {Bits: 4, Group: 32}, {Bits: 2, Zero: quant.ZeroCentred}, {Bits: 3, Group: 32, Zero: quant.ZeroAsymmetric}, quant.MultipleGrid(5, 16), quant.MultipleGrid(3, 16)} {
				t.Run(fmt.Sprintf("%d×%d, act-order %v, %d bits, group %d", c.rows, c.n, order, g.Bits, g.Group), func(t *testing.T) {
					rng := rand.New(rand.NewPCG(7, uint64(c.n)))
					h := gram(correlated(rng, c.tokens, c.n), c.n)
					w := randomMatrix(rng, c.rows*c.n)
					scales := scalesOf(t, g, w, c.rows, c.n)
					s := recipe.Solve{Method: "gptq", Damp: 0.01, ActOrder: order}
					kept := slices.Clone(w)
					got, f := solve(t, nil, h, c.n, s, g, w, scales, c.rows)
					if !slices.Equal(w, kept) {
						t.Error("the weights were changed")
					}
					if f.Damp != 0.01 || f.Dead != 0 {
						t.Errorf("damping %v, %d dead channels", f.Damp, f.Dead)
					}
					want, at := reference(h, c.n, s, g, w, scales, c.rows)
					compareRows(t, got, want, at, c.rows, c.n, f.order, 1e-3)
					// Something must have been compensated, or the test is about rounding.
					plain := make([]int8, len(w))
					g.RTN(plain, w, scales, c.rows, c.n, (*parallel.Pool)(nil).Run)
					if c.n > 1 && slices.Equal(plain, got) {
						t.Error("GPTQ is plain rounding here")
					}
				})
			}
		}
	}
}

// compareRows fails where the integers differ for another reason than a tie:
// the first difference of a row must lie at a value that the reference almost
// rounds the other way, and what follows it in the row is then free.
func compareRows(t *testing.T, got, want []int8, at []float64, rows, n int, order []int, tie float64) {
	t.Helper()
	ties := 0
	for r := range rows {
		for i := range n {
			c := i
			if order != nil {
				c = order[i]
			}
			k := r*n + c
			if got[k] == want[k] {
				continue
			}
			_, fraction := math.Modf(math.Abs(at[k]))
			if math.Abs(fraction-0.5) > tie {
				t.Errorf("row %d, column %d (step %d): %d, the reference rounds %.5f to %d", r, c, i, got[k], at[k], want[k])
			}
			ties++
			break
		}
	}
	if ties > 1+rows/10 {
		t.Errorf("%d of %d rows differ at ties", ties, rows)
	}
}

func TestGPTQBeatsRounding(t *testing.T) {
	for seed := range uint64(5) {
		for _, g := range []quant.Grid{{Bits: 4}, {Bits: 4, Group: 32}, {Bits: 8}} {
			for _, order := range []bool{false, true} {
				rng := rand.New(rand.NewPCG(seed, 8))
				const rows, n = 8, 200
				h := gram(correlated(rng, 400, n), n)
				w := randomMatrix(rng, rows*n)
				scales := scalesOf(t, g, w, rows, n)
				q, _ := solve(t, nil, h, n, recipe.Solve{Damp: 0.01, ActOrder: order}, g, w, scales, rows)
				plain := make([]int8, len(w))
				g.RTN(plain, w, scales, rows, n, (*parallel.Pool)(nil).Run)
				a, b := outputError(h, n, g, q, w, scales, rows), outputError(h, n, g, plain, w, scales, rows)
				if !(a < 0.7*b) {
					t.Errorf("seed %d, %+v, act-order %v: error %g, rounding %g", seed, g, order, a, b)
				}
			}
		}
	}
}

// Uncorrelated inputs leave nothing to compensate.
func TestGPTQOfADiagonalIsRounding(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 1))
	const rows, n = 4, 150
	g := quant.Grid{Bits: 4, Group: 32}
	w := randomMatrix(rng, rows*n)
	scales := scalesOf(t, g, w, rows, n)
	want := make([]int8, len(w))
	g.RTN(want, w, scales, rows, n, (*parallel.Pool)(nil).Run)
	for name, diagonal := range map[string]func(i int) float64{
		"random":  func(int) float64 { return rng.Float64() },
		"all but": func(i int) float64 { return float64(i % 2) },
		"dead":    func(int) float64 { return 0 },
		"tiny":    func(int) float64 { return 1e-40 },
		"huge":    func(int) float64 { return 1e40 },
	} {
		h := make([]float64, n*n)
		for i := range n {
			h[i*n+i] = diagonal(i)
		}
		q, f := solve(t, nil, h, n, recipe.Solve{Damp: 0.01, ActOrder: true}, g, w, scales, rows)
		if !slices.Equal(q, want) {
			t.Errorf("%s: not plain rounding", name)
		}
		if dead := map[string]int{"all but": n / 2, "dead": n}[name]; f.Dead != dead {
			t.Errorf("%s: %d dead channels, want %d", name, f.Dead, dead)
		}
	}
}

func TestGPTQDeadChannels(t *testing.T) {
	rng := rand.New(rand.NewPCG(10, 1))
	const rows, n = 4, 60
	x := correlated(rng, 100, n)
	dead := []int{0, 7, 33, 59}
	for t := 0; t < len(x); t += n {
		for _, c := range dead {
			x[t+c] = 0
		}
	}
	h := gram(x, n)
	g := quant.Grid{Bits: 4}
	w := randomMatrix(rng, rows*n)
	scales := scalesOf(t, g, w, rows, n)
	for _, order := range []bool{false, true} {
		s := recipe.Solve{Damp: 0.01, ActOrder: order}
		q, f := solve(t, nil, h, n, s, g, w, scales, rows)
		if f.Dead != len(dead) {
			t.Errorf("%d dead channels, want %d", f.Dead, len(dead))
		}
		for r := range rows {
			for _, c := range dead {
				if k := r*n + c; q[k] != g.Round(w[k], scales.Scale[r], 0) {
					t.Errorf("row %d, dead column %d: %d is not plain rounding", r, c, q[k])
				}
			}
		}
		want, at := reference(h, n, s, g, w, scales, rows)
		compareRows(t, q, want, at, rows, n, f.order, 1e-3)
	}
}

// Fewer tokens than channels: H is singular, damping makes it regular.
func TestGPTQRankDeficient(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 1))
	const rows, n, tokens = 6, 200, 20
	h := gram(correlated(rng, tokens, n), n)
	g := quant.Grid{Bits: 4}
	w := randomMatrix(rng, rows*n)
	scales := scalesOf(t, g, w, rows, n)
	plain := make([]int8, len(w))
	g.RTN(plain, w, scales, rows, n, (*parallel.Pool)(nil).Run)
	for _, damp := range []float64{1e-6, 0.01} {
		for _, order := range []bool{false, true} {
			q, f := solve(t, nil, h, n, recipe.Solve{Damp: damp, ActOrder: order}, g, w, scales, rows)
			if f.Damp != damp {
				t.Errorf("damping %g became %g", damp, f.Damp)
			}
			a, b := outputError(h, n, g, q, w, scales, rows), outputError(h, n, g, plain, w, scales, rows)
			if !(a < 0.2*b) {
				t.Errorf("damping %g, act-order %v: error %g, rounding %g", damp, order, a, b)
			}
		}
	}
}

// The 2×2 block [1 c; c 1] has the eigenvalue 1−c, so it takes a damping above
// c−1; the ladder from 0.01 is 0.1, 1, 10.
func TestDampingLadder(t *testing.T) {
	const n = 70
	build := func(c float64) []float64 {
		h := make([]float64, n*n)
		for i := range n {
			h[i*n+i] = 1
		}
		h[5*n+66], h[66*n+5] = c, c
		return h
	}
	rng := rand.New(rand.NewPCG(12, 1))
	g := quant.Grid{Bits: 4}
	w := randomMatrix(rng, n)
	scales := scalesOf(t, g, w, 1, n)
	for _, c := range []struct{ c, want float64 }{{0.9, 0.01}, {1.05, 0.1}, {1.5, 1}, {6, 10}} {
		s := recipe.Solve{Damp: 0.01}
		q, f := solve(t, nil, build(c.c), n, s, g, w, scales, 1)
		if math.Abs(f.Damp/c.want-1) > 1e-9 {
			t.Errorf("correlation %v: damping %v, want %v", c.c, f.Damp, c.want)
		}
		s.Damp = f.Damp // the retries must not have spoilt H
		if direct, _ := solve(t, nil, build(c.c), n, s, g, w, scales, 1); !slices.Equal(q, direct) {
			t.Errorf("correlation %v: other integers than with that damping at once", c.c)
		}
	}
	_, err := NewFactor(nil, build(20), n, recipe.Solve{Damp: 0.01})
	if err == nil || !strings.Contains(err.Error(), "damping 10") {
		t.Errorf("correlation 20: %v", err)
	}
	if _, err := NewFactor(nil, build(1.05), n, recipe.Solve{}); err == nil {
		t.Error("no damping to start with: no error")
	}
	if f, err := NewFactor(nil, build(0.5), n, recipe.Solve{}); err != nil || f.Damp != 0 {
		t.Errorf("no damping needed: %v", err)
	}
}

func TestFactorRefusesNonFinite(t *testing.T) {
	const n = 70
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		for _, at := range [][2]int{{0, 0}, {69, 69}, {3, 68}} {
			h := make([]float64, n*n)
			for i := range n {
				h[i*n+i] = 1
			}
			h[at[0]*n+at[1]], h[at[1]*n+at[0]] = v, v
			if _, err := NewFactor(nil, h, n, recipe.Solve{Damp: 0.01, ActOrder: true}); err == nil {
				t.Errorf("%v at %v: no error", v, at)
			} else if at[0] == at[1] && !strings.Contains(err.Error(), fmt.Sprintf("channel %d", at[0])) {
				t.Errorf("%v at %v: error %q does not name the channel", v, at, err)
			}
		}
	}
}

func TestGPTQThreads(t *testing.T) {
	rng := rand.New(rand.NewPCG(13, 1))
	const rows, n = 100, 300
	h := gram(correlated(rng, 350, n), n)
	w := randomMatrix(rng, rows*n)
	g := quant.Grid{Bits: 4, Group: 64}
	scales := scalesOf(t, g, w, rows, n)
	s := recipe.Solve{Damp: 0.01, ActOrder: true}
	want, first := solve(t, nil, h, n, s, g, w, scales, rows)
	for threads := range 3 {
		p := parallel.NewPool(threads + 1)
		got, f := solve(t, p, h, n, s, g, w, scales, rows)
		p.Close()
		if !slices.Equal(got, want) || !slices.Equal(f.l, first.l) || !slices.Equal(f.order, first.order) {
			t.Errorf("%d threads give other integers than one", threads+1)
		}
	}
}
