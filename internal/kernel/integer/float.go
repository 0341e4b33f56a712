package integer

import (
	"fmt"

	"github.com/specquant/specquant/internal/kernel/branch"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/kernel/shape"
)

// MulFloat multiplies float tokens with a matrix (activations in 16 bits or
// more):
//
//	y[t][r] = Σ_g s[r,g]·( Σ_{k in g} float32(u−offset)·x[t][k] − (zero[r,g]−offset)·Σ_{k in g} x[t][k] )
//
// with k and g ascending. Within a tier the bits don't depend on the number of
// tokens or threads; the assembly tiers fuse multiply and add, the portable
// one rounds each, so tiers differ in the last bits. x has row t at x[t·ldx],
// w.Cols values; y has row t at y[t·ldy], w.Rows values. It panics if a row
// distance or y is too short.
func MulFloat(p *parallel.Pool, y []float32, ldy int, w *Matrix, x []float32, ldx, tokens int) {
	MulFloatAll(p, [][]float32{y}, []int{ldy}, []*Matrix{w}, x, ldx, tokens, branch.Terms{})
}

// MulFloatAll is [MulFloat] for several matrices that share the
// tokens, in one fork and join, with branches as in [MulAll].
func MulFloatAll(p *parallel.Pool, ys [][]float32, ldys []int, ws []*Matrix, x []float32, ldx, tokens int, b branch.Terms) {
	if tokens <= 0 || len(ws) == 0 {
		return
	}
	prods := intProducts(ys, ldys, ws, b, tokens)
	cols := prods[0].w.Cols
	if ldx < cols || len(x) < (tokens-1)*ldx+cols {
		panic(fmt.Sprintf("kernel: %d values, rows %d apart, are too few for %d tokens of %d", len(x), ldx, tokens, cols))
	}
	for _, w := range ws {
		if w.Cols != cols {
			panic(fmt.Sprintf("kernel: matrix of %d columns beside one of %d", w.Cols, cols))
		}
	}
	parts := intSplit(prods)
	step := 8
	for _, w := range ws {
		step = max(step, intStep(w.Bits))
	}
	if padded := shape.CeilDiv(cols, step) * step; padded != cols {
		// The kernels read whole steps of x; what follows a row's end in memory may be NaN.
		xp := make([]float32, tokens*padded)
		for t := range tokens {
			copy(xp[t*padded:], x[t*ldx:t*ldx+cols])
		}
		x, ldx = xp, padded
	}
	for i := range prods {
		pr := &prods[i]
		if i > 0 && prods[i-1].sums != nil && prods[i-1].w.Group == pr.w.Group && pr.w.shift != nil {
			pr.sums = prods[i-1].sums
			continue
		}
		pr.sums = intFloatSums(p, pr.w, x, ldx, tokens)
	}
	panel := intPanel(tokens, 4*cols)
	p.RunStreams(parts*shape.CeilDiv(tokens, panel), func(i int) {
		t0 := i / parts * panel
		at, first, end := intFind(prods, i%parts)
		pr := &prods[at]
		for pair := first; pair < end; pair++ {
			intFloatPair(pr, x, ldx, 2*pair, t0, min(tokens, t0+panel))
		}
		pr.branchOne(first, end)
	})
	branch.AddOrdered(p, ys, ldys, b, tokens)
}
