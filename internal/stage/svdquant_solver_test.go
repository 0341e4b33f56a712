package stage

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/specquant/specquant/internal/linalg"
	"github.com/specquant/specquant/internal/recipe"
)

// product is C·V of one reader, [out × n].
func (l *LowRank) product(i int) []float64 {
	out := len(l.C[i]) / l.K
	p := make([]float64, out*l.N)
	for r := range out {
		for k := range l.K {
			for c := range l.N {
				p[r*l.N+c] += float64(l.C[i][r*l.K+k]) * float64(l.V[k*l.N+c])
			}
		}
	}
	return p
}

// bestOf is the best approximation of rank k of e [m × n], by the eigenvectors of
// eᵀe: an independent way to what a singular value decomposition gives.
func bestOf(t *testing.T, e []float64, m, n, k int) []float64 {
	t.Helper()
	g := make([]float64, n*n)
	for r := range m {
		for i := range n {
			for j := range n {
				g[i*n+j] += e[r*n+i] * e[r*n+j]
			}
		}
	}
	_, v, err := linalg.SymEigen(nil, g, n)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]float64, m*n)
	for r := range m {
		for j := range k {
			var z float64
			for i := range n {
				z += e[r*n+i] * v[j*n+i]
			}
			for i := range n {
				out[r*n+i] += z * v[j*n+i]
			}
		}
	}
	return out
}

func off(got, want []float64) float64 {
	var diff, norm float64
	for i, v := range want {
		diff += (got[i] - v) * (got[i] - v)
		norm += v * v
	}
	return math.Sqrt(diff / norm)
}

// TestLowRankByHand: diag(3, 2) in two readers of one output each keeps the 3.
func TestLowRankByHand(t *testing.T) {
	l, err := LowRankOf(nil, [][]float32{{3, 0}, {0, 2}}, 2, 1, nil, 1e-10)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(l.V, []float32{1, 0}) || !slices.Equal(l.C[0], []float32{3}) || math.Abs(float64(l.C[1][0])) > 1e-6 {
		t.Errorf("V %v, C %v", l.V, l.C)
	}
	// With the second input ten times as large, the 2 matters more.
	white, err := NewWhitening(nil, []float64{1, 0, 0, 100}, 2)
	if err != nil {
		t.Fatal(err)
	}
	if l, err = LowRankOf(nil, [][]float32{{3, 0}, {0, 2}}, 2, 1, white, 1e-10); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(l.V, []float32{0, 1}) || math.Abs(float64(l.C[0][0])) > 1e-6 || l.C[1][0] != 2 {
		t.Errorf("whitened: V %v, C %v", l.V, l.C)
	}
}

// TestLowRankOf against eigenvectors, and with a whitening against the symmetric
// square root of H, another S with S·Sᵀ = H: the product is the same.
func TestLowRankOf(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 9))
	const n, k, tokens = 20, 4, 70
	outs := []int{12, 5, 9}
	var weights [][]float32
	var all []float64
	for _, out := range outs {
		w := randomMatrix(rng, out*n)
		weights = append(weights, w)
		for _, v := range w {
			all = append(all, float64(v))
		}
	}
	m := len(all) / n
	h := gram(correlated(rng, tokens, n), n)
	check := func(what string, l *LowRank, want []float64) {
		t.Helper()
		var got []float64
		for i := range l.C {
			got = append(got, l.product(i)...)
		}
		if e := off(got, want); e > 2e-3 { // 16-bit floats
			t.Errorf("%s: the product is off by %.2g", what, e)
		}
		for i := range k {
			for j := range k {
				var dot float64
				for c := range n {
					dot += float64(l.V[i*n+c]) * float64(l.V[j*n+c])
				}
				if want := map[bool]float64{true: 1}[i == j]; math.Abs(dot-want) > 2e-3 {
					t.Errorf("%s: rows %d and %d of V have the product %v", what, i, j, dot)
				}
			}
		}
	}
	l, err := LowRankOf(nil, weights, n, k, nil, 1e-10)
	if err != nil {
		t.Fatal(err)
	}
	check("plain", l, bestOf(t, all, m, n, k))

	white, err := NewWhitening(nil, h, n)
	if err != nil {
		t.Fatal(err)
	}
	if l, err = LowRankOf(nil, weights, n, k, white, 1e-10); err != nil {
		t.Fatal(err)
	}
	damped := slices.Clone(h)
	var mean float64
	for i := range n {
		mean += h[i*n+i] / n
	}
	for i := range n {
		damped[i*n+i] += whitenDamp * mean
	}
	root, err := linalg.SqrtSym(nil, slices.Clone(damped), n, 1e-12)
	if err != nil {
		t.Fatal(err)
	}
	back := inverse(slices.Clone(root), n)
	times := func(a, b []float64) []float64 {
		c := make([]float64, m*n)
		for r := range m {
			for i := range n {
				for j := range n {
					c[r*n+j] += a[r*n+i] * b[i*n+j]
				}
			}
		}
		return c
	}
	check("whitened", l, times(bestOf(t, times(all, root), m, n, k), back))
}

// TestIterate: each round's target is what the rounding of the round before left,
// the best round wins and the first that is no better ends it.
func TestIterate(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	const n, k = 12, 2
	weights := [][]float32{randomMatrix(rng, 6*n), randomMatrix(rng, 4*n)}
	script := []float64{5, 4, 3, 3.5, 1}
	var targets [][]float64 // what each round has to approximate
	target := [][]float64{nil, nil}
	for i, w := range weights {
		for _, v := range w {
			target[i] = append(target[i], float64(v))
		}
	}
	rounds := 0
	run := func(b *recipe.Branch) (*LowRank, error) {
		return Iterate(nil, b, weights, n, k, nil, func(l *LowRank, residual [][]float32) (float64, error) {
			both := append(slices.Clone(target[0]), target[1]...)
			targets = append(targets, both)
			want := bestOf(t, both, 10, n, k)
			if e := off(append(l.product(0), l.product(1)...), want); e > 2e-3 {
				t.Errorf("round %d: the branch is off by %.2g", rounds, e)
			}
			for i, w := range weights {
				p := l.product(i)
				for j, v := range w {
					if r := float64(v) - p[j]; math.Abs(r-float64(residual[i][j])) > 1e-5 {
						t.Fatalf("round %d: residual %v, want %v", rounds, residual[i][j], r)
					}
					residual[i][j] = float32(math.Round(float64(residual[i][j])*2) / 2) // a grid of halves
					target[i][j] = float64(v) - float64(residual[i][j])
				}
			}
			rounds++
			return script[rounds-1], nil
		})
	}
	best, err := run(&recipe.Branch{Rounds: 10})
	if err != nil {
		t.Fatal(err)
	}
	if rounds != 4 {
		t.Errorf("%d rounds, want 4: the fourth is worse", rounds)
	}
	if e := off(append(best.product(0), best.product(1)...), bestOf(t, targets[2], 10, n, k)); e > 2e-3 {
		t.Error("what was returned is not the third round's")
	}
	broken := errors.New("broken")
	if _, err := Iterate(nil, &recipe.Branch{Rounds: 3}, weights, n, k, nil, func(*LowRank, [][]float32) (float64, error) { return 0, broken }); err != broken {
		t.Errorf("an error of the judge: %v", err)
	}
}

// TestCoefficients: what is left of w is orthogonal to a crooked basis.
func TestCoefficients(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 1))
	const out, n, k = 7, 30, 5
	w, v := randomMatrix(rng, out*n), randomMatrix(rng, k*n)
	c, err := Coefficients(nil, w, v, out, n, k)
	if err != nil {
		t.Fatal(err)
	}
	for r := range out {
		for j := range k {
			var dot, norm float64
			for i := range n {
				e := float64(w[r*n+i])
				for m := range k {
					e -= float64(c[r*k+m]) * float64(v[m*n+i])
				}
				dot += e * float64(v[j*n+i])
				norm += float64(v[j*n+i]) * float64(v[j*n+i])
			}
			if math.Abs(dot/norm) > 1e-3 {
				t.Errorf("row %d: %v of vector %d is left", r, dot/norm, j)
			}
		}
	}
	clear(v)
	if _, err := Coefficients(nil, w, v, out, n, k); err == nil {
		t.Error("a basis of zeros is accepted")
	}
}
