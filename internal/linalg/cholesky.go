package linalg

import (
	"math"

	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
)

// Cholesky replaces the symmetric positive definite a[n×n] by its lower factor L, a = L·Lᵀ,
// with zeros above the diagonal. It reads the lower triangle. The error is *[NonFinite] (a
// is unchanged) or *[NotPositiveDefinite] (a is overwritten).
func Cholesky(p *parallel.Pool, a []float64, n int) error {
	if err := checkFinite(p, a, n); err != nil || n == 0 {
		return err
	}
	if err := newFactor(p, n).cholesky(view{a, n}, n, 0); err != nil {
		return err
	}
	for i := range n {
		clear(a[i*n+i+1 : (i+1)*n])
	}
	return nil
}

// factor is the state of a factorization or inversion.
type factor struct {
	pool *parallel.Pool
	n    int
	inv  []float64 // inverses of the diagonal blocks, [block][base×base]
	temp []float64 // base×n, a copy of a block while it is overwritten by a product
}

func newFactor(p *parallel.Pool, n int) *factor {
	blocks := (n + base - 1) / base
	return &factor{pool: p, n: n, inv: make([]float64, blocks*base*base), temp: make([]float64, blocks*base*base)}
}

// FactorBytes is the memory that factoring or inverting a matrix of order n takes beside it.
func FactorBytes(n int) int64 {
	blocks := int64((n + base - 1) / base)
	return 2 * 8 * blocks * base * base
}

// block is where the inverse of the diagonal block that starts at row i is stored.
func (f *factor) block(i int) view {
	return view{f.inv[i/base*base*base:][:base*base], base}
}

// cholesky factors the diagonal block a[n×n] at row and column `at` of the whole.
// (Recursion: Gustavson 1997, "Recursion leads to automatic variable blocking".)
func (f *factor) cholesky(a view, n, at int) error {
	if n <= base {
		if err := choleskyBase(a, n, at); err != nil {
			return err
		}
		invertLower(f.block(at), a, n)
		return nil
	}
	n1 := half(n)
	if err := f.cholesky(a, n1, at); err != nil {
		return err
	}
	f.solveRightT(a.at(n1, 0), a, n-n1, n1, at)
	mulNT(f.pool, a.at(n1, n1), a.at(n1, 0), a.at(n1, 0), n-n1, n-n1, n1, float.SubtractLower)
	return f.cholesky(a.at(n1, n1), n-n1, at+n1)
}

// choleskyBase is the textbook factorization, row by row, of the lower triangle.
func choleskyBase(a view, n, at int) error {
	for i := range n {
		ri := a.data[i*a.ld:][:n]
		for j := range i {
			rj := a.data[j*a.ld:][:n]
			ri[j] = (ri[j] - dot(ri[:j], rj[:j])) / rj[j]
		}
		d := ri[i] - dot(ri[:i], ri[:i])
		if !pivotValid(d) {
			return &NotPositiveDefinite{Pivot: at + i, Value: d}
		}
		ri[i] = math.Sqrt(d)
	}
	return nil
}

// dot sums in four lanes and rounds each product, so that every machine gives the same
// bits.
func dot(a, b []float64) float64 {
	b = b[:len(a)]
	var s0, s1, s2, s3 float64
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s0 += float64(a[i] * b[i])
		s1 += float64(a[i+1] * b[i+1])
		s2 += float64(a[i+2] * b[i+2])
		s3 += float64(a[i+3] * b[i+3])
	}
	for ; i < len(a); i++ {
		s0 += float64(a[i] * b[i])
	}
	return (s0 + s2) + (s1 + s3)
}

// solveRightT replaces b[m×n] by X with X·Lᵀ = b, L being the factored diagonal
// block l[n×n] at row `at` of the whole.
func (f *factor) solveRightT(b, l view, m, n, at int) {
	if n <= base {
		f.overwriteRows(b, m, n, func(dst, src view, rows int) {
			mulNT(nil, dst, src, f.block(at), rows, n, n, float.Set)
		})
		return
	}
	n1 := half(n)
	f.solveRightT(b, l, m, n1, at)
	mulNT(f.pool, b.at(0, n1), b, l.at(n1, 0), m, n-n1, n1, float.Subtract)
	f.solveRightT(b.at(0, n1), l.at(n1, n1), m, n-n1, at+n1)
}

// overwriteRows replaces the rows of b[m×n], with n at most base, by mul of them, in
// strips.
func (f *factor) overwriteRows(b view, m, n int, mul func(dst, src view, rows int)) {
	strips := (m + base - 1) / base
	f.pool.Run(strips, func(s int) {
		rows := min(base, m-s*base)
		src := view{f.temp[s*base*base:], n}
		dst := b.at(s*base, 0)
		for i := range rows {
			copy(src.data[i*n:][:n], dst.data[i*dst.ld:])
		}
		mul(dst, src, rows)
	})
}

// invertLower sets x[n×n] to the inverse of the lower triangle of l, with zeros
// above the diagonal. x has rows of base.
func invertLower(x, l view, n int) {
	clear(x.data)
	for i := range n {
		row := x.data[i*base:][:base]
		li := l.data[i*l.ld:][:n]
		d := 1 / li[i]
		// Row i: (e_i − Σ_p<i l[i][p]·x[p]) / l[i][i].
		for p := range i {
			c := -li[p]
			for j, v := range x.data[p*base:][:p+1] {
				row[j] += float64(c * v)
			}
		}
		for j := range i {
			row[j] *= d
		}
		row[i] = d
	}
}
