package method

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/specquant/specquant/internal/kernel"
	"github.com/specquant/specquant/internal/linalg"
	"github.com/specquant/specquant/internal/quant"
)

// gptqBlock is the number of columns whose errors are spread among themselves
// before the rest of the row hears of them (Frantar et al., arXiv 2210.17323).
const gptqBlock = 128

// Factor is the Hessian of one input, ordered, damped and inverted once for
// all layers that read the input.
type Factor struct {
	n     int
	order []int     // column order: position → column; nil: as they stand
	u     []float32 // upper triangular U, H⁻¹ = UᵀU, in that order [n × n]

	Damp float64 // what was needed, as a share of the mean diagonal
	Dead int     // channels that no calibration token touched
}

// NewFactor takes H = Σ x̂ x̂ᵀ [n × n] and destroys it. Damping starts at the
// recipe's and is raised tenfold, at most three times, while H is not positive
// definite; the Factor says what it took.
func NewFactor(p *kernel.Pool, h []float64, n int, s Solve) (*Factor, error) {
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
			h[i*n+i] = mean // a dead channel is independent of all others: plain rounding
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
	work := make([]float64, n*n)
	for f.Damp = s.Damp; ; f.Damp *= 10 {
		p.Run(n, func(i int) {
			src := i
			if f.order != nil {
				src = f.order[i]
			}
			row := work[i*n:][:n]
			for j := range row {
				k := j
				if f.order != nil {
					k = f.order[j]
				}
				row[j] = h[src*n+k]
			}
			row[i] += f.Damp * mean
		})
		err := linalg.InverseUpper(p, work, n)
		if err == nil {
			break
		}
		var indefinite *linalg.NotPositiveDefinite
		if !errors.As(err, &indefinite) || f.Damp >= s.Damp*999 {
			return nil, fmt.Errorf("the Hessian can't be inverted, even with damping %.3g: %w", f.Damp, err)
		}
	}
	f.u = make([]float32, n*n)
	for i, v := range work {
		f.u[i] = float32(v)
	}
	return f, nil
}

// FactorBytes is the peak memory of NewFactor, H excluded.
func FactorBytes(n int) int64 { return 12 * int64(n) * int64(n) }

// GPTQ quantizes w [rows × n] to q on the grid with the given steps, column
// by column, spreading each column's rounding error over the columns to come
// so that ‖(w − q) x̂‖ stays small. w is left alone.
func (f *Factor) GPTQ(p *kernel.Pool, g quant.Grid, q []int8, w []float32, steps quant.Steps, rows int) {
	f.solve(p, g, q, w, steps, rows, func(int, int, []float32) {})
}

// GPTQDynamic is GPTQ with the steps of each group taken when its first column's
// turn comes, from the weights as what came before has changed them. It is the
// authors' default; their static groups, and [Factor.GPTQ], take them from the
// weights as they were given. d weighs the columns where clip wants that, as in
// [quant.Grid.WeightedScales]. The factor must have no order: groups have to
// come one after the other.
func (f *Factor) GPTQDynamic(p *kernel.Pool, g quant.Grid, q []int8, w []float32, d []float64, clip quant.Clip, rows int) (quant.Steps, error) {
	if f.order != nil {
		return quant.Steps{}, errors.New("dynamic groups with act-order: the columns of a group do not come one after the other")
	}
	groups := g.Groups(f.n)
	width := f.n
	if groups > 1 {
		width = g.Group
	}
	steps := quant.Steps{Scale: make([]float32, rows*groups), Zero: g.FixedZero()}
	if g.Zero == quant.ZeroAsymmetric {
		steps.Zero = make([]float32, rows*groups)
	}
	failed := make([]error, rows)
	var inline *kernel.Pool
	f.solve(p, g, q, w, steps, rows, func(r, j int, row []float32) {
		if j%width != 0 || failed[r] != nil {
			return
		}
		end := min(j+width, f.n)
		var part []float64
		if d != nil {
			part = d[j:end]
		}
		one, err := g.WeightedScales(row[j:end], part, 1, end-j, clip, inline.Run)
		if err != nil {
			failed[r] = fmt.Errorf("row %d, inputs counted from %d: %w", r, j, err)
			return
		}
		steps.Scale[r*groups+j/width] = one.Scale[0]
		if g.Zero == quant.ZeroAsymmetric {
			steps.Zero[r*groups+j/width] = one.Zero[0]
		}
	})
	return steps, errors.Join(failed...)
}

// solve is GPTQ. before is told of each row's next column, in the factor's order,
// and of the row as it is by then, where that is within the columns of a block.
func (f *Factor) solve(p *kernel.Pool, g quant.Grid, q []int8, w []float32, steps quant.Steps, rows int, before func(row, column int, w []float32)) {
	n, groups := f.n, g.Groups(f.n)
	chunk := rowChunk(rows, p.Threads())
	p.Run((rows+chunk-1)/chunk, func(c int) {
		first := c * chunk
		m := min(chunk, rows-first)
		r := make([]float32, m*n) // the rows in column order
		e := make([]float32, m*gptqBlock)
		for i := range m {
			copyOrdered(r[i*n:][:n], w[(first+i)*n:][:n], f.order)
		}
		var inline *kernel.Pool // the outer Run has the threads
		for lo := 0; lo < n; lo += gptqBlock {
			hi := min(lo+gptqBlock, n)
			for i := range m {
				row, qrow := r[i*n:][:n], q[(first+i)*n:][:n]
				for j := lo; j < hi; j++ {
					col := j
					if f.order != nil {
						col = f.order[j]
					}
					k := (first + i) * groups
					if groups > 1 {
						k += col / g.Group
					}
					before(first+i, j, row)
					s, d := steps.At(g, k)
					v := g.Round(row[j], s, d)
					qrow[col] = v
					err := (row[j] - quant.Value(v, s, d)) / f.u[j*n+j]
					e[i*gptqBlock+j-lo] = -err
					if j+1 < hi {
						kernel.Axpy(row[j+1:hi], -err, f.u[j*n+j+1:j*n+hi])
					}
				}
			}
			if hi < n {
				inline.MatMulNN(r[hi:], n, e, gptqBlock, f.u[lo*n+hi:], n, m, n-hi, hi-lo, true)
			}
		}
	})
}

// rowChunk is how many rows share a pass over U, whose packing for the product
// takes longer than 32 rows make of it: as many as leave each thread a few turns.
// What comes out for a row does not depend on its company.
func rowChunk(rows, threads int) int {
	const least, most, turns = 32, 192, 4
	return min(max(rows/(threads*turns)/least*least, least), most)
}

// Correct adds to w [rows × n] what brings its output nearest to a target, in
// the least squares of the calibration tokens: lack·H⁻¹, where lack is
// Σ e x̂ᵀ [rows × n] of what the outputs lack, e, and H is the factor's damped
// Hessian. It destroys lack.
//
// A correction more than [MostCorrection] times the weights is none: inputs that
// are nearly nothing are being blown up to stand for something else. Then w stays
// as it is and the answer is false.
func (f *Factor) Correct(p *kernel.Pool, w, lack []float32, rows int) bool {
	n := f.n
	step := make([]float32, rows*n) // lack·Uᵀ, then times U, in the factor's order
	p.Run(rows, func(r int) { copyOrdered(step[r*n:][:n], lack[r*n:][:n], f.order) })
	p.MatMulNT(lack, n, step, n, f.u, n, rows, n, n, false)
	p.MatMulNN(step, n, lack, n, f.u, n, rows, n, n, false)
	if !(math.Sqrt(kernel.SumSquares(step)) <= MostCorrection*math.Sqrt(kernel.SumSquares(w))) {
		return false
	}
	p.Run(rows, func(r int) {
		row := w[r*n:][:n]
		for i, v := range step[r*n:][:n] {
			if f.order != nil {
				i = f.order[i]
			}
			row[i] += v
		}
	})
	return true
}

// MostCorrection is the largest [Factor.Correct], in norms of the weights. Those of
// models that work are well below one.
const MostCorrection = 10

func copyOrdered(dst, src []float32, order []int) {
	if order == nil {
		copy(dst, src)
		return
	}
	for i, k := range order {
		dst[i] = src[k]
	}
}
