package stage

import "github.com/specquant/specquant/internal/quant"

// clippedShare is the fraction of the weights w [rows × cols] that lie more than half a
// step beyond the ends of their grid.
func clippedShare(g quant.Grid, w []float32, steps quant.Steps, rows, cols int) float64 {
	return float64(clippedCount(g, w, steps, rows, cols)) / float64(rows) / float64(cols)
}

// clippedCount is the number of those weights.
func clippedCount(g quant.Grid, w []float32, steps quant.Steps, rows, cols int) int {
	lo, hi := g.Limits()
	groups, width := g.Groups(cols), cols
	if groups > 1 {
		width = g.Group
	}
	count := 0
	for r := range rows {
		for c, v := range w[r*cols:][:cols] {
			if s, d := steps.At(g, r*groups+c/width); v > (hi+0.5-d)*s || v < (lo-0.5-d)*s {
				count++
			}
		}
	}
	return count
}
