package linalg

import (
	"cmp"
	"errors"
	"math"
	"slices"

	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
)

// leafOrder is the largest order of a tridiagonal matrix that is not split.
const leafOrder = 32

const epsilon = 0x1p-52

// halves is the eigenproblem of a tridiagonal matrix while it is assembled from those of
// its parts.
type halves struct {
	n       int
	d       []float64 // [n] eigenvalues of the parts, ascending in each
	rho     []float64 // [n] at a split, rho[i] couples i-1 and i
	q       []float64 // [n×n] rows are eigenvectors, zero outside their part
	s       []float64 // [n×n] see merge
	out     []float64 // [n×n]
	rows    []float64 // half of that
	halfRow int
}

// tridiagonalEigen returns the eigenvalues, ascending, and the eigenvectors, as rows, of
// the symmetric tridiagonal matrix with diagonal d [n] and off-diagonal e [n-1], whose
// entries should be about 1 in size. It overwrites both.
//
// A matrix is its two halves plus a matrix of rank one (Cuppen 1981, "A divide
// and conquer method for the symmetric tridiagonal eigenproblem").
func tridiagonalEigen(p *parallel.Pool, d, e []float64) (values, vectors []float64, err error) {
	n := len(d)
	h := &halves{n: n, d: d, rho: make([]float64, n), q: make([]float64, n*n), halfRow: (n + 1) / 2}
	// levels[k] lists the merges at depth k, leaves the parts that are not split.
	type span struct{ lo, mid, hi int }
	var levels [][]span
	var leaves []span
	var split func(depth, lo, hi int)
	split = func(depth, lo, hi int) {
		if hi-lo <= leafOrder {
			leaves = append(leaves, span{lo: lo, hi: hi})
			return
		}
		mid := lo + (hi-lo)/2
		h.rho[mid] = e[mid-1]
		d[mid-1] -= math.Abs(e[mid-1])
		d[mid] -= math.Abs(e[mid-1])
		if len(levels) == depth {
			levels = append(levels, nil)
		}
		levels[depth] = append(levels[depth], span{lo, mid, hi})
		split(depth+1, lo, mid)
		split(depth+1, mid, hi)
	}
	split(0, 0, n)
	failed := make([]bool, len(leaves))
	p.Run(len(leaves), func(i int) {
		lo, hi := leaves[i].lo, leaves[i].hi
		for r := lo; r < hi; r++ {
			h.q[r*n+r] = 1
		}
		failed[i] = !implicitQR(d[lo:hi], slices.Clone(e[lo:hi-1]), view{h.q, n}.at(lo, lo))
	})
	if slices.Contains(failed, true) {
		return nil, nil, errors.New("linalg: eigenvalues of a matrix did not converge; check it for extreme values")
	}
	if len(levels) > 0 {
		h.s, h.out = make([]float64, n*n), make([]float64, n*n)
		h.rows = make([]float64, n*h.halfRow)
	}
	for k := len(levels) - 1; k >= 0; k-- {
		level := levels[k]
		if len(level) >= p.Threads() {
			p.Run(len(level), func(i int) { h.merge(nil, level[i].lo, level[i].mid, level[i].hi) })
			continue
		}
		for _, s := range level {
			h.merge(p, s.lo, s.mid, s.hi)
		}
	}
	return d, h.q, nil
}

// implicitQR diagonalizes the tridiagonal matrix of d and e, applies the same rotations to
// the rows of q, and sorts the result in ascending order: QR steps with Wilkinson's shift
// (Golub and Van Loan, Matrix Computations, algorithm 8.3.3). It reports whether it
// converged.
func implicitQR(d, e []float64, q view) bool {
	n := len(d)
	row := func(i int) []float64 { return q.data[i*q.ld:][:n] }
	hi := n - 1
	for steps := 0; hi > 0; steps++ {
		if steps > 60*n {
			return false
		}
		small := func(i int) bool { return math.Abs(e[i]) <= epsilon*(math.Abs(d[i])+math.Abs(d[i+1])) }
		if small(hi - 1) {
			hi--
			continue
		}
		lo := hi - 1
		for lo > 0 && !small(lo-1) {
			lo--
		}
		if lo > 0 {
			e[lo-1] = 0
		}
		half := (d[hi-1] - d[hi]) / 2
		shift := d[hi] - e[hi-1]*e[hi-1]/(half+math.Copysign(math.Hypot(half, e[hi-1]), half))
		x, z := d[lo]-shift, e[lo]
		for k := lo; k < hi; k++ {
			r := math.Hypot(x, z)
			c, s := 1.0, 0.0
			if r > 0 {
				c, s = x/r, z/r
			}
			if k > lo {
				e[k-1] = r
			}
			a, b, g := d[k], e[k], d[k+1]
			d[k] = c*c*a + 2*c*s*b + s*s*g
			d[k+1] = s*s*a - 2*c*s*b + c*c*g
			e[k] = c*s*(g-a) + (c*c-s*s)*b
			if k < hi-1 {
				x, z = e[k], s*e[k+1]
				e[k+1] *= c
			}
			rotate(row(k), row(k+1), c, s)
		}
	}
	for i := range n { // selection sort: n is small
		least := i
		for j := i + 1; j < n; j++ {
			if d[j] < d[least] {
				least = j
			}
		}
		if least != i {
			d[i], d[least] = d[least], d[i]
			swap(row(i), row(least))
		}
	}
	return true
}

// rotate replaces x and y by c·x + s·y and c·y − s·x.
func rotate(x, y []float64, c, s float64) {
	y = y[:len(x)]
	for i, v := range x {
		w := y[i]
		x[i] = c*v + s*w
		y[i] = c*w - s*v
	}
}

// merge turns the eigenproblems of lo…mid and mid…hi into that of lo…hi. In the
// basis of the parts' eigenvectors the matrix is D + ρ·z·zᵀ. Its eigenvalues are
// the roots of an equation in one unknown (secular.go); its eigenvectors, the
// rows of S, come from them.
func (h *halves) merge(p *parallel.Pool, lo, mid, hi int) {
	size, middle := hi-lo, mid-lo
	q := func(i int) []float64 { return h.q[(lo+i)*h.n+lo:][:size] }
	d := h.d[lo:hi]
	u := &update{rho: 2 * math.Abs(h.rho[mid]), d: d, z: make([]float64, size), in: make([]parts, size)}
	for i := range u.z { // normalized to length 1
		if i < middle {
			u.z[i], u.in[i] = q(i)[middle-1]*(math.Sqrt2/2), inLeft
		} else {
			u.z[i], u.in[i] = q(i)[middle]*math.Copysign(math.Sqrt2/2, h.rho[mid]), inRight
		}
	}
	keep, deflated := u.deflate(q)
	k := len(keep)
	out := h.out[lo*h.n:][:size*size] // the new eigenvectors, followed by the deflated ones
	values := make([]float64, size)
	if k > 0 {
		s := h.s[lo*h.n:][:k*k]
		u.solve(p, s, keep, values)
		// Columns of S are sorted by the half that the old eigenvectors belong to, so that
		// each half of a new eigenvector is a product with only those that are not zero
		// there.
		left, right := 0, k
		for i, r := range keep {
			if u.in[r]&inLeft != 0 {
				left = i + 1
			}
			if u.in[r]&inRight != 0 {
				right = min(right, i)
			}
		}
		for _, part := range [][4]int{{0, left, 0, middle}, {right, k, middle, size}} {
			from, to, c0, c1 := part[0], part[1], part[2], part[3]
			w := c1 - c0
			rows := h.rows[lo*h.halfRow:]
			for i := from; i < to; i++ {
				copy(rows[(i-from)*w:][:w], q(keep[i])[c0:c1])
			}
			float.MatMulNN64(p, out[c0:], size, s[from:], k, rows, w, k, w, to-from, float.Set)
		}
	}
	for i, r := range deflated {
		values[k+i] = d[r]
		copy(out[(k+i)*size:][:size], q(r))
	}
	order := sortedBy(values)
	p.Run(size, func(i int) { copy(q(i), out[order[i]*size:][:size]) })
	for i, r := range order {
		d[i] = values[r]
	}
}

// sortedBy returns the indices that sort values in ascending order.
func sortedBy(values []float64) []int {
	order := make([]int, len(values))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(values[a], values[b]) })
	return order
}
