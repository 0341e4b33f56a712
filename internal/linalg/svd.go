package linalg

import (
	"fmt"

	"github.com/specquant/specquant/internal/kernel"
)

// SVD is the k leading singular triples of a matrix [m × n]: Uᵀ·diag(S)·V is the
// best approximation of rank k (Eckart and Young 1936).
type SVD struct {
	U        []float64 // [k × m] orthonormal rows
	S        []float64 // [k] descending
	V        []float64 // [k × n] orthonormal rows
	Residual float64   // of the eigenvectors of the smaller Gram matrix, as in [Leading]
}

// SVDTop returns the k leading singular triples of w, row-major [m × n]. tol is
// the tolerance of [TopEigen] for the smaller of W·Wᵀ and Wᵀ·W; singular values
// below about 1e-7 of the first have few right digits. The largest component of
// each row of V (of U where m < n) is positive. Errors are those of TopEigen.
func SVDTop(p *kernel.Pool, w []float32, m, n, k int, tol float64) (*SVD, error) {
	if m < 1 || n < 1 || m > MaxWidth || n > MaxWidth || len(w) != m*n {
		return nil, fmt.Errorf("linalg: singular vectors of %d × %d in %d numbers: want %d", m, n, len(w), m*n)
	}
	small := min(m, n)
	if err := checkLeading(small, k, tol); err != nil {
		return nil, err
	}
	a := make([]float64, m*n)
	bad := make([]int, m)
	p.Run(m, func(i int) {
		for j, v := range w[i*n:][:n] {
			if v-v != 0 {
				bad[i] = j + 1
			}
			a[i*n+j] = float64(v)
		}
	})
	for i, j := range bad {
		if j > 0 {
			return nil, &NonFinite{Row: i, Col: j - 1, Value: a[i*n+j-1]}
		}
	}
	// Of rows: dst = src·Aᵀ, and dst = src·A.
	byT := func(dst, src []float64, rows int) {
		p.MatMulNT64(dst, m, src, n, a, n, rows, m, n, kernel.Set)
	}
	by := func(dst, src []float64, rows int) {
		p.MatMulNN64(dst, n, src, m, a, n, rows, n, m, kernel.Set)
	}
	first, second := byT, by
	if m < n {
		first, second = by, byT
	}
	var lead *Leading
	var err error
	if small <= max(denseOrder, 2*block(k)) {
		lead, err = smallGram(p, a, m, n, k)
	} else {
		between := make([]float64, block(k)*max(m, n))
		lead, err = subspace(p, small, k, tol, func(dst, src []float64, rows int) {
			first(between, src, rows)
			second(dst, between, rows)
		})
	}
	if err != nil {
		return nil, err
	}
	res := &SVD{S: make([]float64, k), Residual: lead.Residual}
	large := m + n - small
	other := make([]float64, k*large)
	first(other, lead.Vectors, k)
	for i := range res.S {
		row := other[i*large:][:large]
		res.S[i] = normalize(row)
	}
	if _, err := Orthonormalize(p, other, k, large); err != nil {
		return nil, err
	}
	res.U, res.V = other, lead.Vectors
	if m < n {
		res.U, res.V = res.V, res.U
	}
	return res, nil
}

// smallGram takes eigenvectors of the smaller Gram matrix of a [m × n].
func smallGram(p *kernel.Pool, a []float64, m, n, k int) (*Leading, error) {
	small := min(m, n)
	g := make([]float64, small*small)
	if m <= n {
		p.MatMulNT64(g, m, a, n, a, n, m, m, n, kernel.Set)
	} else {
		at := make([]float64, n*m)
		p.Run(n, func(j int) {
			for i := range m {
				at[j*m+i] = a[i*n+j]
			}
		})
		p.MatMulNT64(g, n, at, m, at, m, n, n, m, kernel.Set)
	}
	return allEigen(p, g, small, k)
}
