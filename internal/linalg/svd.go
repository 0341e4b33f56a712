package linalg

import (
	"fmt"

	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
)

// SVD holds the k leading singular triples of a matrix [m × n]: Uᵀ·diag(S)·V is its best
// approximation of rank k (Eckart and Young 1936).
type SVD struct {
	U        []float64 // [k × m] orthonormal rows
	S        []float64 // [k] descending
	V        []float64 // [k × n] orthonormal rows
	Residual float64   // of the eigenvectors of the smaller Gram matrix, as in [Leading]
}

// SVDTop returns the k leading singular triples of w, row-major [m × n]. tol is the
// tolerance of [TopEigen] for the smaller of W·Wᵀ and Wᵀ·W; singular values below about
// 1e-7 of the first have few correct digits. The largest component of each row of V (of U
// if m < n) is positive. Errors are those of TopEigen.
func SVDTop(p *parallel.Pool, w []float32, m, n, k int, tol float64) (*SVD, error) {
	if m < 1 || n < 1 || m > MaxWidth || n > MaxWidth || len(w) != m*n {
		return nil, fmt.Errorf("linalg: singular vectors of %d × %d in %d numbers: want %d", m, n, len(w), m*n)
	}
	small := min(m, n)
	if err := checkLeading(small, k, tol); err != nil {
		return nil, err
	}
	if row, col := firstNonFinite(p, w, m, n); row >= 0 {
		return nil, &NonFinite{Row: row, Col: col, Value: float64(w[row*n+col])}
	}
	// The dense path multiplies rows of the smaller side, and does not need W itself.
	dense := small <= max(denseOrder, 2*block(k))
	a := newMatrix64(p, w, m, n, dense && m > n)
	// From the smaller side to the larger one, and back.
	first, second := a.timesTransposed, a.times
	if m < n {
		first, second = a.times, a.timesTransposed
	}
	var lead *Leading
	var err error
	if dense {
		long := max(m, n)
		g := make([]float64, small*small)
		float.MatMulNT64(p, g, small, a.data, long, a.data, long, small, small, long, float.Set)
		lead, err = allEigen(p, g, small, k)
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

// matrix64 is W [m × n] in float64, by which rows are multiplied.
type matrix64 struct {
	pool       *parallel.Pool
	m, n       int
	transposed bool      // data is Wᵀ, and only timesTransposed may be called
	data       []float64 // row-major
}

func newMatrix64(p *parallel.Pool, w []float32, m, n int, transposed bool) *matrix64 {
	f := &matrix64{p, m, n, transposed, make([]float64, m*n)}
	if transposed {
		p.Run(n, func(j int) {
			for i := range m {
				f.data[j*m+i] = float64(w[i*n+j])
			}
		})
		return f
	}
	p.Run(m, func(i int) {
		for j, v := range w[i*n:][:n] {
			f.data[i*n+j] = float64(v)
		}
	})
	return f
}

// times sets dst [rows × n] = src [rows × m]·W.
func (f *matrix64) times(dst, src []float64, rows int) {
	float.MatMulNN64(f.pool, dst, f.n, src, f.m, f.data, f.n, rows, f.n, f.m, float.Set)
}

// timesTransposed sets dst [rows × m] = src [rows × n]·Wᵀ.
func (f *matrix64) timesTransposed(dst, src []float64, rows int) {
	if f.transposed {
		float.MatMulNN64(f.pool, dst, f.m, src, f.n, f.data, f.m, rows, f.m, f.n, float.Set)
		return
	}
	float.MatMulNT64(f.pool, dst, f.m, src, f.n, f.data, f.n, rows, f.m, f.n, float.Set)
}

// firstNonFinite returns the position of the first NaN or infinity in w [m × n]; −1 if
// there is none.
func firstNonFinite(p *parallel.Pool, w []float32, m, n int) (row, col int) {
	bad := make([]int, m) // for each row, 1 + column of the first one
	p.Run(m, func(i int) {
		for j, v := range w[i*n:][:n] {
			if v-v != 0 {
				bad[i] = j + 1
				return
			}
		}
	})
	for i, j := range bad {
		if j > 0 {
			return i, j - 1
		}
	}
	return -1, -1
}

// SVDBytes is an upper bound for the memory of [SVDTop] for a matrix [m × n], including its
// result.
func SVDBytes(m, n, k int) int64 {
	small, long := int64(min(m, n)), int64(max(m, n))
	bytes := 8*int64(m)*int64(n) + 8*int64(m)
	if b := int64(block(k)); small > max(denseOrder, 2*b) {
		bytes += 8 * b * long
	} else {
		bytes += 8 * small * small
	}
	return bytes + LeadingBytes(int(small), k) + 8*int64(k)*long
}

// LeadingBytes is an upper bound for the memory of [TopEigen] for a matrix of order n,
// without the matrix.
func LeadingBytes(n, k int) int64 {
	order, b := int64(n), int64(block(k))
	if order > max(denseOrder, 2*b) {
		return 8 * (3*b*order + 2*b*b + symEigenEntries(b))
	}
	return 8 * symEigenEntries(order)
}

// symEigenEntries is an upper bound for the number of values that [SymEigen] holds besides
// its matrix of order n: the reduced matrix, three and a half matrices for divide and
// conquer, the vectors, and the panels of reflections.
func symEigenEntries(n int64) int64 { return 11*n*n/2 + 8*panelWidth*n }
