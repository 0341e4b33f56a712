package linalg

import "math"

// Invert returns the inverse of m [n × n], which is overwritten, by Gauss-Jordan
// elimination with row pivots; nil if m is singular.
func Invert(m []float64, n int) []float64 {
	inv := make([]float64, n*n)
	for i := range n {
		inv[i*n+i] = 1
	}
	for c := range n {
		best := c
		for r := c + 1; r < n; r++ {
			if math.Abs(m[r*n+c]) > math.Abs(m[best*n+c]) {
				best = r
			}
		}
		p := m[best*n+c]
		if p == 0 || p-p != 0 {
			return nil
		}
		swapRows(m, n, c, best)
		swapRows(inv, n, c, best)
		scaleRow(m[c*n:][:n], 1/p)
		scaleRow(inv[c*n:][:n], 1/p)
		for r := range n {
			if f := m[r*n+c]; r != c && f != 0 {
				subtractRow(m[r*n+c:][:n-c], f, m[c*n+c:][:n-c])
				subtractRow(inv[r*n:][:n], f, inv[c*n:][:n])
			}
		}
	}
	return inv
}

func swapRows(m []float64, n, a, b int) {
	if a == b {
		return
	}
	for c := range n {
		m[a*n+c], m[b*n+c] = m[b*n+c], m[a*n+c]
	}
}

func scaleRow(row []float64, f float64) {
	for i := range row {
		row[i] *= f
	}
}

func subtractRow(row []float64, f float64, other []float64) {
	for i, v := range other {
		row[i] -= float64(f * v)
	}
}
