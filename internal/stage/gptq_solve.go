package stage

import (
	"errors"
	"fmt"

	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/plural"
	"github.com/specquant/specquant/internal/quant"
)

// Columns are taken in blocks, those of a block in spans and those of a span in parts.
// Before a block, span or part is rounded, the errors of all earlier columns are added to
// its weights in one matrix product; only within a part is that done column by column.
// The authors instead change the rest of the row after each block, which reads and
// writes more memory.
const (
	gptqBlock = 256
	gptqSpan  = 32
	gptqPart  = 8
)

// GPTQ quantizes w [rows × n] to q on the grid with the given steps, column by column,
// distributing each column's rounding error over the later columns so that ‖(w − q) x̂‖
// stays small. w is not changed.
func (f *Factor) GPTQ(p *parallel.Pool, g quant.Grid, q []int8, w []float32, steps quant.Steps, rows int) {
	f.solve(p, g, q, w, steps, rows, gptqSpan, nil)
}

// GPTQDynamic is GPTQ with the steps of each group chosen when its first column is reached,
// from the weights as the earlier columns have changed them. This is the authors' default;
// their static groups, and [Factor.GPTQ], take the steps from the original weights. d
// weights the columns if clip needs that, as in [quant.Grid.WeightedScales]. The factor
// must have no column order, because the columns of a group have to be adjacent, and a
// block must hold whole groups. Multiples, which depend on all groups of a row, are not
// possible.
func (f *Factor) GPTQDynamic(p *parallel.Pool, g quant.Grid, q []int8, w []float32, d []float64, clip quant.Clip, rows int) (quant.Steps, error) {
	if f.order != nil {
		return quant.Steps{}, errors.New("solve.dynamic-groups with solve.act-order: expected columns in their original order; set one of the two to false")
	}
	if g.Multiples {
		return quant.Steps{}, errors.New("solve.dynamic-groups with weights.scales multiples: expected the scales of all groups of a row before it is solved; set the first to false")
	}
	groups, span := g.Groups(f.n), gptqBlock
	if groups > 1 {
		if span = g.Group; gptqBlock%span != 0 {
			return quant.Steps{}, fmt.Errorf("dynamic groups of %s: expected a divisor of %d", plural.Of(span, "input"), gptqBlock)
		}
	}
	steps := quant.Steps{Scale: make([]float32, rows*groups), Zero: g.FixedZero()}
	if g.Zero == quant.ZeroAsymmetric {
		steps.Zero = make([]float32, rows*groups)
	}
	failed := make([]error, rows)
	var inline *parallel.Pool
	f.solve(p, g, q, w, steps, rows, span, func(r, from int, group []float32) {
		if failed[r] != nil {
			return
		}
		var part []float64
		if d != nil {
			part = d[from:][:len(group)]
		}
		one, err := g.WeightedScales(group, part, 1, len(group), clip, inline.Run)
		if err != nil {
			failed[r] = fmt.Errorf("row %d, inputs counted from %d: %w", r, from, err)
			return
		}
		k := r*groups + from/span
		steps.Scale[k] = one.Scale[0]
		if g.Zero == quant.ZeroAsymmetric {
			steps.Zero[k] = one.Zero[0]
		}
	})
	return steps, errors.Join(failed...)
}

// solve is GPTQ. begin, if not nil, is called for each row when a group begins, with
// the index of its first column and its weights as the columns before have changed them;
// it sets the group's steps. A group then begins a span.
func (f *Factor) solve(p *parallel.Pool, g quant.Grid, q []int8, w []float32, steps quant.Steps, rows, span int, begin func(row, from int, group []float32)) {
	n := f.n
	t := newColumns(g, steps, rows, n)
	ld := t.ld
	// For columns not rounded yet, e holds the weights with the errors of earlier columns
	// added; for rounded ones, −error/pivot.
	spare := spareBuffers{f.spare}
	e, codes := spare.zeros(n*ld), spare.codes(n*ld)
	t.each(p, func(c chunk) { c.transpose(e, w, f.order) })
	for lo := 0; lo < n; lo += gptqBlock {
		hi := min(lo+gptqBlock, n)
		if lo > 0 {
			float.MatMulNN(p, e[lo*ld:], ld, f.l[lo*n:], n, e[:lo*ld], ld, hi-lo, rows, lo, true)
		}
		t.each(p, func(c chunk) {
			column := func(j int) []float32 { return e[j*ld+c.first:][:c.whole] }
			// addErrors adds to the weights of columns a … b−1 the effect of the errors of
			// columns from … a−1.
			addErrors := func(from, a, b int) {
				if from < a {
					float.MatMulNN(inline, e[a*ld+c.first:], ld, f.l[a*n+from:], n, e[from*ld+c.first:], ld, b-a, c.whole, a-from, true)
				}
			}
			for s := lo; s < hi; s += span {
				end := min(s+span, hi)
				addErrors(lo, s, end)
				if begin != nil && s%t.width == 0 {
					c.begin(g, steps, s, end, e[s*ld+c.first:], w, begin)
				}
				for a := s; a < end; a += gptqPart {
					b := min(a+gptqPart, end)
					addErrors(s, a, b)
					for j := a; j < b; j++ {
						scale, shift := c.steps(f.column(j))
						step := g.Step(0, 0)
						float.GridRoundEach(codes[j*ld+c.first:][:c.whole], column(j), column(j), scale, shift, &step, 1/f.l[j*n+j])
						for k := j + 1; k < b; k++ {
							float.Axpy(column(k), f.l[k*n+j], column(j))
						}
					}
				}
			}
		})
	}
	t.each(p, func(c chunk) { c.transposeBack(q, codes, f.order) })
}
