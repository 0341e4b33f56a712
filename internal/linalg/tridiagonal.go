package linalg

import (
	"math"

	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
)

const (
	// panelWidth is how many reflections are made before the rest of the matrix is updated,
	// in one product.
	panelWidth = 32
	// stripWidth is how many columns are adjacent in memory: A·v is half of the work and
	// limited by memory bandwidth, so it has to read sequentially.
	stripWidth = 16
)

// tridiagonal is a symmetric matrix A = Q·T·Qᵀ, where T is tridiagonal and Q is the product
// H₀·H₁··· of the reflections Hⱼ = I − τⱼ·vⱼ·vⱼᵀ.
type tridiagonal struct {
	n      int
	d      []float64 // [n] the diagonal of T
	e      []float64 // [n-1] the off-diagonal
	tau    []float64 // [n-1]
	strips []float64 // [n/16][n][16] A; finally row j from column j+1 on is vⱼ
}

// strip is the columns from 16·s, [n × 16].
func (t *tridiagonal) strip(s int) []float64 {
	return t.strips[s*t.n*stripWidth:][:t.n*stripWidth]
}

// tridiagonalize reduces scale times the symmetric a[n×n]. (Dongarra, Hammarling and
// Sorensen 1989, "Block reduction of matrices to condensed forms".) The whole matrix is
// updated, not a triangle, so that A·v is a plain product.
func tridiagonalize(p *parallel.Pool, a []float64, n int, scale float64) *tridiagonal {
	count := (n + stripWidth - 1) / stripWidth
	t := newTridiagonal(p, a, n, count, scale)
	ld := count * stripWidth                    // n, rounded up to whole strips
	pairs := make([]float64, 2*panelWidth*ld)   // rows v₀ w₀ v₁ w₁ …
	crossed := make([]float64, 2*panelWidth*ld) // rows w₀ v₀ w₁ v₁ …
	columns := make([]float64, 2*panelWidth*n)  // the transpose of pairs
	dots := make([]float64, 2*panelWidth)
	row, product := make([]float64, ld), make([]float64, ld)
	for j0 := 0; j0 < n; j0 += panelWidth {
		j1 := min(j0+panelWidth, n)
		clear(pairs)
		clear(crossed)
		for j := j0; j < j1; j++ {
			used := 2 * (j - j0)
			t.row(row, j)
			for q := range used { // the effect of the panel's reflections on this row
				axpy(row[j:], -crossed[q*ld+j], pairs[q*ld+j:][:ld-j])
			}
			t.d[j] = row[j]
			if j == n-1 {
				break
			}
			v := row[j+1 : n]
			t.e[j], t.tau[j] = reflector(v)
			t.setRow(row, j)
			t.mul(p, product, v)
			// w = τ·(A·v − …) minus its component along v.
			w := product[j+1 : n]
			p.Run(used, func(q int) { dots[q] = dot(v, crossed[q*ld:][j+1:n]) })
			if used > 0 {
				float.MatMulNN64(p, w, len(w), dots, used, pairs[j+1:], ld, 1, len(w), used, float.Subtract)
			}
			for i := range w {
				w[i] *= t.tau[j]
			}
			axpy(w, -t.tau[j]/2*dot(v, w), v)
			copy(pairs[used*ld:][j+1:n], v)
			copy(pairs[(used+1)*ld:][j+1:n], w)
			copy(crossed[used*ld:][j+1:n], w)
			copy(crossed[(used+1)*ld:][j+1:n], v)
		}
		m, k := n-j1, 2*(j1-j0)
		if m == 0 {
			break
		}
		for q := range k {
			for i, v := range pairs[q*ld:][j1:n] {
				columns[i*k+q] = v
			}
		}
		first := j1 / stripWidth // panels are whole strips
		p.Run(count-first, func(i int) {
			s := first + i
			float.MatMulNN64(p, t.strip(s)[j1*stripWidth:], stripWidth, columns, k, crossed[s*stripWidth:], ld, m, stripWidth, k, float.Subtract)
		})
	}
	return t
}

// newTridiagonal copies scale·A into count strips.
func newTridiagonal(p *parallel.Pool, a []float64, n, count int, scale float64) *tridiagonal {
	t := &tridiagonal{n: n, d: make([]float64, n), e: make([]float64, max(n-1, 0)), tau: make([]float64, max(n-1, 0)),
		strips: make([]float64, count*n*stripWidth)}
	p.Run(count, func(s int) {
		to := t.strip(s)
		for i := range n {
			for c, v := range a[i*n+s*stripWidth : i*n+min((s+1)*stripWidth, n)] {
				to[i*stripWidth+c] = v * scale
			}
		}
	})
	return t
}

// row copies row j out, setRow copies it back.
func (t *tridiagonal) row(dst []float64, j int) {
	for c := 0; c < len(dst); c += stripWidth {
		copy(dst[c:c+stripWidth], t.strip(c / stripWidth)[j*stripWidth:])
	}
}

func (t *tridiagonal) setRow(src []float64, j int) {
	for c := 0; c < len(src); c += stripWidth {
		copy(t.strip(c / stripWidth)[j*stripWidth:][:stripWidth], src[c:])
	}
}

// mul sets the last len(v) of the n elements of dst to the last rows and columns
// of A times v; whole strips are written.
func (t *tridiagonal) mul(p *parallel.Pool, dst, v []float64) {
	const work = 1 << 15 // elements that make a unit of work
	m := len(v)
	from := t.n - m
	first, count := from/stripWidth, len(dst)/stripWidth
	each := max(1, work/(m*stripWidth))
	p.Run((count-first+each-1)/each, func(i int) {
		for s := first + i*each; s < min(first+(i+1)*each, count); s++ {
			float.MatMulNN64(p, dst[s*stripWidth:], stripWidth, v, m, t.strip(s)[from*stripWidth:], stripWidth, 1, stripWidth, m, float.Set)
		}
	})
}

// reflector replaces x by the v with v[0] = 1 for which (I − τ·v·vᵀ)·x = (β, 0, 0 …).
func reflector(x []float64) (beta, tau float64) {
	alpha := x[0]
	rest := dot(x[1:], x[1:])
	x[0] = 1
	if rest == 0 {
		return alpha, 0
	}
	beta = -math.Copysign(math.Sqrt(alpha*alpha+rest), alpha)
	f := 1 / (alpha - beta)
	for i := range x[1:] {
		x[1+i] *= f
	}
	return beta, (beta - alpha) / beta
}

// axpy adds c·x to y.
func axpy(y []float64, c float64, x []float64) {
	x = x[:len(y)]
	for i, v := range x {
		y[i] += float64(c * v)
	}
}

// back replaces the rows z of x [n×n] by (Q·z)ᵀ. Reflections are applied in blocks: H₀···Hₖ
// = I − V·S·Vᵀ with upper triangular S (Schreiber and Van Loan 1989).
func (t *tridiagonal) back(p *parallel.Pool, x []float64) {
	n := t.n
	if n < 2 {
		return
	}
	const width = 64
	row := make([]float64, len(t.strips)/n)
	v := make([]float64, width*n)
	s := make([]float64, width*width)
	xv, xvs := make([]float64, n*width), make([]float64, n*width)
	for j0 := (n - 2) / width * width; j0 >= 0; j0 -= width {
		k := min(width, n-1-j0)
		m := n - j0 - 1 // columns that the block changes
		for j := range k {
			t.row(row, j0+j)
			clear(v[j*m:][:j])
			copy(v[j*m:][j:m], row[j0+j+1:n])
		}
		clear(s)
		var with [width]float64
		for j := range k {
			// Column j of S: τ on the diagonal, −τ·S·(V·vⱼ) above.
			tau := t.tau[j0+j]
			s[j*width+j] = tau
			p.Run(j, func(i int) { with[i] = dot(v[i*m+j:][:m-j], v[j*m+j:][:m-j]) })
			for i := range j {
				s[i*width+j] = -tau * dot(s[i*width+i:][:j-i], with[i:j])
			}
		}
		float.MatMulNT64(p, xv, k, x[j0+1:], n, v, m, n, k, m, float.Set)
		float.MatMulNT64(p, xvs, k, xv, k, s, width, n, k, k, float.Set)
		float.MatMulNN64(p, x[j0+1:], n, xvs, k, v, m, n, m, k, float.Subtract)
	}
}
