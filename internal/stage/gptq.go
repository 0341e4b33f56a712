package stage

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/linalg"
	"github.com/specquant/specquant/internal/recipe"
)

// GPTQ (Frantar et al., arXiv 2210.17323). With H = Σ x xᵀ the second moments of a layer's
// input, rounding the weights W to Q causes the error tr((W − Q) H (W − Q)ᵀ) in the layer's
// output. Columns are rounded one after the other; with H⁻¹ = L·Lᵀ, the rounding error of
// column j is compensated in each later column k:
//
//	W_k ← W_k − (W_j − Q_j)·L_kj / L_jj
//
// This gives the smallest error that is possible once the columns up to j are fixed.
//
// gptq.go factors H, gptq_solve.go rounds, gptq_columns.go has the memory layout shared by
// gptq_solve.go and gptq_refine.go (coordinate descent afterwards), and solve.go is the
// stage: it reads the second moments and the residual weights of the layers, replaces the
// weights by what their codes decode to, and holds the factor until the last layer that
// reads the input is solved.

// Factor is the Hessian of one input, reordered, damped and inverted once for all layers
// that read the input.
type Factor struct {
	n     int
	order []int     // column order: position → column; nil: unchanged
	l     []float32 // lower triangular L, H⁻¹ = LLᵀ, in that order [n × n]
	h     []float32 // H, damped, in channel order [n × n]; nil unless refinement needs it
	spare []float32 // memory that nobody uses while the factor is held: GPTQ takes from it

	Damp float64 // the damping that was needed, relative to the mean diagonal
	Dead int     // channels that are zero for all calibration tokens
}

// NewFactor takes H = Σ x̂ x̂ᵀ [n × n] and overwrites it: the factor lies in its memory, which
// must not be used as long as the factor is. Damping starts at the recipe's
// value and is raised tenfold, at most three times, while H is not positive definite;
// Factor.Damp is the value that sufficed.
func NewFactor(p *parallel.Pool, h []float64, n int, s recipe.Solve) (*Factor, error) {
	f := &Factor{n: n}
	var mean float64
	for i := range n {
		d := h[i*n+i]
		if math.IsNaN(d) || math.IsInf(d, 0) {
			return nil, fmt.Errorf("the Hessian's diagonal is %v at channel %d", d, i)
		}
		mean += d
		if d == 0 {
			f.Dead++
		}
	}
	mean /= float64(n)
	if mean == 0 {
		mean = 1
	}
	for i := range n {
		if h[i*n+i] == 0 {
			h[i*n+i] = mean // makes an unused channel independent of the others: its weights are rounded to nearest
		}
	}
	if s.ActOrder {
		f.order = make([]int, n)
		for i := range f.order {
			f.order[i] = i
		}
		slices.SortStableFunc(f.order, func(a, b int) int {
			switch da, db := h[a*n+a], h[b*n+b]; {
			case da > db:
				return -1
			case da < db:
				return 1
			}
			return 0
		})
	}
	if err := f.invert(p, h, mean, s); err != nil {
		return nil, err
	}
	transposeSquare(p, h, n)
	f.l = narrow(h)
	f.spare = floats(h)[n*n:]
	return f, nil
}

// invert replaces h by the upper factor of the inverse of the damped, ordered matrix. What
// another try with more damping starts from is the lower triangle, which factoring leaves
// as it is.
func (f *Factor) invert(p *parallel.Pool, h []float64, mean float64, s recipe.Solve) error {
	n := f.n
	diagonal := make([]float64, n) // undamped, in the factor's order
	float.Mirror(p, h, n)
	if s.Refines() {
		f.h = make([]float32, n*n)
		p.Run(n, func(i int) {
			for j, v := range h[i*n:][:n] {
				f.h[i*n+j] = float32(v)
			}
		})
	}
	f.reorder(p, h)
	for i := range n {
		diagonal[i] = h[i*n+i]
	}
	for f.Damp = s.Damp; ; f.Damp *= 10 {
		for i, d := range diagonal {
			h[i*n+i] = d + f.Damp*mean
		}
		err := linalg.InverseUpper(p, h, n)
		if err == nil {
			break
		}
		var indefinite *linalg.NotPositiveDefinite
		if !errors.As(err, &indefinite) || f.Damp >= s.Damp*999 {
			return fmt.Errorf("the Hessian can't be inverted, even with damping %.3g: %w", f.Damp, err)
		}
		float.Mirror(p, h, n)
	}
	if f.h != nil {
		for i, d := range diagonal {
			f.h[f.column(i)*(n+1)] = float32(d + f.Damp*mean)
		}
	}
	return nil
}

// reorder permutes the rows and columns of h [n × n], in its own memory, to the factor's
// order.
func (f *Factor) reorder(p *parallel.Pool, h []float64) {
	if f.order == nil {
		return
	}
	n := f.n
	row, moved := make([]float64, n), make([]bool, n)
	for first := range n { // along each cycle of the permutation
		if moved[first] {
			continue
		}
		copy(row, h[first*n:])
		for i := first; ; {
			moved[i] = true
			from := f.order[i]
			if from == first {
				copy(h[i*n:][:n], row)
				break
			}
			copy(h[i*n:][:n], h[from*n:])
			i = from
		}
	}
	strips := (n + reorderRows - 1) / reorderRows
	p.Run(strips, func(s int) {
		old := make([]float64, n)
		for i := s * reorderRows; i < min((s+1)*reorderRows, n); i++ {
			row := h[i*n:][:n]
			copy(old, row)
			for j, from := range f.order {
				row[j] = old[from]
			}
		}
	})
}

// reorderRows is how many rows share the memory in which a row is kept while it is reordered.
const reorderRows = 64

// narrow rounds x to float32 in the memory of x, which nobody may read as float64
// afterwards.
func narrow(x []float64) []float32 {
	if len(x) == 0 {
		return nil
	}
	y := floats(x)[:len(x)]
	for i, v := range x { // value i of y lies in front of value i of x
		y[i] = float32(v)
	}
	return y
}

// own copies the factor to memory of its own; f may be nil.
func (f *Factor) own() {
	if f != nil {
		f.l, f.spare = slices.Clone(f.l), nil
	}
}

// column maps a position in the factor's order to the column of the weights.
func (f *Factor) column(position int) int {
	if f.order == nil {
		return position
	}
	return f.order[position]
}

// FactorBytes is the peak memory of NewFactor, H excluded: the diagonal, the order, a row
// for each thread, the inverses of the diagonal blocks, and where codes are refined a copy
// of H in float32.
func FactorBytes(n int, s recipe.Solve, threads int) int64 {
	return 8*int64(n)*int64(4+threads) + linalg.FactorBytes(n) + RefineBytes(n, s)
}

// RefineBytes is what a factor holds beside the memory of H: the damped matrix in float32,
// where codes are refined.
func RefineBytes(n int, s recipe.Solve) int64 {
	if !s.Refines() {
		return 0
	}
	return 4 * int64(n) * int64(n)
}

// SolveBytes is the memory that GPTQ and the refinement hold for a layer, in addition to the
// weights, the codes and what they find in so many bytes of [Factor.spare].
func SolveBytes(out, n int, s recipe.Solve, spare int64) (bytes int64) {
	weights := int64(n) * int64(out+2*lanes)
	take := func(size int64) {
		if size <= spare {
			spare -= size
			return
		}
		bytes += size
	}
	take(4 * weights)
	take(weights)
	if s.Rescale {
		take(4 * weights)
	}
	return bytes
}

// Solve replaces e [rows × n] by e·H⁻¹, where H is the factor's damped Hessian: with e = Σ
// (target − output)·xᵀ that is the change of the weights that brings their output closest to
// the target, in the least-squares sense over the calibration tokens.
func (f *Factor) Solve(p *parallel.Pool, e []float32, rows int) {
	n := f.n
	work := make([]float32, rows*n) // e in the factor's order
	p.Run(rows, func(r int) { copyOrdered(work[r*n:][:n], e[r*n:][:n], f.order) })
	float.MatMulNN(p, e, n, work, n, f.l, n, rows, n, n, false)
	float.MatMulNT(p, work, n, e, n, f.l, n, rows, n, n, false)
	p.Run(rows, func(r int) {
		for i, v := range work[r*n:][:n] {
			if f.order != nil {
				i = f.order[i]
			}
			e[r*n+i] = v
		}
	})
}

func copyOrdered(dst, src []float32, order []int) {
	if order == nil {
		copy(dst, src)
		return
	}
	for i, k := range order {
		dst[i] = src[k]
	}
}
