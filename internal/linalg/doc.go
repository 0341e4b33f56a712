// Package linalg is the dense linear algebra that quantization needs.
//
// In float64: Cholesky factors and the factor of an inverse; symmetric eigenproblems,
// complete or only the leading vectors; singular vectors; orthonormal bases. In float32,
// for activations and weights: [Transform], orthogonal and other changes of basis that cost
// far less than a matrix product, with [Hadamard] for any width.
//
// Nearly all work is matrix products of package kernel. Matrices are row-major
// and contiguous. Results don't depend on the number of threads.
package linalg

import (
	"fmt"
	"math"

	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
)

// NotPositiveDefinite means that a matrix has no Cholesky factor. In GPTQ this happens if
// there are fewer calibration tokens than inputs and damping is too small.
type NotPositiveDefinite struct {
	Pivot int     // row and column of the given matrix at which it was detected
	Value float64 // of the pivot, expected to be above zero
}

func (e *NotPositiveDefinite) Error() string {
	return fmt.Sprintf("matrix is not positive definite: pivot %d is %g; add damping to the diagonal or use more calibration tokens", e.Pivot, e.Value)
}

// NonFinite means that the input contains a NaN or an infinity.
type NonFinite struct {
	Row, Col int
	Value    float64
}

func (e *NonFinite) Error() string {
	return fmt.Sprintf("matrix element [%d][%d] is %v; want finite numbers (check the activations it was made of)", e.Row, e.Col, e.Value)
}

// base is the size of blocks at which recursion ends.
const base = 64

// checkFinite returns an error for the first NaN or infinity in a[n×n].
func checkFinite(p *parallel.Pool, a []float64, n int) error {
	if n < 0 || len(a) != n*n {
		return fmt.Errorf("linalg: %d elements for a matrix of %d×%d", len(a), n, n)
	}
	bad := make([]int, (n+base-1)/base) // for each strip, 1 + index of the first one
	p.Run(len(bad), func(s int) {
		for i := s * base * n; i < min((s+1)*base, n)*n; i++ {
			if v := a[i]; v-v != 0 { // NaN or Inf
				bad[s] = i + 1
				return
			}
		}
	})
	for _, i := range bad {
		if i > 0 {
			return &NonFinite{Row: (i - 1) / n, Col: (i - 1) % n, Value: a[i-1]}
		}
	}
	return nil
}

// half splits n for recursion; the first part is a multiple of base.
func half(n int) int { return (n/2 + base - 1) / base * base }

// view is a block of a matrix: its first element is data[0].
type view struct {
	data []float64
	ld   int
}

func (v view) at(i, j int) view { return view{v.data[i*v.ld+j:], v.ld} }

// mulNN updates c[m×n] with a·b, mulNT with a·bᵀ.
func mulNN(p *parallel.Pool, c, a, b view, m, n, k int, u float.Update) {
	float.MatMulNN64(p, c.data, c.ld, a.data, a.ld, b.data, b.ld, m, n, k, u)
}

func mulNT(p *parallel.Pool, c, a, b view, m, n, k int, u float.Update) {
	float.MatMulNT64(p, c.data, c.ld, a.data, a.ld, b.data, b.ld, m, n, k, u)
}

// pivotValid reports whether v is positive and finite, as a pivot of a Cholesky
// factorization must be.
func pivotValid(v float64) bool { return v > 0 && !math.IsInf(v, 1) }
