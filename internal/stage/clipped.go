package stage

import (
	"sync/atomic"

	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/quant"
)

// clippedShare is the fraction of the weights w [rows × cols] that lie more than half a
// step beyond the ends of their grid.
func clippedShare(p *parallel.Pool, g quant.Grid, w []float32, steps quant.Steps, rows, cols int) float64 {
	return float64(clippedCount(p, g, w, steps, rows, cols)) / float64(rows) / float64(cols)
}

// clippedCount is the number of those weights.
func clippedCount(p *parallel.Pool, g quant.Grid, w []float32, steps quant.Steps, rows, cols int) int {
	lo, hi := g.Limits()
	groups, width := g.Groups(cols), cols
	if groups > 1 {
		width = g.Group
	}
	var count atomic.Int64
	p.Run(rows, func(r int) {
		n, row := 0, w[r*cols:][:cols]
		for k := range groups {
			s, d := steps.At(g, r*groups+k)
			top, bottom := (hi+0.5-d)*s, (lo-0.5-d)*s
			for _, v := range row[k*width : min(cols, (k+1)*width)] {
				if v > top || v < bottom {
					n++
				}
			}
		}
		count.Add(int64(n))
	})
	return int(count.Load())
}
