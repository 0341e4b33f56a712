package linalg

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
)

// orthoPanel is how many rows are made orthogonal to all earlier ones in one product.
const orthoPanel = 16

// Orthonormalize replaces the rows of x [rows × n], rows ≤ n, by an orthonormal set: each
// row by its part orthogonal to the earlier ones, normalized (Gram-Schmidt, so the sign is
// that of the row). It returns how many rows were, up to rounding, linear combinations of
// earlier ones; each of them is replaced by a fixed random direction orthogonal to all. The
// error is *[NonFinite], or wrong sizes.
//
// Everything is done twice, which makes the result orthogonal to rounding
// whatever the rows were (Giraud et al. 2005).
func Orthonormalize(p *parallel.Pool, x []float64, rows, n int) (dependent int, err error) {
	if rows < 0 || n < rows || len(x) != rows*n {
		return 0, fmt.Errorf("linalg: orthonormal rows of %d × %d in %d numbers: want at most as many rows as columns", rows, n, len(x))
	}
	for i, v := range x {
		if v-v != 0 {
			return 0, &NonFinite{Row: i / n, Col: i % n, Value: v}
		}
	}
	c := make([]float64, orthoPanel*rows)
	for from := 0; from < rows; from += orthoPanel {
		to := min(from+orthoPanel, rows)
		for pass := range 2 {
			panel := x[from*n : to*n]
			// Rows of very different sizes would lose the small ones to rounding.
			for i := from; i < to; i++ {
				normalize(x[i*n:][:n])
			}
			if from > 0 {
				float.MatMulNT64(p, c, from, panel, n, x, n, to-from, from, n, float.Set)
				float.MatMulNN64(p, panel, n, c, from, x, n, to-from, n, from, float.Subtract)
			}
			for i := from; i < to; i++ {
				if !against(x, from, i, n) {
					replaceRow(x, i, n, uint64(pass))
					dependent++
				}
			}
		}
	}
	return dependent, nil
}

// normalize scales v to length 1 and returns its original length; a zero vector is
// unchanged.
func normalize(v []float64) float64 {
	top := 0.0
	for _, x := range v {
		top = max(top, math.Abs(x))
	}
	if top == 0 {
		return 0
	}
	sum := 0.0
	for i := range v {
		v[i] /= top // so that no square overflows or underflows
		sum += float64(v[i] * v[i])
	}
	length := math.Sqrt(sum)
	for i := range v {
		v[i] /= length
	}
	return top * length
}

// against makes row i, of length at most 1, orthogonal to rows from … i-1 and normalizes
// it. It reports whether anything was left.
func against(x []float64, from, i, n int) bool {
	row := x[i*n:][:n]
	for range 2 {
		for j := from; j < i; j++ {
			other := x[j*n:][:n]
			axpy(row, -dot(row, other), other)
		}
	}
	return normalize(row) > 16*float64(n)*epsilon
}

// replaceRow sets row i to a random direction orthogonal to the earlier rows.
func replaceRow(x []float64, i, n int, seed uint64) {
	r := rand.New(rand.NewPCG(uint64(i), seed))
	for {
		row := x[i*n:][:n]
		for j := range row {
			row[j] = r.NormFloat64()
		}
		normalize(row)
		if against(x, 0, i, n) {
			return
		}
	}
}
