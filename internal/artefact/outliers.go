package artefact

import (
	"cmp"
	"slices"
)

// A channel is an outlier if its maximum |x| is at least outlierRatio times the median
// channel's; at most outlierCount are reported.
const (
	outlierRatio = 8
	outlierCount = 8
)

// Outliers returns the outlier channels by their maximum |x| (absMax), largest first, and
// the largest maximum divided by the median one, or 0 if the median is 0.
func Outliers(absMax []float32) (out []Outlier, peak float64) {
	if len(absMax) == 0 {
		return nil, 0
	}
	sorted := slices.Sorted(slices.Values(absMax))
	median := float64(sorted[len(sorted)/2])
	if median == 0 {
		return nil, 0
	}
	for c, v := range absMax {
		if r := float64(v) / median; r >= outlierRatio {
			out = append(out, Outlier{Channel: c, Ratio: r})
		}
	}
	slices.SortStableFunc(out, func(a, b Outlier) int { return cmp.Compare(b.Ratio, a.Ratio) })
	return out[:min(len(out), outlierCount)], float64(sorted[len(sorted)-1]) / median
}
