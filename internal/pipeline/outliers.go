package pipeline

import (
	"cmp"
	"slices"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/quant"
)

// A channel stands out whose largest |x| is this many times the median
// channel's; at most so many are reported.
const (
	outlierRatio = 8
	outlierCount = 8
)

// outliers returns the channels that stand out by their maxima, largest first,
// and the largest maximum over the median one, 0 where that is 0.
func outliers(absMax []float32) (out []artefact.Outlier, peak float64) {
	sorted := slices.Sorted(slices.Values(absMax))
	if len(sorted) == 0 {
		return nil, 0
	}
	median := float64(sorted[len(sorted)/2])
	if median == 0 {
		return nil, 0
	}
	for c, v := range absMax {
		if r := float64(v) / median; r >= outlierRatio {
			out = append(out, artefact.Outlier{Channel: c, Ratio: r})
		}
	}
	slices.SortStableFunc(out, func(a, b artefact.Outlier) int { return cmp.Compare(b.Ratio, a.Ratio) })
	return out[:min(len(out), outlierCount)], float64(sorted[len(sorted)-1]) / median
}

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
