package linalg

import (
	"fmt"
	"math"
	"slices"

	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
)

// SymEigen returns the eigenvalues of the symmetric a[n×n] in descending order, and the
// eigenvectors as rows of vectors [n×n] in the same order; the largest component of each is
// positive. It reads all of a, which must be symmetric, and does not change it. The
// residual ‖a·v − λ·v‖ is within a few n·ε of ‖a‖, and the vectors are orthonormal to a few
// n·ε. The error is *[NonFinite], or that a has the wrong size.
//
// It reduces a to a tridiagonal matrix by reflections, solves that by divide and conquer
// (Cuppen 1981; Gu and Eisenstat 1995), and applies the reflections to the result. It needs
// memory for 4.5·n² numbers besides a and the result.
func SymEigen(p *parallel.Pool, a []float64, n int) (values, vectors []float64, err error) {
	if err := checkFinite(p, a, n); err != nil {
		return nil, nil, err
	}
	if n == 0 {
		return nil, nil, nil
	}
	// Numbers of size about 1 neither overflow nor underflow when squared.
	top := 0.0
	for _, v := range a {
		top = max(top, math.Abs(v))
	}
	if top == 0 {
		top = 1
	}
	_, exp := math.Frexp(top)
	exp = max(exp, -1000) // keeps the reciprocal finite
	t := tridiagonalize(p, a, n, math.Ldexp(1, -exp))
	values, vectors, err = tridiagonalEigen(p, t.d, t.e)
	if err != nil {
		return nil, nil, err
	}
	for i := range values {
		values[i] = math.Ldexp(values[i], exp)
	}
	slices.Reverse(values)
	for i := range n / 2 {
		swap(vectors[i*n:][:n], vectors[(n-1-i)*n:][:n])
	}
	t.back(p, vectors)
	p.Run(n, func(i int) { fixSign(vectors[i*n:][:n]) })
	return values, vectors, nil
}

func swap(a, b []float64) {
	for i, v := range a {
		a[i], b[i] = b[i], v
	}
}

// fixSign makes the component of largest magnitude (the first of equal ones) positive, and
// reports whether it changed v.
func fixSign(v []float64) bool {
	top := 0.0
	for _, x := range v {
		if math.Abs(x) > math.Abs(top) {
			top = x
		}
	}
	if top >= 0 {
		return false
	}
	for i := range v {
		v[i] = -v[i]
	}
	return true
}

// SqrtSym returns the symmetric square root of the positive semidefinite a[n×n]:
// S·S = a. Eigenvalues below floor times the largest are raised to that. Errors
// are those of [SymEigen], and that no eigenvalue is above zero.
func SqrtSym(p *parallel.Pool, a []float64, n int, floor float64) ([]float64, error) {
	return symPower(p, a, n, floor, 0.5)
}

// InvSqrtSym returns the inverse of [SqrtSym]; floor must be above zero where a
// may be singular.
func InvSqrtSym(p *parallel.Pool, a []float64, n int, floor float64) ([]float64, error) {
	return symPower(p, a, n, floor, -0.5)
}

func symPower(p *parallel.Pool, a []float64, n int, floor, power float64) ([]float64, error) {
	values, vectors, err := SymEigen(p, a, n)
	if err != nil || n == 0 {
		return nil, err
	}
	if !(values[0] > 0) || !(floor >= 0 && floor <= 1) {
		return nil, fmt.Errorf("linalg: square root of a matrix with largest eigenvalue %g and floor %g: want a positive eigenvalue and a floor from 0 to 1", values[0], floor)
	}
	least := floor * values[0]
	if power < 0 && !(max(least, values[n-1]) > 0) {
		return nil, &NotPositiveDefinite{Pivot: n - 1, Value: values[n-1]}
	}
	// With B = diag(λ^(power/2))·V the result BᵀB is symmetric to the bit.
	b, bt := vectors, make([]float64, n*n)
	p.Run(n, func(i int) {
		f := math.Pow(max(values[i], least, 0), power/2)
		for j := range n {
			b[i*n+j] *= f
			bt[j*n+i] = b[i*n+j]
		}
	})
	s := make([]float64, n*n)
	float.MatMulNN64(p, s, n, bt, n, b, n, n, n, n, float.Set)
	return s, nil
}
