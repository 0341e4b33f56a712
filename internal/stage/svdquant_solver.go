package stage

import (
	"fmt"
	"slices"

	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/linalg"
	"github.com/specquant/specquant/internal/recipe"
)

// LowRank is SVDQuant's branch (Li et al., arXiv 2411.05007, section 4.2): the
// weights of the layers that read one input are C·V plus a residual, V being
// shared, the "down projection".
type LowRank struct {
	N, K int
	V    []float32   // [k × n] orthonormal rows
	C    [][]float32 // of each reader [out × k]
}

// SearchTolerance is the accuracy of singular vectors that are only used to compare
// candidates.
const SearchTolerance = 1e-3

// Residual writes w − C·V of reader i, [out × n], to dst.
func (l *LowRank) Residual(p *parallel.Pool, i int, dst, w []float32) {
	out := len(w) / l.N
	minus := make([]float32, len(l.C[i]))
	for j, c := range l.C[i] {
		minus[j] = -c
	}
	copy(dst, w)
	float.MatMulNN(p, dst, l.N, minus, l.K, l.V, l.N, out, l.N, l.K, true)
}

// round rounds V and C to 16-bit floats, the precision that they are stored in.
func (l *LowRank) round() {
	float.RoundF16(l.V)
	for _, c := range l.C {
		float.RoundF16(c)
	}
}

// Whitening scales weights so that all directions of their input count the same: with Σ x
// xᵀ = S·Sᵀ, Σ ‖E·x‖² over the tokens is ‖E·S‖² (as in SVD-LLM, arXiv 2403.07378, and LQER,
// arXiv 2402.02446).
type Whitening struct {
	n      int
	s      []float64 // lower triangular [n × n]
	single []float32 // the same in float32, for products with weights
}

// whitenDamp is added to the diagonal, relative to its mean, so that S is invertible with
// few tokens.
const whitenDamp = 0.01

// NewWhitening returns the whitening for h = Σ x xᵀ [n × n], which is not changed.
func NewWhitening(p *parallel.Pool, h []float64, n int) (*Whitening, error) {
	t := &Whitening{n: n, s: make([]float64, n*n)}
	copy(t.s, h)
	var mean float64
	for i := range n {
		mean += h[i*n+i] / float64(n)
	}
	if mean == 0 {
		mean = 1 // all activations are zero: use equal weights
	}
	for i := range n {
		t.s[i*n+i] += whitenDamp * mean
	}
	if err := linalg.Cholesky(p, t.s, n); err != nil {
		return nil, fmt.Errorf("whitening: %w", err)
	}
	t.single = make([]float32, n*n)
	for i, v := range t.s {
		t.single[i] = float32(v)
	}
	return t, nil
}

// apply returns w·S for w [rows × n].
func (t *Whitening) apply(p *parallel.Pool, w []float32, rows int) []float32 {
	e := make([]float32, len(w))
	float.MatMulNN(p, e, t.n, w, t.n, t.single, t.n, rows, t.n, t.n, false)
	return e
}

// undo replaces the rows of v [rows × n] by v·S⁻¹.
func (t *Whitening) undo(p *parallel.Pool, v []float64, rows int) {
	n := t.n
	p.Run(rows, func(r int) {
		row := v[r*n:][:n]
		for i := n - 1; i >= 0; i-- { // solves y·S = v from the last column on
			s := t.s[i*n:][:i+1]
			row[i] /= s[i]
			for j := range i {
				row[j] -= row[i] * s[j]
			}
		}
	})
}

// LowRankOf returns the C·V of rank k closest to the weights [out × n] of all readers
// together: in the squared error of the weights or, with a whitening, of the outputs.
func LowRankOf(p *parallel.Pool, weights [][]float32, n, k int, white *Whitening, tolerance float64) (*LowRank, error) {
	all := weights[0]
	if len(weights) > 1 {
		all = slices.Concat(weights...)
	}
	rows := len(all) / n
	k = min(k, rows, n)
	e := all
	if white != nil {
		e = white.apply(p, all, rows)
	}
	svd, err := linalg.SVDTop(p, e, rows, n, k, tolerance)
	if err != nil {
		return nil, err
	}
	l := &LowRank{N: n, K: k, V: make([]float32, k*n)}
	v := svd.V
	c := make([]float64, rows*k) // U·Σ, one row for each output
	for j := range k {
		for r := range rows {
			c[r*k+j] = svd.U[j*rows+r] * svd.S[j]
		}
	}
	if white != nil {
		// L = UΣ·(V·S⁻¹) on an orthonormal basis of the rows, where the coefficients stay
		// within the range of 16-bit floats.
		white.undo(p, v, k)
		raw := append([]float64(nil), v...)
		if _, err := linalg.Orthonormalize(p, v, k, n); err != nil {
			return nil, err
		}
		toRows := make([]float64, k*k) // V·S⁻¹ = toRows·(orthonormal rows)
		float.MatMulNT64(p, toRows, k, raw, n, v, n, k, k, n, float.Set)
		changed := make([]float64, rows*k)
		float.MatMulNN64(p, changed, k, c, k, toRows, k, rows, k, k, float.Set)
		c = changed
	}
	for i, f := range v {
		l.V[i] = float32(f)
	}
	for _, w := range weights {
		part := make([]float32, len(w)/n*k)
		for i := range part {
			part[i] = float32(c[i])
		}
		l.C, c = append(l.C, part), c[len(part):]
	}
	l.round()
	return l, nil
}

// Iterate is SVDQuant's loop: L = SVD_k(W − Q(W − L)), starting from Q = 0, for the
// recipe's number of rounds or until the error rises; it returns the L with the smallest
// error. judge is given L and the residual of each reader [out × n]; it replaces the
// residuals by their rounded values and returns the error.
func Iterate(p *parallel.Pool, b *recipe.Branch, weights [][]float32, n, k int, white *Whitening, judge func(l *LowRank, residual [][]float32) (float64, error)) (*LowRank, error) {
	target, residual := weights, make([][]float32, len(weights))
	for i, w := range weights {
		residual[i] = make([]float32, len(w))
	}
	var best *LowRank
	var least float64
	for range max(1, b.Rounds) {
		l, err := LowRankOf(p, target, n, k, white, subspaceTolerance)
		if err != nil {
			return nil, err
		}
		for i, w := range weights {
			l.Residual(p, i, residual[i], w)
		}
		e, err := judge(l, residual)
		if err != nil {
			return nil, err
		}
		if best != nil && !(e < least) {
			break
		}
		best, least = l, e
		for i, w := range weights {
			for j, v := range w {
				residual[i][j] = v - residual[i][j]
			}
		}
		target = residual // this round no longer needs it when the next one writes there
	}
	return best, nil
}

// LowRankBytes is an upper bound of the memory that [Iterate] holds for readers of an input
// of n channels with this many outputs in total, including its result of rank k.
func LowRankBytes(b *recipe.Branch, outputs, n, k int) int64 {
	k = min(k, outputs, n)
	weights := int64(outputs) * int64(n)
	bytes := 4*2*weights + 4*2*int64(outputs+n)*int64(k) // the residuals of all readers; the current L and the best one
	if b.Whiten {
		bytes += 12*int64(n)*int64(n) + 4*weights + 8*int64(outputs+n+k)*int64(k)
	}
	return bytes + linalg.SVDBytes(outputs, n, k) + 8*int64(outputs)*int64(k)
}
