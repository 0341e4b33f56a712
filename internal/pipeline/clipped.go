package pipeline

import "github.com/specquant/specquant/internal/quant"

// beyond is the share of w [rows × cols] that lies more than half a step
// beyond the ends of its grid.
func beyond(g quant.Grid, w, scales []float32, rows, cols int) float64 {
	lo, hi := g.Limits()
	groups, width := g.Groups(cols), cols
	if g.Group > 0 {
		width = g.Group
	}
	count := 0
	for r := range rows {
		for c, v := range w[r*cols:][:cols] {
			if s := scales[r*groups+c/width]; v > (hi+0.5)*s || v < (lo-0.5)*s {
				count++
			}
		}
	}
	return float64(count) / float64(rows) / float64(cols)
}
