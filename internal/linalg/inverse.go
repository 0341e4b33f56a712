package linalg

import (
	"errors"
	"slices"

	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
)

// InverseUpper replaces the symmetric positive definite h[n×n] by the upper
// triangular U with h⁻¹ = Uᵀ·U, what GPTQ calls the upper Cholesky factor of the
// inverse (Frantar et al. 2022, algorithm 1), with zeros below the diagonal. It
// reads the upper triangle. Errors are as for [Cholesky], except that after
// *[NotPositiveDefinite] what is below the diagonal is as it was: with the diagonal
// kept elsewhere, a symmetric h can be tried again.
//
// The inverse is never formed. Let J reverse the order of rows: J·h·J = M·Mᵀ with
// M lower triangular, so h = V·Vᵀ with V = J·M·J upper triangular, and U = V⁻¹.
// In memory J·h·J is h backwards.
func InverseUpper(p *parallel.Pool, h []float64, n int) error {
	if err := checkFinite(p, h, n); err != nil || n == 0 {
		return err
	}
	slices.Reverse(h)
	f := newFactor(p, n)
	if err := f.cholesky(view{h, n}, n, 0); err != nil {
		var not *NotPositiveDefinite
		if errors.As(err, &not) {
			not.Pivot = n - 1 - not.Pivot
		}
		slices.Reverse(h)
		return err
	}
	for i := range n {
		clear(h[i*n+i+1 : (i+1)*n])
	}
	slices.Reverse(h)
	f.invertDiagonal(h)
	f.invertUpper(view{h, n}, n, 0)
	return nil
}

// invertDiagonal fills f.inv with the inverses of the diagonal blocks of the
// upper triangular v.
func (f *factor) invertDiagonal(v []float64) {
	f.pool.Run((f.n+base-1)/base, func(s int) {
		i0 := s * base
		invertUpperBase(f.block(i0), view{v, f.n}.at(i0, i0), min(base, f.n-i0))
	})
}

// invertUpperBase sets x[n×n] to the inverse of the upper triangle of v, with
// zeros below the diagonal. x has rows of base.
func invertUpperBase(x, v view, n int) {
	clear(x.data)
	for i := n - 1; i >= 0; i-- {
		row := x.data[i*base:][:n]
		vi := v.data[i*v.ld:][:n]
		d := 1 / vi[i]
		for p := i + 1; p < n; p++ {
			c := -vi[p]
			for j, w := range x.data[p*base:][p:n] {
				row[p+j] += float64(c * w)
			}
		}
		for j := i + 1; j < n; j++ {
			row[j] *= d
		}
		row[i] = d
	}
}

// invertUpper inverts the upper triangular v[n×n] at row `at` of the whole:
//
//	[A B]⁻¹ = [A⁻¹  −A⁻¹·B·C⁻¹]
//	[0 C]     [0     C⁻¹      ]
func (f *factor) invertUpper(v view, n, at int) {
	if n <= base {
		x := f.block(at)
		for i := range n {
			copy(v.data[i*v.ld:][:n], x.data[i*base:][:n])
		}
		return
	}
	n1 := half(n)
	b := v.at(0, n1)
	f.solveLeft(v, b, n1, n-n1, at)
	f.solveRight(b, v.at(n1, n1), n1, n-n1, at+n1)
	f.pool.Run((n1+base-1)/base, func(s int) {
		for i := s * base; i < min((s+1)*base, n1); i++ {
			row := b.data[i*b.ld:][:n-n1]
			for j := range row {
				row[j] = -row[j]
			}
		}
	})
	f.invertUpper(v, n1, at)
	f.invertUpper(v.at(n1, n1), n-n1, at+n1)
}

// solveLeft replaces b[m×n] by A⁻¹·b, A being the upper triangular a[m×m] at row
// `at` of the whole.
func (f *factor) solveLeft(a, b view, m, n, at int) {
	if m <= base {
		// Strips of columns, so that threads share the work.
		strips := (n + base - 1) / base
		f.pool.Run(strips, func(s int) {
			cols := min(base, n-s*base)
			src := view{f.temp[s*base*base:], cols}
			dst := b.at(0, s*base)
			for i := range m {
				copy(src.data[i*cols:][:cols], dst.data[i*dst.ld:])
			}
			mulNN(nil, dst, f.block(at), src, m, cols, m, float.Set)
		})
		return
	}
	m1 := half(m)
	f.solveLeft(a.at(m1, m1), b.at(m1, 0), m-m1, n, at+m1)
	mulNN(f.pool, b, a.at(0, m1), b.at(m1, 0), m1, n, m-m1, float.Subtract)
	f.solveLeft(a, b, m1, n, at)
}

// solveRight replaces b[m×n] by b·C⁻¹, C being the upper triangular c[n×n] at row
// `at` of the whole.
func (f *factor) solveRight(b, c view, m, n, at int) {
	if n <= base {
		f.overwriteRows(b, m, n, func(dst, src view, rows int) {
			mulNN(nil, dst, src, f.block(at), rows, n, n, float.Set)
		})
		return
	}
	n1 := half(n)
	f.solveRight(b, c, m, n1, at)
	mulNN(f.pool, b.at(0, n1), b, c.at(0, n1), m, n-n1, n1, float.Subtract)
	f.solveRight(b.at(0, n1), c.at(n1, n1), m, n-n1, at+n1)
}
