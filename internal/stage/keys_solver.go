package stage

import (
	"math"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/linalg"
)

// KeyMoments are sums over calibration tokens of the queries and keys of one block after
// RoPE, for each kv head: the input of [KeyMoments.Balance].
type KeyMoments struct {
	heads, kvHeads, dim int
	tokens              int
	mean                []float64   // Σ k [kv_heads·dim]
	keys, queries       [][]float64 // Σ k·kᵀ and Σ q·qᵀ of each kv head [dim × dim]
}

// NewKeyMoments allocates zero sums.
func NewKeyMoments(heads, kvHeads, dim int) *KeyMoments {
	m := &KeyMoments{heads: heads, kvHeads: kvHeads, dim: dim, mean: make([]float64, kvHeads*dim)}
	for range kvHeads {
		m.keys, m.queries = append(m.keys, make([]float64, dim*dim)), append(m.queries, make([]float64, dim*dim))
	}
	return m
}

// Add adds queries [tokens × heads·dim] and keys [tokens × kv_heads·dim].
func (m *KeyMoments) Add(p *parallel.Pool, q, k []float32, tokens int) {
	qw, kw := m.heads*m.dim, m.kvHeads*m.dim
	for t := range tokens {
		for i, v := range k[t*kw:][:kw] {
			m.mean[i] += float64(v)
		}
	}
	for h := range m.kvHeads {
		float.SyrkTN(p, m.keys[h], m.dim, k[h*m.dim:], kw, tokens)
	}
	share := m.heads / m.kvHeads
	for h := range m.heads {
		float.SyrkTN(p, m.queries[h/share], m.dim, q[h*m.dim:], qw, tokens)
	}
	m.tokens += tokens
}

// Mean is the mean of the keys [kv_heads·dim].
func (m *KeyMoments) Mean() []float32 {
	mean := make([]float32, len(m.mean))
	for i, v := range m.mean {
		mean[i] = float32(v / float64(max(1, m.tokens)))
	}
	return mean
}

// keyDamp is added to the diagonal of the moments, as a fraction of their mean diagonal.
const keyDamp = 1e-3

// Balance returns, for each kv head, the matrix K [kv_heads × dim × dim] by which mean-free
// keys are to be multiplied; queries are multiplied by its inverse transpose. It returns
// nil if a head has only zero queries or keys.
//
// Rounding a key to a grid that spans its range adds noise whose power is proportional to
// the key's. With C the covariance of the keys and S the second moments of the queries, the
// error of their product has the power tr(K⁻ᵀ·S·K⁻¹)·tr(K·C·Kᵀ)/dim² for a K that spreads
// both evenly. With KᵀK = M, this is smallest for the M with M·C·M = S,
//
//	M = C^−½·(C^½·S·C^½)^½·C^−½
//
// where it is tr((C^½·S·C^½)^½)². This is the same balance as AWQ's between weights and
// activations, here between keys and queries, and in every direction instead of for each
// channel. K = H·Eᵀ·M^½, where E are the eigenvectors of M^½·C·M^½ and H is a Hadamard
// matrix, which gives every coordinate of the keys the same variance.
func (m *KeyMoments) Balance(p *parallel.Pool) (keys []float32, err error) {
	spread, err := linalg.NewHadamard(m.dim)
	if err != nil {
		return nil, err
	}
	n := m.dim
	for h := range m.kvHeads {
		c, s := m.covariance(h), m.scaled(h)
		if trace(c, n) == 0 || trace(s, n) == 0 {
			return nil, nil
		}
		for _, a := range [][]float64{c, s} {
			damp := keyDamp * trace(a, n) / float64(n)
			for i := range n {
				a[i*n+i] += damp
			}
		}
		root, err := linalg.SqrtSym(p, c, n, 0)
		if err != nil {
			return nil, err
		}
		inverse, err := linalg.InvSqrtSym(p, c, n, 0)
		if err != nil {
			return nil, err
		}
		middle, err := linalg.SqrtSym(p, sandwich(p, root, s, n), n, 0)
		if err != nil {
			return nil, err
		}
		balance, err := linalg.SqrtSym(p, sandwich(p, inverse, middle, n), n, 0)
		if err != nil {
			return nil, err
		}
		_, vectors, err := linalg.SymEigen(p, sandwich(p, balance, c, n), n)
		if err != nil {
			return nil, err
		}
		k := make([]float64, n*n)
		float.MatMulNN64(p, k, n, vectors, n, balance, n, n, n, n, float.Set)
		one := make([]float32, n*n)
		for i := range n { // H acts on columns
			for j := range n {
				one[j*n+i] = float32(k[i*n+j])
			}
		}
		spread.Apply(p, one, n)
		for i := range n {
			for j := range n {
				keys = append(keys, one[j*n+i])
			}
		}
	}
	return keys, nil
}

// Noise is the power of the error that rounding the keys causes in their products with the
// queries, relative to keys that are only made mean-free, averaged over heads. It is
// infinite if keys [kv_heads × dim × dim] has no inverse.
func (m *KeyMoments) Noise(keys []float32) float64 {
	n, sum := m.dim, 0.0
	for h := range m.kvHeads {
		k := make([]float64, n*n)
		for i, v := range keys[h*n*n:][:n*n] {
			k[i] = float64(v)
		}
		c, s := m.covariance(h), m.scaled(h)
		spread := traceOf(k, c, n) // tr(K·C·Kᵀ)
		inverse := linalg.Invert(k, n)
		if inverse == nil {
			return math.Inf(1)
		}
		for i := range n { // K⁻ᵀ, transposed so that queries are multiplied by rows
			for j := range i {
				inverse[i*n+j], inverse[j*n+i] = inverse[j*n+i], inverse[i*n+j]
			}
		}
		sum += spread * traceOf(inverse, s, n) / trace(c, n) / trace(s, n)
	}
	return sum / float64(m.kvHeads)
}

// traceOf returns tr(a·b·aᵀ) for a symmetric b [n × n].
func traceOf(a, b []float64, n int) (sum float64) {
	for i := range n {
		row := a[i*n:][:n]
		for j, v := range row {
			for k, u := range row {
				sum += v * u * b[j*n+k]
			}
		}
	}
	return sum
}

// covariance is the covariance of a kv head's keys, with a non-negative diagonal.
func (m *KeyMoments) covariance(h int) []float64 {
	n, tokens := m.dim, float64(max(1, m.tokens))
	mean, c := m.mean[h*n:][:n], make([]float64, n*n)
	for i := range n {
		for j := range n {
			c[i*n+j] = m.keys[h][i*n+j]/tokens - mean[i]/tokens*(mean[j]/tokens)
		}
		c[i*n+i] = math.Max(c[i*n+i], 0)
	}
	return c
}

// scaled is the mean of q·qᵀ over tokens, for the queries q of a kv head.
func (m *KeyMoments) scaled(h int) []float64 {
	s := make([]float64, len(m.queries[h]))
	for i, v := range m.queries[h] {
		s[i] = v / float64(max(1, m.tokens))
	}
	return s
}

func trace(a []float64, n int) (sum float64) {
	for i := range n {
		sum += a[i*n+i]
	}
	return sum
}

// sandwich returns a·b·a for symmetric a and b [n × n], made exactly symmetric.
func sandwich(p *parallel.Pool, a, b []float64, n int) []float64 {
	u, v := make([]float64, n*n), make([]float64, n*n)
	float.MatMulNN64(p, u, n, a, n, b, n, n, n, n, float.Set)
	float.MatMulNN64(p, v, n, u, n, a, n, n, n, n, float.Set)
	for i := range n {
		for j := range i {
			v[i*n+j] = (v[i*n+j] + v[j*n+i]) / 2
			v[j*n+i] = v[i*n+j]
		}
	}
	return v
}

// keysBytes is the memory of the sums of each kv head and of the eight matrices that
// Balance works on for one head, without the eigenproblem.
func keysBytes(c *checkpoint.Config) int64 {
	d := int64(c.HeadDim)
	return 2*8*int64(c.KVHeads)*d*d + 8*8*d*d + linalg.LeadingBytes(c.HeadDim, c.HeadDim) + 4*int64(c.KVHeads)*d*d
}
