package stage

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/specquant/specquant/internal/kernel/parallel"
)

// moments of random queries and keys whose directions matter differently: keys
// spread widely where queries do not look.
func randomMoments(t *testing.T, heads, kvHeads, dim, tokens int, offset float64) (m *KeyMoments, q, k []float32) {
	t.Helper()
	rng := rand.New(rand.NewPCG(3, 4))
	q, k = make([]float32, tokens*heads*dim), make([]float32, tokens*kvHeads*dim)
	for i := range k {
		k[i] = float32(rng.NormFloat64()*math.Exp2(float64(i%dim)/3) + offset*float64(i%dim%3))
	}
	for i := range q {
		q[i] = float32(rng.NormFloat64() * math.Exp2(-float64(i%dim)/4))
	}
	m = NewKeyMoments(heads, kvHeads, dim)
	m.Add(parallel.NewPool(1), q, k, tokens)
	return m, q, k
}

// TestBalance holds the noise that balanced keys leave to the closed form: with
// uncorrelated channels of deviations a of keys and b of queries it is
// (Σ a·b)²/(Σ a²·Σ b²).
func TestBalance(t *testing.T) {
	for _, c := range []struct{ heads, kvHeads, dim int }{{2, 1, 8}, {4, 2, 12}, {2, 2, 2}} {
		m, _, _ := randomMoments(t, c.heads, c.kvHeads, c.dim, 4000, 5)
		keys, err := m.Balance(parallel.NewPool(2))
		if err != nil {
			t.Fatal(err)
		}
		var ab, aa, bb float64
		for i := range c.dim {
			a, b := math.Exp2(float64(i)/3), math.Exp2(-float64(i)/4)
			ab, aa, bb = ab+a*b, aa+a*a, bb+b*b
		}
		want := ab * ab / aa / bb
		if got := m.Noise(keys); math.Abs(got-want) > 0.05*want {
			t.Errorf("%+v: noise %.4f, want %.4f", c, got, want)
		}
		identity := make([]float32, len(keys))
		for i := range identity {
			if i%(c.dim*c.dim)%(c.dim+1) == 0 {
				identity[i] = 1
			}
		}
		if got := m.Noise(identity); math.Abs(got-1) > 1e-9 {
			t.Errorf("%+v: keys that are only centred leave noise %v, want 1", c, got)
		}
		clear(identity)
		if got := m.Noise(identity); !math.IsInf(got, 1) {
			t.Errorf("%+v: keys without an inverse leave noise %v", c, got)
		}
		// Every coordinate of the keys has the same variance.
		n := c.dim
		cov := m.covariance(0)
		var least, most float64
		for i := range n {
			v := 0.0
			for a := range n {
				for b := range n {
					v += float64(keys[i*n+a]) * float64(keys[i*n+b]) * cov[a*n+b]
				}
			}
			if i == 0 {
				least, most = v, v
			}
			least, most = min(least, v), max(most, v)
		}
		if most > 1.02*least { // damping moves them a little
			t.Errorf("%+v: variances from %v to %v", c, least, most)
		}
	}
}

// TestBalanceOfNothing: a head without keys has nothing to balance.
func TestBalanceOfNothing(t *testing.T) {
	m := NewKeyMoments(2, 1, 4)
	m.Add(parallel.NewPool(1), make([]float32, 8*3), make([]float32, 4*3), 3)
	if keys, err := m.Balance(parallel.NewPool(1)); keys != nil || err != nil {
		t.Errorf("keys %v, error %v, want neither", keys, err)
	}
}

// TestKeyMean: a mean is one, whatever the number of calls.
func TestKeyMean(t *testing.T) {
	m, q, k := randomMoments(t, 2, 1, 4, 10, 3)
	m.Add(parallel.NewPool(1), q, k, 10)
	for i, v := range m.Mean() {
		var want float64
		for t := range 10 {
			want += float64(k[t*4+i]) / 10
		}
		if math.Abs(float64(v)-want) > 1e-5 {
			t.Errorf("channel %d: mean %v, want %v", i, v, want)
		}
	}
}
