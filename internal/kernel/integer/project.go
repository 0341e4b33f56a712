package integer

import (
	"github.com/specquant/specquant/internal/kernel/branch"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/kernel/shape"
)

// QuantizeProject calls before, [branch.Project] and [Activations.Quantize] for a few tokens
// at a time, while these are in the processor's cache, as one job of the pool's threads.
// before changes tokens from…end-1 in x, each without regard to the others. before and f
// may be nil.
func (a *Activations) QuantizeProject(p *parallel.Pool, x []float32, ldx, tokens, cols int, grid ActGrid, group int, z []float32, ldz int, f *branch.Projection,
	before func(from, end int)) {
	if f != nil && f.Cols != cols {
		panic("kernel: the projection has another width than the tokens")
	}
	if f != nil && f.Count == 0 {
		f = nil
	}
	if f != nil {
		shape.Fits("z", len(z), ldz, tokens, f.Count)
	}
	if before == nil {
		before = func(int, int) {}
	}
	per := branch.ProjectChunk(cols, max(1, tokens))
	if tokens <= 1 || f != nil && f.Dense() {
		p.Run(shape.CeilDiv(tokens, per), func(i int) { before(i*per, min(tokens, (i+1)*per)) })
		if f != nil {
			branch.Project(p, z, ldz, f, x, ldx, tokens)
		}
		a.Quantize(p, x, ldx, tokens, cols, grid, group)
		return
	}
	a.reset(tokens, cols, grid, group)
	p.Run(shape.CeilDiv(tokens, per), func(i int) {
		end, few := min(tokens, (i+1)*per), per
		if f == nil {
			few = max(2, quantizeFew/cols)
		}
		for t0 := i * per; t0 < end; t0 += few {
			t1 := min(t0+few, end)
			before(t0, t1)
			if f != nil {
				f.Chunk(z, ldz, x, ldx, t0, t1)
			}
			for t := t0; t < t1; t++ {
				a.token(t, x[t*ldx:t*ldx+cols], grid.Clip)
			}
		}
	})
}

// quantizeFew is how many numbers are prepared and quantized before the next ones are: so few
// that they are still in the core's first-level cache, with what they are made of.
const quantizeFew = 4096
