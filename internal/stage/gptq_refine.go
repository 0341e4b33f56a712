package stage

import (
	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
)

// Refine lowers the error tr((W − Q) H (W − Q)ᵀ) that GPTQ has left, with the damped H, by
// cyclic coordinate descent (QuantEase, Behdin et al., arXiv 2309.01885): each code in turn
// is set to its best value with all others fixed. If s asks for it, each scale is set to
// the best one for the codes, rounded to 16 bits, before the first sweep and after the
// last; doing so between sweeps brought no further gain. Only changes that lower the error
// are made; q and steps.Scale are changed in place: a grid with multiples cannot be rescaled. The
// factor must have been made with s.
func (f *Factor) Refine(p *parallel.Pool, g quant.Grid, q []int8, w []float32, steps quant.Steps, rows int, s recipe.Solve) {
	n := f.n
	t := newColumns(g, steps, rows, n)
	ld := t.ld
	r := refinement{columns: t, p: p, g: g, h: f.h, w: w, block: min(gptqBlock, n)}
	spare := spareBuffers{f.spare}
	r.e, r.q, r.work = spare.zeros(n*ld), spare.codes(n*ld), spare.zeros(2*r.block*ld)
	t.each(p, func(c chunk) {
		c.transpose(r.e, w, nil)
		float.TransposeBytes(float.Bytes(r.q[c.first:]), ld, float.Bytes(q[c.first*n:]), n, c.m, n)
		for j := range n {
			scale, shift := c.steps(j)
			e := r.e[j*ld+c.first:][:c.m]
			for i, v := range r.q[j*ld+c.first:][:c.m] {
				e[i] -= quant.Value(v, scale[i], shift[i])
			}
		}
	})
	if s.Rescale {
		r.u = spare.zeros(t.width * ld)
		r.rescale()
	}
	for range s.Sweeps {
		r.sweep()
	}
	if s.Rescale && s.Sweeps > 0 {
		r.rescale()
	}
	groups := g.Groups(n)
	t.each(p, func(c chunk) {
		c.transposeBack(q, r.q, nil)
		for i := c.first; i < c.first+c.m; i++ {
			for k := range groups {
				steps.Scale[i*groups+k] = c.scale[k*ld+i]
			}
		}
	})
}

// refinement is what [Factor.Refine] works on.
type refinement struct {
	*columns
	p *parallel.Pool
	g quant.Grid
	h []float32 // [n × n]
	w []float32 // [rows × n]

	block int       // columns taken at a time
	e     []float32 // w minus the decoded codes [n × rows]
	q     []int8    // [n × rows]
	u     []float32 // of a group: codes minus their shift [width × rows]
	work  []float32 // [2 × block × rows]
}

// sweep chooses every code anew, once. Like GPTQ it works in blocks, spans and parts: the
// gradient e·H of a block is one product, and changes within the block are added to it span
// by span and part by part.
func (r *refinement) sweep() {
	n, ld := r.n, r.ld
	for lo := 0; lo < n; lo += r.block {
		hi := min(lo+r.block, n)
		float.MatMulNN(r.p, r.work, ld, r.h[lo*n:], n, r.e, ld, hi-lo, r.rows, n, false)
		r.each(r.p, func(c chunk) {
			gradient, change := r.work[c.first:], r.work[r.block*ld+c.first:]
			// addChanges adds to the gradient of columns a … b−1 the effect of the changes
			// in columns from … a−1.
			addChanges := func(from, a, b int) {
				if from < a {
					float.MatMulNN(inline, gradient[(a-lo)*ld:], ld, r.h[a*n+from:], n, change[(from-lo)*ld:], ld, b-a, c.whole, a-from, true)
				}
			}
			for s := lo; s < hi; s += gptqSpan {
				end := min(s+gptqSpan, hi)
				addChanges(lo, s, end)
				for a := s; a < end; a += gptqPart {
					b := min(a+gptqPart, end)
					addChanges(s, a, b)
					for j := a; j < b; j++ {
						d := change[(j-lo)*ld:][:c.whole]
						if !r.choose(c, j, gradient[(j-lo)*ld:], d) {
							continue
						}
						for k := j + 1; k < b; k++ {
							float.Axpy(gradient[(k-lo)*ld:][:c.whole], r.h[k*n+j], d)
						}
					}
				}
			}
		})
	}
}

// choose sets the codes of column j to their best values and writes the change of e to
// change; it reports whether any code changed.
func (r *refinement) choose(c chunk, j int, gradient, change []float32) bool {
	scale, shift := c.steps(j)
	at, step := j*c.ld+c.first, r.g.Step(0, 0)
	return float.GridTurn(r.q[at:][:c.whole], r.e[at:][:c.whole], gradient[:c.whole], change[:c.whole], scale, shift, &step, r.h[j*c.n+j])
}

// rescale fits each group's scale to its codes. With u the codes' distances from the zero
// point in steps, the error is a parabola in the scale, with its minimum at s +
// (e·H·uᵀ)/(u·H·uᵀ).
func (r *refinement) rescale() {
	n, ld := r.n, r.ld
	up, down := make([]float64, ld), make([]float64, ld)
	for from := 0; from < n; from += r.width {
		to := min(from+r.width, n)
		clear(up)
		clear(down)
		r.each(r.p, func(c chunk) {
			_, shift := c.steps(from)
			for j := from; j < to; j++ {
				row := r.u[(j-from)*ld+c.first:][:c.m]
				for i, z := range r.q[j*ld+c.first:][:c.m] {
					row[i] = float32(z) - shift[i]
				}
			}
		})
		he, hu := r.work[:r.block*ld], r.work[r.block*ld:]
		for lo := from; lo < to; lo += r.block {
			hi := min(lo+r.block, to)
			float.MatMulNN(r.p, hu, ld, r.h[lo*n+from:], n, r.u, ld, hi-lo, r.rows, to-from, false)
			if to-from < n { // otherwise e·(H·uᵀ) is complete already
				float.MatMulNN(r.p, he, ld, r.h[lo*n:], n, r.e, ld, hi-lo, r.rows, n, false)
			}
			r.each(r.p, func(c chunk) {
				for j := lo; j < hi; j++ {
					u, y := r.u[(j-from)*ld+c.first:][:c.m], hu[(j-lo)*ld+c.first:][:c.m]
					a, b := u, he[(j-lo)*ld+c.first:][:c.m]
					if to-from == n {
						a, b = y, r.e[j*ld+c.first:][:c.m]
					}
					for i, v := range u {
						up[c.first+i] += float64(a[i]) * float64(b[i])
						down[c.first+i] += float64(v) * float64(y[i])
					}
				}
			})
		}
		r.each(r.p, func(c chunk) {
			scale, _ := c.steps(from)
			best := make([]float32, c.m)
			scale = scale[:c.m]
			for i, s := range scale {
				best[i] = float32(float64(s) + up[c.first+i]/down[c.first+i])
			}
			float.RoundF16(best)
			for i, s := range scale {
				// The scale has been rounded to 16 bits: is it still an improvement?
				t, k := best[i], c.first+i
				step := float64(t) - float64(s)
				if !(t > 0 && t <= quant.MaxScale && step*(step*down[k]-2*up[k]) < 0) || r.zeros(k, from, to) {
					continue
				}
				scale[i] = t
				for j := from; j < to; j++ {
					r.e[j*ld+k] += float32((s - t) * r.u[(j-from)*ld+k])
				}
			}
		})
	}
}

// zeros reports whether all weights of a group are zero. Such a group stays zero: its
// scale is not raised to compensate errors of other groups.
func (r *refinement) zeros(row, from, to int) bool {
	for _, v := range r.w[row*r.n:][from:to] {
		if v != 0 {
			return false
		}
	}
	return true
}
