package float

import (
	"fmt"

	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/kernel/shape"
)

// syrkTokens is the largest number of tokens whose products are summed in float32 before
// the sum is added to h in float64.
const syrkTokens = 512

// syrkBlock is the number of rows and columns of h that a job computes, a multiple of the
// height and width of all register kernels.
const syrkBlock = 192

// SyrkTN adds the Gram matrix of x[tokens×n] to h[n×n]: h += xᵀ·x. The products of up to
// 512 tokens are summed in float32, and those sums in float64. h is read on and below the
// diagonal, and the result is copied to above it, so that h is symmetric to the bit.
func SyrkTN(p *parallel.Pool, h []float64, n int, x []float32, ldx, tokens int) {
	SyrkLower(p, h, n, x, ldx, tokens)
	Mirror(p, h, n)
}

// SyrkLower is [SyrkTN] without the copy: afterwards anything may be above the diagonal.
// Callers that add many parts call [Mirror] once after the last.
func SyrkLower(p *parallel.Pool, h []float64, n int, x []float32, ldx, tokens int) {
	if n == 0 || tokens == 0 {
		return
	}
	if len(h) != n*n {
		panic(fmt.Sprintf("kernel: h has %d elements; need %d×%d", len(h), n, n))
	}
	shape.Fits("x", len(x), ldx, tokens, n)
	side := (n + syrkBlock - 1) / syrkBlock
	p.Run(side*(side+1)/2, func(i int) {
		// The blocks of the lower triangle are numbered row by row.
		row := 0
		for i > row {
			i -= row + 1
			row++
		}
		syrk(h, n, x, ldx, tokens, row*syrkBlock, i*syrkBlock)
	})
}

// syrk adds to the block of h that begins at row i0 and column j0.
func syrk(h []float64, n int, x []float32, ldx, tokens, i0, j0 int) {
	rows, cols := min(syrkBlock, n-i0), min(syrkBlock, n-j0)
	s := getScratch[float32]()
	if s.gram == nil {
		s.gram = make([]float32, syrkBlock*syrkBlock)
	}
	gram := s.gram
	for t := 0; t < tokens; t += syrkTokens {
		part := x[t*ldx:]
		g := gemm[float32]{m: rows, n: cols, k: min(syrkTokens, tokens-t), c: gram, ldc: syrkBlock,
			a: operand[float32]{part[i0:], ldx, true}, b: operand[float32]{part[j0:], ldx, false}}
		g.rows, g.cols, g.rowJobs, g.micro = rows, cols, 1, microKernels[float32]()
		g.job(0)
		for r := range rows {
			AddWide(h[(i0+r)*n+j0:][:cols], gram[r*syrkBlock:][:cols])
		}
	}
	putScratch(s)
}

// mirrorTile is the number of rows and columns that are copied at a time: two such tiles
// fit into a core's first-level cache.
const mirrorTile = 32

// Mirror copies the lower triangle of h[n×n] to the upper one.
func Mirror(p *parallel.Pool, h []float64, n int) {
	p.Run((n+mirrorTile-1)/mirrorTile, func(tile int) {
		i0 := tile * mirrorTile
		i1 := min(i0+mirrorTile, n)
		for j0 := 0; j0 <= i0; j0 += mirrorTile {
			for j := j0; j < min(j0+mirrorTile, i1-1); j++ {
				dst := h[j*n:][:i1]
				for i := max(i0, j+1); i < i1; i++ {
					dst[i] = h[i*n+j]
				}
			}
		}
	})
}
