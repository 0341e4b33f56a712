package linalg

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
)

// Leading holds the k largest eigenvalues of a positive semidefinite matrix.
type Leading struct {
	Values   []float64 // [k] descending
	Vectors  []float64 // [k × n] orthonormal rows, the largest component positive
	Residual float64   // the largest ‖A·v − λ·v‖ relative to λ₁; above tol if maxProducts was reached
	Products int       // number of products of A with the whole block
}

const (
	// maxProducts limits the search: eigenvalues close to each other may need more, but
	// then any basis of their common space is about as good.
	maxProducts = 250
	// maxDegree limits the polynomial of one step, maxGrowth how much more it amplifies one
	// wanted vector than another, which loses digits of the latter.
	maxDegree = 16
	maxGrowth = 1e7
	// denseOrder is the largest order for which all eigenvectors are computed.
	denseOrder = 384
)

// block is how many vectors are iterated to find k.
func block(k int) int { return k + max(8, k/4) }

// TopEigen returns the k leading eigenpairs of the symmetric positive semidefinite a[n×n],
// with residuals of at most tol·λ₁ unless maxProducts is reached first (see [Leading]).
// 1e-6 is sufficient for a subspace; 1e-12 is about the smallest useful value. Errors:
// wrong sizes, *[NonFinite], and a clearly negative eigenvalue.
//
// The method is subspace iteration with Rayleigh-Ritz from a fixed random start, with
// Chebyshev polynomials of a that damp eigenvalues below the block (Rutishauser 1970; Zhou
// and Saad 2007).
func TopEigen(p *parallel.Pool, a []float64, n, k int, tol float64) (*Leading, error) {
	if err := checkFinite(p, a, n); err != nil {
		return nil, err
	}
	if err := checkLeading(n, k, tol); err != nil {
		return nil, err
	}
	if n <= max(denseOrder, 2*block(k)) {
		return allEigen(p, a, n, k)
	}
	return subspace(p, n, k, tol, func(dst, src []float64, rows int) {
		float.MatMulNN64(p, dst, n, src, n, a, n, rows, n, n, float.Set)
	})
}

func checkLeading(n, k int, tol float64) error {
	if k < 1 || k > n || !(tol > 0) {
		return fmt.Errorf("linalg: %d leading vectors of a matrix of order %d, within %g: want 1 to %d and a tolerance above 0", k, n, tol, n)
	}
	return nil
}

// allEigen computes all eigenpairs and returns the k leading ones.
func allEigen(p *parallel.Pool, a []float64, n, k int) (*Leading, error) {
	values, vectors, err := SymEigen(p, a, n)
	if err != nil {
		return nil, err
	}
	if err := checkPositive(values[0], values[n-1]); err != nil {
		return nil, err
	}
	return &Leading{Values: values[:k:k], Vectors: vectors[: k*n : k*n]}, nil
}

// gramRounding is how far below zero, relative to λ₁, the eigenvalues of a Gram matrix may
// be because of rounding: products in float32 give about −1e-7 if its rank is not full.
const gramRounding = 1e-5

// checkPositive returns an error for a clearly negative eigenvalue.
func checkPositive(top, low float64) error {
	if low < -gramRounding*math.Abs(top) {
		return fmt.Errorf("linalg: matrix has the eigenvalue %g beside %g; want a positive semidefinite one, such as a Gram matrix", low, top)
	}
	return nil
}

// subspace finds leading eigenpairs of the matrix by which mul multiplies the rows of src
// [rows × n].
func subspace(p *parallel.Pool, n, k int, tol float64, mul func(dst, src []float64, rows int)) (*Leading, error) {
	b := block(k)
	x, ax, next := make([]float64, b*n), make([]float64, b*n), make([]float64, b*n)
	r := rand.New(rand.NewPCG(uint64(n), uint64(k)))
	for i := range x {
		x[i] = r.NormFloat64()
	}
	h := make([]float64, b*b)
	res := &Leading{}
	for {
		if _, err := Orthonormalize(p, x, b, n); err != nil {
			return nil, fmt.Errorf("linalg: the iteration for leading vectors overflowed: %w", err)
		}
		// Rayleigh-Ritz: the best vectors in the space of the rows.
		mul(ax, x, b)
		res.Products++
		float.MatMulNT64(p, h, b, x, n, ax, n, b, b, n, float.Set)
		for i := range b {
			for j := range i {
				h[i*b+j] = (h[i*b+j] + h[j*b+i]) / 2
				h[j*b+i] = h[i*b+j]
			}
		}
		theta, turn, err := SymEigen(nil, h, b)
		if err != nil {
			return nil, err
		}
		if err := checkPositive(theta[0], theta[b-1]); err != nil {
			return nil, err
		}
		float.MatMulNN64(p, next, n, turn, b, x, n, b, n, b, float.Set)
		x, next = next, x
		float.MatMulNN64(p, next, n, turn, b, ax, n, b, n, b, float.Set)
		ax, next = next, ax
		locked := res.judge(p, x, ax, theta, n, k, tol)
		if res.Residual <= tol || res.Products >= maxProducts {
			res.Values, res.Vectors = theta[:k:k], x[:k*n:k*n]
			p.Run(k, func(i int) { fixSign(res.Vectors[i*n:][:n]) })
			return res, nil
		}
		res.Products += filter(p, x, ax, next, theta, locked, b, n, mul)
	}
}

// judge sets the residual and returns how many of the first vectors have converged.
func (l *Leading) judge(p *parallel.Pool, x, ax, theta []float64, n, k int, tol float64) (locked int) {
	each := make([]float64, k)
	top := max(theta[0], math.SmallestNonzeroFloat64)
	p.Run(k, func(i int) {
		sum := 0.0
		for j, v := range x[i*n:][:n] {
			d := ax[i*n+j] - theta[i]*v
			sum += float64(d * d)
		}
		each[i] = math.Sqrt(sum) / top
	})
	l.Residual = 0
	for _, v := range each {
		l.Residual = max(l.Residual, v)
	}
	for locked < k && each[locked] <= tol/8 {
		locked++
	}
	return locked
}

// filter multiplies all but the locked rows of x by a Chebyshev polynomial of the matrix A
// that is between -1 and 1 on 0 … cut, the smallest of theta, and grows fast above. ax is
// A·x. It returns the number of products; ax and next are overwritten.
func filter(p *parallel.Pool, x, ax, next, theta []float64, locked, b, n int, mul func(dst, src []float64, rows int)) int {
	top, cut := theta[locked], theta[b-1]
	rows := b - locked
	active := x[locked*n:]
	ax, next = ax[locked*n:][:rows*n], next[:rows*n]
	project := func(y []float64) { // removes the locked vectors, which would grow most
		if locked == 0 {
			return
		}
		c := make([]float64, rows*locked)
		float.MatMulNT64(p, c, locked, y, n, x, n, rows, locked, n, float.Set)
		float.MatMulNN64(p, y, n, c, locked, x, n, rows, n, locked, float.Subtract)
	}
	if !(top > 0) || cut <= top/maxGrowth { // nothing to damp: one step of the power method
		copy(active, ax)
		return 0
	}
	// T_m(t) ≈ exp(m·acosh(t))/2 for the argument t = 2λ/cut − 1.
	degree := min(max(int(math.Log(2*maxGrowth)/math.Acosh(max(2*top/cut-1, 1+1e-9))), 1), maxDegree)
	chunk := func(f func(from, to int)) {
		p.Run(rows, func(i int) { f(i*n, (i+1)*n) })
	}
	// T₁ = t·x, then T_{m+1} = 2t·T_m − T_{m−1}, t·y = 2/cut·A·y − y.
	chunk(func(from, to int) {
		for i := from; i < to; i++ {
			ax[i] = 2/cut*ax[i] - active[i]
		}
	})
	project(ax)
	old, cur := active, ax
	for range degree - 1 {
		mul(next, cur, rows)
		chunk(func(from, to int) {
			for i := from; i < to; i++ {
				next[i] = 2*(2/cut*next[i]-cur[i]) - old[i]
			}
		})
		project(next)
		old, cur, next = cur, next, old
	}
	if &cur[0] != &active[0] {
		copy(active, cur)
	}
	return degree - 1
}
